"""MAPPO: PPO with one central critic (Yu et al. 2022, arXiv 2103.01955).

`ppo.py` has the update, which IPPO shares. This module defines the critic: it reads the game's state or all agents'
views, and gives one value for each agent, or one for all. docs/algorithms/mappo.md lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax.numpy as jnp

from comity.algorithms.normalised_views import normalised
from comity.algorithms.ppo import ppo
from comity.types import Algorithm, Environment


@dataclass(frozen=True)
class Config(ppo.Config):
    """Settings of MAPPO; those of the family are in `ppo.Config`."""

    critic_reads: Literal["state", "views"] = "state"  # the game's state, or (paper and code) all agents' views
    critic_gives: Literal["each", "one"] = "each"  # a value for each agent, or (paper and code) one for all
    misread_actions: bool = False  # actions and memories in the order (agent, game) are read as (game, agent) (code)


PAPER = {**ppo.PAPER, "actors": "shared", "critic_reads": "views", "critic_gives": "one"}
RELEASED = {
    **PAPER,
    "actors": "separate",
    "lambda_": 1.0,
    "minibatches": 5,
    "actor_clip": 1.0,  # the code passes a switch, so 1, as the norm
    "critic_clip": 1.0,  # the same
    "activation": "gelu",
    "misread_actions": True,
    **ppo.RELEASED,
    "rows": "alternating",
    "normalised_over": "team",
    "actors_loss": "mean",
    "gain": 1.0,
}
PRESETS = {
    "sound": {},
    "fast": ppo.FAST,
    "images": ppo.IMAGES,
    "paper": PAPER,
    "released": RELEASED,
    "released-last-action": {**RELEASED, "actor_reads": "views"},
    "randomised": {**PAPER, **ppo.RANDOMISED},
    "smac": ppo.SMAC,
}


def learner(config: Config, env: Environment) -> Algorithm:
    spec, state = env.spec, config.critic_reads == "state"
    axis = -1 - len(spec.state.shape)  # the axis of the one critic
    true_state = lambda observation: jnp.expand_dims(observation.state, axis)  # noqa: E731
    reads, view = (true_state, spec.state) if state else (partial(ppo.all_views, env), ppo.views_of_all(spec))
    values = spec.agents if config.critic_gives == "each" else 1
    return ppo.learner(config, env, "mappo", ppo.Critics(1, values, reads, view), config.misread_actions)


def make(config: Config, env: Environment) -> Algorithm:
    return normalised(config, env, partial(learner, config))
