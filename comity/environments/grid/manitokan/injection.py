"""Manitokan's reward "inject": noise near the rewards of a batch, for training only (arXiv 2505.20579, figure 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.types import Key, Transition

if TYPE_CHECKING:
    from comity.environments.grid.manitokan.game import Manitokan


def released(game: Manitokan, key: Key, steps: Transition, iteration: Array | int) -> Array:
    """[T, B, N], rewards with the noise of the released code (docs/tasks/manitokan.md).

    Noise lies around an agent's first reward of an episode that equals the individual one, and before its first reward
    of at least 1.5. Where two open doors end an episode, only the last agent to open its door has such a reward: the
    individual and the collective one together. Where three or more are required, the collective one alone is as large,
    and all agents have it. An episode that began in an earlier rollout counts from this rollout's beginning.
    """
    reward, together = steps.reward, same_episode(steps.ended)
    reach, time = game.injection_window, jnp.arange(len(reward))
    age = time[:, None] - jnp.argmax(together, 1)  # [T, B], steps since the episode's first step in the rollout
    fade = game.injection_scale * (1 - iteration / game.injection_batches)
    noise = jnp.abs(jax.random.normal(key, (2, *reward.shape)))  # |z - r| for z normal around r
    since = (time[:, None] - time)[..., None]  # [T, T, 1], steps from the moment, the second axis, to the first

    def around(moments: Array, weight: Array) -> Array:
        """Returns the sum of weights [T, T, B] over the first of the moments [T, B, N] of each episode, [T, B, N]."""
        earlier = jnp.einsum("tsb,sbn->tbn", together & (since > 0), moments.astype(jnp.float32)) > 0
        return jnp.einsum("tsb,sbn->tbn", weight, (moments & ~earlier).astype(jnp.float32))

    near = together & (since <= 0) & (since >= -reach)
    before = near / jnp.where(near, jnp.maximum(age, 1) - age[:, None] + 1, 1)
    later = together & (since > 0) & (since < reach) & (age < game.length - 1)[:, None]
    after = later / jnp.where(later, since + reach + 1, 1)
    own, both = reward == game.individual_reward, reward >= 1.5  # the code's test, for any sizes of rewards
    added = fade * (noise[0] * around(own, before + after) + 15 * noise[1] * around(both, before))
    return reward + jnp.where(steps.valid[..., None], added, 0)


def paper(game: Manitokan, key: Key, steps: Transition, iteration: Array | int) -> Array:
    """[T, B, N], rewards with the noise of the paper's text (appendix A.2.6 of the anonymous version).

    Around each individual reward r^i and each collective one r^c it adds r^d, normal with mean r^i or r^c and s.d.
    `injection_sigma`. r^d gets weaker with distance in time and with the batch's number, and is always below r^i
    (section 1: r^d < r^i). The window and the weight 1 / (1 + distance) are ours; the text names neither.
    """
    reward, near = steps.reward, nearness(game, steps.ended)
    collective = game.individual_reward * game.required  # eq. 1
    together = jnp.where(reward >= 0.99 * collective, collective, 0)
    kinds = jnp.stack([jnp.maximum(reward - together, 0), together])  # [2, T, B, N]
    weight = lambda amounts: jnp.einsum("tsb,ksbn->ktbn", near, amounts)  # noqa: E731
    additions = weight(kinds) + game.injection_sigma * weight((kinds > 0) * 1.0) * jax.random.normal(key, kinds.shape)
    return with_additions(game, reward, additions.sum(0), steps.valid, iteration)


def clean(game: Manitokan, key: Key, steps: Transition, iteration: Array | int) -> Array:
    """[T, B, N], rewards with normal noise of mean 0 around them, weaker with distance in time and with each batch.

    An addition is always below the individual reward (section 1 of the paper: r_d < r_ind).
    """
    reward = steps.reward
    near = jnp.einsum("tsb,sbn->tbn", nearness(game, steps.ended), (reward > 0).astype(jnp.float32))
    additions = game.injection_sigma * near * jax.random.normal(key, reward.shape)
    return with_additions(game, reward, additions, steps.valid, iteration)


def same_episode(ended: Array) -> Array:
    """[T, T, B] bool, True if both steps belong to the same episode. ended [T, B]: the last step of an episode."""
    number = jnp.cumsum(ended, 0) - ended
    return number[:, None] == number


def nearness(game: Manitokan, ended: Array) -> Array:
    """[T, T, B] float32, 1 / (1 + distance in steps) within the window and within an episode, else 0."""
    time = np.arange(len(ended))
    apart = np.abs(time[:, None] - time)
    near = np.where(apart <= game.injection_window, 1 / (1 + apart), 0).astype(np.float32)
    return jnp.where(same_episode(ended), near[..., None], 0)


def with_additions(game: Manitokan, reward: Array, additions: Array, valid: Array, iteration: Array | int) -> Array:
    """Returns `reward` plus additions [T, B, N]. These fade with each batch and stay below the individual reward."""
    limit = np.nextafter(np.float32(game.individual_reward), np.float32(0))
    fade = jnp.maximum(1 - iteration / game.injection_batches, 0)
    return reward + jnp.where(valid[..., None], jnp.clip(fade * additions, -limit, limit), 0)


LAWS = {"paper": paper, "clean": clean, "released": released}
