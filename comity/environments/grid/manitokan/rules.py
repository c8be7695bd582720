"""The rules of Manitokan: the effects of actions, and the test that an episode is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
from jax import Array

from comity.environments.grid.geometry import on_wall, same
from comity.environments.grid.manitokan.state import DROP, FORWARD, LEFT, NOWHERE, PICKUP, RIGHT, TOGGLE, State

if TYPE_CHECKING:
    from comity.environments.grid.manitokan.game import Manitokan


def door(state: State, cell: Array) -> Array:
    """[..., N] bool, True where agent k's door stands on the cell [..., 2]."""
    return same(cell[..., None, :], state.doors)


def blocked(game: Manitokan, state: State, cell: Array) -> Array:
    """[...] bool, True if an object lies on the cell [..., 2] and blocks it. Agents are no objects."""
    key = same(cell, state.key) & (game.pickup == "front")
    return on_wall(cell, game.width) | door(state, cell).any(-1) | key


def act(game: Manitokan, state: State, action: Array, front: Array, mine: Array) -> State:
    """Plays one agent's turn within a step. mine: [N] bool, True for that agent only; front: [N, 2], before the step.

    It computes the turn for all agents and keeps one, which needs no indexing. An action that an agent cannot do has no
    effect.
    """
    free = ~blocked(game, state, front)
    turn = mine * ((action == RIGHT).astype(jnp.int32) - (action == LEFT))
    moves = mine & (action == FORWARD) & free
    picks = mine & (action == PICKUP) & same(front if game.pickup == "front" else state.position, state.key)
    drops = mine & (action == DROP) & state.holding & free
    opens = mine & (action == TOGGLE) & state.holding & same(front, state.doors)
    dropped_on = jnp.where(drops[:, None], front, 0).sum(0)
    return state._replace(
        position=jnp.where(moves[:, None], front, state.position),
        heading=(state.heading + turn) % 4,
        doors=jnp.where(opens[:, None], NOWHERE, state.doors),
        opened=state.opened | opens,
        key=jnp.where(drops.any(), dropped_on, jnp.where(picks.any(), NOWHERE, state.key)),
        holding=(state.holding | picks) & ~drops,
    )


def completed(game: Manitokan, state: State) -> Array:
    """[] bool, True if the required number of doors is open."""
    return state.opened.sum() >= game.required
