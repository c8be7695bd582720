"""Settings of COMA, with what paper and code of "hidden gifts" give."""

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
    critic_reads: Literal["joint", "present"] = "joint"  # paper and code: only the own view without the own past
    credit: Reward = "mean"  # whose reward the critic predicts; paper and code: own
    learning_rate: Positive[float] = 5e-4  # of actors; paper 5e-5, code 5e-4
    critic_learning_rate: Positive[float] = 5e-4  # paper 5e-5, code 5e-4
    gamma: Fraction = 0.99  # per step
    lambda_: Fraction = 0.8  # of the targets (Foerster et al.); paper and code 1
    hidden: Positive[int] = 64  # width of every layer of an actor; paper 64, code 128
    critic_hidden: Positive[int] = 128  # width of the critic's two hidden layers; paper 64, code 128
    activation: Activation = "relu"  # paper ReLU, code GELU
    core: Core = "gru"  # of actors; none: a dense layer in its place
    critic_schedule: Literal["each-step", "batch"] = (
        "each-step"  # one critic step per time index, last first, or one in all
    )
    target_period: Positive[int] = 200  # critic steps, at least, between two copies to the target; paper 1 update
    clip: Positive[float] = 10.0  # gradient norm: of the critic, of each actor
    decay: Fraction = 0.99  # RMSprop's alpha, per optimizer step
    epsilon: Positive[float] = 1e-5  # RMSprop's, added to the root
    entropy_bonus: float = 0.0  # c in r + c H(pi); the code's max-entropy has -1e-4 (a penalty)
    entropy_enters: Literal["targets", "too-late"] = "targets"  # too-late (code): no target that is learned from
    last_value: Literal["target", "marked"] = "target"  # what follows the last step; marked (code): coma.md
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
    "floor_steps": 100_000 / 32,  # of the 32 games together 100,000
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
