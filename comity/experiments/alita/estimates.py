"""Figure 1: estimates of the influence, and its true value."""

from typing import Any

from comity.experiments.alita.arms import BUDGETS, CURIOUS, claim
from comity.experiments.alita.truth import true_influence
from comity.experiments.claims import Comparison
from comity.experiments.figure import Arm, Figure, Panel, Trial
from comity.experiments.measures import Measure

TRUTH = {"truth": Trial(probe=true_influence)}


def watched(estimator: str, agents: int) -> Arm:
    """Returns an arm of ALITA whose influence counts only the game's rewards, so that play can measure it."""
    settings: dict[str, Any] = {**CURIOUS, "influence": estimator, "influence_of": "extrinsic"}
    profile, name = "classic" if agents == 3 else f"classic-{agents}", f"alita-{estimator}-{agents}"
    task, style = "cooperative-navigation", ("clones", "single").index(estimator) + 2 * (agents == 6)
    return Arm(name, "alita", "sound", settings, {}, task, profile, "estimates", TRUTH, condition=style)


ERROR, RATIO = Measure("truth:influence_off"), Measure("truth:influence_ratio")
GAINED = Measure("truth:influence_off", "change")
ARMS = {f"{kind}, N = {n}": watched(kind, n) for n in (3, 6) for kind in ("clones", "single")}
SIZES = {f"N = {n}": (f"clones, N = {n}", f"single, N = {n}") for n in (3, 6)}

FIG1 = Figure(
    "fig1",
    "Figure 1: the influence, estimated and true",
    ARMS,
    BUDGETS,
    (
        *(Panel("truth:influence_said", f"F by the estimate, {words}", some) for words, some in SIZES.items()),
        *(Panel("truth:influence_true", f"F by play, {words}", some) for words, some in SIZES.items()),
        Panel("truth:influence_ratio", "estimate over truth", limits=(0.0, float("inf"))),
        Panel("truth:influence_off", "|estimate - truth| / truth", limits=(0.0, float("inf"))),
    ),
    (
        claim(
            "small-bias",
            "The bias of both estimates is small.",
            *(Comparison(label, "equal", 1.0, RATIO, 0.25) for label in ARMS),
        ),
        claim(
            "clones-closer",
            "After enough training clones are closer to the truth than one network.",
            Comparison("clones, N = 6", "below", "single, N = 6", ERROR, 0.02),
            Comparison("clones, N = 3", "below", "single, N = 3", ERROR, 0.02),
        ),
        claim(
            "not-at-once",
            "Ours: in the first tenth of training neither is as close as at the end.",
            *(Comparison(label, "below", 0.0, GAINED, 0.02) for label in SIZES["N = 3"]),
        ),
    ),
    smoke=("clones, N = 3", "single, N = 3"),
    note=(
        "F, the mean over states and other agents of (q - z)^2, with q from the estimate or from continuations of "
        "play, z from the learner in both: only q is compared, as in the paper. States are those of the present "
        "policies' play at a random time. At each point 64 states, from each 32 continuations of 100 steps, at the end "
        "320 states; the paper 1,000 episodes. What the continuations' noise adds to the square is taken off. The "
        "paper's curves are of six agents; how many continuations a state has it does not say."
    ),
)  # fmt: skip
