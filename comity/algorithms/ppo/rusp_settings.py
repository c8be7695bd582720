"""Settings of RUSP's learner, and its presets."""

from dataclasses import dataclass

from comity.algorithms import actors
from comity.networks import Core
from comity.settings import Fraction, NotNegative, Positive, check


@dataclass(frozen=True)
class Settings(actors.Numbers):
    """Settings of RUSP's learner. Paper: its appendix; code: its authors' environments, no learner was released."""

    steps: NotNegative[int] = 50  # T of a rollout; 0: `Spec.length`
    chunk: Positive[int] = 5  # most steps that a gradient goes back;
    # the largest divisor of T that is no greater (paper)
    epochs: Positive[int] = 5  # how often each step is learned from (paper: about 5)
    minibatches: Positive[int] = 4  # per epoch, at most;
    # paper: 60 gradient steps an iteration, so 12, each of 8000 chunks
    learning_rate: Positive[float] = 1e-3  # of Adam; paper 3e-4
    epsilon: Positive[float] = 1e-8  # Adam's, added to the root
    gradient_clip: Positive[float] = 1.0  # norm of the whole gradient, policy and critic together (not given)
    clip: Positive[float] = 0.2  # of the ratio (paper)
    entropy_coefficient: NotNegative[float] = 0.01  # of H in the loss (paper)
    value_weight: NotNegative[float] = 0.5  # of the critic's squared error in the loss (not given)
    gamma: Fraction = 0.998  # per step (paper)
    lambda_: Fraction = 0.95  # of the advantages (paper)
    decay: Fraction = 0.99999  # of running means of inputs and returns, per gradient step (paper)
    input_clip: Positive[float] = 5.0  # deviations that an input may be from its mean (paper)
    past_play: Fraction = 0.1  # chance that an agent is driven by a past policy for an episode (paper)
    versions: NotNegative[int] = 64  # past policies that are kept; 0: no past play. Paper: all of them
    width: Positive[int] = 32  # of the dense layers; paper 128
    hidden: Positive[int] = 32  # of the LSTM; paper 128
    core: Core = "lstm"  # what agents remember by (paper: an LSTM)

    def __post_init__(self):
        check(self)


PRESETS = {
    "sound": {},
    "paper": {  # with so many games that one iteration is 480,000 steps of agents
        "width": 128,
        "hidden": 128,
        "learning_rate": 3e-4,
        "minibatches": 12,
        "steps": 100,
    },
    "no-past-play": {"versions": 0},  # figure 9
    "images": {  # Harvest and Cleanup: 6 convolutions of 3 x 3, a dense layer, the LSTM (paper: of 128)
        "convolutions": "dilemma",
        "width": 64,
        "hidden": 64,
        "epochs": 3,
    },
}
