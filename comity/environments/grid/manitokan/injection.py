"""Manitokan's reward "inject": noise near the rewards of a batch, for training only (arXiv 2505.20579, figure 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.types import Key

if TYPE_CHECKING:
    from comity.environments.grid.manitokan.game import Manitokan


def released(game: Manitokan, key: Key, reward: Array, valid: Array, iteration: Array | int) -> Array:
    """[T, B, N], rewards with the noise of the released code, whole episodes only (docs/tasks/manitokan.md).

    Noise lies around an agent's first reward that equals the individual one, and before its first reward of at least
    1.5: the individual and the collective one together, which only the last agent to open its door gets. reward:
    [T, B, N], valid: [T, B].
    """
    reach, steps = game.injection_window, len(reward)
    fade = game.injection_scale * (1 - iteration / game.injection_batches)
    noise = jnp.abs(jax.random.normal(key, (2, *reward.shape)))  # |z - r| for z normal around r
    time = jnp.arange(steps)[:, None, None]

    def before(moment: Array) -> Array:
        near = (time <= moment) & (time >= moment - reach)
        return near / jnp.where(near, jnp.maximum(moment, 1) - time + 1, 1)

    own, both = reward == game.individual_reward, reward >= 1.5  # the code's test, for any sizes of rewards
    opening = jnp.where(own.any(0), own.argmax(0), -2 * reach - steps)  # if it never comes: a time that no step is near
    ending = jnp.where(both.any(0), both.argmax(0), -2 * reach - steps)
    after = (time > opening) & (time < jnp.minimum(opening + reach, steps - 1))
    weight = before(opening) + after / jnp.where(after, time + reach - opening + 1, 1)
    added = fade * (noise[0] * weight + 15 * noise[1] * before(ending))
    return reward + jnp.where(valid[..., None], added, 0)


def paper(game: Manitokan, key: Key, reward: Array, valid: Array, iteration: Array | int) -> Array:
    """[T, B, N], rewards with the noise of the paper's text (appendix A.2.6 of the anonymous version).

    Around each individual reward r^i and each collective one r^c it adds r^d, normal with mean r^i or r^c and s.d.
    `injection_sigma`. r^d gets weaker with distance in time and with the batch's number, and is always below r^i
    (section 1: r^d < r^i). The window and the weight 1 / (1 + distance) are ours; the text names neither. reward:
    [T, B, N], valid: [T, B].
    """
    collective = game.individual_reward * game.required  # eq. 1
    together = jnp.where(reward >= 0.99 * collective, collective, 0)
    kinds = jnp.stack([jnp.maximum(reward - together, 0), together])  # [2, T, B, N]
    weight = lambda amounts: jnp.einsum("ts,ksbn->ktbn", nearness(game, len(reward)), amounts)  # noqa: E731
    additions = weight(kinds) + game.injection_sigma * weight((kinds > 0) * 1.0) * jax.random.normal(key, kinds.shape)
    return with_additions(game, reward, additions.sum(0), valid, iteration)


def clean(game: Manitokan, key: Key, reward: Array, valid: Array, iteration: Array | int) -> Array:
    """[T, B, N], rewards with normal noise of mean 0 around them, weaker with distance in time and with each batch.

    An addition is always below the individual reward (section 1 of the paper: r_d < r_ind). reward: [T, B, N], valid:
    [T, B].
    """
    near = jnp.einsum("ts,sbn->tbn", nearness(game, len(reward)), (reward > 0).astype(jnp.float32))
    additions = game.injection_sigma * near * jax.random.normal(key, reward.shape)
    return with_additions(game, reward, additions, valid, iteration)


def nearness(game: Manitokan, steps: int) -> np.ndarray:
    """[T, T] float32, 1 / (1 + distance in steps) within the window, else 0."""
    time = np.arange(steps)
    apart = np.abs(time[:, None] - time)
    return np.where(apart <= game.injection_window, 1 / (1 + apart), 0).astype(np.float32)


def with_additions(game: Manitokan, reward: Array, additions: Array, valid: Array, iteration: Array | int) -> Array:
    """Returns `reward` plus additions [T, B, N]. These fade with each batch and stay below the individual reward."""
    limit = np.nextafter(np.float32(game.individual_reward), np.float32(0))
    fade = jnp.maximum(1 - iteration / game.injection_batches, 0)
    return reward + jnp.where(valid[..., None], jnp.clip(fade * additions, -limit, limit), 0)


LAWS = {"paper": paper, "clean": clean, "released": released}
