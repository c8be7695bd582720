"""Figure 9: the order in which agents move."""

from comity.experiments.claims import Claim, Comparison
from comity.experiments.figure import Figure, Panel
from comity.experiments.hidden_gifts.arms import (
    BUDGETS,
    HISTORY,
    LATER,
    PANELS,
    PG_HISTORY,
    SUCCESS,
    claim,
    pg,
)
from comity.experiments.measures import Measure

FIG9 = Figure(
    "fig9",
    "Figure 9: who moves first, PG with action history",
    {
        "leader": PG_HISTORY,
        "alternating": pg("pg-history-alternating", {**HISTORY, "order": "alternating"}),
        "random order": pg("pg-history-random-order", {**HISTORY, "order": "random"}),
    },
    BUDGETS,
    (
        PANELS["success"],
        Panel("residual.0", "success residual of agent 0"),
        Panel("residual.1", "success residual of agent 1"),
        Panel("first_mover_gap", "reward share, first mover less the other"),
    ),
    (
        claim(
            "alternating-less",
            "Taking turns, success is much lower.",
            Comparison("alternating", "below", "leader", SUCCESS, 0.2),
        ),
        claim(
            "random-none",
            "In random order success is almost gone.",
            Comparison("random order", "equal", 0.0, SUCCESS, 0.05),
        ),
        claim(
            "antiphase",
            "Taking turns, the residuals of the two agents swing against each other.",
            Comparison(
                "alternating", "below", 0.0, Measure("residual.0", "correlation", (0.2, 1.0), "residual.1"), 0.3
            ),
            replaced_by="turns-tell",  # a point is a mean over 30 batches, 15 of each order: it saw only the trend
        ),
        Claim(
            "turns-tell",
            "Taking turns, who moves first earns more or less than the other, so that residuals swing with the order.",
            (Comparison("alternating", "above", 0.0, Measure("absolute_first_mover_gap"), 0.02),),
            LATER,
        ),
        claim(
            "first-mover",
            "In random order the first mover earns more.",
            Comparison("random order", "above", 0.0, Measure("first_mover_gap"), 0.02),
        ),
    ),
    smoke=("leader", "random order"),
)
