"""Compact observations of a battle for replays: the numbers of units, from which `unpacked` restores all, bit for bit.

It needs units whose numbers are rounded (`SMAC.rounded`). Squared distances on a grid of 1 / CELL are exact in float32,
so every compiled program computes the same distances from them.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.environments.battle.arrays import NOBODY, Units
from comity.environments.battle.maps import Scenario
from comity.environments.battle.terrain import MIDDLE, SIZE
from comity.environments.battle.units import ENERGY_MAX

CELL, POINT = 128, 64  # parts of a cell; parts of a point of hp, shield and energy


class Codes(NamedTuple):
    """One observation of N units, n of them allies."""

    places: Array  # [N, 3] uint8: x and y in parts of a cell, twelve bits each
    hp: Array  # [N] uint16, parts of a point; 0 only for dead units
    shield: Array  # [N] uint16, parts of a point; [0] if no unit has a shield
    meter: Array  # [n] uint16: energy of Medivacs, in parts of a point; of others loops until the weapon is ready
    last_action: Array  # [agents] uint8, action + 1; 0: none yet
    available: Array  # [agents, A / 8 rounded up] uint8, eight actions each
    time: Array  # [1] uint16, steps played; [0] if the state does not show it


def rounded(units: Units) -> Units:
    """Rounds positions to 1 / CELL and points to 1 / POINT. A living unit keeps hp above 0."""
    points = lambda x: jnp.round(x * POINT) / POINT  # noqa: E731
    return units._replace(
        x=jnp.clip(jnp.round(units.x * CELL), 0, SIZE * CELL - 1) / CELL,
        y=jnp.clip(jnp.round(units.y * CELL), 0, SIZE * CELL - 1) / CELL,
        hp=jnp.where(units.hp > 0, jnp.maximum(points(units.hp), 1 / POINT), 0.0),
        shield=points(units.shield),
        energy=points(units.energy),
    )


def packed(rules: Scenario, state: Array, available: Array, limit: int, timed: bool) -> Codes:
    """Packs one observation. state [S]; available [agents, A]; limit: most steps; timed: the state tells the time."""
    agents, count = available.shape
    columns, first = [], 0
    for team in (rules.allies, rules.enemies):
        own = team is rules.allies
        width = 3 + own + team.shields + team.kinds.shape[1]
        rows = state[first : first + team.size * width].reshape(team.size, width)
        first += team.size * width
        hp, (x, y) = rows[:, 0] * team.table.hp[:, 0], rows[:, 1 + own : 3 + own].T
        shield = rows[:, 3 + own] * team.table.shield[:, 0] if team.shields else jnp.zeros(team.size)
        columns.append((hp, x, y, shield))
        if own:
            heals = team.table.heals[:, 0]
            meter = jnp.where(heals, rows[:, 1] * ENERGY_MAX * POINT, rows[:, 1] * team.table.cooldown_max[:, 0])
    hp, x, y, shield = (jnp.concatenate(each) for each in zip(*columns, strict=True))
    whole = lambda x, kind: jnp.round(x).astype(kind)  # noqa: E731
    x, y = (whole((place * SIZE + MIDDLE) * CELL, jnp.int32) for place in (x, y))
    last = state[first : first + agents * count].reshape(agents, count)
    bits = jnp.pad(available, ((0, 0), (0, -count % 8))).reshape(agents, -1, 8)
    return Codes(
        places=jnp.stack([x % 256, x // 256 + 16 * (y % 16), y // 16], -1).astype(jnp.uint8),
        hp=whole(hp * POINT, jnp.uint16),
        shield=whole(shield * POINT, jnp.uint16) if shielded(rules) else jnp.zeros(0, jnp.uint16),
        meter=whole(meter, jnp.uint16),
        last_action=(last * jnp.arange(1, count + 1)).sum(-1).astype(jnp.uint8),
        available=(bits * 2 ** jnp.arange(8)).sum(-1).astype(jnp.uint8),
        time=whole(state[-1:] * limit, jnp.uint16) if timed else jnp.zeros(0, jnp.uint16),
    )


def shielded(rules: Scenario) -> bool:
    """True if the state shows shields."""
    return rules.allies.shields or rules.enemies.shields


def unpacked(rules: Scenario, codes: Codes, actions: int) -> tuple[Units, Array, Array, Array]:
    """Restores (units [N], as far as the state shows them; last actions [agents]; available [agents, A]; steps played
    [], or 0)."""
    low, middle, high = jnp.moveaxis(codes.places.astype(jnp.int32), -1, 0)
    healing, size = rules.allies.table.heals[:, 0], rules.size
    meter = codes.meter.astype(jnp.int32)
    nothing = jnp.zeros(size, jnp.int32)
    units = Units(
        x=(low + 256 * (middle % 16)) / CELL,
        y=(middle // 16 + 16 * high) / CELL,
        hp=codes.hp / POINT,
        shield=codes.shield / POINT if shielded(rules) else jnp.zeros(size),
        energy=jnp.pad(jnp.where(healing, meter / POINT, 0.0), (0, size - len(healing))),
        cooldown=jnp.pad(jnp.where(healing, 0, meter), (0, size - len(healing))),
        windup=nothing,
        target=nothing,
        unhurt=nothing,
        attacker=nothing,
        speed=jnp.zeros(size),
        shot=nothing,
    )
    bits = (codes.available[..., None] >> np.arange(8)) % 2 == 1
    can = bits.reshape(len(codes.available), -1)[:, :actions]
    return units, codes.last_action.astype(jnp.int32) + NOBODY, can, codes.time.sum(dtype=jnp.int32)
