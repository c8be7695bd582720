"""REINFORCE: Monte-Carlo policy gradient with a mean return as baseline (Williams 1992), one learner per agent.

    ascend mean (G_t - b) log pi(a_t | o_t),   b = mean return of the rollout's other games

docs/algorithms/reinforce.md lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax.numpy as jnp
from jax import Array

from comity.algorithms.policy_gradient import one_step as family
from comity.learning import discounted_returns, mean_valid
from comity.settings import check
from comity.types import Algorithm, Environment, Transition


@dataclass(frozen=True)
class Config(family.Config):
    """Settings of REINFORCE: the family's, and the baseline."""

    baseline: Literal["others", "mean", "none"] = "others"
    # others: the mean return of the rollout's other games, which keeps the gradient unbiased; mean (paper): the mean
    # return of all games, which shortens the gradient by 1 / B

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": {**family.PAPER, "baseline": "mean"}}


def baseline_of(returns: Array, valid: Array, whose: str) -> Array:
    """Returns the baseline, [B, N] or [N], of returns [T, B, N] in valid steps [T, B]."""
    if whose == "mean":
        return mean_valid(returns, valid)
    each = jnp.where(valid[..., None], returns, 0.0).sum(0)  # [B, N]
    count = valid.sum(0)[:, None]
    if whose == "none":
        return jnp.zeros_like(each)
    return (each.sum(0) - each) / jnp.maximum(count.sum(0) - count, 1)


def above(config: Config, steps: Transition, values: family.Values) -> tuple[Array, Array]:
    """Returns (G_t, G_t - baseline), [T, B, N]."""
    del values
    returns = discounted_returns(steps.reward, steps.ended, config.gamma)
    return returns, returns - baseline_of(returns, steps.valid, config.baseline)


def make(config: Config, env: Environment) -> Algorithm:
    return family.learner(config, env, family.Member(partial(above, config), critic=False, whole_episodes=True))
