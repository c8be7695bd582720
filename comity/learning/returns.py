"""Sums of reward over time. Leaves are time first; `ended` cuts every sum at the end of an episode."""

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float

from comity.axes import aligned


def discounted_returns(
    reward: Float[Array, "T B *rest"],
    ended: Bool[Array, "T B"],
    gamma: float | Float[Array, ""],
    last: float | Float[Array, "B *rest"] = 0.0,
) -> Float[Array, "T B *rest"]:
    """G_t = r_t + gamma * G_{t+1}, with G_{t+1} = 0 after the end of an episode (Sutton & Barto 2018, eq. 3.9).

    reward [T, B, ..., N], ended [T, B]; last [B, ..., N]: the value after the last step, where the episode goes on.
    Returns [T, B, ..., N], in reward units.
    """
    ended = aligned(ended, reward)

    def step(following, xs):
        reward, ended = xs
        following = reward + gamma * jnp.where(ended, 0.0, following)
        return following, following

    start = jnp.broadcast_to(last, reward.shape[1:]).astype(reward.dtype)
    return lax.scan(step, start, (reward, ended), reverse=True)[1]


def mean_valid(x: Float[Array, "T B *rest"], valid: Bool[Array, "T B"]) -> Float[Array, "*rest"]:
    """Mean of x [T, B, ...] over the steps [T, B] that are valid: [...]. What stands in padding is not read."""
    chosen = aligned(valid, x)
    # A select, not a product: 0 x infinity is not a number.
    return jnp.where(chosen, x, 0).sum((0, 1)) / jnp.maximum(chosen.sum((0, 1)), 1)
