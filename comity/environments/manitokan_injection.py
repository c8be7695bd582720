"""Manitokan's reward "inject": noise around the rewards of a batch, for training only (arXiv 2505.20579, figure 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.types import Key

if TYPE_CHECKING:
    from comity.environments.manitokan import Manitokan


def released(game: Manitokan, key: Key, reward: Array, valid: Array, iteration: Array | int) -> Array:
    """[T, B, N], rewards with the released code's additions, whole episodes only (docs/tasks/manitokan.md).

    Around an agent's first reward of exactly the individual size, and before its first of that and the collective one
    together, which only the last to open its door has. reward: [T, B, N], valid: [T, B].
    """
    reach, steps = game.injection_window, len(reward)
    fade = game.injection_scale * (1 - iteration / game.injection_batches)
    noise = jnp.abs(jax.random.normal(key, (2, *reward.shape)))  # |z - r| for z normal around r
    time = jnp.arange(steps)[:, None, None]

    def before(moment: Array) -> Array:
        near = (time <= moment) & (time >= moment - reach)
        return near / jnp.where(near, jnp.maximum(moment, 1) - time + 1, 1)

    own, both = reward == game.individual_reward, reward >= 1.5  # the code's test, whatever the rewards
    opening = jnp.where(own.any(0), own.argmax(0), -2 * reach - steps)  # a time nothing is near, if it never comes
    ending = jnp.where(both.any(0), both.argmax(0), -2 * reach - steps)
    after = (time > opening) & (time < jnp.minimum(opening + reach, steps - 1))
    weight = before(opening) + after / jnp.where(after, time + reach - opening + 1, 1)
    added = fade * (noise[0] * weight + 15 * noise[1] * before(ending))
    return reward + jnp.where(valid[..., None], added, 0)


def clean(game: Manitokan, key: Key, reward: Array, valid: Array, iteration: Array | int) -> Array:
    """[T, B, N], rewards with noise around them: normal, weaker with distance in time and with the batch's number.

    No addition reaches the individual reward (section 1 of the paper: r_d < r_ind). reward: [T, B, N], valid: [T, B].
    """
    steps = np.arange(len(reward))
    apart = np.abs(steps[:, None] - steps)
    kernel = np.where(apart <= game.injection_window, 1 / (1 + apart), 0).astype(np.float32)  # [T, T]
    nearness = jnp.einsum("ts,sbn->tbn", kernel, (reward > 0).astype(jnp.float32))
    amplitude = game.injection_sigma * jnp.maximum(1 - iteration / game.injection_batches, 0)
    limit = np.nextafter(np.float32(game.individual_reward), np.float32(0))
    added = jnp.clip(amplitude * nearness * jax.random.normal(key, reward.shape), -limit, limit)
    return reward + jnp.where(valid[..., None], added, 0)
