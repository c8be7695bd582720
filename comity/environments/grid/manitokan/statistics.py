"""Statistics of Manitokan's episodes (arXiv 2505.20579); docs/tasks/manitokan.md defines them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.axes import aligned
from comity.environments.grid.manitokan.rules import completed
from comity.environments.grid.manitokan.state import DROP, State

if TYPE_CHECKING:
    from comity.environments.grid.manitokan.game import Manitokan


def first_time(happened: Array) -> Array:
    """[...], first index along time at which `happened` [T, ...] is True; T if it never is."""
    return jnp.where(happened, _time(happened), len(happened)).min(0)


def _time(x: Array) -> Array:
    """[T, 1, ...], index of each step of x [T, ...]."""
    return jnp.arange(len(x), dtype=jnp.int32).reshape(-1, *(1,) * (x.ndim - 1))


def summary(game: Manitokan, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
    """See `Manitokan.summary`."""
    undefined = jnp.nan
    reward = jnp.where(valid[..., None], reward, 0)  # [T, B, N]
    info = {name: jnp.where(aligned(valid, x), x, 0) for name, x in info.items()}
    total = {name: x.sum(0) for name, x in info.items()}  # [B] or [B, N]
    time, opened = _time(reward), first_time(info["doors_opened"] > 0)  # [B, N]
    opened_before = time > opened  # [T, B, N]
    picked_before = time > first_time((info["pickups"] > 0).any(-1))[:, None]  # [T, B, 1]
    any_opened_before = time > opened.min(-1, keepdims=True)  # [T, B, 1]
    gifts = info["drops"] * opened_before
    given, success = gifts.sum((0, -1)) > 0, total["success"] > 0  # [B]
    delay = first_time(info["success"] > 0) - first_time((gifts > 0).any(-1))
    first_pickup = (info["pickups"] * ~picked_before).sum(0)  # [B, N]
    first_opening = (info["doors_opened"] * ~any_opened_before).sum(0)  # [B, N]
    released_success = reward[..., 0].sum(0) >= 1.5 + (game.reward == "oracle") - 1e-3  # 1e-3: for costs and rounding
    share = reward.sum(0) / max(game.attainable, 1e-9)  # [B, N]
    first = total["moves_first"]  # [B, N]
    gap = (share * first).sum(-1) - (share * (1 - first)).sum(-1) / max(game.num_agents - 1, 1)
    mean_distance = total["distance"] / jnp.maximum(valid.sum(0), 1)
    return {
        "success": total["success"],  # [B] all doors are open
        "completed": total["completed"],  # [B] enough doors are open to end the episode
        "released_success": released_success.astype(jnp.float32),  # [B] by agent 0's rewards: wrong for variants
        "doors_opened": total["doors_opened"],  # [B, N]
        "reward_share": share,  # [B, N]
        "first_mover_gap": gap,  # [B] reward share of the agent that moves first, minus the mean of the others
        "drops": total["drops"],  # [B, N]
        "drop_choices": total["drop_choices"],  # [B, N]
        "drops_nonzero": jnp.where(total["drops"] > 0, total["drops"], undefined),  # [B, N]
        "drop_choices_nonzero": jnp.where(total["drop_choices"] > 0, total["drop_choices"], undefined),  # [B, N]
        "drops_per_pickup": jnp.where(
            total["pickups"] > 0, total["drops"] / jnp.maximum(total["pickups"], 1), undefined
        ),  # [B, N]
        "drops_before_opening": total["drops"] - gifts.sum(0),  # [B, N] drops while its own door is still closed
        "drops_after_opening": gifts.sum(0),  # [B, N]
        "pickups": total["pickups"],  # [B, N]
        "steps_holding": total["holding"],  # [B, N]
        "distance": mean_distance if game.num_agents > 1 else jnp.full_like(mean_distance, undefined),  # [B] cells
        "first_reward_time": first_time((reward > 0).any(-1)).astype(jnp.float32),  # [B] steps, of any agent
        "own_first_reward_time": first_time(reward > 0).astype(jnp.float32),  # [B, N] steps
        "rewarded": (reward > 0).any((0, -1)).astype(jnp.float32),  # [B]
        "gift_delay": jnp.where(success & given, delay, undefined),  # [B] steps from the first gift to success
        "first_pickup": jnp.where(first_pickup.sum(-1, keepdims=True) > 0, first_pickup, undefined),  # [B, N] 0 or 1
        "first_opening": jnp.where(first_opening.sum(-1, keepdims=True) > 0, first_opening, undefined),  # [B, N]
    }


def success_residual(success: Array, reward_share: Array) -> Array:
    """(R_c - R_i) R_i, the collective success residual (figure 9), from curves of means.

    success: [...] R_c, mean collective success; reward_share: [..., N] R_i, mean normalised reward. Returns [..., N].
    """
    return (success[..., None] - reward_share) * reward_share


def events(game: Manitokan, before: State, after: State, action: Array) -> dict[str, Array]:
    """Events of one step, [N] or [], as amounts that add up over an episode; `distance` is the current value."""
    everybody = after.opened.all()
    amounts = {
        "doors_opened": after.opened & ~before.opened,
        "success": everybody & ~before.opened.all(),  # judged by doors, never by rewards
        "completed": completed(game, after) & ~completed(game, before),  # the episode's end, by `doors_required`
        "pickups": after.holding & ~before.holding,
        "drops": before.holding & ~after.holding,
        "gifts": before.holding & ~after.holding & before.opened,  # by an agent whose own door is open
        "drop_choices": before.holding & (action == DROP),  # also if the drop is blocked: the code counts these
        "holding": after.holding,
        "moves_first": (before.time == 0) & (before.order[0] == jnp.arange(game.num_agents)),
        "distance": distance(after.position),
    }
    return {name: amount.astype(jnp.float32) for name, amount in amounts.items()}


def distance(position: Array) -> Array:
    """[] mean Euclidean distance between two agents, in cells; 0 for one agent."""
    first, second = np.triu_indices(len(position), 1)
    if not len(first):
        return jnp.zeros(())
    away = (position[first] - position[second]).astype(jnp.float32)
    return jnp.sqrt((away**2).sum(-1)).mean()
