"""What a step of a battle comes to: points lost, and who has won."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from comity.environments.battle.arrays import Units, part
from comity.environments.battle.maps import DEATH, Scenario


def harm(before: Units, after: Units) -> Array:
    """[B], points for what a team has lost: hp and shields, and its dead. Shields that grow count against it."""
    lived, lives = before.hp > 0, after.hp > 0
    had, has = before.hp + before.shield, jnp.where(lives, after.hp + after.shield, 0.0)
    return jnp.where(lived, had - has + jnp.where(lives, 0.0, DEATH), 0.0).sum(0)


def ended(rules: Scenario, units: Units) -> tuple[Array, Array, Array]:
    """(allies won, allies lost, over) [B] bool. A Medivac alone has lost; if nobody is left, nobody has won."""
    allies, enemies = part(rules.allies, units.hp) > 0, part(rules.enemies, units.hp) > 0
    fighters = (allies & ~rules.allies.table.heals).any(0), (enemies & ~rules.enemies.table.heals).any(0)
    lost = ~fighters[0] & (enemies.any(0) | rules.allies.heals)
    won = ~lost & ~fighters[1] & (allies.any(0) | enemies.any(0))
    return won, lost, lost | won | ~(allies.any(0) | enemies.any(0))
