"""Arrays of units: units first and games last, so that the compiler's inner loops run over games.

Shapes are [N, B], or [K, L, B] for pairs: K units of one team, L of the other. Numbers of the table are [N, 1].
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.environments.battle.maps import Team
from comity.types import PyTree

NOBODY = -1


class Units(NamedTuple):
    """All units of a battle: allies, then enemies. [N], inside the rules [N, B]. Dead units have hp 0."""

    x: Array
    y: Array
    hp: Array
    shield: Array
    energy: Array  # energy of Medivacs, else 0
    cooldown: Array  # int32, loops until the weapon is ready
    windup: Array  # int32, loops until the hit of the current attack lands; 0: no attack. Of a Medivac 1: it heals
    target: Array  # int32, number in the other team, for a Medivac in its own; or NOBODY
    unhurt: Array  # int32, loops since the last damage
    attacker: Array  # int32, number in the other team of the unit that did the last damage; or NOBODY
    speed: Array  # cells per loop, of the last loop
    shot: Array  # int32, the unit on which its hit landed in this step, like `target`; for pictures


def part(team: Team, tree: PyTree) -> PyTree:
    """Returns a team's rows of arrays whose first axis is all units."""
    return jax.tree.map(lambda x: x[team.units], tree)


def one_hot(index: Array, size: int) -> Array:
    """[K, size, B] bool, one-hot numbers [K, B]; all False for numbers outside 0 to size - 1."""
    return index[:, None] == jnp.arange(size)[None, :, None]


def pick(hot: Array, values: Array | np.ndarray) -> Array:
    """[K, B], the values [L, B] or [L, 1] that hot [K, L, B] selects; 0 where it is all False."""
    return jnp.where(hot, values[None], 0).sum(1)


def first_least(score: Array) -> tuple[Array, Array]:
    """Returns (number of the least score along axis 1, the lowest of equal ones; that score) of [K, L, B]."""
    least = score.min(1)
    number = jnp.arange(score.shape[1])[None, :, None]
    return jnp.where(score == least[:, None], number, score.shape[1]).min(1), least


def apart(own: Units, other: Units) -> tuple[Array, Array, Array]:
    """Returns (x, y, distance) [K, L, B] from each of `own` to each of `other`, between centres."""
    dx, dy = other.x[None] - own.x[:, None], other.y[None] - own.y[:, None]
    return dx, dy, jnp.sqrt(dx * dx + dy * dy)
