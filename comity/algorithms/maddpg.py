"""MADDPG: actors that see their own view, climbed through critics that see everyone (Lowe et al. 2017, arXiv
1706.02275). docs/algorithms/maddpg.md."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from comity.algorithms import deterministic as family
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(family.Config):
    """Settings of MADDPG: those of the family."""


PRESETS = {
    "sound": {},
    "paper": family.PAPER,
    "released": family.PAPER,
    "lica-navigation": {**family.LICA, "critic_learning_rate": 1e-3},
    "lica-predator-prey": {**family.LICA, **family.LICA_PREDATOR},
}


def joint_inputs(key: Key, view: Array, actions: Array, mine: Array) -> Array:
    """Everyone's views and actions, [..., N, N (V + A)], each agent's own first: Q_i(o_1 .. o_N, a_1 .. a_N)."""
    del key
    choices = actions.shape[-1]
    others = family.in_a_circle(actions)[..., choices:]
    return jnp.concatenate([family.in_a_circle(view), mine, others], -1)


def make(config: Config, env: Environment) -> Algorithm:
    spec = env.spec
    size = spec.agents * (spec.view.size + spec.action.n)
    return family.learner(config, env, "maddpg", family.Member(size, joint_inputs))
