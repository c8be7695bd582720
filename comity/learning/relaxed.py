"""Discrete actions as vectors that carry gradient: how a critic can be climbed by a policy of choices."""

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
    """A vector [..., A] of sum 1 for each choice of softmax(logits [..., A]); unavailable actions, at -1e9, are 0.

    gumbel: a sample of the Gumbel-softmax (Jang et al. 2017, arXiv 1611.01144) | straight-through: the action that it
    is nearest to, as one-hot, whose gradient is the sample's | softmax: the policy itself, nothing is drawn.
    """
    if how == "softmax":
        return jax.nn.softmax(logits)
    scores, noise = logits / temperature, jax.random.gumbel(key, logits.shape) / temperature
    return jax.nn.softmax(scores + noise) if how == "gumbel" else straight_through(scores, noise)


def replaced(actions: Float[Array, "*B N A"], mine: Float[Array, "*B N A"]) -> Float[Array, "*B N N A"]:
    """[..., i, j, A]: joint actions as agent i imagines them, its own new and the others' as they were."""
    agents = actions.shape[-2]
    own = jnp.eye(agents, dtype=bool)[:, :, None]
    return jnp.where(own, mine[..., :, None, :], actions[..., None, :, :])
