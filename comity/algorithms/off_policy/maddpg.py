"""MADDPG: multi-agent deterministic policy gradients with central critics (Lowe et al. 2017, arXiv 1706.02275).

    actor i:  ascends  mean grad_theta_i Q_i(o_1 .. o_N, a_1 .. a_N) at a_i = mu_i(o_i)
    critic i: descends mean (r_i + gamma Q_i'(o', mu_1'(o_1') .. mu_N'(o_N')) - Q_i(o, a))^2

An actor reads its own view; a critic reads all agents' views and actions. `deterministic.py` has the update;
docs/algorithms/maddpg.md lists every departure.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from comity.algorithms.normalised_views import Settings as Views
from comity.algorithms.normalised_views import normalised
from comity.algorithms.off_policy import deterministic as family
from comity.learning import in_a_circle, side_by_side
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(family.Config, Views):
    """Settings of MADDPG: the family's."""


PRESETS = {
    "sound": {},
    "paper": family.PAPER,
    "released": family.PAPER,
    "lica-navigation": {**family.LICA, "critic_learning_rate": 1e-3},
    "lica-predator-prey": {**family.LICA, **family.LICA_PREDATOR},
}


def joint_actions(key: Key, actions: Array, mine: Array) -> Array:
    """Returns all agents' actions, each agent's own first, [..., N, N A], for Q_i(o_1 .. o_N, a_1 .. a_N)."""
    del key
    return jnp.concatenate([mine, side_by_side(in_a_circle(actions, -2, own=False))], -1)


def make(config: Config, env: Environment) -> Algorithm:
    return normalised(config, env, lambda env: family.learner(config, env, family.Member(joint_actions)))
