"""Settings of MADDPG, DDPG and SQDDPG, with what papers give."""

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
    layer_norm: bool = False  # before each activation, and weights drawn as Glorot & Bengio have it; ALITA True
    agent_id: bool = False  # an actor reads which agent it is, as one-hot: for one that all agents share
    convolutions: Convolutions = "small"  # what an image passes through before the dense layers
    steps: Positive[int] = 25  # T of a rollout: steps of each game between two times of learning
    every: Positive[int] = 100  # transitions that are played for one update, see `updates_of`
    critic_updates: Positive[int] = 1  # steps of the critics for one of the actors; LICA 10
    gamma: Fraction = 0.95  # per step
    credit: Reward = "own"  # whose reward a critic predicts
    learning_rate: Positive[float] = 1e-3  # of actors; paper 1e-2
    critic_learning_rate: Positive[float] = 1e-3  # paper 1e-2
    optimizer: Literal["adam", "rmsprop"] = "adam"  # of all networks; ALITA on SMAC: RMSprop
    decay: Fraction = 0.99  # RMSprop's alpha, per step
    epsilon: Positive[float] = 1e-8  # added to the optimizer's root
    clip: Positive[float] = 0.5  # of gradients, by what `clip_by` says
    clip_by: Literal["norm", "array", "entry", "none"] = "norm"
    # of an agent's network, each weight array (paper), each entry; none: nothing is clipped
    tau: Fraction = 0.01  # how far targets move towards the present networks
    target_period: Positive[int] = 1  # updates between two moves
    target_policies: bool = True  # critics' targets ask the target actors; False: those of today (ALITA's eq. 1)
    capacity: Positive[int] = 100_000  # transitions in the replay; paper 1e6
    batch: Positive[int] = 256  # transitions per step; paper 1,024
    warmup: Positive[int] = 2_000  # transitions in the replay before the first update; paper 25,600
    first_actions: Literal["policy", "uniform"] = "policy"  # what is played before the first update
    relaxed: Relaxed = "straight-through"  # how a choice becomes a vector in losses; paper gumbel, LICA softmax
    temperature: Positive[float] = 1.0  # of the Gumbel-softmax
    noise: NotNegative[float] = 0.1  # deviation of normal noise on continuous actions in play
    logit_penalty: NotNegative[float] = 1e-3  # weight of the mean square of an actor's outputs
    entropy_coefficient: NotNegative[float] = 0.0  # of the policy of choices; LICA 1e-3 to 1e-2

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
CONTROL: dict[str, Any] = {  # of bodies: TD3's own table (Fujimoto et al. 2018), which its DDPG shares
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
