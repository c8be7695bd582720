"""The factorial study: which of PG's settings decides?"""

from comity.experiments.claims import Comparison
from comity.experiments.figure import Arm, Figure, Panel
from comity.experiments.hidden_gifts.arms import BUDGETS, PG_HISTORY, PG_WINDOW, SEEN, SUCCESS, all_of, claim, pg


def cell(sees: str, actors: str, rate: float, exploration: str) -> Arm:
    """Returns an arm of PG with one combination of settings; the paper's own is the arm of the other figures."""
    if (actors, rate, exploration) == ("shared", 5e-4, "none"):
        return PG_HISTORY if sees == "history" else PG_WINDOW
    settings = {"actors": actors, "learning_rate": rate, "critic_learning_rate": rate, "exploration": exploration}
    return pg(f"pg-{sees}-{actors}-{rate:g}-{exploration}", SEEN[sees], **settings)


CELLS = {
    f"{sees}, {actors}, {rate:g}, {exploration}": cell(sees, actors, rate, exploration)
    for actors in ("shared", "separate")
    for rate in (5e-5, 5e-4)
    for exploration in ("none", "floor")
    for sees in ("window", "history")
}
HALVES = tuple(label.partition(", ")[2] for label in CELLS if label.startswith("window"))
FACTORIAL = Figure(
    "factorial",
    "PG: action history x actors x learning rate x exploration floor",
    CELLS,
    BUDGETS,
    (
        Panel("success", "success, separate actors (%)", tuple(x for x in CELLS if "separate" in x), scale=100),
        Panel("success", "success, shared actor (%)", tuple(x for x in CELLS if "shared" in x), scale=100),
    ),
    (
        claim(
            "history-decides",
            "Whatever the other settings, it is the action history that makes PG succeed.",
            *(Comparison(f"history, {half}", "above", f"window, {half}", SUCCESS, 0.1) for half in HALVES),
        ),
        claim(
            "rate",
            "Ours: with the learning rate of the paper's tables nothing is learned in this time.",
            *all_of(tuple(x for x in CELLS if "5e-05" in x), "below", 0.05, SUCCESS, 0.0),
        ),
        claim(
            "floor",
            "Ours: the exploration floor of the code keeps PG from succeeding in this time.",
            *(
                Comparison(f"{sees}, {actors}, 0.0005, floor", "below", f"{sees}, {actors}, 0.0005, none", SUCCESS, 0.2)
                for sees in ("window", "history")
                for actors in ("shared", "separate")
            ),
        ),
        claim(
            "actors",
            "Ours: one actor for all or one for each, PG ends alike.",
            *(
                Comparison(f"{sees}, shared, 0.0005, none", "equal", f"{sees}, separate, 0.0005, none", SUCCESS, 0.1)
                for sees in ("window", "history")
            ),
        ),
    ),
    smoke=("window, separate, 0.0005, none", "history, separate, 0.0005, floor"),
    note="The exploration floor falls over 13,333 batches of 150 steps, as in the code: in 3,000 it falls to 0.62.",
)
