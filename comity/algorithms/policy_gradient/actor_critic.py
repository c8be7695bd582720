"""Actor-critic of one step: climb r + gamma V(o') - V(o) (Barto, Sutton & Anderson 1983; Sutton & Barto 2018, section
13.5), each agent for itself. docs/algorithms/actor_critic.md."""

from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
from jax import Array

from comity.algorithms.policy_gradient import one_step as family
from comity.settings import Positive, check
from comity.types import Algorithm, Environment, Transition


@dataclass(frozen=True)
class Config(family.Config):
    """Settings of actor-critic: the family's, and how long a rollout is."""

    steps: Positive[int] = 25  # T of a rollout, after which actor and critic take a step each

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": family.PAPER}


def one_step_targets(config: Config, steps: Transition, values: family.Values) -> tuple[Array, Array]:
    """(r + gamma V(o'), that minus V(o)) [T, B, N]. An end by the clock does not make what follows worthless."""
    assert values is not None
    value, following = values
    targets = steps.reward + config.gamma * jnp.where(steps.terminated[..., None], 0.0, following)
    return targets, targets - value


def make(config: Config, env: Environment) -> Algorithm:
    kind = partial(family.Member, critic=True, whole_episodes=False, steps=config.steps)
    return family.learner(config, env, kind(partial(one_step_targets, config)))
