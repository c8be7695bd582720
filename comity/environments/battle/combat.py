"""One loop of the engine, a sixteenth of a second: targets, motion, simultaneous hits, healing, deaths."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from comity.environments.battle.arrays import NOBODY, Units, apart, one_hot, part, pick
from comity.environments.battle.maps import Scenario, Team
from comity.environments.battle.motion import moved
from comity.environments.battle.orders import SLOP, Intent, Orders, intents
from comity.environments.battle.units import (
    ENERGY_MAX,
    ENERGY_NEEDED,
    ENERGY_RATE,
    GROUND,
    HEAL_PER_ENERGY,
    HEAL_RATE,
    HEAL_REACH,
    LOOPS_PER_SECOND,
    SHIELD_DELAY,
    SHIELD_RATE,
    Weapons,
)

LOOPS = 8  # loops of a step
BLAST, BLAST_HALF = 0.15, 1.25  # of the line across the fire that a Colossus hits: half its width, half its length
LEAST = 0.5  # least damage of a hit, in spite of armour
LONG_AGO = 10_000  # loops since the last damage, if there was none


class Attack(NamedTuple):
    """The attacks of a team in a loop, [K, B]."""

    cooldown: Array
    windup: Array
    lands: Array  # bool, the hit lands in this loop
    struck: Array  # [K, L, B] bool, units that it strikes


def fought(
    rules: Scenario,
    weapons: Weapons,
    units: Units,
    policy: Array | None,
    orders: tuple[Orders, Orders | None],
    luck: Array,
) -> Units:
    """Returns units after the loops of a step. luck [N, B] uint32: random bits, two for each loop."""

    def loop(units: Units, number: Array) -> tuple[Units, None]:
        jitter = (luck >> (2 * number).astype(jnp.uint32) & 3).astype(jnp.int32) - 1
        return one_loop(rules, weapons, units, policy, orders, jitter), None

    units = units._replace(shot=jnp.full_like(units.shot, NOBODY))
    return lax.scan(loop, units, jnp.arange(LOOPS))[0]


def one_loop(
    rules: Scenario,
    weapons: Weapons,
    units: Units,
    policy: Array | None,
    orders: tuple[Orders, Orders | None],
    jitter: Array,
) -> Units:
    """Returns units after one loop. jitter [N, B] int32: loops added to the time until the next attack."""
    intent = intents(rules, units, policy, orders, weapons)
    units = moved(rules, units, intent)
    teams = ((rules.allies, rules.enemies), (rules.enemies, rules.allies))
    attacks = [attack(a, b, weapons, units, intent, jitter) for a, b in teams]
    hurt = [damage(a, b, weapons, units, by) for (a, b), by in zip(teams, reversed(attacks), strict=True)]
    shield, hp, attacker = (jnp.concatenate(parts) for parts in zip(*hurt, strict=True))
    lands = jnp.concatenate([by.lands for by in attacks])
    units = units._replace(
        cooldown=jnp.concatenate([by.cooldown for by in attacks]),
        windup=jnp.concatenate([by.windup for by in attacks]),
        target=intent.target,
        shot=jnp.where(lands, intent.target, units.shot),
        attacker=jnp.where(attacker >= 0, attacker, units.attacker),
    )
    return recovered(rules, units, shield, hp, attacker >= 0)


def attack(team: Team, foe: Team, weapons: Weapons, units: Units, intent: Intent, jitter: Array) -> Attack:
    """Returns the attacks of a team, after all units have moved."""
    own, foes, aim = part(team, units), part(foe, units), part(team, intent)
    reach, period = part(team, weapons.reach), part(team, weapons.period)
    hot = one_hot(aim.target, foe.size) & team.can_hit & ((own.hp > 0)[:, None] & (foes.hp > 0)[None])
    dx, dy, distance = apart(own, foes)
    edge = distance - (team.table.radius[:, None] + foe.table.radius[None])
    changed = (own.windup > 0) & (own.target != aim.target)
    begun = (own.windup > 0) & ~changed
    fits = (hot & (edge <= (reach + jnp.where(begun, SLOP, 0.0))[:, None])).any(1)
    begins = fits & ~begun & ((own.cooldown == 0) | changed)
    goes_on = fits & begun
    left = jnp.where(begins, team.table.windup, jnp.where(goes_on, own.windup - 1, 0))
    lands = (begins | goes_on) & (left == 0)
    broken = (own.windup > 0) & ~goes_on  # the attack is broken off, so the weapon is ready
    cooldown = jnp.where(begins, period + part(team, jitter), jnp.where(broken, 0, own.cooldown))
    struck = hot
    if team.table.line.any():
        struck = hot | in_line(team, foe, hot, dx, dy, distance) & (foes.hp > 0)[None]
    if team.heals:
        left = jnp.where(team.table.heals, own.windup, left)
    return Attack(cooldown, left, lands, struck & lands[:, None])


def in_line(team: Team, foe: Team, hot: Array, dx: Array, dy: Array, distance: Array) -> Array:
    """[K, L, B] bool, units that a Colossus hits beside its target, across its line of fire."""
    along = lambda x: jnp.where(hot, x, 0.0).sum(1)[:, None]  # noqa: E731
    length = jnp.maximum(along(distance), 1e-6)
    ux, uy = along(dx) / length, along(dy) / length
    from_x, from_y = dx - along(dx), dy - along(dy)
    aside = jnp.maximum(jnp.abs(from_y * ux - from_x * uy) - BLAST_HALF, 0.0)
    ahead = from_x * ux + from_y * uy
    near = jnp.sqrt(aside * aside + ahead * ahead) <= BLAST + foe.table.radius[None]
    ground = (foe.table.layer == GROUND)[None] & team.table.line[:, None]
    return near & ground & hot.any(1)[:, None]


def damage(team: Team, foe: Team, weapons: Weapons, units: Units, by: Attack) -> tuple[Array, Array, Array]:
    """Returns (shield, hp, attacker) [K, B] of a team after all hits `by` its foe, in the order of foes."""
    own = part(team, units)
    size = each_hit(foe, team, weapons)  # [L, K, 1 or B]
    hits = foe.table.hits[:, None]
    struck = by.struck.astype(jnp.float32)  # [L, K, B]
    if team.table.shield.any():
        before = jnp.cumsum(struck * size * hits, axis=0) - struck * size * hits
        first, second = (
            jnp.maximum(size - jnp.maximum(own.shield[None] - before - k * size, 0.0), 0.0) for k in (0, 1)
        )
        shield = jnp.maximum(own.shield - (struck * size * hits).sum(0), 0.0)
    else:
        first = second = jnp.broadcast_to(size, struck.shape)
        shield = own.shield
    through = lambda rest: jnp.where(rest > 0, jnp.maximum(rest - team.table.armour[None], LEAST), 0.0)  # noqa: E731
    lost = through(first)
    if (foe.table.hits > 1).any():
        lost = lost + jnp.where(hits > 1, through(second), 0.0)
    hp = own.hp - (struck * lost).sum(0)
    number = jnp.arange(foe.size)[:, None, None]
    attacker = jnp.where(by.struck, number, foe.size).min(0)
    return shield, hp, jnp.where(attacker < foe.size, attacker, NOBODY)


def each_hit(foe: Team, team: Team, weapons: Weapons) -> Array:
    """[L, K, 1 or B], damage of one hit of each foe on each unit, before shield and armour."""
    own = part(foe, weapons)
    extra = own.on_armoured[:, None] * team.table.armoured[None] + own.on_light[:, None] * team.table.light[None]
    return own.damage[:, None] + extra


def recovered(rules: Scenario, units: Units, shield: Array, hp: Array, hurt: Array) -> Units:
    """Returns units after healing, regeneration, a tick of their clocks, and deaths."""
    table = rules.table
    alive = (units.hp > 0) & (hp > 0)
    energy, windup = units.energy, units.windup
    if table.heals.any():
        hp, energy, windup = healed(rules, units, hp)
        energy = jnp.where(
            table.heals & alive, jnp.minimum(energy + ENERGY_RATE / LOOPS_PER_SECOND, ENERGY_MAX), energy
        )
    unhurt = jnp.where(hurt, 0, jnp.minimum(units.unhurt + 1, LONG_AGO))
    if table.shield.any():
        more = jnp.minimum(shield + SHIELD_RATE / LOOPS_PER_SECOND, table.shield)
        shield = jnp.where(unhurt > SHIELD_DELAY, more, shield)
    hp = jnp.minimum(hp + table.regeneration, table.hp) if table.regeneration.any() else hp
    zero = lambda x: jnp.where(alive, x, jnp.zeros_like(x))  # noqa: E731
    nobody = lambda x: jnp.where(alive, x, NOBODY)  # noqa: E731
    return units._replace(
        hp=zero(hp),
        shield=zero(shield),
        energy=zero(energy),
        cooldown=zero(jnp.maximum(units.cooldown - 1, 0)),
        windup=zero(windup),
        target=nobody(units.target),
        unhurt=unhurt,
        attacker=nobody(units.attacker),
    )


def healed(rules: Scenario, units: Units, hp: Array) -> tuple[Array, Array, Array]:
    """Returns (hp, energy, windup) [N, B] after healing. hp: after all hits."""
    parts = []
    for team in (rules.allies, rules.enemies):
        own, left, table = part(team, units), hp[team.units], team.table
        alive = (own.hp > 0) & (left > 0)
        near = apart(own, own)[2] - (table.radius[:, None] + table.radius[None])
        patient = one_hot(own.target, team.size) & (alive & table.biological)[None] & (near <= HEAL_REACH)
        missing = pick(patient, table.hp - left)
        able = table.heals & alive & ((own.windup > 0) | (own.energy >= ENERGY_NEEDED))
        most = jnp.minimum(HEAL_RATE / LOOPS_PER_SECOND, HEAL_PER_ENERGY * own.energy)
        amount = jnp.where(able, jnp.clip(missing, 0.0, most), 0.0)
        given = jnp.where(patient, amount[:, None], 0.0).sum(0)
        works = jnp.where(table.heals, (amount > 0).astype(own.windup.dtype), own.windup)
        parts.append((left + given, own.energy - amount / HEAL_PER_ENERGY, works))
    return tuple(jnp.concatenate(x) for x in zip(*parts, strict=True))  # pyright: ignore[reportReturnType]


def weapons_of(rules: Scenario, balance: Array) -> Weapons:
    """Returns the weapons [N, B] of each game's balance [B]."""
    return Weapons(*(jnp.where(balance == 0, x[0], x[1]) for x in rules.weapons))
