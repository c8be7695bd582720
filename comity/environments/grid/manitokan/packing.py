"""Compact form of Manitokan's observations for replays: a few small integers, from which `unpacked` restores all."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
from jax import Array

from comity.environments.grid.manitokan.observations import colour, signals_end
from comity.environments.grid.manitokan.state import DOOR, DROP, KEY, NOWHERE, OPEN_SIGNAL, State
from comity.types import Observation

if TYPE_CHECKING:
    from comity.environments.grid.manitokan.game import Manitokan


class Codes(NamedTuple):
    """A compact observation. The cell (x, y) is x W + y; 0, a wall, stands for an object that lies on no cell."""

    cells: Array  # [2 N + 1] uint8, uint16 on large grids: cells of agents, doors, key
    agents: Array  # [N] uint8: heading + 4 holding + 8 (last action + 1) + 64 door signal
    first_view: Array  # [N, V'] int8, window and signals if `keeps_views`; else [N, 0]


def packed(game: Manitokan, observation: Observation) -> Codes:
    """See `Manitokan.pack`. Last action and signal come from the view, the rest from state vector and `available`."""
    n, width = game.num_agents, game.width
    grid = observation.state[: 3 * width**2].reshape(-1, 3)  # cells, x by x
    position, heading = jnp.split(observation.state[3 * width**2 :].astype(jnp.int32), [2 * n])
    position = position.reshape(n, 2)
    colours = jnp.array([colour(k) for k in range(n)], jnp.int8)
    shut = (grid[:, :1] == DOOR) & (grid[:, 1:2] == colours)  # [cells, N]
    things = jnp.concatenate([shut, grid[:, :1] == KEY], -1)
    # Cell 0 is a wall. So argmax, which is 0 if all are False, means nowhere.
    cells = jnp.concatenate([position[:, 0] * width + position[:, 1], things.argmax(0)])
    agents = heading + 4 * observation.available[:, DROP]
    if "last-action" in game.extras:
        chosen = observation.view[:, -6:]
        agents += 8 * (chosen.astype(jnp.int32) * jnp.arange(1, 7)).sum(-1)
    if "door-signal" in game.extras:
        agents += 64 * (observation.view[:, 27] == (OPEN_SIGNAL if game.signals == "raw" else 1))
    frozen = observation.view[:, : signals_end(game)] if keeps_views(game) else jnp.zeros((n, 0), jnp.int8)
    return Codes(cells.astype(jnp.uint8 if width**2 <= 256 else jnp.uint16), agents.astype(jnp.uint8), frozen)


def unpacked(game: Manitokan, codes: Codes) -> Observation:
    """See `Manitokan.unpack`."""
    n, width = game.num_agents, game.width
    cells, agents = codes.cells.astype(jnp.int32), codes.agents.astype(jnp.int32)
    places = jnp.stack([cells // width, cells % width], -1)
    opened = cells[n : 2 * n] == 0
    state = State(
        position=places[:n],
        heading=agents % 4,
        doors=jnp.where(opened[:, None], NOWHERE, places[n : 2 * n]),
        opened=opened,
        key=jnp.where(cells[-1] == 0, NOWHERE, places[-1]),
        holding=(agents // 4 % 2).astype(bool),
        paid=opened & (agents // 64 == 0),  # so that the door signal is the same as before
        time=jnp.zeros((), jnp.int32),
        order=jnp.arange(n, dtype=jnp.int32),
        last_action=agents // 8 % 8 - 1,
        first_view=codes.first_view,
    )
    return dataclasses.replace(game, frozen_observation=keeps_views(game), lagged_observation=False).observation(state)


def keeps_views(game: Manitokan) -> bool:
    """True if a replay must keep window and signals, because the rest of an observation does not determine them.

    Without pruning, `available` does not tell which agent holds the key. A window that shows a carried key does, and so
    does the key signal.
    """
    shows_holder = game.show_carried or "key-signal" in game.extras
    return game.frozen_observation or game.lagged_observation or (shows_holder and not game.prune)
