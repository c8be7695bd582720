"""Table 1: Push-Box and Secret Room, and the cells that each learner visits there."""

from comity.experiments.alita.arms import BUDGETS, RIVALS, claim, grid
from comity.experiments.claims import Comparison
from comity.experiments.figure import Figure, Panel, Published
from comity.experiments.measures import Measure

BOX, ROOM = "Push-Box", "Secret Room"
PLACES = {BOX: "push-box", ROOM: "secret-room"}
METHODS = ("ALITA", *RIVALS, "MADDPG", "random")
PERFORMANCE, SUCCESS = Measure("return.0"), Measure("success")
EVER, PUSHED = Measure("boxes", "peak", (0.0, 1.0)), Measure("boxes")
SEEN = Measure("joint_cells", window=(0.0, 1.0))  # different pairs of cells in an episode, over all of training
CELLS = Measure("cells", window=(0.0, 1.0))
BOXES_OF_THE_PAPER = {"ALITA": 146.66, "EDTI": 135.84, "social influence": 86.67, "EITI": 75.09}
ROOMS_OF_THE_PAPER = {"ALITA": 0.68, "EDTI": 0.34, "social influence": 0.25, "EITI": 0.46}


def at(method: str, place: str) -> str:
    return f"{method}, {place}"


def ordered(text: str, place: str, measure: Measure, margin: float, values: dict[str, float], name: str):
    """Claims that ALITA is above each rival with a printed number; without one, above MADDPG, on which it is built."""
    rivals = [x for x in values if x in RIVALS] or ["MADDPG"]
    return claim(name, text, *(Comparison(at("ALITA", place), "above", at(x, place), measure, margin) for x in rivals))


TABLE1 = Figure(
    "table1",
    "Table 1: Push-Box and Secret Room",
    {at(method, place): grid(method, task) for place, task in PLACES.items() for method in METHODS},
    BUDGETS,
    (
        Panel("return.0", "Push-Box, return of an agent", tuple(at(m, BOX) for m in METHODS)),
        Panel("success", "Secret Room, success", tuple(at(m, ROOM) for m in METHODS)),
        Panel("joint_cells", "Push-Box, pairs of cells seen", tuple(at(m, BOX) for m in METHODS)),
        Panel("joint_cells", "Secret Room, pairs of cells seen", tuple(at(m, ROOM) for m in METHODS)),
        Panel("cells", "Push-Box, cells seen by an agent", tuple(at(m, BOX) for m in METHODS)),
        Panel("cells", "Secret Room, cells seen by an agent", tuple(at(m, ROOM) for m in METHODS)),
    ),
    (
        ordered("ALITA earns most in Push-Box.", BOX, PERFORMANCE, 5.0, BOXES_OF_THE_PAPER, "most-in-push-box"),
        ordered("ALITA succeeds most in Secret Room.", ROOM, SUCCESS, 0.1, ROOMS_OF_THE_PAPER, "most-in-secret-room"),
        claim(
            "alita-pushes",
            "Ours: within a hundred of EITI's updates ALITA pushes boxes at all.",
            Comparison(at("ALITA", BOX), "above", 0.0, EVER, 0.0),
        ),
        claim(
            "maddpg-does-not",
            "Ours: MADDPG alone does not, nor does random play.",
            *(Comparison(at(m, BOX), "below", 0.01, PUSHED, 0.0) for m in ("MADDPG", "random")),
        ),
        claim(
            "alita-sees-more",
            "Ours: ALITA sees more pairs of cells than MADDPG and than random play, on both grids.",
            *(
                Comparison(at("ALITA", place), "above", at(m, place), SEEN, 5.0)
                for place in PLACES
                for m in ("MADDPG", "random")
            ),
        ),
    ),
    smoke=tuple(at(m, BOX) for m in ("ALITA", "MADDPG")),
    note=(
        "An update is read as that of EITI's code: 65,536 steps. Everyone plays 100 of them at the laptop's scale, "
        "0.5 % of the paper's 20,000; learners of MADDPG's kind learn every 100 steps, so 65,536 times. EDTI, EITI and "
        "social influence have four hidden layers of 32, the paper three. Team "
        "performance is the return of one agent in an episode. Cells and pairs of cells are those of an episode."
    ),
    published=(
        Published("team performance", PERFORMANCE, {at(m, BOX): x for m, x in BOXES_OF_THE_PAPER.items()}),
        Published("success", SUCCESS, {at(m, ROOM): x for m, x in ROOMS_OF_THE_PAPER.items()}),
    ),
)
