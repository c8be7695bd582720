"""Moves on a grid of (row, column) cells, distances, and the cells that agents have visited."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

UP, RIGHT, DOWN, LEFT, STAY = range(5)
MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1), (0, 0)], np.int32)  # [action, (row, column)]


def one_hot(cells: Array, size: int) -> Array:
    """int8 [2 K size], cells [K, 2] as one-hot rows and columns, one cell after the other."""
    return jax.nn.one_hot(cells, size, dtype=jnp.int8).reshape(-1)


def cell_of(numbers: Array, size: int) -> Array:
    """[..., K, 2], the cells that `one_hot` turned into numbers [..., 2 K size]."""
    return numbers.reshape(*numbers.shape[:-1], -1, 2, size).argmax(-1)


def distances(target: Array, free: Array) -> Array:
    """[size, size] float32, steps from each cell to the target (row, column) through free cells; no way: large.

    free [size, size] bool. Steps go up, right, down, left. The target itself must be free.
    """
    size = free.shape[0]
    rows, columns = jnp.arange(size)[:, None], jnp.arange(size)[None]
    far = jnp.float32(10 * size * size)
    there = (rows == target[0]) & (columns == target[1]) & free
    start = jnp.where(there, 0.0, far)

    def wider(_: int, found: Array) -> Array:
        edge = jnp.pad(found, 1, constant_values=far)
        near = jnp.minimum(jnp.minimum(edge[:-2, 1:-1], edge[2:, 1:-1]), jnp.minimum(edge[1:-1, :-2], edge[1:-1, 2:]))
        return jnp.where(free, jnp.minimum(found, near + 1), far)

    return jax.lax.fori_loop(0, 4 * size, wider, start)


def different(x: Array, valid: Array) -> Array:
    """[B] float32, number of different values among the valid whole numbers x [T, B]."""
    ordered = jnp.sort(jnp.where(valid, x, -1), axis=0)
    new = jnp.concatenate([jnp.ones_like(ordered[:1], bool), ordered[1:] != ordered[:-1]])
    return (new & (ordered >= 0)).sum(0).astype(jnp.float32)


def explored(cells: Array, valid: Array, count: int) -> dict[str, Array]:
    """Statistics of an episode: number of cells that each agent visited, [B, N], and of joint cells, [B].

    cells [T, B, N]: the number of each agent's cell, below `count`.
    """
    numbers = cells.astype(jnp.int32)
    each = jnp.stack([different(numbers[..., k], valid) for k in range(cells.shape[-1])], -1)
    joint = numbers[..., 0]
    for k in range(1, cells.shape[-1]):
        joint = joint * count + numbers[..., k]
    return {"cells": each, "joint_cells": different(joint, valid)}
