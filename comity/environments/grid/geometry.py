"""Geometry of a grid: cells, headings, the window that an agent sees, and the cells of it that are hidden.

A cell is (x, y), x to the right, y down. Headings are 0 right, 1 down, 2 left, 3 up. Functions take any leading axes.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array


def cells_between(low: int, high: int) -> np.ndarray:
    """[n, n, 2] int64, all cells with coordinates in low, ..., high - 1; the first axis is x, the second y."""
    axis = np.arange(low, high)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)


def direction(heading: Array) -> Array:
    """[..., 2], the step (dx, dy) in the direction of a heading [...]."""
    dx = (heading == 0).astype(jnp.int32) - (heading == 2)
    dy = (heading == 1).astype(jnp.int32) - (heading == 3)
    return jnp.stack([dx, dy], -1)


def in_front(position: Array, heading: Array) -> Array:
    """[..., 2], the cell in front of an agent at position [..., 2]."""
    return position + direction(heading)


def same(cell: Array, other: Array) -> Array:
    """[...] bool, True where two cells [..., 2] are the same."""
    return (cell[..., 0] == other[..., 0]) & (cell[..., 1] == other[..., 1])


def on_wall(cell: Array, width: int) -> Array:
    """[...] bool, True if a cell [..., 2] lies on the outer ring of a grid of width x width cells, or outside it."""
    return ((cell <= 0) | (cell >= width - 1)).any(-1)


def window_cells(position: Array, heading: Array, size: int, centred: bool) -> Array:
    """[..., size, size, 2], the cells of a window: [column from left to right, row from far to near].

    The window turns with the agent. The agent stands in the middle of the last row; centred: in the middle.
    position: [..., 2], heading: [...]; size is odd.
    """
    ahead = direction(heading)[..., None, None, :]
    right = jnp.stack([-ahead[..., 1], ahead[..., 0]], -1)
    depth = (size // 2 if centred else size - 1) - jnp.arange(size)[None, :, None]
    lateral = jnp.arange(size)[:, None, None] - size // 2
    return position[..., None, None, :] + ahead * depth + right * lateral


def visible(opaque: Array) -> Array:
    """[..., size, size] bool, the cells that a viewer in the middle of the last row sees.

    Row by row away from the viewer, a visible cell that is not opaque makes its neighbours beside and ahead visible.
    opaque: [..., size, size] bool, in the order of `window_cells`.
    """
    size = opaque.shape[-1]
    clear = [[~opaque[..., column, row] for row in range(size)] for column in range(size)]
    lit = [[jnp.zeros_like(clear[0][0]) for _ in range(size)] for _ in range(size)]
    lit[size // 2][size - 1] = jnp.ones_like(clear[0][0])
    to_the_right = [(column, column + 1) for column in range(size - 1)]
    to_the_left = [(column, column - 1) for column in range(size - 1, 0, -1)]
    for row in reversed(range(size)):
        for column, aside in to_the_right + to_the_left:
            light = lit[column][row] & clear[column][row]
            lit[aside][row] |= light
            if row > 0:
                lit[aside][row - 1] |= light
                lit[column][row - 1] |= light
    return jnp.stack([jnp.stack(column, -1) for column in lit], -2)
