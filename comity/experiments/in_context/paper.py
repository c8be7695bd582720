"""The figure of in-context co-player inference: the metrics of records, the cost of an arm, and its small version."""

from dataclasses import replace

from comity.experiments.figure import Arm, Paper
from comity.experiments.in_context.ipd import IPD
from comity.recipes import Recipe

KEPT = (
    "cooperation",
    "learners_cooperation",
    "learners_return",
    "tables_cooperation",
    "tables_return",
    "return",
    "length",
    "entropy",
    "critic_loss",
)
SAYS = {"ipd": "In a pool with random co-players sequence agents cooperate; without it, or told of it, they defect."}


def cost(arm: Arm, recipe: Recipe) -> float:
    """CPU seconds of an iteration with 32 games."""
    return 0.02 * recipe.env.spec.length / 50 * (recipe.config.width / 64)


def smoke(arm: Arm) -> Arm:
    """Returns the same arm with tiny networks and short episodes, to show that the code works."""
    settings, options = {**arm.settings, "width": 4}, {**arm.options, "length": 6}
    return replace(arm, name=f"{arm.name}-smoke", settings=settings, options=options)


PAPER = Paper(
    "in-context",
    "Multi-agent cooperation through in-context co-player inference",
    {"ipd": IPD._replace(says=SAYS["ipd"])},
    KEPT,
    cost,
    smoke,
    ("learners:cooperation", "learners:return", "tables:cooperation", "tables:return"),
    "iterations",
    label="Co-player inference, 2026",
    found="The sequel to COALA-PG is being trained.",
)
