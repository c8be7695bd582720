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
    """Cuts a rollout into pieces of `chunk` consecutive steps: [T, B, ...] -> [chunk, T/chunk * B, ...]."""
    pieces = len(x) // chunk  # not -1, because an axis may have size 0
    return x.reshape(pieces, chunk, *x.shape[1:]).swapaxes(0, 1).reshape(chunk, pieces * x.shape[1], *x.shape[2:])


def orders(key: Key, count: int, epochs: int, minibatches: int, agents: int | None = None) -> Array:
    """Indices of the `count` pieces that each optimizer step takes, [epochs * minibatches, count / minibatches].

    Every epoch takes each piece once, in a new order. agents: each agent has an order of its own, and the result has an
    axis [N] before the last one.
    """
    shuffled = lambda key: jax.random.permutation(key, count)  # noqa: E731
    if agents is None:
        return jax.vmap(shuffled)(jax.random.split(key, epochs)).reshape(epochs * minibatches, -1)
    drawn = jax.vmap(jax.vmap(shuffled))(jax.random.split(key, (epochs, agents)))  # [epochs, N, count]
    return jnp.moveaxis(drawn.reshape(epochs, agents, minibatches, -1), 2, 1).reshape(-1, agents, count // minibatches)


def picked(rows: T, axes: T, chosen: Array) -> T:
    """The entries `chosen` of every field of `rows`, along the axis that the same field of `axes` gives."""
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
    """Calls `step(carry, chosen)` on every minibatch of every epoch. Returns (carry, means of the metrics).

    chosen: indices of pieces, see `orders`; None if there is one minibatch, which has all pieces.
    """
    if minibatches == 1:
        carry, metrics = lax.scan(lambda carry, _: step(carry, None), carry, None, epochs)
    else:
        carry, metrics = lax.scan(step, carry, orders(key, count, epochs, minibatches, agents))
    return carry, jax.tree.map(jnp.mean, metrics)
