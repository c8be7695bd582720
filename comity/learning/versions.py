"""Versions of a policy from the past: a uniform sample of all that there were."""

import jax
import jax.numpy as jnp
from jax import Array

from comity.types import Key, PyTree


def remembered(key: Key, past: PyTree, count: Array, new: PyTree) -> PyTree:
    """`past` after one more version, the `count`-th from 0: still a uniform sample of all so far (Vitter 1985, R).

    past: leaves [versions, ...].
    """
    room = len(jax.tree.leaves(past)[0])
    place = jnp.where(count < room, count, jax.random.randint(key, (), 0, count + 1))
    return jax.tree.map(lambda xs, x: xs.at[place].set(x, mode="drop"), past, new)


def recalled(key: Key, past: PyTree, count: Array) -> PyTree:
    """One of the versions in `past`, `count` of which were ever stored."""
    room = len(jax.tree.leaves(past)[0])
    chosen = jax.random.randint(key, (), 0, jnp.minimum(count, room))
    return jax.tree.map(lambda xs: xs[chosen], past)
