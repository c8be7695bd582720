"""Optimizers, of optax: one step, and parameters stacked on an agent axis."""

from typing import Any, TypeVar

import jax
import optax

from comity.types import PyTree

T = TypeVar("T")


def take_step(optimizer: optax.GradientTransformation, params: T, opt_state: PyTree, grads: Any) -> tuple[T, PyTree]:
    """(params, opt_state) after one step down `grads`."""
    updates, opt_state = optimizer.update(grads, opt_state, params)  # pyright: ignore[reportArgumentType]
    return optax.apply_updates(params, updates), opt_state  # pyright: ignore


def per_agent_optimizer(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """`optimizer` for each agent apart: what is a norm over all parameters becomes a norm over one agent's."""

    def update(updates, state, params=None):
        return jax.vmap(optimizer.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(optimizer.init), update)
