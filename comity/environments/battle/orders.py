"""Intentions of units in a loop: from orders, which hold for a whole step, or from the rules of the enemy."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from comity.environments.battle.arrays import NOBODY, Units, apart, first_least, one_hot, part, pick
from comity.environments.battle.maps import Scenario, Team
from comity.environments.battle.units import HEAL_REACH, HEAL_SCAN, LOOPS_PER_SECOND, Weapons

POLICIES = ("attack_move", "hold", "nearest_global", "focus_weakest")  # policies of the enemy
STOP, MOVES, ATTACK = 1, ((2, 0.0, 1.0), (3, 0.0, -1.0), (4, 1.0, 0.0), (5, -1.0, 0.0)), 6  # actions
FAR = 2.0  # length of a move order, in cells
SCAN = 5.0  # from edge to edge, within which an enemy acquires targets; at least the range of its weapon
SLOP = 1.0  # additional range once an attack has begun
GRUDGE = 2 * LOOPS_PER_SECOND  # loops for which an enemy pursues a unit that hit it
CLOSER = 0.05  # a unit walks until it is nearer than its range by so much
ARRIVED = 1.0  # distance from the goal at which a unit stops


class Orders(NamedTuple):
    """Orders of a team for a step, [K, B]."""

    target: Array  # int32, number of the unit to attack or heal; or NOBODY
    moves: Array  # bool
    x: Array  # position to walk to
    y: Array


class Intent(NamedTuple):
    """Intentions of units for a loop, [K, B]."""

    target: Array  # int32, like `Units.target`
    x: Array  # position to walk to
    y: Array
    stop: Array  # distance at which to stop; infinite: stay
    routed: Array  # bool, finds its way around blocked cells by the table of routes


def orders_of(team: Team, own: Units, action: Array) -> Orders:
    """Returns the orders of actions [K, B] int32, which have been checked before. Other numbers mean stop."""
    dx = sum(jnp.where(action == number, FAR * x, 0.0) for number, x, _ in MOVES)
    dy = sum(jnp.where(action == number, FAR * y, 0.0) for number, _, y in MOVES)
    target = jnp.where(action >= ATTACK, action - ATTACK, NOBODY)
    return Orders(target, jnp.asarray((dx != 0) | (dy != 0)), own.x + dx, own.y + dy)


def ordered(team: Team, orders: Orders, own: Units, foes: Units, foe: Team, reach: Array) -> Intent:
    """Returns intentions that follow orders. A unit stands if it cannot hit its target. reach [K, 1 or B]."""
    hot = one_hot(orders.target, foe.size) & team.can_hit & (foes.hp > 0)[None]
    target = jnp.where(hot.any(1), orders.target, NOBODY)
    x, y = pick(hot, foes.x), pick(hot, foes.y)
    radius = pick(hot, foe.table.radius)
    stop = jnp.where(target >= 0, team.table.radius + radius + reach - CLOSER, jnp.inf)
    if team.heals:
        mates = (
            one_hot(orders.target, team.size) & (own.hp > 0)[None] & (team.table.heals & ~team.table.heals.T)[..., None]
        )
        helps = team.table.heals
        target = jnp.where(helps, jnp.where(mates.any(1), orders.target, NOBODY), target)
        x, y = jnp.where(helps, pick(mates, own.x), x), jnp.where(helps, pick(mates, own.y), y)
        near = team.table.radius + pick(mates, team.table.radius) + reach - CLOSER
        stop = jnp.where(helps, jnp.where(target >= 0, near, jnp.inf), stop)
    moves = orders.moves
    return Intent(
        target, jnp.where(moves, orders.x, x), jnp.where(moves, orders.y, y), jnp.where(moves, 0.0, stop), ~moves
    )


def hunting(rules: Scenario, policy: Array, own: Units, foes: Units, reach: Array) -> Intent:
    """Returns intentions of enemies by their own rules. policy [B]: number in POLICIES; reach [K, 1 or B]."""
    team, foe = rules.enemies, rules.allies
    distance = apart(own, foes)[2]
    between = team.table.radius[:, None] + foe.table.radius[None]
    edge = distance - between
    usable = team.can_hit & (foes.hp > 0)[None]
    within = usable & (edge <= reach[:, None])
    scan = jnp.where(policy == POLICIES.index("nearest_global"), jnp.inf, jnp.maximum(SCAN, reach))
    value = jnp.where(policy == POLICIES.index("focus_weakest"), (foes.hp + foes.shield)[None], distance)
    seen = usable & (edge <= scan[:, None])
    best, _ = first_least(jnp.where(seen, jnp.where(within, value, value + 1000.0), jnp.inf))
    slop = jnp.where(own.windup > 0, SLOP, 0.0)
    kept = (one_hot(own.target, foe.size) & usable & (edge <= (reach + slop)[:, None])).any(1)
    angry = (one_hot(own.attacker, foe.size) & usable).any(1) & (own.unhurt < GRUDGE)
    target = jnp.where(kept, own.target, jnp.where(seen.any(1), best, jnp.where(angry, own.attacker, NOBODY)))
    idle = target < 0
    holds = policy == POLICIES.index("hold")
    if rules.map.goal is None:  # enemies know the nearest ally, which is their goal
        nearest, _ = first_least(jnp.where(usable, distance, jnp.inf))
        target = jnp.where(idle & ~holds & usable.any(1), nearest, target)
        idle = target < 0
    hot = one_hot(target, foe.size)
    near = team.table.radius + pick(hot, foe.table.radius) + reach - CLOSER
    goal_x, goal_y = rules.map.goal or (0.0, 0.0)
    waits = jnp.where(holds | (rules.map.goal is None), jnp.inf, ARRIVED)
    intent = Intent(
        target,
        jnp.where(idle, goal_x, pick(hot, foes.x)),
        jnp.where(idle, goal_y, pick(hot, foes.y)),
        jnp.where(idle, waits, near),
        jnp.ones_like(idle),
    )
    return nursing(team, holds, intent, own) if team.heals else intent


def nursing(team: Team, holds: Array, intent: Intent, own: Units) -> Intent:
    """Adds the intentions of Medivacs: they go to the most wounded unit in sight to heal it, else with the others."""
    table, alive = team.table, own.hp > 0
    edge = apart(own, own)[2] - (table.radius[:, None] + table.radius[None])
    hurt = alive & (own.hp < table.hp) & table.biological
    wanted = hurt[None] & (edge <= HEAL_SCAN)
    worst, _ = first_least(jnp.where(wanted, (own.hp / table.hp)[None], jnp.inf))
    target = jnp.where(wanted.any(1), worst, NOBODY)
    friends = alive & ~table.heals
    count = friends.sum(0)
    mean = lambda x: jnp.where(friends, x, 0).sum(0) / jnp.maximum(count, 1)  # noqa: E731
    hot = one_hot(target, team.size)
    found = target >= 0
    near = table.radius + pick(hot, table.radius) + HEAL_REACH - CLOSER
    along = jnp.where((count > 0) & ~holds, 0.5, jnp.inf)
    mine = Intent(
        target,
        jnp.where(found, pick(hot, own.x), mean(own.x)),
        jnp.where(found, pick(hot, own.y), mean(own.y)),
        jnp.where(found, near, along),
        intent.routed,
    )
    return Intent(*(jnp.where(table.heals, a, b) for a, b in zip(mine, intent, strict=True)))


def intents(
    rules: Scenario, units: Units, policy: Array | None, orders: tuple[Orders, Orders | None], weapons: Weapons
) -> Intent:
    """Returns the intentions of all units. orders: of allies and of enemies; None: enemies follow `policy`."""
    own, foes = part(rules.allies, units), part(rules.enemies, units)
    reach = [part(team, weapons.reach) for team in (rules.allies, rules.enemies)]
    first = ordered(rules.allies, orders[0], own, foes, rules.enemies, reach[0])
    if orders[1] is None:
        assert policy is not None
        second = hunting(rules, policy, foes, own, reach[1])
    else:
        second = ordered(rules.enemies, orders[1], foes, own, rules.allies, reach[1])
    return Intent(*(jnp.concatenate([a, b]) for a, b in zip(first, second, strict=True)))
