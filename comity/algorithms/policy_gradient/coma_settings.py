"""Settings and presets of COMA, from the paper and the code of "hidden gifts"."""

from dataclasses import dataclass
from typing import Literal

from comity.algorithms import actors
from comity.learning import Reward
from comity.networks import Activation, Core
from comity.settings import Fraction, Positive, check


@dataclass(frozen=True)
class Settings(actors.Reads, actors.Exploration):
    """Settings of COMA. Paper: the text and tables of "hidden gifts"; code: its authors' implementation."""

    actors: Literal["separate", "shared"] = "separate"  # paper and code: one actor for all agents
    critic_reads: Literal["joint", "present"] = "joint"
    # joint: the state, the own view, and the others' actions; present (paper, code): the own view without the history
    credit: Reward = "mean"  # the reward that the critic predicts: own (paper, code), or the team's mean or sum
    learning_rate: Positive[float] = 5e-4  # learning rate of actors; paper 5e-5, code 5e-4
    critic_learning_rate: Positive[float] = 5e-4  # paper 5e-5, code 5e-4
    gamma: Fraction = 0.99  # discount per step
    lambda_: Fraction = 0.8  # lambda of the targets (Foerster et al.); paper and code 1
    hidden: Positive[int] = 64  # width of every layer of an actor; paper 64, code 128
    critic_hidden: Positive[int] = 128  # width of the critic's two hidden layers; paper 64, code 128
    activation: Activation = "relu"  # paper ReLU, code GELU
    core: Core = "gru"  # memory of actors; none: a dense layer in its place
    critic_schedule: Literal["each-step", "batch"] = (
        "each-step"  # each-step: one critic step per time index, the last first; batch: one step in all
    )
    target_period: Positive[int] = 200  # least number of critic steps between copies to the target; paper 1 update
    clip: Positive[float] = 10.0  # largest gradient norm, of the critic and of each actor
    decay: Fraction = 0.99  # RMSprop's alpha, per optimizer step
    epsilon: Positive[float] = 1e-5  # RMSprop's epsilon, added to the root
    entropy_bonus: float = 0.0  # c in r + c H(pi); the code's max-entropy has -1e-4 (a penalty)
    entropy_enters: Literal["targets", "too-late"] = "targets"
    # targets: the bonus enters the critic's targets; too-late (code): it is added after them and changes nothing
    last_value: Literal["target", "marked"] = "target"  # the value after the last step; marked (code): see coma.md
    learns_from: Literal["rollout", "replay"] = "rollout"  # paper and code: replay, off-policy without correction
    capacity: Positive[int] = 320  # episodes in the replay; paper 320, code 1,000
    batch: Positive[int] = 32  # episodes drawn per update from the replay; paper and code 32
    replacement: bool = True  # an episode may be drawn twice for one update; code: no

    def __post_init__(self):
        check(self)


PAPER = {
    "actors": "shared",
    "critic_reads": "present",
    "credit": "own",
    "learning_rate": 5e-5,
    "critic_learning_rate": 5e-5,
    "lambda_": 1.0,
    "critic_hidden": 64,
    "target_period": 1,
    "learns_from": "replay",
}
PYMARL = {
    "actors": "shared",
    "agent_id": True,
    "last_action": True,
    "exploration": "floor",
    "floor_start": 0.5,
    "floor_steps": 100_000 / 32,  # 100,000 steps of 32 games together
}
RELEASED = {
    **PAPER,
    "learning_rate": 5e-4,
    "critic_learning_rate": 5e-4,
    "hidden": 128,
    "critic_hidden": 128,
    "activation": "gelu",
    "target_period": 200,
    "exploration": "floor",
    "entropy_enters": "too-late",
    "last_value": "marked",
    "capacity": 1_000,
    "replacement": False,
}
