"""Earlier versions of a policy: a uniform sample of all versions so far."""

import jax
import jax.numpy as jnp
from jax import Array

from comity.types import Key, PyTree


def remembered(key: Key, past: PyTree, count: Array, new: PyTree) -> PyTree:
    """Adds one more version, number `count` from 0. `past` stays a uniform sample of all versions so far (Vitter 1985,
    algorithm R).

    past: leaves [versions, ...].
    """
    room = len(jax.tree.leaves(past)[0])
    place = jnp.where(count < room, count, jax.random.randint(key, (), 0, count + 1))
    return jax.tree.map(lambda xs, x: xs.at[place].set(x, mode="drop"), past, new)


def recalled(key: Key, past: PyTree, count: Array) -> PyTree:
    """Draws one of the versions in `past`. count: number of versions that were ever added."""
    room = len(jax.tree.leaves(past)[0])
    chosen = jax.random.randint(key, (), 0, jnp.minimum(count, room))
    return jax.tree.map(lambda xs: xs[chosen], past)
