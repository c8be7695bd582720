"""Arrays over the agents of a game in the order of each agent: itself first, then the others in a circle."""

import jax.numpy as jnp
from jax import Array


def in_a_circle(x: Array, axis: int = -1, own: bool = True) -> Array:
    """x [..., N, *rest] in the order of each agent, [..., N, N, *rest]: for agent i the entries of i, i + 1, i + 2, ...

    axis: the agent axis of x. own: False leaves out the agent itself, [..., N, N - 1, *rest].
    """
    axis %= x.ndim
    first = 0 if own else 1
    turned = [jnp.roll(x, -k, axis) for k in range(first, x.shape[axis])]
    if not turned:
        return jnp.zeros((*x.shape[: axis + 1], 0, *x.shape[axis + 1 :]), x.dtype)
    return jnp.stack(turned, axis + 1)


def side_by_side(x: Array) -> Array:
    """Merges the last two axes: [..., M, K] -> [..., M K]."""
    return x.reshape(*x.shape[:-2], -1)
