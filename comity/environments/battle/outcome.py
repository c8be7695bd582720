"""The outcome of a step of a battle: points lost, and the winner."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from comity.environments.battle.arrays import Units, part
from comity.environments.battle.maps import DEATH, Scenario


def harm(before: Units, after: Units) -> Array:
    """[B], points for the losses of a team: hp, shields and dead units. Shields that grow are subtracted."""
    lived, lives = before.hp > 0, after.hp > 0
    had, has = before.hp + before.shield, jnp.where(lives, after.hp + after.shield, 0.0)
    return jnp.where(lived, had - has + jnp.where(lives, 0.0, DEATH), 0.0).sum(0)


def ended(rules: Scenario, units: Units) -> tuple[Array, Array, Array]:
    """Returns (allies won, allies lost, over) [B] bool. Only Medivacs left: lost; no unit at all: not won."""
    allies, enemies = part(rules.allies, units.hp) > 0, part(rules.enemies, units.hp) > 0
    fighters = (allies & ~rules.allies.table.heals).any(0), (enemies & ~rules.enemies.table.heals).any(0)
    lost = ~fighters[0] & (enemies.any(0) | rules.allies.heals)
    won = ~lost & ~fighters[1] & (allies.any(0) | enemies.any(0))
    return won, lost, lost | won | ~(allies.any(0) | enemies.any(0))
