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


SAID_OVER_TRUE = "truth:influence_said / truth:influence_true"
DISTANCE_OF_F = "absolute_truth:influence_bias / truth:influence_true"
ERROR_OF_Q = "root_truth:value_error / truth:value_square"
BIAS_OF_Q = "truth:value_bias / truth:value_size"
ERROR, RATIO, GAINED = Measure(DISTANCE_OF_F), Measure(SAID_OVER_TRUE), Measure(DISTANCE_OF_F, "change")
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
        Panel(SAID_OVER_TRUE, "F: estimate over truth"),
        Panel(DISTANCE_OF_F, "F: |estimate - truth| / truth"),
        Panel(ERROR_OF_Q, "q: error of the estimate, root of mean squares, over |q|"),
        Panel(BIAS_OF_Q, "q: mean of the estimate minus the truth, over |q|"),
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
        claim(
            "small-bias-of-q",
            "Ours: the bias of both estimates of q itself is small, a tenth of its size at most.",
            *(Comparison(label, "equal", 0.0, Measure(BIAS_OF_Q), 0.1) for label in ARMS),
        ),
        claim(
            "clones-closer-to-q",
            "Ours: after enough training the error of clones in q itself is smaller than that of one network.",
            Comparison("clones, N = 6", "below", "single, N = 6", Measure(ERROR_OF_Q), 0.01),
            Comparison("clones, N = 3", "below", "single, N = 3", Measure(ERROR_OF_Q), 0.01),
        ),
    ),
    smoke=("clones, N = 3", "single, N = 3"),
    note=(
        "F, the mean over states and other agents of (q - z)^2, with q from the estimate or from continuations of "
        "play, z from the learner in both: only q is compared, as in the paper. States are those of the present "
        "policies' play at a random time. At each point 64 states, from each 32 continuations of 100 steps, at the end "
        "320 states; the paper 1,000 episodes. What the noise of continuations and draws adds to a square is taken "
        "off, and ratios are of means over all states of a point. Episodes have 25 steps, but their end is no "
        "termination for the critics, so continuations go on beyond it, until 0.95^t is 0.006. z comes from the same "
        "critics as the estimate: if they are wrong by a level, it cancels in estimate minus z, but not in play minus "
        "z. So the last two panels and claims are about q alone. The paper's curves are of six agents; how many "
        "continuations a state has, and how long they are, it does not say."
    ),
)  # fmt: skip
