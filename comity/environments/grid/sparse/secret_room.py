"""Secret Room: doors are open only while an agent stands on a switch (Wang et al. 2020, arXiv 1910.05512).

One agent holds a door for the other, and the other then holds it from inside for the first. The task of EITI and EDTI,
and of ALITA (arXiv 2108.12581, table 1). docs/tasks/secret_room.md: the rules in words, a picture, and the shortest
plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import agent_hex
from comity.environments.grid.sparse.steps import MOVES, cell_of, explored, one_hot
from comity.settings import NotNegative, Positive, Range, check
from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules: raised whenever the same seed would give another game

PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},
    "released": {"obs": "code", "hold_open": 8, "clock_terminates": True},
}

DOORS = 3  # also the number of small rooms

# The shortest plan from (0, 0) with hold_open 0 has 49 steps; the tests search all joint plans.
PLANS = {  # the actions of agent 0, and of agent 1
    "walker": "0000000000011111111111222110000000001111111222200",
    "opener": "1111122222222222222222222000000000000000011111111",
}


class Rooms(NamedTuple):
    """Where things stand in a room of `size` cells on a side. Cells are (row, column)."""

    size: int
    wall: int  # the column between the large room and the small ones
    room_walls: tuple[int, int]  # rows between the small rooms
    doors: tuple[tuple[int, int], ...]  # rows of each door's two cells, in column `wall`: top, middle, bottom
    switches: np.ndarray  # [4, 2] that of the large room opens all doors, that of a small room its own door

    def walls(self) -> np.ndarray:
        """[size, size] bool, the cells of walls; cells of doors are no walls."""
        found = np.zeros((self.size, self.size), bool)
        found[:, self.wall] = True
        found[self.room_walls, self.wall :] = True
        for rows in self.doors:
            found[list(rows), self.wall] = False
        return found

    def door_cells(self) -> np.ndarray:
        """[size, size] int32, the number of the door that a cell belongs to, 3 for none."""
        found = np.full((self.size, self.size), DOORS, np.int32)
        for door, rows in enumerate(self.doors):
            found[list(rows), self.wall] = door
        return found


def rooms(size: int) -> Rooms:
    """The paper's has 25 cells: column 12, rows 8 and 16, switches at (20, 5), (4, 20), (12, 20), (20, 20)."""
    third, far = size // 3, size * 4 // 5
    middles = [third * k + third // 2 for k in range(DOORS)]  # rows of the small rooms
    switches = [(middles[-1], size // 5), *((row, far) for row in middles)]
    doors = tuple((row - 1, row) for row in middles)
    return Rooms(size, size // 2, (third, 2 * third), doors, np.array(switches, np.int32))


class State(NamedTuple):
    """One game. Cells are (row, column)."""

    agents: Array  # [2, 2] int32
    opened: Array  # [3] bool, open doors
    waited: Array  # [3] int32, number of steps that each open door has stayed open
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class SecretRoom:
    """Two agents, three doors. view int8 [2, 4 S + 3]: one-hot row and column of both agents, and the open doors."""

    size: Annotated[int, Range(12)] = 25  # S, cells on a side
    length: Positive[int] = 300  # steps per episode
    reward: NotNegative[float] = 1000.0  # points to each agent when both are in the top room
    hold_open: NotNegative[int] = 0  # more steps that a door stays open after a switch opened it; the code has 8
    fixed_start: bool = True  # both start at (0, 0), as in the published commands; False: anywhere in the large room
    obs: Literal["doors", "code"] = "doors"  # doors: views show the doors, as in the paper | code: they do not
    clock_terminates: bool = False  # the time limit is a true end, of value 0, as in the code's learners

    def __post_init__(self) -> None:
        check(self)

    @property
    def rooms(self) -> Rooms:
        return rooms(self.size)

    @property
    def spec(self) -> Spec:
        numbers = Vector(4 * self.size + DOORS * (self.obs == "doors"))
        return Spec(
            agents=2,
            view=numbers,
            action=Discrete(4),
            length=self.length,
            state=numbers,
            headline="success",
            scripts=tuple(PLANS) if self.size == 25 else (),
            agent_colours=(agent_hex(0), agent_hex(1)),
            action_names=("up", "right", "down", "left"),
            event_names=("success", "doors_opened"),
            event_words=(("success", "everybody is in the room"), ("doors_opened", "a door opens")),
        )

    def reset(self, key: Key) -> tuple[State, Observation]:
        agents = jnp.zeros((2, 2), jnp.int32)
        if not self.fixed_start:
            agents = jax.random.randint(key, (2, 2), 0, jnp.array([self.size, self.rooms.wall]))
        state = State(agents, jnp.zeros(DOORS, bool), jnp.zeros(DOORS, jnp.int32), jnp.zeros((), jnp.int32))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        agents = moved(self.rooms, state, action)
        opened, waited = doors_after(self, state, agents)
        after = State(agents, opened, waited, state.time + 1)
        inside = agents[:, 1] > self.rooms.wall
        success = (inside & (agents[:, 0] < self.rooms.room_walls[0])).all()
        late = (after.time >= self.length) & ~success
        return after, Timestep(
            observation=self.observation(after),
            reward=jnp.where(success, jnp.float32(self.reward), 0.0) * jnp.ones(2),
            terminated=success | late if self.clock_terminates else success,
            truncated=jnp.bool_(False) if self.clock_terminates else late,
            info={
                "success": success.astype(jnp.float32),
                "doors_opened": (opened & ~state.opened).sum().astype(jnp.float32),
                "inside": inside.astype(jnp.float32),
                "cell": (agents @ jnp.array([self.size, 1])).astype(jnp.float32),
            },
        )

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """[B]: `success`, `doors_opened`, `joint_cells` visited; [B, 2]: `inside` (steps in small rooms), `cells`."""
        total = lambda x: jnp.where(valid.reshape(*valid.shape, *(1,) * (x.ndim - 2)), x, 0.0).sum(0)  # noqa: E731
        totals = {name: total(info[name]) for name in ("success", "doors_opened", "inside")}
        return {**totals, **explored(info["cell"], valid, self.size**2)}

    def observation(self, state: State) -> Observation:
        """Returns the observation; both agents see the same."""
        numbers = one_hot(state.agents, self.size)
        if self.obs == "doors":
            numbers = jnp.concatenate([numbers, state.opened.astype(jnp.int8)])
        return Observation(jnp.stack([numbers] * 2), numbers, jnp.ones((2, 4), bool))

    def cells(self, view: Array) -> tuple[Array, Array]:
        """Reads (cells of the agents [..., 2, 2], nothing [..., 0]) from views [..., 2, V]. Doors are left out."""
        found = cell_of(view[..., 0, : 4 * self.size], self.size)
        return found, found[..., 0, :0]

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory, act) of one of PLANS. It plays without looking: from the fixed start of size 25, with
        hold_open 0."""
        moves = jnp.array([int(move) for move in PLANS[name]], jnp.int32)

        def act(time: Array, view: Array) -> tuple[Array, Array]:
            del view
            return moves[jnp.minimum(time, len(moves) - 1)], time + 1

        return jnp.zeros((), jnp.int32), act

    def draw(self, state: State) -> np.ndarray:
        """uint8 [H, W, 3] of one game."""
        from comity.drawing.sparse import secret_room

        rooms = self.rooms
        cells = [[(row, rooms.wall) for row in rows] for rows in rooms.doors]
        return secret_room(np.asarray(state.agents), rooms.walls(), cells, np.asarray(state.opened), rooms.switches)


def moved(rooms: Rooms, state: State, action: Array) -> Array:
    """Returns agents [2, 2] after a step. They cannot leave the grid, or enter a wall or a closed door."""
    towards = jnp.clip(state.agents + jnp.asarray(MOVES)[action], 0, rooms.size - 1)
    row, column = towards[:, 0], towards[:, 1]
    passable = jnp.append(state.opened, True)[jnp.asarray(rooms.door_cells())[row, column]]
    free = passable & ~jnp.asarray(rooms.walls())[row, column]
    return jnp.where(free[:, None], towards, state.agents).astype(jnp.int32)


def doors_after(game: SecretRoom, state: State, agents: Array) -> tuple[Array, Array]:
    """Returns (open doors [3], steps that they have stayed open [3]).

    An open door closes after `hold_open` more steps. A switch opens only a closed door.
    """
    over = state.opened & (state.waited >= game.hold_open)
    still = state.opened & ~over
    on = (agents[:, None] == jnp.asarray(game.rooms.switches)).all(-1).any(0)  # [4]
    pressed = ~still & (on[0] | on[1:])
    waited = jnp.where(still, state.waited + 1, 0)
    return still | pressed, waited.astype(jnp.int32)
