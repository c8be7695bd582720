"""IQL: independent recurrent Q-learning (Tan 1993). Each agent learns its own value and ignores the others.

    descend mean (r_i + gamma Q_i'(history', a') - Q_i(history, a_i))^2,   a' greedy, Q_i' the target network

It is the member of value decomposition without decomposition. docs/algorithms/iql.md lists every departure.
"""

from dataclasses import dataclass

from comity.algorithms.values import value_decomposition as family
from comity.algorithms.values import value_settings
from comity.learning import Reward
from comity.types import Algorithm, Environment


@dataclass(frozen=True)
class Config(value_settings.Config):
    """Settings of IQL: the family's. The hidden-gifts paper has no IQL."""

    credit: Reward = "own"


PRESETS = {
    "sound": {},
    "paper": {**value_settings.PAPER, "credit": "own"},
    "released": value_settings.RELEASED,
    "pymarl": value_settings.PYMARL,
}


def make(config: Config, env: Environment) -> Algorithm:
    member = family.td_member(config, lambda key: (), lambda mixer, q, state: q)
    return family.learner(config, env, "iql", member)
