"""The figures of LICA together: what records keep, what an arm costs, how it is made small."""

from dataclasses import replace
from typing import Any

from comity.experiments.figure import Arm, Figure, Paper
from comity.experiments.lica import entropy
from comity.experiments.lica.junction import JUNCTION
from comity.recipes import Recipe

ENTROPY = Figure("fig2", "Figure 2a: plain and adaptive entropy", {}, {}, (), picture=entropy.draw)
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
)
SMALL: dict[str, dict[str, Any]] = {"lica-exact": {"runs": 3, "hidden": 4}}


def cost(arm: Arm, recipe: Recipe) -> float:
    """CPU seconds of an iteration, times 32 games over those played."""
    return 32 * 1e-5 * getattr(recipe.config, "runs", 1)


def smoke(arm: Arm) -> Arm:
    """The same arm, small: it shows that the machinery works."""
    return replace(arm, name=f"{arm.name}-smoke", settings={**arm.settings, **SMALL[arm.algorithm]})


PAPER = Paper(
    "lica",
    "Learning implicit credit assignment for cooperative multi-agent reinforcement learning",
    {figure.name: figure for figure in (ENTROPY, JUNCTION)},
    KEPT,
    cost,
    smoke,
    columns=("optimal",),
    batch="updates",
)
