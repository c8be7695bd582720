"""Shared parts of the figures of RUSP: trials, budgets, claims.

At the laptop's scale networks and learning rate are those of the learner's preset `sound`, at the paper's scale those
of the paper. docs/papers/rusp/README.md gives the results.
"""

from typing import Any

from comity.experiments.claims import dated
from comity.experiments.figure import Arm, Budget, Scale, Trial
from comity.experiments.measures import Measure

WRITTEN = "2026-11-21"  # the day on which the claims were written down, before any of their runs

# The paper's evaluation: T = I without uncertainty, or T = I with all noise levels as high as possible.
SURE, UNSURE = {"sharing": "selfish"}, {"sharing": "selfish-unsure"}

PAPERS_LEARNER = {"width": 128, "hidden": 128, "learning_rate": 3e-4, "minibatches": 12, "epochs": 5}
BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {},
    "laptop": {
        "ipd": Budget(5, 150, 256, points=25),
        "selfish": Budget(5, 50, 256, points=25),
        "indirect": Budget(5, 150, 256, points=15),
        "buddy": Budget(5, 400, 64, points=20),
        "images": Budget(5, 400, 16, points=25),
        "oasis": Budget(5, 1_500, 32, points=25),
    },
    # 60 gradient steps: 5 epochs of 12 minibatches of the paper's 8,000 chunks (Oasis: 32,000). With chunks of 5 steps
    # an iteration has 480,000 agent steps, with chunks of 20 (indirect) four times as many, with Oasis's chunks of 100
    # eighty times. The paper's number of iterations is unknown.
    "paper": {
        "ipd": Budget(5, 1_000, 2_400, {**PAPERS_LEARNER, "steps": 100}),
        "selfish": Budget(5, 1_000, 2_400, {**PAPERS_LEARNER, "steps": 100}),
        "indirect": Budget(5, 1_000, 6_400, {**PAPERS_LEARNER, "steps": 100}),
        "buddy": Budget(5, 1_000, 960, {**PAPERS_LEARNER, "steps": 100}),
        "images": Budget(5, 5_000, 1_920, PAPERS_LEARNER),
        "oasis": Budget(5, 1_000, 128_000, PAPERS_LEARNER),
    },
}

# Means over the last fifth of training, because behaviour against all-d varies over time.
LATE = (0.8, 1.0)


def late(metric: str) -> Measure:
    return Measure(metric, window=LATE)


claim = dated(WRITTEN)


def trained(name: str, task: str, profile: str, budget: str, trials: dict[str, Trial], options: dict[str, Any],
            **settings: Any) -> Arm:  # fmt: skip
    """Returns an arm of RUSP's learner. options: of game and preferences."""
    return Arm(name, "rusp", "sound", settings, options, f"{task}+rusp", profile, budget, trials)
