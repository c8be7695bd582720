"""Rollouts cut into pieces of consecutive steps, and the order in which epochs go through them."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.types import Key

T = TypeVar("T", bound=tuple)


def divisor(size: int, most: int) -> int:
    """The largest divisor of `size` that is at most `most`."""
    return next(d for d in range(min(size, most), 0, -1) if size % d == 0)


def cut(x: Array, chunk: int) -> Array:
    """[T, B, ...] -> [chunk, T/chunk * B, ...]: pieces of consecutive steps, side by side."""
    pieces = len(x) // chunk  # no -1: there may be no numbers
    return x.reshape(pieces, chunk, *x.shape[1:]).swapaxes(0, 1).reshape(chunk, pieces * x.shape[1], *x.shape[2:])


def orders(key: Key, count: int, epochs: int, minibatches: int, agents: int | None = None) -> Array:
    """Which of `count` pieces each optimizer step takes, [epochs * minibatches, count / minibatches].

    Every epoch takes each piece once, in a new order. agents: each of them has an order of its own, and the result an
    axis [N] before the last.
    """
    shuffled = lambda key: jax.random.permutation(key, count)  # noqa: E731
    if agents is None:
        return jax.vmap(shuffled)(jax.random.split(key, epochs)).reshape(epochs * minibatches, -1)
    drawn = jax.vmap(jax.vmap(shuffled))(jax.random.split(key, (epochs, agents)))  # [epochs, N, count]
    return jnp.moveaxis(drawn.reshape(epochs, agents, minibatches, -1), 2, 1).reshape(-1, agents, count // minibatches)


def picked(rows: T, axes: T, chosen: Array) -> T:
    """The entries `chosen` of every field of `rows`, along the axis that `axes` gives for it; both a NamedTuple."""
    take = lambda part, axis: jax.tree.map(lambda x: jnp.take(x, chosen, axis, mode="clip"), part)  # noqa: E731
    return type(rows)(*map(take, rows, axes))


def over_minibatches(
    step: Callable[[Any, Array | None], tuple[Any, Any]],
    carry: Any,
    key: Key,
    count: int,
    epochs: int,
    minibatches: int,
    agents: int | None = None,
) -> tuple[Any, Any]:
    """(carry, metrics as means) after `step(carry, chosen)` on every minibatch of every epoch; see `orders`.

    chosen: None if there is one minibatch, which is all pieces, in any order.
    """
    if minibatches == 1:
        carry, metrics = lax.scan(lambda carry, _: step(carry, None), carry, None, epochs)
    else:
        carry, metrics = lax.scan(step, carry, orders(key, count, epochs, minibatches, agents))
    return carry, jax.tree.map(jnp.mean, metrics)
