"""DDPG: deterministic policy gradients with a critic of the agent's own view and action (Lillicrap et al. 2016, arXiv
1509.02971), with one actor and one critic for all agents.

    actor:  ascends  mean grad_theta Q(o_i, a_i) at a_i = mu(o_i)
    critic: descends mean (r_i + gamma Q'(o_i', mu'(o_i')) - Q(o_i, a_i))^2

`deterministic.py` has the update; docs/algorithms/maddpg.md lists every departure.
"""

from dataclasses import dataclass
from typing import Literal

from jax import Array

from comity.algorithms.normalised_views import Settings as Views
from comity.algorithms.normalised_views import normalised
from comity.algorithms.off_policy import deterministic as family
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(family.Config, Views):
    """Settings of DDPG: the family's."""

    agents: Literal["separate", "shared"] = "shared"


PRESETS = {"sound": {}, "paper": family.PAPER, "released": family.PAPER}


def own_action(key: Key, actions: Array, mine: Array) -> Array:
    """Returns each agent's own action, [..., N, A], for Q_i(o_i, a_i)."""
    del key, actions
    return mine


def make(config: Config, env: Environment) -> Algorithm:
    member = family.Member(own_action, everyone=False)
    return normalised(config, env, lambda env: family.learner(config, env, member))
