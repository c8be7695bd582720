"""Ours: which rule sees the gift? What a drop of the key is worth to its giver, and what rules of credit say of it.

Situations are steps of Manitokan in which an agent whose own door is open holds the key, could lay it down, and the
other's door is shut. The measurement is in `experiments/credit`; here are its teams, sizes and claims.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from comity.experiments.claims import Comparison, Relation, dated
from comity.experiments.figure import Arm, Budget, Figure, Scale, Trial
from comity.experiments.measures import Measure
from comity.recipes import Recipe

SEEN = {"observe": "door-signal+key-signal+last-action"}
TEAM = {"core": "none", "learning_rate": 2e-3, "critic_learning_rate": 2e-3}  # no memory: ALITA's actors have none
SITUATIONS = 48  # of a seed
SIGNALS: dict[str, tuple[str, str]] = {  # of `experiments.credit.rules`: in words, hue
    "monte-carlo": ("Monte Carlo - V", "pg"),
    "gae-95": ("GAE, 0.95", "ippo"),
    "gae-50": ("GAE, 0.5", "mappo"),
    "gae-0": ("GAE, 0", "actor-critic"),
    "coma": ("COMA", "coma"),
    "vdn": ("VDN", "vdn"),
    "qmix": ("QMIX", "qmix"),
    "lica": ("LICA", "lica"),
    "correction": ("correction term", "saf"),
    "liir": ("LIIR's reward", "rusp"),
    "alita": ("ALITA's influence", "alita"),
}
PARTS = ("collective", "own")
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
    """Of one seed's measurement."""

    replays: int = 64  # K from each situation, twice
    rollouts: int = 16  # of 32 games, that every rule learns from
    games: int = 32
    passes: int = 5  # steps, per rollout, of critics that take one step an update
    searched: int = 16  # episodes in which one situation is looked for
    every_rule: bool = True  # False: the first two, to show that the machinery works


SMALL = Sizes(2, 1, 4, 1, 4, every_rule=False)


def probe(recipe: Recipe, count: int, sizes: Sizes = Sizes()) -> Callable[..., dict[str, Any]]:
    """(key, state of PG) -> METRICS, [count] each."""
    import jax.numpy as jnp

    from comity.environments.grid.geometry import in_front
    from comity.environments.grid.manitokan import rules as of_game
    from comity.environments.grid.manitokan.state import DROP
    from comity.experiments.credit import rules, study

    env: Any = recipe.env
    config: Any = recipe.config
    team = recipe.make(config, env)

    def possible(game):
        """[N] bool: who could give now."""
        free = ~of_game.blocked(env, game, in_front(game.position, game.heading))
        return game.holding & game.opened & free & ~of_game.completed(env, game)

    def parts(steps):
        return {"collective": steps.info["collective_reward"], "own": steps.info["individual_reward"]}

    asked = study.Asked(DROP, possible, parts)
    steps = sizes.rollouts * sizes.games * env.spec.length

    def measured(key, state):
        every = rules.rules(env, state.actor, config, sizes.passes, min(steps, 100_000))
        some = every if sizes.every_rule else every[:2]
        told = study.measured(key, env, team, state, some, asked, sizes, config.gamma, count)
        nothing = jnp.full(count, jnp.nan)
        return {name: told.get(name, nothing) for name in METRICS}

    return measured


def small(trials: Mapping[str, Trial]) -> dict[str, Trial]:
    """The same trials, small where they are of this figure."""
    ours = lambda trial: getattr(trial.probe, "func", trial.probe) is probe  # noqa: E731
    smaller = partial(probe, sizes=SMALL)
    return {name: trial._replace(probe=smaller) if ours(trial) else trial for name, trial in trials.items()}


# The figure -----------------------------------------------------------------------------------------------------------

CREDIT = {"credit": Trial(probe=probe, once=SITUATIONS)}
LONG = Sizes(rollouts=60, passes=60)  # some 60 times as many steps of the critics that take few
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
    """Of the difference of two signals' numbers, in the same seeds."""
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

PANELS = (  # part, statistic, words
    ("collective", "right", "right sign"),
    ("collective", "rank", "rank correlation"),
    ("collective", "noise", "noise"),
    ("collective", "bias", "bias"),
    ("own", "bias", "bias, individual part"),
)


def seeds_of(some: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """[S] of a metric of the trial, those seeds that have it."""
    from comity.experiments.records import at_end

    found = np.array([at_end(record, f"credit:{name}") for record in some], float)  # pyright: ignore[reportArgumentType]
    return found[np.isfinite(found)]


def draw(found: Mapping[str, Sequence[Mapping[str, Any]]], out: Path) -> list[Path]:
    """credit.png and .svg: a row for each signal, a dot for each seed, a bar for the interval."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    from comity.report.curves import FAINT, INK, entitle, frame, save
    from comity.report.looks import BASELINE, HUES
    from comity.report.panels import DPI, LETTERS, WIDTH
    from comity.report.statistics import FEWEST_SEEDS, mean_ci

    teams = {label: some for label, some in found.items() if some}
    last = [*teams][-1]
    with matplotlib.rc_context(LETTERS):
        figure = Canvas(figsize=(WIDTH, 2.5 * len(teams) + 0.7), dpi=DPI, layout="constrained")
        grid = figure.subplots(len(teams), len(PANELS), squeeze=False, sharex="col", sharey=True)
        for row, (label, some) in zip(grid, teams.items(), strict=True):
            for axes, (part, what, words) in zip(row, PANELS, strict=True):
                axes.axvline(0.5 if what == "right" else 0.0, color=BASELINE, linewidth=0.8)
                for place, (name, (_, hue)) in enumerate(SIGNALS.items()):
                    values = seeds_of(some, f"{part}_{name}_{what}")
                    axes.plot(values, np.full(len(values), place), "o", color=HUES[hue], alpha=0.5, markersize=3)
                    if len(values) >= FEWEST_SEEDS:
                        mean, low, high = mean_ci(values)
                        axes.plot([low, high], [place, place], color=HUES[hue], linewidth=1.6)
                        axes.plot(mean, place, "|", color=HUES[hue], markersize=8, markeredgewidth=1.6)
                frame(axes)
                axes.grid(axis="y", color=FAINT, linewidth=0.6)
                axes.set_yticks(range(len(SIGNALS)), [words for words, _ in SIGNALS.values()], fontsize=7.5)
                axes.set_ylim(len(SIGNALS) - 0.5, -0.5)
                axes.set_xlabel(words if label == last else "", fontsize=7.5)
                if what in ("bias", "noise"):
                    axes.set_xscale("symlog", linthresh=0.1)
                    ticks = (0, 0.1, 1) if what == "noise" else (-1, -0.1, 0, 0.1, 1)
                    axes.set_xticks(ticks, [f"{x:g}" for x in ticks], fontsize=7)
                    axes.minorticks_off()
            worth = seeds_of(some, "collective_worth")
            worth = f"{worth.mean():.3f}" if len(worth) else "unknown"
            row[0].set_title(f"{label}: a gift is worth {worth}", fontsize=8.5, loc="left", color=INK)
        entitle(
            figure,
            "Who sees the gift: rules' signals for a drop against what it is worth, by replays",
            "Dots: seeds, each a team of its own; bars: 95 % t intervals over seeds. Grey: a coin, no correlation, 0. "
            "Worth, noise, bias: points; the worth: the drop's counterfactual advantage by the collective reward.",
        )
        return save(figure, out / "credit.png")


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Lines of the table of docs/credit.md: mean over seeds and 95 % interval's half-width."""
    from comity.report.statistics import FEWEST_SEEDS, mean_ci

    def cell(some: Sequence[Mapping[str, Any]], name: str) -> str:
        values = seeds_of(some, name)
        if not len(values):
            return "-"
        mean, _, high = mean_ci(values) if len(values) >= FEWEST_SEEDS else (values.mean(), 0.0, np.nan)
        return f"{mean:.3f}" + (f" ± {high - mean:.3f}" if np.isfinite(high) else f" ({len(values)})")

    columns = [f"{part}_{{}}_{what}" for part in PARTS for what in ("bias", "noise")]
    columns = ["collective_{}_right", "collective_{}_rank", *columns]
    lines = ["| team | signal | right sign | rank | bias | noise | bias, own part | noise, own part |"]
    lines += ["| --- " * 8 + "|"]
    for label, some in found.items():
        for name, (words, _) in SIGNALS.items() if some else ():
            cells = [cell(some, column.format(name)) for column in columns]
            lines.append(f"| {label} | {words} | {' | '.join(cells)} |")
    return lines


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
