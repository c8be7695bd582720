"""The prisoner's dilemma in a pool: do sequence agents cooperate if they have to find out whom they play with?"""

from typing import Any

from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Budget, Figure, Panel, Scale, Trial
from comity.experiments.measures import Measure

claim = dated("2026-11-30")
LEARNERS = Trial({"tables": 0.0})  # both agents learn, in every episode
TABLES = Trial({"tables": 1.0})


def pool(name: str, tables: float, tells: bool = False, algorithm: str = "a2c") -> Arm:
    """Returns an arm of GRU agents with separate parameters. tables: the pool's share of random tables."""
    settings: dict[str, Any] = {"core": "gru", "width": 64, "learning_rate": 0.002, "entropy_coefficient": 0.02}
    options = {"tables": tables, "tells": tells, "length": 100}
    trials = {"learners": LEARNERS, "tables": TABLES}
    return Arm(name, algorithm, "sound", settings, options, "ipd+pool", "coala", "pool", trials)


ARMS = {
    "no pool": pool("pool-0", 0.0),
    "25 % tables": pool("pool-25", 0.25),
    "50 % tables": pool("pool-50", 0.5),
    "75 % tables": pool("pool-75", 0.75),
    "50 %, told": pool("pool-50-told", 0.5, tells=True),
}
BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {},
    "laptop": {"pool": Budget(10, 6_000, 64, points=30)},
    "paper": {"pool": Budget(10, 100_000, 256, stated=False)},
}
BETWEEN = Measure("learners:cooperation")
IPD = Figure(
    "ipd",
    "In-context inference: cooperation of two learners after training in a pool of random tables",
    ARMS,
    BUDGETS,
    (
        Panel("learners:cooperation", "cooperation of learners with each other", limits=(0.0, 1.0)),
        Panel("learners:return", "points of learners with each other"),
        Panel("tables:return", "points against random tables"),
    ),
    (
        claim(
            "pool-cooperates",
            "Trained in a pool half of which is random tables, learners cooperate with each other.",
            Comparison("50 % tables", "above", 0.5, BETWEEN, 0.0),
            Comparison("50 % tables", "above", "no pool", BETWEEN, 0.2),
        ),
        claim(
            "without-defects",
            "Learners that only meet each other defect.",
            Comparison("no pool", "below", 0.2, BETWEEN, 0.0),
        ),
        claim(
            "told-defects",
            "So do learners in the pool who are told whether they play a table.",
            Comparison("50 %, told", "below", 0.2, BETWEEN, 0.0),
            Comparison("50 % tables", "above", "50 %, told", BETWEEN, 0.2),
        ),
        claim(
            "inference",
            "Who is trained in the pool earns more against tables than who never met one.",
            Comparison("50 % tables", "above", "no pool", Measure("tables:return"), 1.0),
        ),
        claim(
            "share",
            "More tables in the pool make learners cooperate more with each other (ours).",
            Comparison("75 % tables", "above", "25 % tables", BETWEEN, 0.1),
        ),
    ),
    note="Advantage actor-critic alone: the paper's predictive policy improvement is described in words that leave its "
    "sequence model, its search and its targets open.",
)
