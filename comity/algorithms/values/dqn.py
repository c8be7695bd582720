"""DQN: independent Q-learning from present views, with a replay and a target network (Mnih et al. 2015).

    descend mean (r + gamma max over a' of Q'(o', a') - Q(o, a))^2,   Q' the target network

It is the member of value decomposition without decomposition and without memory: each agent has its own network,
gradient clip and target. docs/algorithms/dqn.md lists every departure.
"""

from dataclasses import dataclass
from typing import Literal

from comity.algorithms.values import value_decomposition as family
from comity.algorithms.values import value_settings
from comity.learning import Reward
from comity.networks import Core
from comity.settings import Fraction, Positive
from comity.types import Algorithm, Environment


@dataclass(frozen=True)
class Config(value_settings.Config):
    """Settings of DQN: the family's, with other defaults. Paper: ALITA's table 3, as far as it is known."""

    agents: Literal["shared", "separate"] = "separate"
    core: Core = "none"  # two dense layers
    hidden: Positive[int] = 128
    credit: Reward = "own"
    agents_loss: Literal["mean", "sum"] = "sum"  # over agents; with the sum, separate networks learn independently
    double: bool = False
    gamma: Fraction = 0.95
    target_period: Positive[int] = 100
    tau: Fraction = 1.0


PAPER = {
    "clip": 0.5,
    "capacity": 40_000,  # episodes of 25 steps: a million transitions
    "batch": 41,  # episodes of 25 steps: 1,024 transitions
    "warmup": 41,
    "updates": 1,
    "target_period": 1,
    "tau": 0.01,
}
PRESETS = {"sound": {}, "paper": PAPER}


def make(config: Config, env: Environment) -> Algorithm:
    member = family.td_member(config, lambda key: (), lambda mixer, q, state: q)
    return family.learner(config, env, "dqn", member, apart=config.agents == "separate")
