"""The figures of LICA together: the metrics of records, the cost of an arm, and its small version."""

from dataclasses import replace
from typing import Any

from comity.experiments import battles
from comity.experiments.figure import Arm, Paper
from comity.experiments.lica.battles import FIG4
from comity.experiments.lica.findings import FINDINGS, SAYS
from comity.experiments.lica.junction import JUNCTION
from comity.experiments.lica.particle import ABLATIONS, ENTROPY, PARTICLE
from comity.recipes import Recipe

KEPT = (
    "return",
    "length",
    "optimal",
    "value",
    "optimum",
    "certainty",
    "entropy",
    "critic_loss",
    *(f"likeliest_{outcome}" for outcome in ("00", "01", "10", "11")),
    "reward_per_step",
    "distance",
    "final_distance",
    "occupied",
    "collisions",
    "captured",
    "capture_steps",
    *battles.KEPT,
)
STEPWISE = {"hidden": 4, "steps": 4, "every": 20, "critic_updates": 1, "capacity": 200, "batch": 8, "warmup": 8}
SMALL: dict[str, dict[str, Any]] = {
    "lica-exact": {"runs": 3, "hidden": 4},
    "lica": {"hidden": 4, "critic_width": 2},
    "coma": {"hidden": 4, "critic_hidden": 4, "critic_schedule": "batch"},
    **dict.fromkeys(("maddpg", "iddpg", "sqddpg"), STEPWISE),
}
SECONDS = {"lica": 0.05, "coma": 0.3, "random": 0.01}  # CPU seconds of an iteration of 10 games x 200 steps


def cost(arm: Arm, recipe: Recipe) -> float:
    """CPU seconds of an iteration, scaled to 32 games."""
    if arm.algorithm == "lica-exact":
        return 32 * 1e-5 * getattr(recipe.config, "runs", 1)
    if arm.task.startswith("smac/"):
        return battles.cost(arm)
    return 3.2 * SECONDS.get(arm.algorithm, 0.02)


def smoke(arm: Arm) -> Arm:
    """Returns the same arm, made small, to show that the code works."""
    if arm.task.startswith("smac/"):
        return battles.smoke(arm)
    options = arm.options if arm.algorithm == "lica-exact" else {**arm.options, "length": 4}
    return replace(
        arm, name=f"{arm.name}-smoke", settings={**arm.settings, **SMALL.get(arm.algorithm, {})}, options=options
    )


PAPER = Paper(
    "lica",
    "Learning implicit credit assignment for cooperative multi-agent reinforcement learning",
    {
        figure.name: figure._replace(says=SAYS[figure.name], finding=FINDINGS.get(figure.name))
        for figure in (ENTROPY, PARTICLE, FIG4, JUNCTION, ABLATIONS)
    },
    KEPT,
    cost,
    smoke,
    columns=("optimal", "reward_per_step", "length", "test:won"),
    batch="updates",
    label="LICA, Zhou et al. 2020",
    found="LICA finds both optima of the one-step junction. So does COMA with its published loss.",
)
