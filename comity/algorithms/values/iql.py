"""IQL: independent Q-learning (Tan 1993), recurrent. Each agent predicts its own return and knows of no other.

The member of value decomposition that decomposes nothing: docs/algorithms/iql.md.
"""

from dataclasses import dataclass

from comity.algorithms.values import value_decomposition as family
from comity.algorithms.values import value_settings
from comity.learning import Reward
from comity.types import Algorithm, Environment


@dataclass(frozen=True)
class Config(value_settings.Config):
    """Settings of IQL: those of the family. The hidden-gifts paper has no IQL."""

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
