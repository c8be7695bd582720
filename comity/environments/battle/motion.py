"""Motion of units: they walk, push each other apart, and stay out of walls."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from comity.environments.battle.arrays import Units
from comity.environments.battle.maps import Scenario
from comity.environments.battle.orders import Intent
from comity.environments.battle.terrain import BITS, HERE, SIZE, Routes, Terrain
from comity.environments.battle.units import AIR

SAMPLE, SAMPLES = 0.5, 40  # cells between samples of the straight way; their number: beyond them the table leads
PUSH = 0.2  # most cells that a pass can push a body
DEEP = 0.1  # the deepest overlap that may be left after all passes
PASSES, CROWDED_PASSES = 4, 8
STANDING = 0.25  # how easily a standing friend is pushed aside; walking: 1; fighting, or a standing enemy: 0
CLEARANCE = 0.45  # largest distance that a body keeps from walls
TURN = 2.4  # radians, between the directions in which bodies in one place are pushed
CORNERS = tuple(k for k, (dx, dy) in enumerate(BITS) if dx and dy)


def moved(rules: Scenario, units: Units, intent: Intent) -> Units:
    """Returns units after walking and pushing."""
    alive = units.hp > 0
    dx, dy = intent.x - units.x, intent.y - units.y
    left = jnp.sqrt(dx * dx + dy * dy)
    fires = (units.windup > 0) & (units.target == intent.target) & ~rules.table.heals
    walks = alive & (left > intent.stop) & ~fires
    speed = jnp.where(walks, jnp.minimum(units.speed + rules.table.acceleration, rules.table.speed), 0.0)
    length = jnp.minimum(speed, jnp.maximum(left - intent.stop, 0.0))
    if rules.terrain.routes is not None:
        dx, dy, left = around(rules.terrain, rules.table.layer, units, intent, dx, dy, left)
    share = length / jnp.maximum(left, 1e-6)
    x, y = units.x + share * dx, units.y + share * dy
    x, y = apart_again(rules, units, intent, walks, x, y)
    return units._replace(x=x, y=y, speed=speed)


def around(
    terrain: Terrain, layer: np.ndarray, units: Units, intent: Intent, dx: Array, dy: Array, left: Array
) -> tuple[Array, Array, Array]:
    """Returns (x, y, length) of each unit's way: straight to its aim, or to the next cell of the shortest way."""
    routes = terrain.routes
    assert routes is not None
    along = SAMPLE * jnp.arange(1, SAMPLES + 1)[:, None, None]
    share = jnp.minimum(along / jnp.maximum(left, 1e-6), 1.0)
    cells = cell_of(units.x + share * dx, units.y + share * dy)
    clear = jnp.asarray(terrain.walkable.reshape(-1))[cells].all(0) & (left <= SAMPLE * SAMPLES)
    x, y = next_cell(routes, cell_of(units.x, units.y), cell_of(intent.x, intent.y))
    straight = clear | ~intent.routed | (layer > 0)
    to_x, to_y = x - units.x, y - units.y
    there = jnp.sqrt(to_x * to_x + to_y * to_y)
    straight = straight | (there < 1e-3)
    return jnp.where(straight, dx, to_x), jnp.where(straight, dy, to_y), jnp.where(straight, left, there)


def cell_of(x: Array, y: Array) -> Array:
    """Number of a position's cell, int32."""
    column = jnp.clip(x.astype(jnp.int32), 0, SIZE - 1)
    return column * SIZE + jnp.clip(y.astype(jnp.int32), 0, SIZE - 1)


def next_cell(routes: Routes, cell: Array, goal: Array) -> tuple[Array, Array]:
    """Returns (x, y), the middle of the next cell on the way to the goal."""
    number = jnp.asarray(routes.number)
    count = int(routes.number.max()) + 1
    way = jnp.asarray(routes.towards)[number[goal] * count + number[cell]].astype(jnp.int32)
    steps = np.array([*BITS, (0, 0)], np.float32)
    middle_x, middle_y = (cell // SIZE).astype(jnp.float32) + 0.5, (cell % SIZE).astype(jnp.float32) + 0.5
    return middle_x + jnp.asarray(steps[:, 0])[way], middle_y + jnp.asarray(steps[:, 1])[way]


def apart_again(rules: Scenario, units: Units, intent: Intent, walks: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Returns positions (x, y) after a few passes that push bodies apart and out of walls."""
    alive, bodies = units.hp > 0, rules.table.separation
    room = (bodies[:, None] + bodies[None]) * touches(rules)  # [N, N, 1], least distance; 0: they never meet
    room = jnp.where(alive[:, None] & alive[None], room, 0.0)
    mobile = jnp.where(walks, 1.0, jnp.where(intent.target >= 0, 0.0, STANDING))
    weight = yielding(mobile, walks, rules.allies.size)
    passes = CROWDED_PASSES if rules.crowded else PASSES
    x, y = lax.fori_loop(0, passes, lambda _, at: outside_walls(rules, *pushed(at[0], at[1], room, weight)), (x, y))
    if rules.terrain.box is None:
        blocked = bits_at(rules, x, y) >> HERE & 1
        x, y = jnp.where(blocked > 0, units.x, x), jnp.where(blocked > 0, units.y, y)

    return back(units, room, alive, x, y)


def back(units: Units, room: Array, alive: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Returns positions (x, y) in which no body overlaps another deeply, unless it did so before.

    A unit that walked into such an overlap goes back to its old position. There it may be in the way of another unit,
    which then goes back, too, and so on. At the latest this ends when all are at their old positions.
    """
    limit = jnp.minimum(jnp.square(jnp.maximum(room - DEEP, 0.0)), squared(units.x, units.y))
    stuck = lambda x, y: (squared(x, y) < limit).any(1)  # noqa: E731  # [N, B]

    def one_round(at: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        goes, gone, x, y = at
        x, y, gone = jnp.where(goes, units.x, x), jnp.where(goes, units.y, y), gone | goes
        return stuck(x, y) & ~gone, gone, x, y

    goes = stuck(x, y) | ~alive
    return lax.while_loop(lambda at: at[0].any(), one_round, (goes, jnp.zeros_like(goes), x, y))[2:]


def squared(x: Array, y: Array) -> Array:
    """[N, N, B], squared distances."""
    return jnp.square(x[:, None] - x[None]) + jnp.square(y[:, None] - y[None])


def touches(rules: Scenario) -> np.ndarray:
    """[N, N, 1] bool, pairs of two different bodies of one layer."""
    layer = rules.table.layer
    return (layer[:, None] == layer[None]) & ~np.eye(rules.size, dtype=bool)[..., None]


def yielding(mobile: Array, walks: Array, allies: int) -> Array:
    """[N, N, B], the share of an overlap by which the first of a pair gives way to the second."""
    team = np.arange(len(mobile)) >= allies
    strange = jnp.asarray((team[:, None] != team[None])[..., None])
    stranger = jnp.where(walks, 1.0, 0.0)
    mine = jnp.where(strange, stranger[:, None], mobile[:, None])
    theirs = jnp.where(strange, stranger[None], mobile[None])
    total = mine + theirs
    return jnp.where(total > 0, mine / jnp.maximum(total, 1e-6), 0.5)


def pushed(x: Array, y: Array, room: Array, weight: Array) -> tuple[Array, Array]:
    """Pushes overlapping bodies apart, all pairs at once. room, weight [N, N, B]."""
    dx, dy = x[:, None] - x[None], y[:, None] - y[None]
    square = dx * dx + dy * dy
    same = square < 1e-12
    number = np.arange(len(x))
    turn, sign = TURN * np.abs(number[:, None] - number[None]), np.sign(number[:, None] - number[None])
    aside_x, aside_y = ((sign * part(turn)).astype(np.float32)[..., None] for part in (np.cos, np.sin))
    length = jnp.sqrt(jnp.maximum(square, 1e-12))
    force = weight * jnp.maximum(room - jnp.where(same, 0.0, length), 0.0) / jnp.where(same, 1.0, length)
    push_x = (force * jnp.where(same, aside_x, dx)).sum(1)
    push_y = (force * jnp.where(same, aside_y, dy)).sum(1)
    total = jnp.sqrt(jnp.maximum(push_x * push_x + push_y * push_y, 1e-12))
    share = jnp.minimum(PUSH / total, 1.0)
    return x + share * push_x, y + share * push_y


def outside_walls(rules: Scenario, x: Array, y: Array) -> tuple[Array, Array]:
    """Pushes bodies out of blocked cells beside them, and into the map."""
    clear = np.minimum(rules.table.separation, CLEARANCE)
    if rules.terrain.box is not None:
        flies, whole = rules.table.layer == AIR, (0, 0, SIZE, SIZE)
        x0, y0, x1, y1 = (np.where(flies, a, b) for a, b in zip(whole, rules.terrain.box, strict=True))
        return jnp.clip(x, x0 + clear, x1 - clear), jnp.clip(y, y0 + clear, y1 - clear)
    bits = bits_at(rules, x, y)
    column, row = jnp.floor(x), jnp.floor(y)
    for k, (dx, dy) in enumerate(BITS):
        wall = (bits >> k & 1) > 0
        if k in CORNERS:
            continue
        if dx:
            edge = column + (dx > 0) - dx * clear
            x = jnp.where(wall, jnp.minimum(x, edge) if dx > 0 else jnp.maximum(x, edge), x)
        else:
            edge = row + (dy > 0) - dy * clear
            y = jnp.where(wall, jnp.minimum(y, edge) if dy > 0 else jnp.maximum(y, edge), y)
    for k in CORNERS:
        wall = (bits >> k & 1) > 0
        from_x, from_y = x - (column + (BITS[k][0] > 0)), y - (row + (BITS[k][1] > 0))
        length = jnp.sqrt(jnp.maximum(from_x * from_x + from_y * from_y, 1e-12))
        out = jnp.where(wall, jnp.maximum(clear - length, 0.0), 0.0) / length
        x, y = x + out * from_x, y + out * from_y
    return x, y


def bits_at(rules: Scenario, x: Array, y: Array) -> Array:
    """[N, B] int32, bits of the cells around, as in BITS, and its own (HERE) that are blocked for the unit's layer."""
    return jnp.asarray(rules.terrain.blocked)[rules.table.layer * SIZE * SIZE + cell_of(x, y)]
