"""Manitokan's first states: drawn at random, or written by hand, and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.environments.grid.geometry import cells_between
from comity.environments.grid.manitokan import observations
from comity.environments.grid.manitokan.state import NOWHERE, State

if TYPE_CHECKING:
    from comity.environments.grid.manitokan.game import Manitokan


def random_cells(game: Manitokan, split: Array, scores: Array) -> tuple[Array, Array]:
    """Returns (cells of agents [N, 2], cells of doors and key [N + 1, 2]), all different.

    Released: all agents start left of one column, drawn from {2, ..., W - 1}, so most start on the left. Doors and key
    are uniform on the other free cells. split: [] in [0, 1), scores: [2, inner cells] in [0, 1).
    """
    cells = jnp.asarray(cells_between(1, game.width - 1).reshape(-1, 2), jnp.int32)
    split = 2 + jnp.floor(split * (game.width - 2))
    allowed = (cells[:, 0] < split) | (game.placement == "uniform")
    # The highest of random scores are a uniform draw without replacement.
    agents = jax.lax.top_k(jnp.where(allowed, scores[0], -1), game.num_agents)[1]
    taken = (jnp.arange(len(cells))[:, None] == agents).any(-1)
    objects = jax.lax.top_k(jnp.where(taken, -1, scores[1]), game.num_agents + 1)[1]
    return cells[agents], cells[objects]


def order_of_turns(game: Manitokan, episode: Array | int, numbers: Array) -> Array:
    """[N] int32, order of turns in an episode (paper, figure 9). numbers: [N] in [0, 1), used unless it is shared."""
    leader = jnp.arange(game.num_agents, dtype=jnp.int32)
    if game.order == "leader":
        return leader
    if game.order == "alternating":
        return (leader + episode) % game.num_agents
    if game.shared_order:
        numbers = jax.random.uniform(jax.random.fold_in(jax.random.key(game.order_seed), episode), (game.num_agents,))
    return jnp.argsort(numbers).astype(jnp.int32)


def build(
    game: Manitokan,
    position: Any,
    heading: Any,
    doors: Any,
    key: Any = None,
    holder: int | None = None,
    paid: Any = None,
    time: int = 0,
    order: Any = None,
    last_action: Any = None,
) -> State:
    """See `Manitokan.build`."""
    n = game.num_agents
    paid = [False] * n if paid is None else paid
    order = range(n) if order is None else order
    last_action = [-1] * n if last_action is None else last_action
    lists = {"position": position, "heading": heading, "doors": doors}
    lists |= {"paid": paid, "order": order, "last_action": last_action}
    for name, values in lists.items():
        if len(values) != n:
            raise ValueError(f"{name} has {len(values)} entries for {n} agents: give one per agent")
    standing: dict[str, Any] = {f"door {k}": cell for k, cell in enumerate(doors) if cell is not None}
    if (key is None) == (holder is None):
        raise ValueError(f"key {key} and holder {holder}: give the key's cell or its holder, one of the two")
    if key is not None:
        standing["key"] = key
    agents = {f"agent {k}": cell for k, cell in enumerate(position)}
    for name, cell in (agents | standing).items():
        if len(cell) != 2 or not all(1 <= x <= game.width - 2 for x in cell):
            raise ValueError(f"{name} on {tuple(cell)} is not inside: give (x, y) from 1 to {game.width - 2}")
    occupied: dict[tuple[int, int], str] = {}
    for name, cell in standing.items():
        other = occupied.setdefault((int(cell[0]), int(cell[1])), name)
        if other != name:
            raise ValueError(f"{name} on {tuple(cell)} is where {other} stands: move one")
    for name, cell in agents.items():
        if occupied.get((int(cell[0]), int(cell[1])), "").startswith("door"):
            raise ValueError(f"{name} on {tuple(cell)} stands in a door: move one")
    if any(not 0 <= h <= 3 for h in heading):
        raise ValueError(f"heading {list(heading)}: give 0 right, 1 down, 2 left or 3 up")
    if holder is not None and not 0 <= holder < n:
        raise ValueError(f"holder {holder} is no agent: give one of 0 to {n - 1}")
    if sorted(order) != list(range(n)):
        raise ValueError(f"order {list(order)} is no permutation: name each of 0 to {n - 1} once")
    if any(not -1 <= a <= 5 for a in last_action):
        raise ValueError(f"last_action {list(last_action)}: give 0 to 5, or -1 for none yet")
    if not 0 <= time <= game.length:
        raise ValueError(f"time {time} is outside the episode: give 0 to {game.length}")
    nowhere = (NOWHERE, NOWHERE)
    state = State(
        position=jnp.asarray([tuple(cell) for cell in position], jnp.int32),
        heading=jnp.asarray(list(heading), jnp.int32),
        doors=jnp.asarray([nowhere if cell is None else tuple(cell) for cell in doors], jnp.int32),
        opened=jnp.asarray([cell is None for cell in doors]),
        key=jnp.asarray(nowhere if key is None else tuple(key), jnp.int32),
        holding=jnp.arange(n) == (NOWHERE if holder is None else holder),
        paid=jnp.asarray(list(paid), bool),
        time=jnp.asarray(time, jnp.int32),
        order=jnp.asarray(list(order), jnp.int32),
        last_action=jnp.asarray(list(last_action), jnp.int32),
        first_view=jnp.zeros((n, 0), jnp.int8),
    )
    return observations.at_start(game, state, episode=0)


def arguments_of(state: State) -> dict[str, Any]:
    """See `Manitokan.layout`."""
    plain = {name: np.asarray(value).tolist() for name, value in state._asdict().items()}
    holder = plain["holding"].index(True) if any(plain["holding"]) else None
    return {
        "position": plain["position"],
        "heading": plain["heading"],
        "doors": [None if opened else cell for cell, opened in zip(plain["doors"], plain["opened"], strict=True)],
        "key": plain["key"] if holder is None else None,
        "holder": holder,
        "paid": plain["paid"],
        "time": plain["time"],
        "order": plain["order"],
        "last_action": plain["last_action"],
    }
