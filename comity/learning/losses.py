"""Losses that several papers share. Means are over valid steps; each agent has its own loss, [N]."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.learning.optimizers import fit_backwards
from comity.learning.returns import mean_valid
from comity.types import PyTree


def policy_loss(log_probs: Array, advantage: Array, valid: Array) -> Array:
    """-(sum m A_t log pi(a_t)) / sum m, per agent [N]; m: the step is part of an episode.

    log_probs, advantage [T, B, N]; valid [T, B]. The advantage carries no gradient.
    """
    return -mean_valid(lax.stop_gradient(advantage) * log_probs, valid)


def critic_loss(values: Array, targets: Array, valid: Array) -> Array:
    """Mean squared error of values against targets over valid steps, per agent [N]. Leaves [T, B, N]; valid [T, B]."""
    return mean_valid(jnp.square(values - targets), valid)


def fit_critic(
    evaluate: Callable[[PyTree, Array], Array],
    optimizer: optax.GradientTransformation,
    critic: PyTree,
    opt_state: PyTree,
    views: Array,
    targets: Array,
    valid: Array,
    groups: int,
):
    """One optimizer step per group of time indices, the last group first, on mean_m (V(o_t) - G_t)^2.

    evaluate(critic, views) -> [T, B, N]; views [T, B, N, ...], targets [T, B, N], valid [T, B]; groups = T: one step
    per time index; groups = 1: one step on the whole batch. Returns (critic, opt_state, values [T, B, N]), where
    values[t] is V(o_t) just before the step on time t: the baseline.
    """

    def loss(critic, group):
        view, target, present = group
        values = evaluate(critic, view)
        return critic_loss(values, target, present).sum(), values

    return fit_backwards(loss, optimizer, critic, opt_state, (views, targets, valid), valid, groups)


def surrogate_loss(log_probs: Array, old_log_prob: Array, advantage: Array, valid: Array, clip) -> Array:
    """-mean_m min(rho A, clip(rho, 1 - clip, 1 + clip) A), per agent [N] (Schulman et al. 2017, eq. 7).

    rho: pi divided by the policy that acted. log_probs, old_log_prob, advantage [T, B, N]; valid m [T, B] or [T, B, N].
    """
    ratio = jnp.exp(log_probs - old_log_prob)
    return -mean_valid(jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage), valid)


def value_loss(values: Array, old_values: Array, targets: Array, valid: Array, clip, huber) -> Array:
    """mean_m max(h(V - G), h(V_near - G)), per agent [N]. V_near: V, but at most `clip` away from `old_values`.

    h: Huber's loss, quadratic below `huber`, linear above. values, old_values, targets [T, B, N]; valid m as above.
    """
    near = old_values + jnp.clip(values - old_values, -clip, clip)
    loss = partial(optax.losses.huber_loss, targets=targets, delta=huber)
    return mean_valid(jnp.maximum(loss(values), loss(near)), valid)
