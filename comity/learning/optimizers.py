"""Optimizers, of optax: one step, and parameters stacked on an agent axis."""

from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.types import PyTree

T = TypeVar("T")
Optimizer = Literal["adam", "rmsprop"]


def optimizer(
    name: Optimizer, learning_rate: Any, clip: Any, decay: Any = 0.99, epsilon: Any = 1e-5
) -> optax.GradientTransformation:
    """Adam or RMSprop after clipping the gradient to the norm `clip`.

    learning_rate: a number or a function of the steps taken. decay: RMSprop's only; epsilon is added to the root.
    """
    if name == "adam":
        step = optax.adam(learning_rate, eps=epsilon)
    else:
        step = optax.rmsprop(learning_rate, decay=decay, eps=epsilon, eps_in_sqrt=False)
    return optax.chain(optax.clip_by_global_norm(clip), step)


def towards(target: T, params: T, tau: Any, when: Array | bool = True) -> T:
    """(1 - tau) target + tau params, where `when`; else target. tau = 1 is a copy."""
    return jax.tree.map(lambda old, new: jnp.where(when, (1 - tau) * old + tau * new, old), target, params)


def take_step(optimizer: optax.GradientTransformation, params: T, opt_state: PyTree, grads: Any) -> tuple[T, PyTree]:
    """(params, opt_state) after one step down `grads`."""
    updates, opt_state = optimizer.update(grads, opt_state, params)  # pyright: ignore[reportArgumentType]
    return optax.apply_updates(params, updates), opt_state  # pyright: ignore


def per_agent_optimizer(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """`optimizer` for each agent apart: what is a norm over all parameters becomes a norm over one agent's."""

    def update(updates, state, params=None):
        return jax.vmap(optimizer.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(optimizer.init), update)
