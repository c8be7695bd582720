"""What the figures of RUSP share: trials, budgets, claims.

Networks and learning rate are those of the learner's preset `sound` at the laptop's scale, those of the paper at its
scale. docs/papers/rusp/README.md says what came of it.
"""

from typing import Any

from comity.experiments.claims import dated
from comity.experiments.figure import Arm, Budget, Scale, Trial
from comity.experiments.measures import Measure

WRITTEN = "2026-11-21"  # the day on which the claims were written down, before any of their runs

# The paper's evaluation: T = I, and nothing to be unsure of; or T = I, and all levels as high as they may be.
SURE, UNSURE = {"sharing": "selfish"}, {"sharing": "selfish-unsure"}

PAPERS_LEARNER = {"width": 128, "hidden": 128, "learning_rate": 3e-4, "minibatches": 12}
BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {},
    "laptop": {
        "ipd": Budget(5, 150, 256, points=25),
        "selfish": Budget(5, 50, 256, points=25),
        "indirect": Budget(5, 150, 256, points=15),
        "buddy": Budget(5, 400, 64, points=20),
        "images": Budget(3, 1_000, 16, points=6),
        "oasis": Budget(3, 2_500, 32, points=6),
    },
    # 12 minibatches of the paper's 8,000 chunks: of 5 steps 480,000 steps of agents an iteration, of 20 (indirect) four
    # times as many. How many iterations it trained is not known.
    "paper": {
        "ipd": Budget(5, 1_000, 2_400, {**PAPERS_LEARNER, "steps": 100}),
        "selfish": Budget(5, 1_000, 2_400, {**PAPERS_LEARNER, "steps": 100}),
        "indirect": Budget(5, 1_000, 6_400, {**PAPERS_LEARNER, "steps": 100}),
        "buddy": Budget(5, 1_000, 960, {**PAPERS_LEARNER, "steps": 100}),
        "images": Budget(5, 5_000, 1_920, PAPERS_LEARNER),
        "oasis": Budget(5, 1_000, 32_000, PAPERS_LEARNER),
    },
}

# The means of the last fifth of training: what agents do on all-d comes and goes.
LATE = (0.8, 1.0)


def late(metric: str) -> Measure:
    return Measure(metric, window=LATE)


claim = dated(WRITTEN)


def trained(name: str, task: str, profile: str, budget: str, trials: dict[str, Trial], options: dict[str, Any],
            **settings: Any) -> Arm:  # fmt: skip
    """A policy of RUSP's learner. options: of game and preferences."""
    return Arm(name, "rusp", "sound", settings, options, f"{task}+rusp", profile, budget, trials)
