"""Figure 4, and the arms of figures 2b, 2c and 6 on 5m_vs_6m, as in the paper.

Settings are those of the published configuration, preset `pymarl`, for each map. The battles are comity's own: close to
SMAC's rules, but not the game. See docs/tasks/smac.md and docs/papers/lica/README.md.
"""

from typing import Any

from comity.experiments import battles
from comity.experiments.battles import SOONER, WON, at
from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Figure, Panel
from comity.experiments.measures import Measure

WRITTEN = "2026-11-30"  # the day on which the claims were written down, before any of their runs
claim = dated(WRITTEN)

LEARNERS = ("LICA", "COMA", "LIIR", "VDN", "QMIX", "QTRAN")
OURS = ("3m", "8m", "3s5z")  # maps that are not in the paper
EASY, HARD = ("2s3z", "1c3s5z"), ("5m_vs_6m", "2c_vs_64zg", "MMM2", "3s5z_vs_3s6z")
PLACES = (*OURS, *EASY, *HARD)
PLACE = "5m_vs_6m"
BUDGETS = battles.budgets(LEARNERS, PLACES, 5, 32e6, 64e6)
OTHERS = LEARNERS[1:]

FIG4 = Figure(
    "fig4",
    "Figure 4: battles",
    battles.arms(LEARNERS, PLACES),
    BUDGETS,
    battles.panels(LEARNERS, PLACES),
    (
        claim(
            "easy-is-easy",
            "On 2s3z every learner ends near winning.",
            *(Comparison(at(label, "2s3z"), "above", 0.8, WON, 0.0) for label in LEARNERS),
        ),
        claim(
            "slower-on-1c3s5z",
            "On 1c3s5z some are slower than LICA: COMA and QTRAN.",
            *(Comparison(at("LICA", "1c3s5z"), "above", at(x, "1c3s5z"), SOONER, 0.05) for x in ("COMA", "QTRAN")),
        ),
        *(
            claim(
                f"ahead-on-{place}",
                f"On {place} LICA ends ahead of all others.",
                *(Comparison(at("LICA", place), "above", at(label, place), WON, 0.05) for label in OTHERS),
            )
            for place in ("5m_vs_6m", "MMM2", "3s5z_vs_3s6z")
        ),
        claim(
            "near-perfect-on-2c_vs_64zg",
            "On 2c_vs_64zg LICA ends near winning, and LIIR is there sooner.",
            Comparison(at("LICA", "2c_vs_64zg"), "above", 0.9, WON, 0.0),
            Comparison(at("LIIR", "2c_vs_64zg"), "above", at("LICA", "2c_vs_64zg"), SOONER, 0.05),
        ),
        claim(
            "three-marines-are-won",
            "Ours: on 3m every learner wins more than half of its battles.",
            *(Comparison(at(label, "3m"), "above", 0.5, WON, 0.0) for label in LEARNERS),
        ),
    ),
    smoke=(
        *(at(label, "3m") for label in LEARNERS),
        *(at("LICA", place) for place in PLACES if not battles.MAPS[place].laptop),
    ),
    note=(
        "Battles are comity's own, close to SMAC's rules, not the game. 3m, 8m and 3s5z are not in the paper. At the "
        "laptop's scale a learner plays 800,000 steps of all games (the paper: 32 and 64 million), an episode taken to "
        "last half its limit; value learners make 8 updates per 32 episodes from a replay of 1,024 episodes instead of "
        "one from 5,000; maps that are not trained there are trained at smoke and paper scale."
    ),
)


def part(name: str, **settings: Any) -> Arm:
    """Returns LICA on 5m_vs_6m with one thing changed."""
    return battles.arm("LICA", PLACE, f"lica-{name}", **settings)


def labelled(words: str) -> str:
    return f"{words}, {PLACE}"


XI = {labelled("xi 0.06"): part("xi-0.06", entropy_weight=0.06), labelled("xi 0.11"): FIG4.arms[at("LICA", PLACE)]}
BETA = {labelled(f"beta {x:g}"): part(f"beta-{x:g}", entropy="fixed", entropy_weight=x) for x in (0.13, 0.15, 0.17)}
FLAT = {labelled(f"MLP critic, xi {x:g}"): part(f"mlp-xi-{x:g}", critic="mlp", entropy_weight=x) for x in (0.05, 0.11)}
RANDOMNESS = Measure("entropy")
BEST = labelled("xi 0.11")

ENTROPY_ARMS = {**XI, **BETA, **FLAT}
ENTROPY_PANELS = (
    Panel("entropy", f"{PLACE}, entropy of policies, nats", (*XI, *BETA), "median"),
    battles.won(PLACE, (*XI, *BETA)),
    battles.won(PLACE, (*XI, *FLAT)),
)
ENTROPY_CLAIMS = (
    claim(
        "xi-sets-the-level-in-battle",
        "On 5m_vs_6m, too, the larger xi keeps the higher entropy, and wins more.",
        Comparison(BEST, "above", labelled("xi 0.06"), RANDOMNESS, 0.02),
        Comparison(BEST, "above", labelled("xi 0.06"), WON, 0.05),
    ),
    claim(
        "plain-is-worse-in-battle",
        "On 5m_vs_6m beta 0.13 and 0.15 end below xi 0.11; beta 0.17 ends near it.",
        *(Comparison(labelled(f"beta {x:g}"), "below", BEST, WON, 0.05) for x in (0.13, 0.15)),
        Comparison(labelled("beta 0.17"), "equal", BEST, WON, 0.1),
    ),
    claim(
        "mlp-critic-is-poor-in-battle",
        "On 5m_vs_6m a plain network in the place of the mixing critic ends below it.",
        *(Comparison(label, "below", BEST, WON, 0.05) for label in FLAT),
    ),
)

GUMBEL, MLP = labelled("Gumbel"), labelled("MLP critic")
ABLATION_ARMS = {
    labelled("LICA"): FIG4.arms[at("LICA", PLACE)],
    GUMBEL: part("gumbel", climbs="gumbel"),
    MLP: FLAT[labelled("MLP critic, xi 0.05")],
}
ABLATION_PANELS = (battles.won(PLACE, ABLATION_ARMS),)
ABLATION_CLAIMS = (
    claim(
        "probabilities-are-faster-in-battle",
        "On 5m_vs_6m probabilities learn faster than samples by Gumbel and straight-through.",
        Comparison(labelled("LICA"), "above", GUMBEL, SOONER, 0.05),
    ),
    claim(
        "mlp-critic-is-poor-in-battle",
        "On 5m_vs_6m the plain critic with xi 0.05 ends below LICA.",
        Comparison(labelled("LICA"), "above", MLP, WON, 0.05),
    ),
)
