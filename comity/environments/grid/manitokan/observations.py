"""Manitokan's observations: the views of agents, and the state vector of a central critic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.environments.grid.geometry import cells_between, on_wall, same, visible, window_cells
from comity.environments.grid.manitokan.rules import door
from comity.environments.grid.manitokan.state import (
    AGENT,
    BLUE,
    DOOR,
    EMPTY,
    FREE_SIGNAL,
    GREY,
    HELD_SIGNAL,
    KEY,
    LOCKED,
    OPEN_SIGNAL,
    SHUT_SIGNAL,
    UNSEEN,
    WALL,
    WINDOW,
    State,
)
from comity.types import Observation

if TYPE_CHECKING:
    from comity.environments.grid.manitokan.game import Manitokan


def observation(game: Manitokan, state: State, ended: Array | bool = False) -> Observation:
    """See `Manitokan.observation`."""
    n = game.num_agents
    view = state.first_view if game.frozen_observation else live_view(game, state)
    if state.past is not None:
        view = late_view(state)
    if game.frozen_observation and ended is not False:
        view = jnp.where(ended, live_view(game, state), view)
    if "agent-id" in game.extras:
        view = jnp.concatenate([view, jnp.eye(n, dtype=jnp.int8)], -1)
    if "last-action" in game.extras:  # at the end, as `spec.history` says
        view = jnp.concatenate([view, jax.nn.one_hot(state.last_action, 6, dtype=jnp.int8)], -1)
    carried = jnp.broadcast_to(state.holding[:, None] | (not game.prune), (n, 2))  # drop and toggle need the key
    available = jnp.concatenate([jnp.ones((n, 4), bool), carried], -1)
    return Observation(view, state_vector(game, state), available)


def colour(k: Any) -> Any:
    """Colour code of agent and door k: 3, 4, 6, 7 as released, then from 8 on (ours). 2 is the key's, 5 the walls'."""
    return 3 + k + (k >= 2)


def scene(game: Manitokan, state: State, cell: Array) -> Array:
    """[..., 3] int8, codes of the cells [..., 2]: walls, doors, the key, empty. Agents are left out."""
    walls, key, doors = on_wall(cell, game.width), same(cell, state.key), door(state, cell)
    any_door = doors.any(-1)
    door_colour = (doors * colour(np.arange(game.num_agents))).sum(-1)
    kind = jnp.where(walls, WALL, jnp.where(any_door, DOOR, jnp.where(key, KEY, EMPTY)))
    paint = jnp.where(walls, GREY, jnp.where(any_door, door_colour, jnp.where(key, BLUE, 0)))
    status = jnp.where(any_door & ~walls, LOCKED, 0)
    return jnp.stack([kind, paint, status], -1).astype(jnp.int8)


def visible_cells(game: Manitokan, state: State) -> tuple[Array, Array]:
    """Returns (cells of each agent's window [N, 3, 3, 2], the cells that it sees [N, 3, 3] bool)."""
    centred = game.window == "centred"
    cells = window_cells(state.position, state.heading, WINDOW, centred)
    if centred:  # every cell touches the viewer's own cell, so nothing hides it
        return cells, jnp.ones(cells.shape[:-1], bool)
    return cells, visible(on_wall(cells, game.width) | door(state, cells).any(-1))


def marker(game: Manitokan, state: State, k: int) -> Array:
    """[3] int8, the code of agent k's own cell."""
    agent, key = jnp.array([AGENT, colour(k), 0], jnp.int8), jnp.array([KEY, BLUE, 0], jnp.int8)
    return jnp.where(state.holding[k] & game.show_carried, key, agent)


def agent_layer(game: Manitokan, state: State, cell: Array, k: int) -> Array:
    """[..., 3] int8, codes of the cells [..., 2] as released: only agent k on empty ground, walls outside the grid."""
    outside = ((cell < 0) | (cell >= game.width)).any(-1)[..., None]
    ground = jnp.where(outside, jnp.array([WALL, GREY, 0], jnp.int8), jnp.array([EMPTY, 0, 0], jnp.int8))
    return jnp.where(same(cell, state.position[k])[..., None], marker(game, state, k), ground)


def windows(game: Manitokan, state: State) -> Array:
    """[N, 3, 3, 3] int8, the window of each agent: [column, row, channel], zeros where a cell is hidden."""
    n = game.num_agents
    cells, lit = visible_cells(game, state)
    if game.content == "last-agent":
        codes = agent_layer(game, state, cells, n - 1)
    else:
        codes = scene(game, state, cells)
        markers = jnp.stack([marker(game, state, k) for k in range(n)])  # [N, 3]
        for k in range(n):
            codes = jnp.where(same(cells, state.position[k])[..., None], markers[k], codes)
        own = same(cells, state.position[:, None, None])[..., None]  # the viewer is drawn last, on top of all
        codes = jnp.where(own, markers[:, None, None], codes)
    return jnp.where(lit[..., None], codes, jnp.int8(UNSEEN))


def door_signal(game: Manitokan, state: State) -> Array:
    """[N] bool, the signal that tells an agent whether its own door is open."""
    forgets = game.reward == "oracle" and game.oracle == "released"
    return state.opened & ~state.paid if forgets else state.opened


def live_view(game: Manitokan, state: State) -> Array:
    """[N, V'] int8, window and signals of this state: the part of a view that `frozen_observation` freezes."""
    parts = [windows(game, state).reshape(game.num_agents, -1)]
    for name, flag, yes, no in (
        ("door-signal", door_signal(game, state), OPEN_SIGNAL, SHUT_SIGNAL),
        ("key-signal", state.holding, HELD_SIGNAL, FREE_SIGNAL),
    ):
        if name in game.extras:
            raw = game.signals == "raw"
            number = jnp.where(flag, yes, no) if raw else flag
            parts.append(jnp.repeat(number[:, None].astype(jnp.int8), 3 if raw else 1, -1))
    return jnp.concatenate(parts, -1)


def signals_end(game: Manitokan) -> int:
    """V', the number of entries of a view that are window and signals."""
    return game.spec.view.size - game.spec.history - (game.num_agents if "agent-id" in game.extras else 0)


def at_start(game: Manitokan, state: State, episode: Array | int) -> State:
    """Adds to the first state of an episode what later views need. episode: number of episodes played before."""
    if game.frozen_observation:
        state = state._replace(first_view=live_view(game, state))
    if game.lagged_observation:
        view = live_view(game, state)
        past = jnp.zeros((game.length + 1, *view.shape), jnp.int8)
        state = state._replace(past=past, lag=jnp.asarray(episode % game.length, jnp.int32))
    return with_latest_view(game, state)


def with_latest_view(game: Manitokan, state: State) -> State:
    """Returns the state with its current view added to `past`, if it has one."""
    if state.past is None:
        return state
    return state._replace(past=state.past.at[state.time].set(live_view(game, state), mode="drop"))


def late_view(state: State) -> Array:
    """[N, V'] int8, window and signals of `lag` steps ago; zeros (unseen) in the first `lag` steps."""
    assert state.past is not None
    assert state.lag is not None
    then = state.time - state.lag
    return jnp.where(then >= 0, state.past[jnp.maximum(then, 0)], jnp.int8(UNSEEN))


def state_vector(game: Manitokan, state: State) -> Array:
    """[3 W^2 + 3 N] int8: codes of all cells without agents, x by x; then agents' cells, then their headings."""
    cells = jnp.asarray(cells_between(0, game.width), jnp.int32)
    agents = jnp.concatenate([state.position.reshape(-1), state.heading]).astype(jnp.int8)
    return jnp.concatenate([scene(game, state, cells).reshape(-1), agents])
