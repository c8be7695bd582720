"""Length of episodes that end by chance: each step is the last with a fixed chance, so horizons are geometric."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from comity.types import Key


def drawn_horizon(key: Key, end_chance: float, length: int) -> Array:
    """[] int32, number of steps of an episode: 1, 2, ..., at most `length`.

    end_chance: chance that a step is the last; 0: every episode has `length` steps.
    """
    if end_chance == 0:
        return jnp.asarray(length, jnp.int32)
    # 1 + the number of steps survived, by inversion
    survived = jnp.floor(jnp.log(jax.random.uniform(key, minval=1e-30)) / math.log1p(-min(end_chance, 1 - 1e-9)))
    return jnp.minimum(1 + survived.astype(jnp.int32), length)
