"""A paper of two small figures; a process can load it by the name of this module."""

from dataclasses import replace
from pathlib import Path

from comity.experiments.claims import Claim, Comparison
from comity.experiments.figure import SCALES, Arm, Budget, Figure, Panel, Paper, Scale, Trial
from comity.experiments.measures import Measure

GAME = str(Path(__file__).parent / "signals.py") + ":Signals"
LEARNER = str(Path(__file__).parent / "learner.py")
TRIALS = {"rich": Trial({"bonus": 3.0}), "stranger": Trial(partner="random")}
ONE = Arm("one", LEARNER, None, task=GAME, profile=None, trials=TRIALS)  # pyright: ignore[reportArgumentType]
TWO = replace(ONE, name="two", options={"bonus": 2.0}, trials={})
BUDGETS: dict[Scale, dict[str, Budget]] = {scale: {"pg": Budget(3, 20, envs=4)} for scale in SCALES}
CLAIM = Claim("more", "Two earns more.", (Comparison("two", "above", "one", Measure("return"), 0.1),), "2026-01-01")
FIGURE = Figure("fig1", "A figure", {"one": ONE, "two": TWO}, BUDGETS, (Panel("return", "return"),), (CLAIM,))
OTHER = Figure("fig2", "Another", {"one": ONE}, BUDGETS, (Panel("return", "return", show="variance"),))
PAPER = Paper(
    "tiny",
    "A tiny paper",
    {"fig1": FIGURE, "fig2": OTHER},
    ("return", "return.0", "right"),
    lambda arm, recipe: 0.1,
    lambda arm: arm,
    ("right", "rich:return"),
    "rounds of games",
)
