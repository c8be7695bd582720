"""Beams: an agent fires three rays. The functions find the cells they cover, the agents they hit, the waste they clean.

An agent at p faces the direction d, with r to its right. Its rays begin at p + d, p + r and p - r and run along d. A
ray ends before a wall or the edge of the map. It also ends at the first agent and covers that agent's cell. A cleaning
ray also ends at the first waste.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from comity.environments.dilemmas.maps import MOVES

NOTHING, PENALTY, CLEANING = 0, 1, 2  # kinds of beams that an agent fires


class Rays(NamedTuple):
    """Three rays of L cells for each agent, whether it fires or not."""

    cells: Array  # [N, 3, L, 2] int32 (row, column), may lie outside the map
    open: Array  # [N, 3, L] bool: the ray covers the cell unless it ends at waste before
    met: Array  # [N, 3, L, N] bool: the agents that stand there


def rays(walls: np.ndarray, position: Array, heading: Array, length: int) -> Rays:
    """Returns the rays of all agents. walls [R, C] bool; position [N, 2]; heading [N]."""
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
    """[N] int32, number of penalty rays that end on each agent. If several share a cell, the highest number is hit.

    fired [N]: the kind of beam that each agent fires.
    """
    n = len(fired)
    last = jnp.where(found.met, jnp.arange(n), -1).max(-1)  # [N, 3, L]
    reached = found.open & (fired == PENALTY)[:, None, None]
    return ((last[..., None] == jnp.arange(n)) & reached[..., None]).sum((0, 1, 2))


def cleaned(found: Rays, fired: Array, order: Array, waste: Array) -> tuple[Array, Array, Array]:
    """Cleans with the agents in `order` [N], one after another: each finds the waste that those before it left.

    Returns (waste [R, C], cells cleaned [N] int32, number of cells that each cleaning ray covers [N, 3] int32).
    """
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
    """[N, 3] int32, number of cells that each ray covers. reach [N, 3]: the same of cleaning rays, from `cleaned`."""
    return jnp.where((fired == PENALTY)[:, None], found.open.sum(-1), reach)


def plane(position: np.ndarray, heading: np.ndarray, reach: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """[R, C] bool, the cells under rays, for pictures; with numpy. reach [N, 3]: number of cells under each ray."""
    drawn = np.zeros((rows, columns), bool)
    for agent in range(len(position)):
        ahead, right = MOVES[heading[agent]], MOVES[(heading[agent] + 1) % 4]
        for ray, first in enumerate((ahead, right, -right)):
            for step in range(int(reach[agent, ray])):
                row, column = position[agent] + first + step * ahead
                drawn[row, column] = True
    return drawn
