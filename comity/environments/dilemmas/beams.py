"""Beams: three rays of an agent that fires, what they cover, whom they hit, and what they clean.

With d the facing and r its right-hand side, rays begin at p + d, p + r and p - r and go on along d. A ray ends before a
wall or the map's edge, and with the first agent, which it covers; a cleaning ray ends with the first waste, too.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from comity.environments.dilemmas.maps import MOVES

NOTHING, PENALTY, CLEANING = 0, 1, 2  # what an agent fires


class Rays(NamedTuple):
    """Three rays of L cells for each agent, whether it fires or not."""

    cells: Array  # [N, 3, L, 2] int32 (row, column), also beyond the map
    open: Array  # [N, 3, L] bool: nothing but waste keeps the ray from covering the cell
    met: Array  # [N, 3, L, N] bool: who stands there


def rays(walls: np.ndarray, position: Array, heading: Array, length: int) -> Rays:
    """walls [R, C] bool; position [N, 2], heading [N]."""
    ahead = jnp.asarray(MOVES)[heading]  # [N, 2]
    right = jnp.asarray(MOVES)[(heading + 1) % 4]
    first = position[:, None] + jnp.stack([ahead, right, -right], 1)  # [N, 3, 2]
    cells = first[:, :, None] + jnp.arange(length)[:, None] * ahead[:, None, None]
    met = (cells[..., None, :] == position).all(-1)
    shut = jnp.asarray(np.pad(walls, length, constant_values=True))  # no ray leaves the plane
    blocked = shut[cells[..., 0] + length, cells[..., 1] + length]
    behind = jnp.pad(met.any(-1)[..., :-1], ((0, 0), (0, 0), (1, 0)))  # an agent in the cell before
    return Rays(cells, ~lax.cummax((blocked | behind).astype(jnp.int8), axis=2).astype(bool), met)


def hits(found: Rays, fired: Array) -> Array:
    """[N] int32, how many penalty rays end on each agent; of several in a cell on the one of the highest number.

    fired [N]: what each agent fires.
    """
    n = len(fired)
    last = jnp.where(found.met, jnp.arange(n), -1).max(-1)  # [N, 3, L]
    reached = found.open & (fired == PENALTY)[:, None, None]
    return ((last[..., None] == jnp.arange(n)) & reached[..., None]).sum((0, 1, 2))


def cleaned(found: Rays, fired: Array, order: Array, waste: Array) -> tuple[Array, Array, Array]:
    """Agents clean in `order` [N], each on what those before it left: (waste [R, C], cells cleaned [N] int32, cells
    that each cleaning ray covers [N, 3] int32)."""
    rows, columns = waste.shape
    numbers = jnp.arange(rows * columns)
    inside = ((found.cells >= 0) & (found.cells < jnp.array([rows, columns]))).all(-1)
    flat = jnp.where(inside, found.cells[..., 0] * columns + found.cells[..., 1], rows * columns)  # [N, 3, L]
    agents = jnp.arange(len(fired))

    def fire(turn: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        waste, amounts, reach = carry
        shooter = order[turn]
        cells, clear = flat[shooter], found.open[shooter] & (fired[shooter] == CLEANING)  # [3, L]
        foul = jnp.append(waste, False)[cells] & clear
        first = foul.argmax(-1)  # [3]
        target = jnp.where(foul.any(-1), jnp.take_along_axis(cells, first[:, None], 1)[:, 0], -1)
        waste = waste & ~(numbers[:, None] == target).any(-1)
        covers = jnp.where(foul.any(-1), first + 1, clear.sum(-1))
        mine = agents == shooter
        return waste, jnp.where(mine, (target >= 0).sum(), amounts), jnp.where(mine[:, None], covers, reach)

    start = waste.reshape(-1), jnp.zeros(len(fired), jnp.int32), jnp.zeros((len(fired), 3), jnp.int32)
    waste, amounts, reach = lax.fori_loop(0, len(fired), fire, start)
    return waste.reshape(rows, columns), amounts, reach


def covered(found: Rays, fired: Array, reach: Array) -> Array:
    """[N, 3] int32, how many cells each ray covers. reach: of cleaning rays."""
    return jnp.where((fired == PENALTY)[:, None], found.open.sum(-1), reach)


def plane(position: np.ndarray, heading: np.ndarray, reach: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """[R, C] bool, the cells under rays that reach so far [N, 3]: for pictures, with numpy."""
    drawn = np.zeros((rows, columns), bool)
    for agent in range(len(position)):
        ahead, right = MOVES[heading[agent]], MOVES[(heading[agent] + 1) % 4]
        for ray, first in enumerate((ahead, right, -right)):
            for step in range(int(reach[agent, ray])):
                row, column = position[agent] + first + step * ahead
                drawn[row, column] = True
    return drawn
