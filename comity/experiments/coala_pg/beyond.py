"""Open questions beyond the paper's figures: learners whose rule changes, other dilemmas, other horizons.

Players and learners are tables of five rows, as in `sampled`: they shape within a minute.
"""

from typing import Any

from comity.experiments.claims import Comparison, dated
from comity.experiments.coala_pg.sampled import BUDGETS, SHAPING, tabular
from comity.experiments.figure import Arm, Figure, Panel
from comity.experiments.measures import Measure

claim = dated("2026-11-30")  # before any of their runs

RULES: dict[str, dict[str, Any]] = {
    "stays": {},
    "rate": {"naive_change": "rate", "naive_rate_range": 10.0},
    "optimizer": {"naive_change": "optimizer", "naive_changed_rate": 1.0},
}
CHANGING_RULES = Figure(
    "changing-rules",
    "Question 4: naive learners whose rule of learning changes",
    {
        f"{label}, {rule}": tabular(estimator, f"-rule-{rule}", **options)
        for rule, options in RULES.items()
        for label, estimator in (("COALA-PG", "coala"), ("M-FOS", "m-fos"))
    },
    BUDGETS,
    (
        Panel("shaping_reward", "player, points per step"),
        Panel("naive_reward", "naive learner, points per step"),
    ),
    (
        claim(
            "shapes-all-the-same",
            "COALA-PG earns more than M-FOS from learners whose rate, or whose optimizer, changes on the way.",
            Comparison("COALA-PG, rate", "above", "M-FOS, rate", SHAPING, 0.2),
            Comparison("COALA-PG, optimizer", "above", "M-FOS, optimizer", SHAPING, 0.2),
        ),
        claim(
            "a-change-costs-little",
            "A rate that changes costs COALA-PG less than a quarter of a point per step.",
            Comparison("COALA-PG, rate", "equal", "COALA-PG, stays", SHAPING, 0.25),
        ),
    ),
    smoke=("COALA-PG, rate", "COALA-PG, optimizer"),
    note="From a drawn update on, the second to the last but one of 20, a learner's steps become r^u times as long, "
    "r = 10, u uniform in [-1, 1]; or Adam gives way to plain descent at a rate of 1. The player is not told.",
)


def of_matrix(label: str, estimator: str, payoffs: tuple[float, ...]) -> Arm:
    """Returns an arm on another game than the prisoner's dilemma."""
    settings = {"estimator": estimator, "core": "table", "learning_rate": 0.02}
    options = {"naive_network": "table", "naive_learning_rate": 0.3, "payoffs": payoffs, "inner_length": 10}
    task, name = "repeated-matrix+learners", f"sampled-{estimator}-{label}"
    return Arm(name, "coala", "sound", settings, options, task, "stag-hunt", "tables", learner=estimator)


GAMES = {"stag hunt": (4.0, 0.0, 3.0, 3.0), "chicken": (3.0, 1.0, 4.0, 0.0)}
HORIZONS = (5, 50)
BOTH = (("COALA-PG", "coala"), ("M-FOS", "m-fos"))
SHARE = Measure("shaping_share")
DILEMMAS = Figure(
    "dilemmas",
    "Other dilemmas and horizons: share of the best symmetric return",
    {
        f"{label}, {game}": of_matrix(game.replace(" ", "-"), estimator, payoffs)
        for game, payoffs in GAMES.items()
        for label, estimator in BOTH
    }
    | {
        f"{label}, T = {steps}": tabular(estimator, f"-length-{steps}", inner_length=steps)
        for steps in HORIZONS
        for label, estimator in BOTH
    },
    BUDGETS,
    (
        Panel("shaping_share", "player, share of the best symmetric return"),
        Panel("shaping_reward", "player, points per step"),
        Panel("naive_reward", "naive learner, points per step"),
    ),
    (
        claim(
            "stag-hunt",
            "In the stag hunt COALA-PG leads naive learners to the stag: nine tenths of the best that both can have.",
            Comparison("COALA-PG, stag hunt", "above", 0.9, SHARE, 0.0),
        ),
        claim(
            "chicken",
            "In chicken COALA-PG makes naive learners yield: it earns more than the best symmetric return, and more "
            "than M-FOS.",
            Comparison("COALA-PG, chicken", "above", 1.0, SHARE, 0.0),
            Comparison("COALA-PG, chicken", "above", "M-FOS, chicken", SHARE, 0.05),
        ),
        claim(
            "horizons",
            "COALA-PG shapes in episodes of 5 steps as in episodes of 50; M-FOS does in neither.",
            *(Comparison(f"COALA-PG, T = {steps}", "above", f"M-FOS, T = {steps}", SHAPING, 0.2) for steps in HORIZONS),
        ),
    ),
    smoke=("COALA-PG, chicken", "M-FOS, T = 5"),
    note="Best symmetric returns per step: prisoner's dilemma 1, stag hunt 4, chicken 3. No bound is known on what a "
    "player who shapes can earn.",
)
