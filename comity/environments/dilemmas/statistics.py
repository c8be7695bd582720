"""Statistics of episodes of Harvest and Cleanup; docs/tasks/harvest.md defines them.

Efficiency, equality, sustainability and peace follow Perolat et al. 2017 (arXiv 1707.06600) as far as these games
allow.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from comity.axes import aligned


def summary(reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
    """Statistics of episodes, [B] or [B, N], NaN where undefined. reward [T, B, N], info leaves [T, B, ...].

    No agent is ever frozen in these games. So peace counts the steps in which an agent was not hit, instead of those in
    which it was not frozen.
    """
    info = {name: jnp.where(aligned(valid, x), x, 0.0) for name, x in info.items()}
    steps = jnp.maximum(valid.sum(0), 1)  # [B]
    total = {name: x.sum(0) for name, x in info.items()}
    apples, n = total["apples"], reward.shape[-1]  # [B, N]
    clock = jnp.arange(1, len(valid) + 1)[:, None, None]
    mean_time = jnp.where(apples > 0, (clock * info["apples"]).sum(0) / jnp.maximum(apples, 1), jnp.nan)
    everything = apples.sum(-1)
    apart = jnp.abs(apples[..., None] - apples[..., None, :]).sum((-1, -2))
    equality = 1 - apart / (2 * n * jnp.maximum(everything, 1))
    hit = (info["hits"] > 0).sum(0)  # [B, N] steps in which it was hit
    density = {"waste": total["waste"] / steps, "apples_left": total["apples_left"] / steps}
    return {
        "apples": apples,  # [B, N]
        "efficiency": (jnp.where(valid[..., None], reward, 0.0).sum((0, -1))) / steps,  # [B] points of all per step
        "equality": jnp.where(everything > 0, equality, jnp.nan),  # [B] of apples; 1: all agents eat as many
        "sustainability": jnp.nanmean(mean_time, -1),  # [B] mean step in which apples are eaten, from 1
        "peace": n - hit.sum(-1) / steps,  # [B] number of agents that are not hit, per step
        "penalties": total["penalties"],  # [B, N] penalty beams fired
        "hits": total["hits"],  # [B, N] penalty rays received
        "cleanings": total["cleanings"],  # [B, N] cleaning beams fired
        "cleaned": total["cleaned"],  # [B, N] cells of waste removed
        **density,  # [B] mean share of the river that is waste, mean number of apples on the map
    }
