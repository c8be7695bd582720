"""Scripted players that read the state. Their win rates show how hard a map is.

focus_nearest: attacks the nearest enemy until it is dead (SMAC's own heuristic). closest: always attacks the nearest.
focus_weakest: attacks the one with the least life in reach. hold: does the same, but never walks. stop: does nothing.
kite (3s_vs_5z): shoots when it can, else runs in a circle. wall (corridor): the units stand side by side in the neck.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.environments.battle.arrays import NOBODY
from comity.environments.battle.maps import Scenario, Team
from comity.environments.battle.orders import ATTACK, MOVES, STOP
from comity.environments.battle.terrain import MIDDLE, SIZE
from comity.types import Observation

GENERAL = ("focus_nearest", "closest", "focus_weakest", "hold", "stop")
SPECIAL = {"3s_vs_5z": ("kite",), "corridor": ("wall",)}
# For `kite`: it waits for a shot that is so many loops away; the others are distances to the nearest Zealot.
SOON, TOO_NEAR, SAFE, LOST = 4, 2.8, 5.5, 8.0
ROUND, BACK, FLEE = 10.5, 3.0, 1.2  # the circle: radius; cells off it that weigh like the way along; weight of flight
# For `wall`: posts of the six units, across the neck.
POSTS = np.array([(12.3, 13.7), (13.0, 13.0), (13.7, 12.3), (11.7, 13.1), (12.4, 12.4), (13.1, 11.7)], np.float32)
THERE, TOUCHES = 0.6, 2.0  # distance at which a unit is at its post; distance at which it strikes an enemy
FAR_AWAY = 1e9


class Side(NamedTuple):
    """A team as the state shows it, [K]."""

    x: Array
    y: Array
    life: Array  # hp and shield
    share: Array  # hp as a share of the maximum
    cooldown: Array  # loops; 0 for enemies


def known(map: str) -> tuple[str, ...]:
    return (*GENERAL, *SPECIAL.get(map, ()))


def sides(rules: Scenario, state: Array) -> tuple[Side, Side]:
    """Reads (allies, enemies) from state [S]."""
    found, at = [], 0
    for team, more in ((rules.allies, 1), (rules.enemies, 0)):
        width = 3 + more + team.shields + team.kinds.shape[1]
        rows = state[at : at + team.size * width].reshape(team.size, width)
        at += team.size * width
        table = team.table
        share, place = rows[:, 0], MIDDLE + SIZE * rows[:, 1 + more : 3 + more]
        shield = rows[:, 3 + more] * table.shield[:, 0] if team.shields else 0.0
        cooldown = rows[:, 1] * table.cooldown_max[:, 0] if more else jnp.zeros(team.size)
        found.append(Side(place[:, 0], place[:, 1], share * table.hp[:, 0] + shield, share, cooldown))
    return found[0], found[1]


def team_of(rules: Scenario, both: bool, name: str) -> tuple[Array, Callable]:
    """Returns (memory, act) of a script, where act(memory [..., N], observation) -> (action [..., N], memory).

    It plays all agents. both: enemies are agents, too.
    """

    def play(memory: Array, state: Array, can: Array) -> tuple[Array, Array]:
        allies, enemies = sides(rules, state)
        n = rules.allies.size
        parts = [side(rules, name, rules.allies, rules.enemies, allies, enemies, can[:n], memory[:n])]
        if both:
            general = name if name in GENERAL else "closest"
            parts.append(side(rules, general, rules.enemies, rules.allies, enemies, allies, can[n:], memory[n:]))
        action, target = (jnp.concatenate(x) for x in zip(*parts, strict=True))
        return action.astype(jnp.int32), target.astype(jnp.int32)

    each = jnp.vectorize(play, signature="(n),(s),(n,a)->(n),(n)")

    def act(memory: Array, observation: Observation) -> tuple[Array, Array]:
        return each(memory, observation.state, observation.available)

    return jnp.int32(NOBODY), act


def side(
    rules: Scenario, name: str, team: Team, foe: Team, own: Side, foes: Side, can: Array, memory: Array
) -> tuple[Array, Array]:
    """Returns (actions, targets) [K] of a team. can [K, A]: available actions; memory [K]: last targets."""
    dx, dy = foes.x - own.x[:, None], foes.y - own.y[:, None]
    distance = jnp.sqrt(dx * dx + dy * dy)
    sensible = team.can_hit[..., 0] & (foes.life > 0)  # [K, L]
    may = can[:, ATTACK : ATTACK + foe.size] & sensible
    target = jnp.where(sensible, distance, FAR_AWAY).argmin(1)
    if name == "focus_nearest":
        kept = (memory[:, None] == jnp.arange(foe.size)) & sensible
        target = jnp.where(kept.any(1), memory, target)
    if name in ("focus_weakest", "hold", "kite"):
        weakest = jnp.where(may, foes.life, FAR_AWAY).argmin(1)
        target = jnp.where(may.any(1), weakest, target)
    goal = jnp.stack([foes.x[target] - own.x, foes.y[target] - own.y], -1)
    ready = may[jnp.arange(team.size), target]
    walk = towards(goal, can)
    if name == "stop":
        ready = jnp.zeros_like(ready)
    if name in ("hold", "stop"):
        walk = jnp.full_like(walk, STOP)
    if name == "kite":
        ready, walk = kite(own, foes, distance, ready, walk, can)
    if name == "wall":
        post = POSTS - jnp.stack([own.x, own.y], -1)
        ready = ready & (distance[jnp.arange(team.size), target] < TOUCHES)
        walk = jnp.where(jnp.abs(post).max(-1) > THERE, towards(post, can), STOP)
    action = jnp.where(ready, ATTACK + target, walk)
    if team.heals and name not in ("stop",):
        action = jnp.where(team.table.heals[:, 0], nurse(team, own, can, name != "hold"), action)
    return jnp.where(can[:, 0], 0, action), jnp.where(sensible.any(1), target, NOBODY)


def towards(way: Array | np.ndarray, can: Array) -> Array:
    """[K], the available move that is best aligned with way [K, 2]; stop if none leads there."""
    directions = np.array([(x, y) for _, x, y in MOVES], np.float32)
    gain = jnp.where(can[:, [number for number, _, _ in MOVES]], way @ directions.T, -1.0)
    return jnp.where(gain.max(1) > 0, MOVES[0][0] + gain.argmax(1), STOP)


def nurse(team: Team, own: Side, can: Array, walks: bool) -> Array:
    """[K], actions of Medivacs: they heal the nearest wounded mate, or go to it; else they follow the nearest mate."""
    dx, dy = own.x - own.x[:, None], own.y - own.y[:, None]
    distance = jnp.sqrt(dx * dx + dy * dy)
    mates = (own.life > 0) & ~team.table.heals[:, 0]
    hurt = mates & (own.share < 1)
    target = jnp.where(hurt.any(), jnp.where(hurt, distance, FAR_AWAY), jnp.where(mates, distance, FAR_AWAY)).argmin(1)
    ready = can[jnp.arange(team.size), jnp.minimum(ATTACK + target, can.shape[1] - 1)]
    way = jnp.stack([own.x[target] - own.x, own.y[target] - own.y], -1)
    walk = towards(way, can) if walks else jnp.full(team.size, STOP)
    return jnp.where(ready & hurt.any(), ATTACK + target, jnp.where(ready, STOP, walk))


def kite(own: Side, foes: Side, distance: Array, ready: Array, walk: Array, can: Array) -> tuple[Array, Array]:
    """Returns (shoots, moves) [K]: units that do not shoot circle the middle of the map, away from near enemies."""
    alive = foes.life > 0
    nearest = jnp.where(alive, distance, FAR_AWAY).min(1)
    shoots = ready & (own.cooldown <= SOON) & (nearest > TOO_NEAR)
    x, y = own.x - MIDDLE, own.y - MIDDLE
    radius = jnp.maximum(jnp.sqrt(x * x + y * y), 1e-6)
    out = jnp.stack([x, y], -1) / radius[:, None]
    along = jnp.stack([-out[:, 1], out[:, 0]], -1)
    close = alive & (distance < LOST)
    count = jnp.maximum(close.sum(1), 1)
    mean = jnp.stack([jnp.where(close, v, 0.0).sum(1) / count for v in (foes.x, foes.y)], -1)
    away = jnp.stack([own.x, own.y], -1) - mean
    away = away / jnp.maximum(jnp.sqrt(jnp.square(away).sum(-1, keepdims=True)), 1e-6)
    way = along + (ROUND - radius)[:, None] / BACK * out + FLEE * jnp.where(close.any(1)[:, None], away, 0.0)
    calm = jnp.where(nearest > LOST, walk, STOP)
    return shoots, jnp.where(nearest > SAFE, calm, towards(way, can))
