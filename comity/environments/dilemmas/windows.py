"""Views of agents: a square of the map around each, turned with its heading, as colours or as planes of 0 and 1.

One number per cell holds all that can be seen there. Comparisons put the agents in, and a window is a slice that is
turned. There is no scatter, and no gather of single cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from comity.drawing.dilemmas import APPLE, FLOOR, WALL, WASTE, WATER, player
from comity.environments.dilemmas.maps import Map

BITS = {name: 1 << bit for bit, name in enumerate(("wall", "apple", "waste", "river", "several", "agent"))}
FACING = 6  # the bit of heading 0; the next three are those of headings 1, 2, 3


def packed(colour: tuple[int, int, int]) -> int:
    """Packs a colour into one number."""
    red, green, blue = colour
    return red | green << 8 | blue << 16


def unpacked(x: Array) -> Array:
    """uint8 [..., 3], the colours that `packed` made numbers of, x [..., 1]."""
    return (x >> np.array([0, 8, 16], np.uint32) & 255).astype(jnp.uint8)


def ground(land: Map, apples: Array, waste: Array, values: Sequence[int], dtype: type[np.unsignedinteger]) -> Array:
    """[R, C], the value of each cell. values: of floor, wall, apple, waste and water."""
    floor, wall, apple, foul, water = (dtype(x) for x in values)
    below = jnp.asarray(np.where(land.walls, wall, np.where(land.water, water, floor)).astype(dtype))
    return (
        jnp.where(apples, apple, jnp.where(waste, foul, below)) if land.river.any() else jnp.where(apples, apple, below)
    )


def edged(plane: Array, radius: int) -> Array:
    """Adds `radius` empty cells on each side of a plane."""
    return jnp.pad(plane, radius)


def cell(plane: Array, at: Array, radius: int) -> Array:
    """[R, C] bool, True in one cell of an edged plane [R, C]. at: row and column on the map."""
    rows, columns = plane.shape
    return (jnp.arange(rows)[:, None] == at[0] + radius) & (jnp.arange(columns) == at[1] + radius)


def upward(heading: Array, quirk: bool) -> Array:
    """[N] int32, the heading that is up in each window: the heading of its agent.

    quirk: for agents that face left or right it is the opposite heading, because the release turns their windows the
    other way.
    """
    return jnp.where(heading % 2 == 1, (heading + 2) % 4, heading) if quirk else heading


def cut(plane: Array, position: Array, up: Array, radius: int) -> Array:
    """[N, S, S], windows of an edged plane [R, C], with the agent in the middle and the heading `up` [N] at the top.

    Each is a slice, turned in four ways of which one is taken. A gather of single cells, even with cells known before,
    takes three times as long on a CPU.
    """
    size = (2 * radius + 1,) * 2
    x = jax.vmap(lambda at: lax.dynamic_slice(plane, (at[0], at[1]), size))(position)
    turned = jnp.rot90(x, 1, (1, 2)), jnp.rot90(x, 2, (1, 2)), jnp.rot90(x, -1, (1, 2))
    for heading, window in enumerate(turned, 1):
        x = jnp.where((up == heading)[:, None, None], window, x)
    return x


def colours(land: Map, position: Array, heading: Array, apples: Array, waste: Array, radius: int, quirk: bool) -> Array:
    """uint8 [N, S, S, 3], windows in colours. Of several agents in a cell only the last is seen, even by the others."""
    kinds = [packed(x) for x in (FLOOR, WALL, APPLE, WASTE, WATER)]
    plane = edged(ground(land, apples, waste, kinds, np.uint32), radius)
    for k, at in enumerate(position):
        plane = jnp.where(cell(plane, at, radius), np.uint32(packed(player(k))), plane)
    seen = cut(plane, position, upward(heading, quirk), radius)
    return unpacked(seen[..., None])


def channels(
    land: Map, position: Array, heading: Array, apples: Array, waste: Array, radius: int, quirk: bool
) -> Array:
    """uint8 [N, S, S, 10], windows as the planes that `CHANNELS` names. Headings are relative to the window."""
    kinds = [0, BITS["wall"], BITS["apple"], BITS["waste"], BITS["river"]]
    plane = edged(ground(land, apples, waste, kinds, np.uint16), radius)
    several, agent = np.uint16(BITS["several"]), np.uint16(BITS["agent"])
    for at, facing in zip(position, heading, strict=True):
        marked = plane | agent | jnp.uint16(1) << (FACING + facing).astype(jnp.uint16)
        marked |= jnp.where(plane & agent > 0, several, np.uint16(0))
        plane = jnp.where(cell(plane, at, radius), marked, plane)
    up = upward(heading, quirk)
    seen = cut(plane, position, up, radius)
    middle = np.zeros((2 * radius + 1,) * 2, bool)
    middle[radius, radius] = True
    # In the agent's own cell the bit "several" is always 1, and the bit "agent" is 1 if other agents stand there, too.
    seen = jnp.where(middle, seen & ~agent | (seen & several) << 1 | several, seen & ~several)
    facings = FACING + (up[:, None] + jnp.arange(4)) % 4  # [N, 4]
    shift = jnp.concatenate([jnp.broadcast_to(jnp.arange(FACING), (len(up), FACING)), facings], -1).astype(jnp.uint16)
    return (seen[..., None] >> shift[:, None, None] & 1).astype(jnp.uint8)


def places_of_others(position: Array, heading: Array, radius: int, quirk: bool) -> Array:
    """[N, N, 2] int32, row and column of agent j in agent i's window; outside the window: out of sight."""
    away = position - position[:, None]  # [i, j]
    down, right = away[..., 0], away[..., 1]
    turn = upward(heading, quirk)[:, None]
    row = jnp.select([turn == 0, turn == 1, turn == 2], [down, -right, -down], right)
    column = jnp.select([turn == 0, turn == 1, turn == 2], [right, down, -right], -down)
    return jnp.stack([row, column], -1) + radius
