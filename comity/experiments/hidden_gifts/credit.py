"""Ours: which rule sees the gift? Compares what a drop of the key is worth to its giver with what credit rules say.

Situations are steps of Manitokan in which an agent whose own door is open holds the key and could lay it down, while
the other's door is shut. `experiments/credit` holds the measurement; this module holds teams, sizes and claims.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from comity.experiments.claims import Comparison, Relation, dated
from comity.experiments.figure import Arm, Budget, Figure, Scale, Trial
from comity.experiments.hidden_gifts.credit_drawing import PARTS, SIGNALS, draw
from comity.experiments.measures import Measure
from comity.recipes import Recipe

SEEN = {"observe": "door-signal+key-signal+last-action"}
TEAM = {"core": "none", "learning_rate": 2e-3, "critic_learning_rate": 2e-3}  # no memory: ALITA's actors have none
SITUATIONS = 48  # number of situations of a seed
STATISTICS = ("bias", "noise", "right", "rank")
FACTS = ("worth", "error", "left", "known")
METRICS = (
    "there",
    "chance",
    *(f"{part}_{fact}" for part in PARTS for fact in FACTS),
    *(f"{part}_{name}_{what}" for part in PARTS for name in SIGNALS for what in STATISTICS),
)


@dataclass(frozen=True)
class Sizes:
    """Sizes of one seed's measurement."""

    replays: int = 64  # K pairs of replays from each situation
    rollouts: int = 16  # rollouts of 32 games, from which every rule learns
    games: int = 32
    passes: int = 5  # updates per rollout of critics that take one step per update
    searched: int = 16  # episodes that are searched for one situation
    every_rule: bool = True  # False: only the first two, to show that the code works


SMALL = Sizes(2, 1, 4, 1, 4, every_rule=False)


def probe(recipe: Recipe, count: int, sizes: Sizes = Sizes()) -> Callable[..., dict[str, Any]]:
    """Returns (key, state of PG) -> METRICS, [count] each."""
    import jax.numpy as jnp

    from comity.environments.grid.geometry import in_front
    from comity.environments.grid.manitokan import rules as of_game
    from comity.environments.grid.manitokan.state import DROP
    from comity.experiments.credit import rules, study

    env: Any = recipe.env
    config: Any = recipe.config
    team = recipe.make(config, env)

    def possible(game):
        """Mask of agents that could give now, bool [N]."""
        free = ~of_game.blocked(env, game, in_front(game.position, game.heading))
        return game.holding & game.opened & free & ~of_game.completed(env, game)

    def parts(steps):
        return {"collective": steps.info["collective_reward"], "own": steps.info["individual_reward"]}

    question = study.Question(DROP, possible, parts)
    steps = sizes.rollouts * sizes.games * env.spec.length

    def measured(key, state):
        every = rules.rules(env, state.actor, config, sizes.passes, min(steps, 100_000))
        some = every if sizes.every_rule else every[:2]
        metrics = study.measured(key, env, team, state, some, question, sizes, config.gamma, count)
        nothing = jnp.full(count, jnp.nan)
        return {name: metrics.get(name, nothing) for name in METRICS}

    return measured


def small(trials: Mapping[str, Trial]) -> dict[str, Trial]:
    """Returns the same trials; those of this figure are made small."""
    ours = lambda trial: getattr(trial.probe, "func", trial.probe) is probe  # noqa: E731
    smaller = partial(probe, sizes=SMALL)
    return {name: trial._replace(probe=smaller) if ours(trial) else trial for name, trial in trials.items()}


# The figure -----------------------------------------------------------------------------------------------------------

CREDIT = {"credit": Trial(probe=probe, once=SITUATIONS)}
LONG = Sizes(rollouts=60, passes=60)  # about 60 times as many steps for the critics that take few
TEAMS = {
    "untrained": Arm("credit-untrained", "pg", "sound", TEAM, SEEN, budget="start", trials=CREDIT),
    "partly trained": Arm("credit-partly", "pg", "sound", TEAM, SEEN, budget="partly", trials=CREDIT),
    "trained, long critics": Arm(
        "credit-long",
        "pg",
        "sound",
        TEAM,
        SEEN,
        budget="long",
        trials={"credit": Trial(probe=partial(probe, sizes=LONG), once=SITUATIONS)},
    ),
}
BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {},
    "laptop": {"start": Budget(5, 1, points=1), "partly": Budget(5, 300, points=3), "long": Budget(0, 600)},
    "paper": {"start": Budget(10, 1, points=1), "partly": Budget(10, 300, points=3), "long": Budget(5, 600, points=6)},
}
claim = dated("2026-11-30")


def of(what: str, part: str = "collective") -> Measure:
    return Measure(f"credit:{part}_{what}", "last")


def says(team: str, relation: Relation, second: float, what: str, margin: float = 0.0, part: str = "collective"):
    return Comparison(team, relation, second, of(what, part), margin)


def less(team: str, relation: Relation, what: str, other: str, margin: float = 0.0) -> Comparison:
    """Compares the difference of two signals' numbers, in the same seeds, with 0."""
    return Comparison(
        team, relation, 0.0, Measure(f"credit:collective_{what} - credit:collective_{other}", "last"), margin
    )


UNTRAINED, PARTLY, MORE = TEAMS
BOTH = (UNTRAINED, PARTLY)

CLAIMS = (
    claim(
        "the-gift-pays",
        "Giving is worth something to the giver by the collective reward: little among untrained agents, much among "
        "half-trained ones.",
        says(UNTRAINED, "above", 0.0, "worth"),
        says(UNTRAINED, "below", 0.05, "worth"),
        says(PARTLY, "above", 0.05, "worth"),
    ),
    claim(
        "it-is-hidden",
        "By its own reward the gift is worth nothing to the giver.",
        *(says(team, "equal", 0.0, "worth", 0.005, "own") for team in BOTH),
    ),
    claim(
        "common-numbers-help",
        "Common random numbers leave less than nine tenths of the variance.",
        says(PARTLY, "below", 0.9, "left"),
    ),
    claim(
        "returns-are-unbiased-and-noisy",
        "Monte-Carlo returns are right on average, and in a single game hardly better than a coin.",
        says(PARTLY, "equal", 0.0, "monte-carlo_bias", 0.05),
        says(PARTLY, "below", 0.75, "monte-carlo_right"),
        says(PARTLY, "above", 0.2, "monte-carlo_noise"),
    ),
    claim(
        "short-sight-misses-it",
        "The shorter a generalised advantage looks, the less noise it has and the less often it is right: one step "
        "sees a key lost.",
        less(PARTLY, "below", "gae-0_noise", "monte-carlo_noise", 0.1),
        less(PARTLY, "below", "gae-0_right", "monte-carlo_right", 0.05),
        says(PARTLY, "below", 0.5, "gae-0_right"),
    ),
    claim(
        "critics-of-actions-miss-it",
        "Critics of actions have no noise and little sight: COMA, VDN, QMIX, LICA have the right sign in less than six "
        "of ten cases.",
        *(says(PARTLY, "below", 0.6, f"{name}_right") for name in ("coma", "vdn", "qmix", "lica")),
    ),
    claim(
        "the-correction-is-noise",
        "The correction's weight has the right sign as often as a coin, and more noise than the return.",
        says(PARTLY, "equal", 0.5, "correction_right", 0.1),
        less(PARTLY, "above", "correction_noise", "monte-carlo_noise", 0.1),
    ),
    claim(
        "learned-rewards-do-not-know-it",
        "LIIR's rewards and ALITA's influence do not order situations by what the gift is worth.",
        *(says(PARTLY, "equal", 0.0, f"{name}_rank", 0.25) for name in ("liir", "alita")),
    ),
    claim(
        "long-critics-miss-it-too",
        "With 60 times as many steps critics of actions still do not order situations as returns do.",
        says(MORE, "above", 0.5, "monte-carlo_rank"),
        *(says(MORE, "below", 0.5, f"{name}_rank") for name in ("coma", "vdn", "qmix", "lica")),
    ),
)  # fmt: skip

FIG_CREDIT = Figure(
    "credit",
    "Which rule sees the gift: signals for a drop against its counterfactual advantage",
    TEAMS,
    BUDGETS,
    (),
    CLAIMS,
    drawn=draw,
    smoke=(UNTRAINED,),
    note=(
        f"A seed is a team (PG, no memory, told of its door, its key and its last action) and {SITUATIONS} situations "
        f"of its play before a possible gift. From each {Sizes().replays} games are played on with the drop, and as "
        "many, by the same random numbers, with another action of the giver's policy. Every rule learns from the same "
        f"{Sizes().rollouts} rollouts of {Sizes().games} games of that team, which does not change. right: the chance "
        "that one signal has the sign of the advantage, where that is known by two standard errors; rank: Spearman's "
        "correlation over situations of mean signals with advantages; noise: standard deviation of one signal. The "
        "collective and the individual reward are learned apart, the latter as the rule credits it: own, the team's "
        "mean, or for ALITA the other's."
    ),
)  # fmt: skip
