"""Manitokan's rewards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import Array

from comity.environments.grid.manitokan.rules import completed
from comity.environments.grid.manitokan.state import TOGGLE, State
from comity.types import Collective, Transition

if TYPE_CHECKING:
    from comity.environments.grid.manitokan.game import Manitokan


def parts(game: Manitokan, before: State, after: State, action: Array) -> tuple[Array, Array]:
    """Individual and collective part of one step's rewards, each [N] float32; 0 after the end of the episode.

    Collective, eq. 1: when the last required door opens, each agent gets the sum of the individual rewards of all open
    doors, once.
    """
    running = ~completed(game, before) & (before.time < game.length)
    individual = (after.opened & ~before.opened) * game.individual_reward * (game.reward != "collective-only")
    individual += pays_drop(game, before, after) * game.oracle_reward - penalty(game, before, after, action)
    individual -= game.step_cost
    collective = completed(game, after) * after.opened.sum() * game.individual_reward
    collective *= game.reward != "individual-only"
    return running * individual, running * jnp.broadcast_to(collective, individual.shape)


def pays_drop(game: Manitokan, before: State, after: State) -> Array:
    """[N] bool, True if reward "oracle" pays this drop: the first of an agent with its door open."""
    drops = before.holding & ~after.holding
    return drops & before.opened & ~before.paid & (game.reward == "oracle")


def penalty(game: Manitokan, before: State, after: State, action: Array) -> Array:
    """[N], points that reward "punish" takes from an agent that keeps the key after it opened its door.

    Paper: in each step that begins so. Released: for each toggle in that state, also the one that opens the door.
    """
    if game.reward != "punish":
        return jnp.zeros(game.num_agents)
    kept = before.holding & before.opened
    toggled = after.holding & after.opened & (action == TOGGLE)
    return game.punishment * (toggled if game.punish == "released" else kept)


def collective(steps: Transition) -> Collective:
    """See `Manitokan.collective`."""
    opened = steps.info["doors_opened"] > 0  # [T, B, N]
    ever = jnp.cumsum(opened.any(-1), 0) > 0
    before = jnp.concatenate([jnp.zeros_like(ever[:1]), ever[:-1]])  # [T, B], some door was open before the step
    first = opened & ~before[..., None]
    alone = first & (jnp.cumsum(first, -1) == 1)  # only one agent if two open at once
    return Collective(steps.info["collective_reward"][..., 0], alone.any(0), before & steps.valid)
