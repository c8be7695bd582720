"""What Manitokan pays."""

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
    """Individual and collective part of one step's rewards, each [N] float32; nothing once the episode is over.

    Collective, eq. 1: the individual rewards of all open doors, to everybody, once, when the last required one opens.
    """
    running = ~completed(game, before) & (before.time < game.length)
    individual = (after.opened & ~before.opened) * game.individual_reward * (game.reward != "collective-only")
    individual += pays_drop(game, before, after) * game.oracle_reward - penalty(game, before, after, action)
    individual -= game.step_cost
    collective = completed(game, after) * after.opened.sum() * game.individual_reward
    collective *= game.reward != "individual-only"
    return running * individual, running * jnp.broadcast_to(collective, individual.shape)


def pays_drop(game: Manitokan, before: State, after: State) -> Array:
    """[N] bool: reward "oracle" pays this drop, an agent's first one with its door open."""
    drops = before.holding & ~after.holding
    return drops & before.opened & ~before.paid & (game.reward == "oracle")


def penalty(game: Manitokan, before: State, after: State, action: Array) -> Array:
    """[N] points off, reward "punish": for keeping the key with one's door open.

    Paper: in each step begun so. Released: for each toggle while so, the one that opens the door included.
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
    before = jnp.concatenate([jnp.zeros_like(ever[:1]), ever[:-1]])  # [T, B] some door was open
    first = opened & ~before[..., None]
    alone = first & (jnp.cumsum(first, -1) == 1)  # one, should two have opened at once
    return Collective(steps.info["collective_reward"][..., 0], alone.any(0), before & steps.valid)
