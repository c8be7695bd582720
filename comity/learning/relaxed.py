"""Discrete actions as vectors that carry gradient, so that a policy can follow the gradient of a critic."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from comity.learning.latents import straight_through
from comity.types import Key

Relaxed = Literal["straight-through", "gumbel", "softmax"]


def relaxed(
    key: Key, logits: Float[Array, "*axes A"], how: Relaxed, temperature: float | Float[Array, ""] = 1.0
) -> Float[Array, "*axes A"]:
    """A vector [..., A] with sum 1 for each policy softmax(logits [..., A]); 0 for unavailable actions, at -1e9.

    gumbel: a sample of the Gumbel-softmax (Jang et al. 2017, arXiv 1611.01144) | straight-through: the one-hot nearest
    to that sample, with the gradient of the sample | softmax: the probabilities themselves, nothing is drawn.
    """
    if how == "softmax":
        return jax.nn.softmax(logits)
    scores, noise = logits / temperature, jax.random.gumbel(key, logits.shape) / temperature
    return jax.nn.softmax(scores + noise) if how == "gumbel" else straight_through(scores, noise)


def replaced(actions: Float[Array, "*B N A"], mine: Float[Array, "*B N A"]) -> Float[Array, "*B N N A"]:
    """Joint actions [..., i, j, A] in which agent i's own action comes from `mine`, the others' from `actions`."""
    agents = actions.shape[-2]
    own = jnp.eye(agents, dtype=bool)[:, :, None]
    return jnp.where(own, mine[..., :, None, :], actions[..., None, :, :])
