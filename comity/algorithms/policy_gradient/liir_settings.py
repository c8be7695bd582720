"""Settings of LIIR, from its runs on StarCraft and its released code, and the preset for battles."""

from dataclasses import dataclass
from typing import Literal

from comity.algorithms import actors
from comity.learning import Reward
from comity.networks import Activation, Core
from comity.settings import Fraction, NotNegative, Positive, check


@dataclass(frozen=True)
class Settings(actors.Reads, actors.Exploration):
    """Settings of LIIR. Paper and code: its runs on StarCraft, as LICA's comparison repeats them."""

    actors: Literal["shared", "separate"] = "shared"  # paper: one network for all agents
    intrinsic_weight: NotNegative[float] = 0.01  # w of r + w r_in
    intrinsic_limit: Positive[float] = 10.0  # r_in = limit tanh(x / limit)
    credit: Reward = "mean"  # the extrinsic reward: the team's mean or sum, or each agent's own
    learning_rate: Positive[float] = 5e-4  # RMSprop's rate for actors; the intrinsic rewards' gradient uses this step
    critic_learning_rate: Positive[float] = 5e-4  # RMSprop's rate for values and intrinsic rewards
    gamma: Fraction = 0.99  # discount per step
    lambda_: Fraction = 0.8  # lambda of both returns
    core: Core = "gru"  # memory of an actor; none: two hidden layers and no memory
    hidden: Positive[int] = 64  # width of every layer of an actor
    critic_hidden: Positive[int] = 128  # width of both layers that values and intrinsic rewards share
    activation: Activation = "relu"  # after every hidden layer
    standardise: bool = True  # normalise proxy advantages to mean 0 and deviation 1 over valid steps
    standardise_extrinsic: bool = False  # normalise extrinsic advantages likewise; code: True
    entropy_coefficient: NotNegative[float] = 0.0  # weight of the policies' entropy
    critic_schedule: Literal["each-step", "batch"] = "batch"
    # each-step (code): one step of the values per time index, the last first, then one of the intrinsic rewards' head;
    # batch: one step of all in all
    target_period: Positive[int] = 200  # least number of the values' steps between copies of the critic to its target
    clip: Positive[float] = 10.0  # largest gradient norm, of the critic and of actors
    rewards_clip: Positive[float] = 10.0  # the same of the intrinsic rewards' own step, with each-step; code: 1
    decay: Fraction = 0.99  # RMSprop's alpha
    epsilon: Positive[float] = 1e-5  # RMSprop's epsilon; for actors inside the root, so its gradient is finite at 0

    def __post_init__(self):
        check(self)


PYMARL = {
    "agent_id": True,
    "last_action": True,
    "critic_schedule": "each-step",
    "standardise_extrinsic": True,
    "rewards_clip": 1.0,
    "exploration": "floor",
    "floor_start": 0.5,
    "floor_steps": 50_000 / 32,  # 50,000 steps of 32 games together
}
