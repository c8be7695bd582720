"""PPO's clipped losses (Schulman et al. 2017), which several papers share."""

from functools import partial

import jax.numpy as jnp
import optax
from jax import Array

from comity.learning.choices import log_prob
from comity.learning.returns import mean_valid


def policy_loss(logits: Array, action: Array, old_log_prob: Array, advantage: Array, valid: Array, clip) -> Array:
    """-mean_m min(rho A, clip(rho, 1 - clip, 1 + clip) A), per agent [N] (eq. 7); rho: pi over the pi that played.

    logits [T, B, N, A]; action, old_log_prob, advantage [T, B, N]; valid m [T, B] or [T, B, N].
    """
    return surrogate_loss(log_prob(logits, action), old_log_prob, advantage, valid, clip)


def surrogate_loss(log_probs: Array, old_log_prob: Array, advantage: Array, valid: Array, clip) -> Array:
    """The same from log-probabilities [T, B, ...] of the actions; one for each of the axes behind [T, B]."""
    ratio = jnp.exp(log_probs - old_log_prob)
    return -mean_valid(jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage), valid)


def value_loss(values: Array, old_values: Array, targets: Array, valid: Array, clip, huber) -> Array:
    """mean_m max(h(V - G), h(V_near - G)), per agent [N]. V_near: V, but at most `clip` away from what it was in play.

    h: Huber's loss, a square below `huber`, a line beyond. values, old_values, targets [T, B, N]; valid m as above.
    """
    near = old_values + jnp.clip(values - old_values, -clip, clip)
    loss = partial(optax.losses.huber_loss, targets=targets, delta=huber)
    return mean_valid(jnp.maximum(loss(values), loss(near)), valid)
