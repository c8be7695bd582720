"""SMAC's interface, reproduced exactly: available actions, views and the state.

Functions take a team and its foes, so that both teams can be players. Units first, games last.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from comity.environments.battle.arrays import Units, apart, part
from comity.environments.battle.maps import Scenario, Team
from comity.environments.battle.orders import ATTACK, MOVES, STOP
from comity.environments.battle.terrain import MIDDLE, SIZE
from comity.environments.battle.units import ENERGY_MAX

SIGHT, SHOT = 9.0, 6.0  # distances between centres
OWN_MOVES = 4  # numbers of a view that show its available moves


class Shown(NamedTuple):
    """Optional parts of views and state."""

    last_action: bool
    timestep_number: bool
    state_timestep_number: bool


def actions(rules: Scenario, both: bool) -> int:
    """The number of actions of each agent. both: both teams are players."""
    return ATTACK + (max(rules.allies.size, rules.enemies.size) if both else rules.enemies.size)


def view_size(rules: Scenario, team: Team, shown: Shown, count: int) -> int:
    """Size of the view of a team's agents. count: number of actions."""
    foe = rules.enemies if team.units.start == 0 else rules.allies
    bits = team.kinds.shape[1]
    mate = 5 + team.shields + bits + shown.last_action * count
    foes, mates = foe.size * (5 + foe.shields + bits), (team.size - 1) * mate
    return OWN_MOVES + foes + mates + 1 + team.shields + bits + shown.timestep_number


def state_size(rules: Scenario, shown: Shown, count: int, agents: int) -> int:
    """Size of the state. agents: number of agents whose last actions it holds."""
    bits, (a, e) = rules.allies.kinds.shape[1], (rules.allies, rules.enemies)
    rows = a.size * (4 + a.shields + bits) + e.size * (3 + e.shields + bits)
    return rows + agents * count + shown.state_timestep_number


def available(rules: Scenario, team: Team, foe: Team, units: Units, count: int) -> Array:
    """[K, A, B] bool, available actions of a team."""
    own, foes = part(team, units), part(foe, units)
    alive = own.hp > 0
    fixed = jnp.stack([~alive, alive] + [alive & walkable(rules, own.x + x, own.y + y) for _, x, y in MOVES], 1)
    near = alive[:, None] & (foes.hp > 0)[None] & (apart(own, foes)[2] <= SHOT)  # [K, L, B]
    if team.heals:
        width = max(team.size, foe.size)
        fill = lambda x: jnp.pad(x, ((0, 0), (0, width - x.shape[1]), (0, 0)))  # noqa: E731
        hurt = alive[:, None] & (alive & ~team.table.heals)[None] & (apart(own, own)[2] <= SHOT)
        near = jnp.where(team.table.heals[..., None], fill(hurt), fill(near))
    near = near[:, : count - ATTACK]
    return jnp.concatenate([fixed, jnp.pad(near, ((0, 0), (0, count - ATTACK - near.shape[1]), (0, 0)))], 1)


def walkable(rules: Scenario, x: Array, y: Array) -> Array:
    """True if the cell is on the map and walkable. For all units the cells of the ground count, as in SMAC."""
    column, row = x.astype(jnp.int32), y.astype(jnp.int32)  # cut towards 0
    inside = (column >= 0) & (column < SIZE) & (row >= 0) & (row < SIZE)
    box = rules.terrain.box
    if box is not None:
        return inside & (column >= box[0]) & (column < box[2]) & (row >= box[1]) & (row < box[3])
    cell = jnp.clip(column, 0, SIZE - 1) * SIZE + jnp.clip(row, 0, SIZE - 1)
    return inside & jnp.asarray(rules.terrain.walkable.reshape(-1))[cell]


def view(
    rules: Scenario, team: Team, foe: Team, units: Units, can: Array, last: Array, time: Array, shown: Shown
) -> Array:
    """[K, V, B] float32, views of a team. can: `available` [K, A, B]; last: one-hot last actions [K, A, B]; time
    [B]: as a share of the limit."""
    own, foes = part(team, units), part(foe, units)
    alive = own.hp > 0
    pad = jnp.zeros((team.size, max(0, foe.size - (can.shape[1] - ATTACK)), can.shape[2]))
    may = jnp.concatenate([can[:, ATTACK : ATTACK + foe.size].astype(jnp.float32), pad], 1)
    seen_foes = team_views(team, foe, own, foes, may, [])
    more = [jnp.broadcast_to(last[None, :, k], (team.size, *last[:, k].shape)) for k in range(last.shape[1])]
    seen_mates = team_views(team, team, own, own, jnp.ones(()), more if shown.last_action else [])
    width = seen_mates.shape[2]
    # The others in order: agents before agent i stay, agents after it move up by one.
    others = range(team.size - 1)
    ahead = jnp.stack([jnp.where(jnp.arange(team.size)[:, None, None] > k, seen_mates[:, k], seen_mates[:, k + 1])
                       for k in others], 1) if others else seen_mates[:, :0]  # fmt: skip
    kinds = jnp.broadcast_to(team.kinds[..., None], (*team.kinds.shape, alive.shape[1]))
    mine = [own.hp / team.table.hp] + ([own.shield / team.table.shield] if team.shields else [])
    parts = [
        can[:, STOP + 1 : ATTACK].astype(jnp.float32),
        seen_foes.reshape(team.size, -1, alive.shape[1]),
        ahead.reshape(team.size, len(others) * width, alive.shape[1]),
        jnp.stack(mine, 1),
        kinds,
    ]
    if shown.timestep_number:
        parts.append(jnp.broadcast_to(time, (team.size, 1, alive.shape[1])))
    return jnp.where(alive[:, None], jnp.concatenate(parts, 1), 0.0)


def team_views(team: Team, other: Team, own: Units, them: Units, first: Array, more: list[Array]) -> Array:
    """[K, L, F, B], numbers that each of `own` sees of each of `them`; zeros if that is dead or too far away."""
    dx, dy, distance = apart(own, them)
    shape = distance.shape
    row = [jnp.broadcast_to(first, shape), distance / SIGHT, dx / SIGHT, dy / SIGHT]
    row.append(jnp.broadcast_to((them.hp / other.table.hp)[None], shape))
    if other.shields:
        row.append(jnp.broadcast_to((them.shield / other.table.shield)[None], shape))
    row += [jnp.broadcast_to(other.kinds[None, :, k, None], shape) for k in range(other.kinds.shape[1])]
    row += more
    there = (them.hp > 0)[None] & (distance < SIGHT)
    return jnp.where(there[:, :, None], jnp.stack(row, 2), 0.0)


def state(rules: Scenario, units: Units, last: Array, time: Array, shown: Shown) -> Array:
    """[S, B] float32, the state. last [n, A, B]: one-hot last actions; time [B]: as a share of the limit."""
    rows = []
    for team in (rules.allies, rules.enemies):
        own, table = part(team, units), team.table
        row = [own.hp / table.hp]
        if team is rules.allies:
            row.append(jnp.where(table.heals, own.energy / ENERGY_MAX, own.cooldown / table.cooldown_max))
        row += [(own.x - MIDDLE) / SIZE, (own.y - MIDDLE) / SIZE]
        if team.shields:
            row.append(own.shield / table.shield)
        row += [jnp.broadcast_to(team.kinds[:, k, None], own.x.shape) for k in range(team.kinds.shape[1])]
        rows.append(jnp.where((own.hp > 0)[:, None], jnp.stack(row, 1), 0.0).reshape(-1, own.x.shape[1]))
    rows.append(last.reshape(-1, last.shape[2]))
    if shown.state_timestep_number:
        rows.append(time[None])
    return jnp.concatenate(rows).astype(jnp.float32)
