"""Manitokan's state, and the codes of actions, cells and signals."""

from __future__ import annotations

from typing import NamedTuple

from jax import Array

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE = range(6)
UNSEEN, EMPTY, WALL, DOOR, KEY, AGENT = 0, 1, 2, 4, 5, 10  # first number of a cell's code
BLUE, GREY = 2, 5  # second number, the colour: of the key, of walls
LOCKED = 2  # third number, the state of a door; a door is locked or gone
OPEN_SIGNAL, SHUT_SIGNAL, HELD_SIGNAL, FREE_SIGNAL = 23, 37, 53, 59  # raw signals, as in the released code
WINDOW = 3  # cells per side of what an agent sees
NOWHERE = -1  # both coordinates of a door that is gone, and of a key that is carried
EXTRAS = ("door-signal", "key-signal", "agent-id", "last-action")  # parts of a view, in order, that `observe` may add


class State(NamedTuple):
    """One game. Cells are (x, y)."""

    position: Array  # [N, 2] int32, agents' cells
    heading: Array  # [N] int32
    doors: Array  # [N, 2] int32, agent k's door; NOWHERE once opened
    opened: Array  # [N] bool, agent k has opened its door
    key: Array  # [2] int32; NOWHERE while carried
    holding: Array  # [N] bool, agent k carries the key
    paid: Array  # [N] bool, agent k got its reward for a drop (reward "oracle" only)
    time: Array  # [] int32, steps played
    order: Array  # [N] int32, the order in which agents act within a step: any permutation
    last_action: Array  # [N] int32, -1 before the first
    first_view: Array  # [N, V'] int8, window and signals at the start, for `frozen_observation`; else [N, 0]
    past: Array | None = None  # [T + 1, N, V'] int8, window and signals of every step so far, for `lagged_observation`
    lag: Array | None = None  # [] int32, number of steps by which they are shown late
