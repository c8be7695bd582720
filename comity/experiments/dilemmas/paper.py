"""Learners on sequential social dilemmas: the metrics of records, the cost of an arm, and its small version."""

from dataclasses import replace
from typing import Any

from comity.experiments.dilemmas.learners import FIGURE
from comity.experiments.figure import Arm, Paper
from comity.recipes import Recipe

KEPT = (
    "return",
    "length",
    "welfare_sum",
    "welfare_minimum",
    "apples",
    "efficiency",
    "equality",
    "sustainability",
    "peace",
    "waste",
    "cleaned",
    "hits",
    "entropy",
    "critic_loss",
)


def cost(arm: Arm, recipe: Recipe) -> float:
    """CPU seconds of an iteration with 32 games."""
    return {"qmix": 12.0, "random": 0.5, "rusp": 1.5}.get(arm.algorithm, 1.0)


SMALL: dict[str, dict[str, Any]] = {
    "qmix": {"hidden": 4, "batch": 2, "capacity": 4, "warmup": 2, "updates": 1},
    "rusp": {"width": 4, "hidden": 4, "steps": 4, "chunk": 2, "epochs": 1, "versions": 2},
    "random": {},
}


def smoke(arm: Arm) -> Arm:
    """Returns the same arm with tiny networks and short episodes, to show that the code works."""
    small = SMALL.get(arm.algorithm, {"hidden": 4, "steps": 4, "chunk": 2, "epochs": 1, "minibatches": 1})
    settings, options = {**arm.settings, **small}, {**arm.options, "length": 6, "radius": 2}
    return replace(arm, name=f"{arm.name}-smoke", settings=settings, options=options)


PAPER = Paper(
    "dilemmas",
    "Learners on Harvest and Cleanup",
    {FIGURE.name: FIGURE._replace(says="Ours: what does each learner end with, at one budget of play?")},
    KEPT,
    cost,
    smoke,
    ("return", "welfare_sum", "equality", "sustainability", "waste"),
    "iterations",
    label="Harvest and Cleanup, ours",
    found="A table of all learners is being trained.",
)
