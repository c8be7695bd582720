"""DDPG: an actor climbed through a critic of its own view and action (Lillicrap et al. 2016, arXiv 1509.02971), one of
each for all agents. docs/algorithms/maddpg.md."""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jax import Array

from comity.algorithms import deterministic as family
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(family.Config):
    """Settings of DDPG: those of the family."""

    agents: Literal["separate", "shared"] = "shared"


PRESETS = {"sound": {}, "paper": family.PAPER, "released": family.PAPER}


def own_inputs(key: Key, view: Array, actions: Array, mine: Array) -> Array:
    """An agent's own view and action, [..., N, V + A]: Q_i(o_i, a_i)."""
    del key, actions
    return jnp.concatenate([view, mine], -1)


def make(config: Config, env: Environment, name: str = "ddpg") -> Algorithm:
    size = env.spec.view.size + env.spec.action.n
    return family.learner(config, env, name, family.Member(size, own_inputs))
