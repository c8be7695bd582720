"""DDPG: an actor climbed through a critic of its own view and action (Lillicrap et al. 2016, arXiv 1509.02971), one of
each for all agents. docs/algorithms/maddpg.md."""

from dataclasses import dataclass
from typing import Literal

from jax import Array

from comity.algorithms.normalised_views import Settings as Views
from comity.algorithms.normalised_views import normalised
from comity.algorithms.off_policy import deterministic as family
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(family.Config, Views):
    """Settings of DDPG: those of the family."""

    agents: Literal["separate", "shared"] = "shared"


PRESETS = {"sound": {}, "paper": family.PAPER, "released": family.PAPER}


def own_action(key: Key, actions: Array, mine: Array) -> Array:
    """An agent's own action, [..., N, A]: Q_i(o_i, a_i)."""
    del key, actions
    return mine


def make(config: Config, env: Environment) -> Algorithm:
    member = family.Member(own_action, everyone=False)
    return normalised(config, env, lambda env: family.learner(config, env, member))
