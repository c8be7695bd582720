"""Rewards and their sums over time. Arrays have the time axis first; every sum stops where `ended` is True."""

from typing import Literal

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from comity.axes import aligned
from comity.loops import over_time

Reward = Literal["own", "mean", "sum"]  # the reward that an agent learns from


def discounted_returns(
    reward: Float[Array, "T B *rest"],
    ended: Bool[Array, "T B"],
    gamma: float | Float[Array, ""],
    last: float | Float[Array, "B *rest"] = 0.0,
) -> Float[Array, "T B *rest"]:
    """G_t = r_t + gamma * G_{t+1}, with G_{t+1} = 0 after the end of an episode (Sutton & Barto 2018, eq. 3.9).

    reward [T, B, ..., N], ended [T, B]; last [B, ..., N]: the value after the last step, for episodes that go on.
    Returns [T, B, ..., N], in reward units.
    """
    ended = aligned(ended, reward)

    def step(following, xs):
        reward, ended = xs
        following = reward + gamma * jnp.where(ended, 0.0, following)
        return following, following

    start = jnp.broadcast_to(last, reward.shape[1:]).astype(reward.dtype)
    return over_time(step, start, (reward, ended), reverse=True)[1]


def lambda_returns(
    reward: Float[Array, "T B *rest"],
    next_value: Float[Array, "T B *rest"],
    terminated: Bool[Array, "T B"],
    ended: Bool[Array, "T B"],
    gamma: float | Float[Array, ""],
    lambda_: float | Float[Array, ""],
) -> Float[Array, "T B *rest"]:
    """G_t = r_t + gamma * ((1 - lambda) V(o_{t+1}) + lambda G_{t+1}) (Sutton & Barto 2018, eq. 12.20).

    next_value [T, B, ..., N]: V of the observation after step t, before any reset; 0 is used if the step terminated. If
    step t is truncated or the rollout's last, then G_t = r_t + gamma V(o_{t+1}) for every lambda. Lambda 0 gives
    one-step targets, lambda 1 with terminated episodes gives Monte-Carlo returns. G_t - V(o_t) is the generalised
    advantage (Schulman et al. 2016, eq. 16). Returns [T, B, ..., N], in reward units.
    """
    terminated, ended = aligned(terminated, reward), aligned(ended, reward)

    def step(following, xs):
        reward, value, terminated, ended = xs
        following = jnp.where(ended, value, (1 - lambda_) * value + lambda_ * following)
        following = reward + gamma * jnp.where(terminated, 0.0, following)
        return following, following

    return over_time(step, next_value[-1], (reward, next_value, terminated, ended), reverse=True)[1]


def credited(reward: Float[Array, "*axes N"], whose: Reward) -> Float[Array, "*axes N"]:
    """The rewards [..., N] that agents learn from: "own", or the team's "mean" or "sum", the same for all.

    A team game repeats its one reward N times, so there "mean" is the reward itself.
    """
    if whose == "own":
        return reward
    total = reward.sum(-1, keepdims=True) if whose == "sum" else reward.mean(-1, keepdims=True)
    return jnp.broadcast_to(total, reward.shape)


def mean_valid(x: Float[Array, "T B *rest"], valid: Bool[Array, "T B *own"]) -> Float[Array, "*rest"]:
    """Mean of x [T, B, ...] over the valid steps [T, B]: [...]. Padding has no effect, not even NaN.

    valid may have more of the axes of x; then each entry has its own valid steps.
    """
    chosen = aligned(valid, x)
    # A select, not a product, because 0 times infinity is NaN.
    return jnp.where(chosen, x, 0).sum((0, 1)) / jnp.maximum(chosen.sum((0, 1)), 1)


def by_steps(means: Float[Array, " N"], valid: Bool[Array, "T B N"]) -> Float[Array, " N"]:
    """Means of agents, weighted by their numbers of valid steps: their mean is the mean over all of these steps."""
    count = valid.sum((0, 1))
    return means * (count * means.size / jnp.maximum(count.sum(), 1))
