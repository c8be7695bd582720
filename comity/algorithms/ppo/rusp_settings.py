"""Settings of RUSP's learner, and its presets."""

from dataclasses import dataclass

from comity.algorithms import actors
from comity.networks import Core
from comity.settings import Fraction, NotNegative, Positive, check


@dataclass(frozen=True)
class Settings(actors.Numbers):
    """Settings of RUSP's learner. Paper: its appendix; code: its authors' environments, no learner was released."""

    steps: NotNegative[int] = 50  # T of a rollout; 0: the game's length
    chunk: Positive[int] = 5  # most steps that a gradient goes back (paper);
    # the largest divisor of T up to it is used
    epochs: Positive[int] = 5  # passes over a rollout (paper: about 5)
    minibatches: Positive[int] = 4  # most minibatches per epoch;
    # paper: 60 gradient steps per iteration, so 12 minibatches, each of 8000 chunks
    learning_rate: Positive[float] = 1e-3  # learning rate of Adam; paper 3e-4
    epsilon: Positive[float] = 1e-8  # Adam's epsilon, added to the root
    gradient_clip: Positive[float] = 1.0  # largest norm of the gradient of policy and critic together (not given)
    clip: Positive[float] = 0.2  # clip range of the ratio (paper)
    entropy_coefficient: NotNegative[float] = 0.01  # weight of the entropy in the loss (paper)
    value_weight: NotNegative[float] = 0.5  # weight of the critic's squared error in the loss (not given)
    gamma: Fraction = 0.998  # discount per step (paper)
    lambda_: Fraction = 0.95  # lambda of the advantages (paper)
    decay: Fraction = 0.99999  # decay of the running moments of inputs and returns, per gradient step (paper)
    input_clip: Positive[float] = 5.0  # normalised inputs are clipped to this many deviations (paper)
    past_play: Fraction = 0.1  # probability that a past policy drives an agent for an episode (paper; Oasis: 0)
    versions: NotNegative[int] = 64  # number of past policies that are kept; 0: no past play. Paper: all of them
    width: Positive[int] = 32  # width of the dense layers; paper 128
    hidden: Positive[int] = 32  # width of the LSTM; paper 128
    core: Core = "lstm"  # memory of the agents (paper: an LSTM)

    def __post_init__(self):
        check(self)


PRESETS = {
    "sound": {},
    "paper": {  # needs so many games that one iteration has 480,000 steps of agents
        "width": 128,
        "hidden": 128,
        "learning_rate": 3e-4,
        "minibatches": 12,
        "steps": 100,
    },
    "no-past-play": {"versions": 0},  # figure 9
    "images": {  # Harvest and Cleanup: 6 convolutions of 3 x 3, a dense layer, the LSTM (width in the paper 128)
        "convolutions": "dilemma",
        "width": 64,
        "hidden": 64,
        "epochs": 3,
    },
}
