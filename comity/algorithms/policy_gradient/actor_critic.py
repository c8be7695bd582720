"""One-step actor-critic (Barto, Sutton & Anderson 1983; Sutton & Barto 2018, section 13.5), one learner per agent.

    actor:  ascends  mean A log pi(a | o),   A = r + gamma V(o') - V(o)
    critic: descends mean (r + gamma V(o') - V(o))^2

docs/algorithms/actor_critic.md lists every departure.
"""

from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
from jax import Array

from comity.algorithms.policy_gradient import one_step as family
from comity.settings import Positive, check
from comity.types import Algorithm, Environment, Transition


@dataclass(frozen=True)
class Config(family.Config):
    """Settings of actor-critic: the family's, and the length of a rollout."""

    steps: Positive[int] = 25  # T of a rollout; after it actor and critic take one step each

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": family.PAPER}


def one_step_targets(config: Config, steps: Transition, values: family.Values) -> tuple[Array, Array]:
    """Returns (r + gamma V(o'), r + gamma V(o') - V(o)), [T, B, N]. V(o') is 0 after termination, not truncation."""
    assert values is not None
    value, following = values
    targets = steps.reward + config.gamma * jnp.where(steps.terminated[..., None], 0.0, following)
    return targets, targets - value


def make(config: Config, env: Environment) -> Algorithm:
    kind = partial(family.Member, critic=True, whole_episodes=False, steps=config.steps)
    return family.learner(config, env, kind(partial(one_step_targets, config)))
