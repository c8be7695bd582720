"""The decisive experiment: when does PG need its own last action, and does a reading of the text change it?

Two errors of the released code concern what agents see: views stay those of an episode's first step (frozen), and they
show neither keys nor doors (blind). Here both are crossed with action history, in a PG without other errors.
"""

from dataclasses import replace
from math import log

from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Budget, Figure, Panel, Scale
from comity.experiments.hidden_gifts.arms import (
    BUDGETS,
    HISTORY,
    PANELS,
    PG_HISTORY,
    PG_WINDOW,
    RANDOM,
    SUCCESS,
    all_of,
    pg,
)
from comity.experiments.hidden_gifts.repairs import RELEASED_RANDOM, repaired
from comity.experiments.measures import Measure

claim = dated("2026-11-30")  # before any of the runs below
ODDS = Measure("success", "log-odds")
TWICE = log(2)  # the margin of claims about odds
FROZEN = {"frozen_observation": True}
BLIND = {"content": "last-agent", "show_carried": True}  # as the released code shows the game
SIGHTS = {"frozen, blind": {**FROZEN, **BLIND}, "frozen, seen": FROZEN, "live, blind": BLIND, "live, seen": {}}
CRIPPLED = tuple(sight for sight in SIGHTS if sight != "live, seen")


def cell(sight: str, history: bool) -> Arm:
    """Returns an arm of PG without errors in the learner, on 300 steps as in the code, with the rates of the code."""
    name = f"pg-{sight.replace(', ', '-')}-{'history' if history else 'window'}"
    return pg(name, {"length": 300, **SIGHTS[sight], **(HISTORY if history else {})})


CELLS = {f"{sight}{', history' * history}": cell(sight, history) for sight in SIGHTS for history in (False, True)}


def with_and_without(sight: str) -> tuple[str, str]:
    return f"{sight}, history", sight


def claims_of_sights():
    """Returns claims about the contrast in odds: a rise from 2 to 4 % counts as much as one from 94 to 97 %."""
    ordinary = with_and_without("live, seen")
    return (
        claim(
            "history-multiplies",
            "Ours: where views are frozen or blind, action history multiplies the odds of success by two or more.",
            *(Comparison(*_against("above", sight), ODDS, TWICE) for sight in CRIPPLED),
        ),
        claim(
            "history-does-nothing",
            "Ours: where views are live and show keys and doors, history changes the odds less than twofold.",
            Comparison(*_against("equal", "live, seen"), ODDS, TWICE),
        ),
        claim(
            "interaction",
            "Ours: history gains more where views are frozen or blind than where they are live and seen: an odds ratio "
            "twice as large or more.",
            *(Comparison(*_against("above", sight), ODDS, TWICE, beside=ordinary) for sight in CRIPPLED),
        ),
        claim(
            "sight-suffices",
            "Ours: with live views that show keys and doors PG succeeds with and without history.",
            *all_of(ordinary, "above", 0.5, SUCCESS, 0.0),
        ),
        claim(
            "frozen-and-blind-fails",
            "Ours: with frozen and blind views PG without history ends no higher than random play.",
            Comparison("frozen, blind", "below", "random", SUCCESS, 0.0),
        ),
    )


def _against(relation, sight: str):
    first, second = with_and_without(sight)
    return first, relation, second


def budgets(seeds: int, iterations: int) -> dict[Scale, dict[str, Budget]]:
    """Returns the budgets of the other figures, with another one for PG at the laptop's scale."""
    return {**BUDGETS, "laptop": {**BUDGETS["laptop"], "pg": Budget(seeds, iterations)}}


VIEWS = Figure(
    "views",
    "PG: frozen or live views x blind or seen x action history",
    {**CELLS, "random": RELEASED_RANDOM},
    budgets(10, 3_000),
    tuple(
        Panel("success", f"success, views {sight} (%)", (*reversed(with_and_without(sight)), "random"), scale=100)
        for sight in SIGHTS
    ),
    claims_of_sights(),
    smoke=("frozen, blind", "live, blind, history", "random"),
    note=(
        "PG of the paper with the rates of its code, one actor for both agents, on 300 steps, without the code's end "
        "value and exploration floor. Frozen: views stay those of the first step of an episode. Blind: views show "
        "neither keys nor doors. Odds are p / (1 - p) of success in the last tenth of training. A cell goes on to "
        "10,000 batches (`views-long`) if the 95 % interval over seeds of its change over the last fifth excludes 0."
    ),
)

# Cells that still move after 3,000 batches, by the rule in the note above. To be filled when their records exist.
MOVING: tuple[str, ...] = ()
PAIR = {
    "as released": replace(repaired("pg", (), {}, "pg-window"), budget="pg"),
    "as released, history": replace(repaired("pg", (), HISTORY, "pg-history"), budget="pg"),
}
VIEWS_LONG = Figure(
    "views-long",
    "The released pair, and cells that still move, for the paper's 10,000 batches",
    {**PAIR, **{label: CELLS[label] for label in MOVING}, "random": RELEASED_RANDOM},
    budgets(3, 10_000),
    (PANELS["success"], PANELS["share"]),
    (
        claim(
            "history-decides",
            "With action history PG as released succeeds, without it it does not rise above random play.",
            Comparison("as released, history", "above", "random", SUCCESS, 0.1),
            Comparison("as released", "below", "random", SUCCESS, 0.0),
            Comparison("as released, history", "above", "as released", SUCCESS, 0.1),
        ),
        claim(
            "history-multiplies",
            "Ours: as released, history multiplies the odds of success by two or more.",
            Comparison("as released, history", "above", "as released", ODDS, TWICE),
        ),
    ),
    note="The preset and profile `released`, for as long as the paper trained, its exploration floor included.",
)

READINGS = {
    "centred window": {"window": "centred"},
    "key on the own cell": {"pickup": "own_cell"},
    "uniform placement": {"placement": "uniform"},
    "no pruning": {"prune": False},
}
READING_ARMS = {
    f"{words}{', history' * history}": pg(
        f"pg-{words.replace(' ', '-')}-{'history' if history else 'window'}",
        {**options, **(HISTORY if history else {})},
    )
    for words, options in READINGS.items()
    for history in (False, True)
}
FIG_READINGS = Figure(
    "readings",
    "PG: other readings of the text x action history",
    {"as elsewhere": PG_WINDOW, "as elsewhere, history": PG_HISTORY, **READING_ARMS, "random": RANDOM},
    budgets(3, 3_000),
    tuple(
        Panel("success", f"success, {words} (%)", (*reversed(with_and_without(words)), "random"), scale=100)
        for words in READINGS
    ),
    (
        claim(
            "history-decides",
            "However the text is read, it is the action history that makes PG succeed.",
            *(Comparison(*_against("above", words), SUCCESS, 0.1) for words in READINGS),
        ),
        claim(
            "learns-without",
            "Ours: however the text is read, PG succeeds without history, by 50 points more than random play.",
            *all_of(tuple(READINGS), "above", "random", SUCCESS, 0.5),
        ),
    ),
    smoke=("no pruning", "key on the own cell, history", "random"),
    note=(
        "Placement, pick-up, window and pruning of actions follow the released code in the other figures, where the "
        "text leaves them open or says something else. Each is varied here by itself, on 150 steps."
    ),
)
