"""Arrays of units: units first and games last, so that every loop of the compiler runs over games.

[N, B], or of pairs [K, L, B]: K units of one team, L of the other. Numbers of the table are [N, 1].
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
    """All units of a battle: allies, then enemies. [N], in the rules [N, B]. Dead ones have hp 0."""

    x: Array
    y: Array
    hp: Array
    shield: Array
    energy: Array  # of Medivacs, else 0
    cooldown: Array  # int32, loops until the weapon is ready
    windup: Array  # int32, loops until the hit that has begun lands; 0: none has. Of a Medivac 1: it heals
    target: Array  # int32, number within the other team, of a Medivac within its own; NOBODY
    unhurt: Array  # int32, loops since the last damage
    attacker: Array  # int32, number within the other team, who did it; NOBODY
    speed: Array  # cells per loop, of the last loop
    shot: Array  # int32, at whom a hit landed in this step, as `target`; for pictures


def part(team: Team, tree: PyTree) -> PyTree:
    """A team's rows of arrays whose first axis is that of all units."""
    return jax.tree.map(lambda x: x[team.units], tree)


def one_hot(index: Array, size: int) -> Array:
    """[K, size, B] bool of numbers [K, B]; no number of 0 to size - 1: all False."""
    return index[:, None] == jnp.arange(size)[None, :, None]


def pick(hot: Array, values: Array | np.ndarray) -> Array:
    """[K, B], of values [L, B] or [L, 1] those of hot [K, L, B]; 0 where it is all False."""
    return jnp.where(hot, values[None], 0).sum(1)


def first_least(score: Array) -> tuple[Array, Array]:
    """(number of the least score along axis 1, the lowest of equal ones; the score) of [K, L, B]."""
    least = score.min(1)
    number = jnp.arange(score.shape[1])[None, :, None]
    return jnp.where(score == least[:, None], number, score.shape[1]).min(1), least


def apart(own: Units, other: Units) -> tuple[Array, Array, Array]:
    """(x, y, distance) [K, L, B] from each of `own` to each of `other`, between centres."""
    dx, dy = other.x[None] - own.x[:, None], other.y[None] - own.y[:, None]
    return dx, dy, jnp.sqrt(dx * dx + dy * dy)
