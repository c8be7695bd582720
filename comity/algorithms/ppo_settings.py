"""Settings and presets that IPPO and MAPPO share. docs/algorithms/mappo.md."""

from dataclasses import dataclass
from typing import Literal

from comity.algorithms import context, prediction
from comity.algorithms.released import ppo as released
from comity.learning import Reward
from comity.networks import Activation
from comity.settings import AT_LEAST_ONE, FRACTION, NOT_NEGATIVE, POSITIVE, check

WIDTHS = ("whole numbers of 1 or greater", lambda xs: all(type(x) is int and x >= 1 for x in xs))


@dataclass(frozen=True)
class Config(released.Settings, prediction.Settings, context.Settings):
    """Settings of the family. Paper: the text and tables of "hidden gifts"; code: its authors' implementation."""

    actors: Literal["separate", "shared"] = "separate"  # paper: shared in MAPPO, separate in IPPO; code: separate
    actor_reads: Literal["view", "views"] = "view"  # views: everyone's, with the own last action alone (code, variant)
    steps: int = 0  # T of a rollout; 0: env.length
    chunk: int = 10  # most steps that a gradient goes back; the largest divisor of T that is no greater. Attention: T
    epochs: int = 5  # passes over a rollout; paper and code 15
    minibatches: int = 1  # per epoch, at most, see `divisor`; paper 1, code 5
    learning_rate: float = 5e-4  # of actors; paper and code 1e-5
    critic_learning_rate: float = 5e-4  # paper and code 1e-5
    epsilon: float = 1e-5  # Adam's, added to the root (code)
    actor_clip: float = 10.0  # gradient norm, per network; paper 10, code 10 (IPPO), 1 (MAPPO)
    critic_clip: float = 10.0  # paper 10, code 1
    clip: float = 0.2  # of the ratio, and of what a value moves, in deviations
    entropy_coefficient: float = 0.01  # of H in the loss; paper and code 1e-4
    entropy_bonus: float = 0.0  # c in r + c H(pi); the paper's max-entropy 1e-4, its code -1e-4 (a penalty)
    gamma: float = 0.99  # per step
    lambda_: float = 0.95  # of the advantages; paper 0.95, code 0.95 (IPPO), 1 (MAPPO)
    credit: Reward = "own"  # whose reward an agent learns from
    huber: float = 10.0  # deviations: where the critic's loss turns from a square into a line
    value_normalisation: bool = True  # critics learn returns in deviations from their running mean
    value_decay: float = 0.99999  # of the running mean and variance, per optimizer step
    encoder: tuple[int, ...] = (64,)  # widths of the dense layers before the GRU; paper 32, 64, 64; code see presets
    hidden: int = 64  # width of the GRU; paper 64, code 64 (MAPPO), 128 (IPPO)
    layer_norm: bool = True  # after the GRU
    activation: Activation = "relu"  # paper ReLU, code ReLU (IPPO), GELU (MAPPO)
    view_scale: float = 1.0  # inputs are multiplied by it; paper and code 1/255

    def __post_init__(self):
        check(
            self,
            steps=NOT_NEGATIVE,
            chunk=AT_LEAST_ONE,
            epochs=AT_LEAST_ONE,
            minibatches=AT_LEAST_ONE,
            learning_rate=POSITIVE,
            critic_learning_rate=POSITIVE,
            epsilon=POSITIVE,
            actor_clip=POSITIVE,
            critic_clip=POSITIVE,
            clip=POSITIVE,
            entropy_coefficient=NOT_NEGATIVE,
            gamma=FRACTION,
            lambda_=FRACTION,
            huber=POSITIVE,
            value_decay=FRACTION,
            encoder=WIDTHS,
            hidden=AT_LEAST_ONE,
            view_scale=POSITIVE,
            **context.RULES,
            **prediction.RULES,
            **released.RULES,
        )
        context.check_heads(self)
        if self.steps and (self.network == "attention" or self.rollouts == "episodes"):
            why = "network attention" if self.network == "attention" else "rollouts 'episodes'"
            raise ValueError(f"steps {self.steps} with {why}, whose rollouts are whole episodes: set it to 0")


PAPER = {  # what IPPO and MAPPO share in its tables
    "epochs": 15,
    "learning_rate": 1e-5,
    "critic_learning_rate": 1e-5,
    "entropy_coefficient": 1e-4,
    "encoder": (32, 64, 64),  # a 3 x 3 kernel on the 3 x 3 window is a dense layer of 32 on its 27 numbers
    "view_scale": 1 / 255,
}
RELEASED = {  # what both do in the code
    "rollouts": "episodes",
    "padding_counts": True,
    "post_terminal": True,
    "moments": "minibatch",
    "first_deviation": 0.1,
    "least_log_prob": "-10",
    "critic_head": "uniform",
}
RANDOMISED = {"learning_rate": 1e-6, "critic_learning_rate": 1e-3}  # figure 10: a policy that stays near its first
