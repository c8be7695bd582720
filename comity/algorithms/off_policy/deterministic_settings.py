"""Settings that all members of the family of deterministic policy gradients share, and their presets from papers."""

from dataclasses import dataclass
from typing import Any, Literal

from comity.learning import Reward
from comity.learning.relaxed import Relaxed
from comity.networks import Activation, Convolutions
from comity.settings import Fraction, NotNegative, Positive, check


@dataclass(frozen=True)
class Config:
    """Settings of every member. Paper: Lowe et al. 2017 and its code; LICA: the particle runs that it quotes."""

    agents: Literal["separate", "shared"] = "separate"  # an actor and a critic for each agent, or one for all
    hidden: Positive[int] = 64  # width of both hidden layers of actors and critics;
    # LICA 32 (navigation), 128 (predator-prey)
    activation: Activation = "relu"
    layer_norm: bool = False  # a LayerNorm before each activation, and weights as of Glorot & Bengio; ALITA True
    agent_id: bool = False  # an actor reads the agent's number as one-hot; for an actor that all agents share
    convolutions: Convolutions = "small"  # the convolutions before the dense layers, if views are images
    steps: Positive[int] = 25  # T of a rollout: steps of each game between two phases of learning
    every: Positive[int] = 100  # transitions of all games for one update; a remainder of a rollout may bring one more
    critic_updates: Positive[int] = 1  # steps of the critics for one step of the actors; LICA 10
    gamma: Fraction = 0.95  # discount per step
    credit: Reward = "own"  # the reward that a critic predicts: own, or the team's mean or sum
    learning_rate: Positive[float] = 1e-3  # learning rate of actors; paper 1e-2
    critic_learning_rate: Positive[float] = 1e-3  # paper 1e-2
    optimizer: Literal["adam", "rmsprop"] = "adam"  # optimizer of all networks; ALITA on SMAC: RMSprop
    decay: Fraction = 0.99  # RMSprop's alpha, per step
    epsilon: Positive[float] = 1e-8  # is added to the optimizer's root
    clip: Positive[float] = 0.5  # largest size of a gradient, measured as `clip_by` says
    clip_by: Literal["norm", "array", "entry", "none"] = "norm"
    # norm: the norm over an agent's network; array (paper): the norm of each weight array; entry: each number; none:
    # gradients are not clipped
    tau: Fraction = 0.01  # share of a move of the targets towards the present networks
    target_period: Positive[int] = 1  # updates between two moves of the targets
    target_policies: bool = True  # critics' targets use the target actors; False: the present ones (ALITA's eq. 1)
    capacity: Positive[int] = 100_000  # transitions in the replay; paper 1e6
    batch: Positive[int] = 256  # transitions per step; paper 1,024
    warmup: Positive[int] = 2_000  # transitions in the replay before the first update; paper 25,600
    first_actions: Literal["policy", "uniform"] = "policy"  # actions before the first update
    relaxed: Relaxed = "straight-through"  # form of a discrete action as a vector in losses; paper gumbel, LICA softmax
    temperature: Positive[float] = 1.0  # temperature of the Gumbel-softmax
    noise: NotNegative[float] = 0.1  # deviation of the normal noise on continuous actions in play
    logit_penalty: NotNegative[float] = 1e-3  # weight of the mean square of an actor's outputs
    entropy_coefficient: NotNegative[float] = 0.0  # weight of the entropy of discrete policies; LICA 1e-3 to 1e-2

    def __post_init__(self):
        check(self)


PAPER = {
    "learning_rate": 1e-2,
    "critic_learning_rate": 1e-2,
    "clip_by": "array",
    "capacity": 1_000_000,
    "batch": 1_024,
    "warmup": 25_600,
    "relaxed": "gumbel",
}
LICA: dict[str, Any] = {  # the particle baselines that LICA quotes, navigation
    "hidden": 32,
    "critic_updates": 10,
    "gamma": 0.9,
    "learning_rate": 1e-4,
    "clip": 1.0,
    "clip_by": "entry",
    "tau": 0.1,
    "target_period": 2,
    "capacity": 10_000,
    "batch": 32,
    "warmup": 100,
    "relaxed": "softmax",
    "logit_penalty": 0.0,
    "entropy_coefficient": 1e-3,
}
LICA_PREDATOR = {
    "hidden": 128,
    "gamma": 0.99,
    "learning_rate": 1e-4,
    "critic_learning_rate": 5e-4,
    "batch": 128,
    "entropy_coefficient": 1e-3,
}
OF_ALITA: dict[str, Any] = {  # the numbers of ALITA's paper for all its experiments
    "gamma": 0.95,
    "clip_by": "norm",
    "clip": 0.5,
    "batch": 1_024,
    "steps": 100,
    "every": 100,
    "tau": 0.01,
}
CONTROL: dict[str, Any] = {  # control of bodies: TD3's own table (Fujimoto et al. 2018), which its DDPG shares
    "hidden": 256,
    "steps": 10,
    "every": 1,
    "gamma": 0.99,
    "learning_rate": 3e-4,
    "critic_learning_rate": 3e-4,
    "clip_by": "none",
    "tau": 0.005,
    "capacity": 1_000_000,
    "warmup": 1_000,
    "first_actions": "uniform",
    "logit_penalty": 0.0,
}
