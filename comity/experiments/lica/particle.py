"""Figure 3, and the ablations of figures 2b, 2c and 6, on particle tasks.

The paper's ablations are on StarCraft maps; here they are on navigation of three. DDPG and its variants have the
settings that the paper quotes, those of SQDDPG's runs. COMA has their rates, widths, gammas and shared weights, and is
otherwise comity's. LICA's own settings on these tasks were not published. docs/papers/lica/README.md lists differences
and open points.
"""

import math
from typing import Any

from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Budget, Figure, Panel, Scale
from comity.experiments.lica import battles, entropy
from comity.experiments.measures import Measure

WRITTEN = "2026-11-21"  # the day on which the claims of this date were written down, before any of their runs
claim = dated(WRITTEN)

# 5,000 episodes of 200 steps, 10 at once: learners of whole episodes learn 500 times, those with a replay every 50
# steps. In predator-prey these differ: the former freeze a game that has ended, the latter begin another.
BUDGETS: dict[Scale, dict[str, Budget]] = {
    scale: {"episodes": Budget(5, 500, 10, points=50), "steps": Budget(5, 2_000, 10, points=50)} | of_battles
    for scale, of_battles in battles.BUDGETS.items()
}
PLACES = {  # label: (task, profile)
    "navigation 3": ("cooperative-navigation", "paper"),
    "navigation 5": ("cooperative-navigation", "paper-5"),
    "predator-prey": ("predator-prey", "paper"),
}
COMA = {"actors": "shared", "gamma": 0.9, "entropy_bonus": 0.0, "learning_rate": 1e-2, "critic_learning_rate": 1e-4}
COMA_PREDATOR = {**COMA, "gamma": 0.99, "learning_rate": 1e-3}
COSTS = (-math.inf, 0.0)  # on navigation agents pay for distance and touches, and earn nothing
LICA = {"entropy_weight": 0.06}


def arm(method: str, place: str, **settings: Any) -> Arm:
    """Returns a method of figure 3 on a task. settings: replace those that the paper quotes."""
    task, profile = PLACES[place]
    hunt = place == "predator-prey"
    name = f"{method.lower()}-{place.replace(' ', '-')}"
    if method == "LICA":
        return Arm(name, "lica", "particle", {**LICA, **settings}, {}, task, profile, "episodes")
    if method == "COMA":
        settings = {**(COMA_PREDATOR if hunt else COMA), "hidden": 128 if hunt else 32, **settings}
        return Arm(
            name, "coma", "sound", {**settings, "critic_hidden": settings["hidden"]}, {}, task, profile, "episodes"
        )
    if method == "random":
        return Arm(name, "random", "sound", {}, {}, task, profile, "episodes")
    preset = "lica-predator-prey" if hunt else "lica-navigation"
    return Arm(name, method.lower(), preset, {"steps": 50, **settings}, {}, task, profile, "steps")


METHODS = ("LICA", "COMA", "IDDPG", "MADDPG", "SQDDPG")
REWARD, TURNS = Measure("reward_per_step"), Measure("length")


def at(method: str, place: str) -> str:
    return f"{method}, {place}"


PARTICLE = Figure(
    "fig3",
    "Figure 3: particle tasks",
    {at(method, place): arm(method, place) for place in PLACES for method in (*METHODS, "random")},
    BUDGETS,
    (
        Panel(
            "length", "predator-prey, steps until capture", tuple(at(m, "predator-prey") for m in (*METHODS, "random"))
        ),
        *(
            Panel(
                "reward_per_step",
                f"{place}, reward per step",
                tuple(at(m, place) for m in (*METHODS, "random")),
                limits=COSTS,
            )
            for place in ("navigation 3", "navigation 5")
        ),
    ),
    (
        claim(
            "better-than-coma",
            "LICA is better than COMA everywhere.",
            *(
                Comparison(at("LICA", p), "above", at("COMA", p), REWARD, 0.05)
                for p in ("navigation 3", "navigation 5")
            ),
            Comparison(at("LICA", "predator-prey"), "below", at("COMA", "predator-prey"), TURNS, 1.0),
        ),
        claim(
            "better-than-maddpg",
            "LICA is better than MADDPG everywhere.",
            *(
                Comparison(at("LICA", p), "above", at("MADDPG", p), REWARD, 0.05)
                for p in ("navigation 3", "navigation 5")
            ),
            Comparison(at("LICA", "predator-prey"), "below", at("MADDPG", "predator-prey"), TURNS, 1.0),
        ),
        claim(
            "sqddpg-weak-at-five",
            "With five agents SQDDPG is weaker than MADDPG.",
            Comparison(at("SQDDPG", "navigation 5"), "below", at("MADDPG", "navigation 5"), REWARD, 0.05),
        ),
        claim(
            "predator-prey-is-easy",
            "On predator-prey all but COMA end near 10 to 20 steps.",
            *(
                Comparison(at(m, "predator-prey"), "below", 25.0, TURNS, 0.0)
                for m in ("LICA", "IDDPG", "MADDPG", "SQDDPG")
            ),
        ),
        claim(
            "beyond-random",
            "Ours: on navigation of three LICA and MADDPG are clearly beyond random play.",
            Comparison(at("LICA", "navigation 3"), "above", at("random", "navigation 3"), REWARD, 0.5),
            Comparison(at("MADDPG", "navigation 3"), "above", at("random", "navigation 3"), REWARD, 0.5),
        ),
    ),
    smoke=tuple(at(m, "navigation 3") for m in ("LICA", "COMA", "SQDDPG")),
    note=(
        "Navigation: 5,000 episodes of 200 steps, as in the paper. An episode of predator-prey ends with a touch: LICA "
        "and COMA play 5,000 episodes and fewer than a million steps there, learners with a replay a million steps, "
        "which is 50,000 episodes of 20. COMA is not the one that the paper quotes: recurrent actors, RMSprop, the "
        "gradient's norm clipped, no entropy bonus, 500 updates of the actors."
    ),
)


def ablation(name: str, **settings: Any) -> Arm:
    """Returns LICA on navigation of three with one thing changed."""
    task, profile = PLACES["navigation 3"]
    return Arm(f"lica-{name}", "lica", "particle", settings, {}, task, profile, "episodes")


XI = {f"xi {x:g}": ablation(f"xi-{x:g}", entropy_weight=x) for x in (0.03, 0.11)}
XI["xi 0.06"] = arm("LICA", "navigation 3")
BETA = {f"beta {x:g}": ablation(f"beta-{x:g}", entropy="fixed", entropy_weight=x) for x in (0.13, 0.15, 0.17)}
FLAT = {f"MLP critic, xi {x:g}": ablation(f"mlp-xi-{x:g}", critic="mlp", entropy_weight=x) for x in (0.05, 0.11)}
RANDOMNESS = Measure("entropy")

ENTROPY = Figure(
    "fig2",
    "Figure 2: plain and adaptive entropy",
    {**XI, **BETA, **FLAT, **battles.ENTROPY_ARMS},
    BUDGETS,
    (
        Panel("entropy", "entropy of policies, nats", (*XI, *BETA)),
        Panel("reward_per_step", "reward per step", (*XI, *BETA), limits=COSTS),
        Panel("reward_per_step", "reward per step", ("xi 0.06", *FLAT), limits=COSTS),
        *battles.ENTROPY_PANELS,
    ),
    (
        claim(
            "xi-sets-the-level",
            "The larger xi is, the higher the entropy at which adaptive regularisation settles.",
            Comparison("xi 0.11", "above", "xi 0.06", RANDOMNESS, 0.02),
            Comparison("xi 0.06", "above", "xi 0.03", RANDOMNESS, 0.02),
        ),
        claim(
            "plain-drops",
            "With plain regularisation the entropy drops below what adaptive regularisation keeps.",
            *(Comparison(label, "below", "xi 0.11", RANDOMNESS, 0.02) for label in BETA),
        ),
        claim(
            "mlp-critic-is-poor",
            "A plain network in the place of the mixing critic learns worse.",
            *(Comparison(label, "below", "xi 0.11", REWARD, 0.05) for label in FLAT),
        ),
        *battles.ENTROPY_CLAIMS,
    ),
    picture=entropy.draw,
    smoke=("xi 0.06", "beta 0.15", "MLP critic, xi 0.05"),
    note="Part a is exact. Parts b and c: 5m_vs_6m as in the paper, in comity's own battles, and navigation of three.",
)

NAVIGATION = ("LICA", "Gumbel", "MLP critic", "MLP critic, matched")
ABLATIONS = Figure(
    "fig6",
    "Figure 6: what of LICA matters",
    {
        "LICA": arm("LICA", "navigation 3"),
        "Gumbel": ablation("gumbel", climbs="gumbel", **LICA),
        "MLP critic": ablation("mlp", critic="mlp", **LICA),  # the paper's has xi 0.05 here, as in figure 2
        "MLP critic, matched": ablation("mlp-matched", critic="mlp-matched", **LICA),
        **battles.ABLATION_ARMS,
    },
    BUDGETS,
    (
        Panel("reward_per_step", "reward per step", NAVIGATION, limits=COSTS),
        Panel("reward_per_step", "reward per step, each seed", NAVIGATION, show="seeds", limits=COSTS),
        Panel("final_distance", "distance from the landmarks at the end", NAVIGATION),
        *battles.ABLATION_PANELS,
    ),
    (
        claim(
            "probabilities-are-faster",
            "Probabilities learn faster than samples by Gumbel and straight-through.",
            Comparison("LICA", "above", "Gumbel", Measure("reward_per_step", window=(0.1, 0.4)), 0.05),
        ),
        claim(
            "mlp-critics-are-poor",
            "Plain critics learn worse, also with as many parameters.",
            Comparison("LICA", "above", "MLP critic", REWARD, 0.05),
            Comparison("LICA", "above", "MLP critic, matched", REWARD, 0.05),
        ),
        *battles.ABLATION_CLAIMS,
    ),
    smoke=("LICA", "Gumbel", "MLP critic"),
    note=(
        "5m_vs_6m as in the paper, in comity's own battles, and navigation of three, where all four arms were trained "
        "with xi 0.06; the paper's MLP critic has xi 0.05 in this figure."
    ),
)
