"""Push-Box: two agents together push a heavy box to the wall; one alone cannot (Wang et al. 2020, arXiv 1910.05512).

The task of EITI and EDTI, and of ALITA (arXiv 2108.12581, table 1). Random play never earns anything.
docs/tasks/push_box.md: the rules in words, and a picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import agent_hex
from comity.environments.grid.sparse.steps import (
    DOWN,
    LEFT,
    MOVES,
    RIGHT,
    STAY,
    UP,
    cell_of,
    distances,
    explored,
    one_hot,
)
from comity.settings import NotNegative, Positive, Range, check
from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules: raised whenever the same seed would give another game

PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},
    "released": {"first_observation": "before", "clock_terminates": True},
}

NEEDED = 2  # number of agents that must push in one direction
START = 1  # agents' first row and column


class State(NamedTuple):
    """One game. Cells are (row, column)."""

    agents: Array  # [2, 2] int32
    box: Array  # [2] int32
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class PushBox:
    """Two agents, one box. view int8 [2, 6 S]: one-hot row and column of both agents and the box; state int8 [6 S]."""

    size: Annotated[int, Range(5)] = 15  # S, cells on a side, of which the outer ring is wall
    length: Positive[int] = 300  # steps per episode
    reward: NotNegative[float] = 1000.0  # points to each agent when the box reaches the wall
    respawn: bool = True  # True: after that a new box appears and the episode goes on; False: it ends
    first_observation: Literal["after", "before"] = (
        "after"  # the box in the observation that comes with the reward: the new one, or (code) the old
    )
    clock_terminates: bool = False  # the time limit is a true end, of value 0, as in the code's learners

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        numbers = Vector(6 * self.size)
        return Spec(
            agents=2,
            view=numbers,
            action=Discrete(5),
            length=self.length,
            state=numbers,
            headline="boxes",
            scripts=("pusher", "left-pusher"),
            agent_colours=(agent_hex(0), agent_hex(1)),
            action_names=("up", "right", "down", "left", "stay"),
            event_names=("boxes",),
            event_words=(("boxes", "the box reaches the wall"),),
        )

    def reset(self, key: Key) -> tuple[State, Observation]:
        agents = jnp.full((2, 2), START, jnp.int32)
        state = State(agents, drawn_box(key, agents, self.size), jnp.zeros((), jnp.int32))
        return state, observation(state, self.size)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        agents, box = moved(state, action, self.size)
        hit = ((box == 0) | (box == self.size - 1)).any()
        after = State(agents, box, state.time + 1)
        before = observation(after, self.size)
        if self.respawn:
            after = after._replace(box=jnp.where(hit, drawn_box(key, agents, self.size), box))
        late = after.time >= self.length
        over = jnp.bool_(False) if self.respawn else hit
        return after, Timestep(
            observation=observation(after, self.size) if self.first_observation == "after" else before,
            reward=jnp.where(hit, jnp.float32(self.reward), 0.0) * jnp.ones(2),
            terminated=over | late if self.clock_terminates else over,
            truncated=jnp.bool_(False) if self.clock_terminates else late & ~over,
            info={"boxes": hit.astype(jnp.float32), "cell": (agents @ jnp.array([self.size, 1])).astype(jnp.float32)},
        )

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """[B]: `boxes` at the wall, `pushed`: 1 if there were any, `joint_cells` visited; [B, 2]: `cells` visited."""
        boxes = jnp.where(valid, info["boxes"], 0.0).sum(0)
        return {
            "boxes": boxes,
            "pushed": (boxes > 0).astype(jnp.float32),
            **explored(info["cell"], valid, self.size**2),
        }

    def cells(self, view: Array) -> tuple[Array, Array]:
        """Reads (cells of the agents [..., 2, 2], cell of the box [..., 2]) from views [..., 2, 6 S]."""
        found = cell_of(view[..., 0, :], self.size)
        return found[..., :2, :], found[..., 2, :]

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory, act) of a scripted player, which goes to the box and pushes it: "pusher" to the wall that it
        reaches soonest, "left-pusher" always to the left."""
        ways = (UP, RIGHT, DOWN, LEFT) if name == "pusher" else (LEFT,)
        act = jnp.vectorize(partial(pushing, ways, self.size), signature="(v)->()")
        return (), lambda memory, view: (act(view), memory)

    def draw(self, state: State) -> np.ndarray:
        """uint8 [H, W, 3] of one game."""
        from comity.drawing.sparse import push_box

        return push_box(np.asarray(state.agents), np.asarray(state.box), self.size)


def drawn_box(key: Key, agents: Array, size: int) -> Array:
    """Draws a cell [2] of the inner square (size 15: rows, columns 4 to 11), uniformly from those without an agent."""
    low, high = size // 4 + 1, 3 * size // 4
    rows, columns = jnp.meshgrid(*(jnp.arange(low, high + 1),) * 2, indexing="ij")
    cells = jnp.stack([rows, columns], -1).reshape(-1, 2)  # [K, 2]
    free = ~(cells[:, None] == agents).all(-1).any(-1)
    upto = jnp.cumsum(free)
    place = jnp.floor(jax.random.uniform(key) * upto[-1]).astype(jnp.int32)  # the free cells are numbered from 0
    return cells[jnp.minimum((upto <= place).sum(), len(cells) - 1)].astype(jnp.int32)


def moved(state: State, action: Array, size: int) -> tuple[Array, Array]:
    """Returns (agents [2, 2], box [2]) after a step. The box moves first; then agents move, and it may block them."""
    towards = jnp.clip(state.agents + jnp.asarray(MOVES)[action], 1, size - 2)
    pushes = (towards == state.box).all(-1) & (state.agents != state.box).any(-1)
    count = (jax.nn.one_hot(action, 5, dtype=jnp.int32) * pushes[:, None]).sum(0)
    force = jnp.stack([count[DOWN] - count[UP], count[RIGHT] - count[LEFT]])
    shifted = state.box + jnp.sign(force) * (jnp.abs(force) >= NEEDED)
    occupied = (state.agents == shifted).all(-1).any()
    box = jnp.where(occupied, state.box, shifted).astype(jnp.int32)
    blocked = (towards == box).all(-1, keepdims=True)
    return jnp.where(blocked, state.agents, towards).astype(jnp.int32), box


def observation(state: State, size: int) -> Observation:
    """Returns the observation; both agents see the same."""
    numbers = one_hot(jnp.concatenate([state.agents, state.box[None]]), size)
    return Observation(jnp.stack([numbers] * 2), numbers, jnp.ones((2, 5), bool))


def pushing(ways: tuple[int, ...], size: int, view: Array) -> Array:
    """[] int32, the action of a script: it pushes in the direction of `ways` that takes the fewest steps in all."""
    me, _, box = cell_of(view, size)
    free = jnp.pad(jnp.ones((size - 2, size - 2), bool), 1).at[box[0], box[1]].set(False)
    pushes = {UP: box[0], RIGHT: size - 1 - box[1], DOWN: size - 1 - box[0], LEFT: box[1]}
    costs, steps = [], []
    for direction in ways:
        side = box - jnp.asarray(MOVES)[direction]  # the cell to stand in
        way = distances(side, free)
        costs.append(way[me[0], me[1]] + pushes[direction])
        ahead = jnp.stack([way[me[0] + row, me[1] + column] for row, column in MOVES[:STAY]])
        steps.append(jnp.where((me == side).all(), direction, ahead.argmin()))
    return jnp.stack(steps)[jnp.stack(costs).argmin()].astype(jnp.int32)
