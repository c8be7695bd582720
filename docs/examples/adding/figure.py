"""Toy: what the toy learns on the toy task, an example of how a figure is added (docs/adding.md)."""

from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Budget, Figure, Panel, Scale
from comity.experiments.measures import Measure

claim = dated("2026-11-30")  # the day on which the claims below were dated down
BUDGETS: dict[Scale, dict[str, Budget]] = {
    "smoke": {"toy": Budget(2, 2, 4)},
    "laptop": {"toy": Budget(3, 200, 64)},
    "paper": {"toy": Budget(10, 200, 64)},
}

TOY = Figure(
    "toy",
    "Toy: a number is said",
    {
        "toy": Arm("toy", "toy", "sound", task="toy", budget="toy"),
        "random": Arm("toy-random", "random", "sound", task="toy", budget="toy"),
    },
    BUDGETS,
    (Panel("return", "points of an episode"),),
    (
        claim(
            "learns",
            "The toy learns to say what it sees.",
            Comparison("toy", "above", "random", Measure("return"), 0.3),
        ),
    ),
)
