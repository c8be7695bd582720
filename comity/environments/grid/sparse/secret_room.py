"""Secret Room: doors are open only while an agent stands on a switch (Wang et al. 2020, arXiv 1910.05512).

One agent holds a door for the other, and the other then holds it from inside for the first. The task of EITI and EDTI,
and of ALITA (arXiv 2108.12581, table 1). docs/tasks/secret_room.md: the rules in words, a picture, and the shortest
plan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import agent_hex
from comity.environments.grid.sparse.steps import MOVES, cell_of, explored, one_hot
from comity.settings import NotNegative, Positive, check
from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules: raised whenever the same seed would give another game

PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},
    "released": {"obs": "code", "hold_open": 8, "clock_terminates": True},
}

SIZE, WALL = 25, 12  # cells on a side; the column of the wall between the large room and the small ones
ROOM_WALLS = (8, 16)  # rows between the small rooms
DOORS = ((3, 4), (11, 12), (19, 20))  # rows of each door's two cells, in column WALL: top, middle, bottom
# The switch of the large room opens all doors, the switch of a small room opens its own door.
SWITCHES = np.array([(20, 5), (4, 20), (12, 20), (20, 20)], np.int32)

# The shortest plan from (0, 0) with hold_open 0 has 49 steps; the tests search all joint plans.
PLANS = {  # the actions of agent 0, and of agent 1
    "walker": "0000000000011111111111222110000000001111111222200",
    "opener": "1111122222222222222222222000000000000000011111111",
}


def walls() -> np.ndarray:
    """[SIZE, SIZE] bool, the cells of walls; cells of doors are no walls."""
    found = np.zeros((SIZE, SIZE), bool)
    found[:, WALL] = True
    found[ROOM_WALLS, WALL:] = True
    for rows in DOORS:
        found[list(rows), WALL] = False
    return found


def door_cells() -> np.ndarray:
    """[SIZE, SIZE] int32, the number of the door that a cell belongs to, 3 for none."""
    found = np.full((SIZE, SIZE), len(DOORS), np.int32)
    for door, rows in enumerate(DOORS):
        found[list(rows), WALL] = door
    return found


class State(NamedTuple):
    """One game. Cells are (row, column)."""

    agents: Array  # [2, 2] int32
    opened: Array  # [3] bool, open doors
    waited: Array  # [3] int32, number of steps that each open door has stayed open
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class SecretRoom:
    """Two agents, three doors. view int8 [2, 103]: one-hot row and column of both agents, and the open doors."""

    length: Positive[int] = 300  # steps per episode
    reward: NotNegative[float] = 1000.0  # points to each agent when both are in the top room
    hold_open: NotNegative[int] = 0  # more steps that a door stays open after a switch opened it; the code has 8
    fixed_start: bool = True  # both start at (0, 0), as in the published commands; False: anywhere in the large room
    obs: Literal["doors", "code"] = "doors"  # doors: views show the doors, as in the paper | code: they do not
    clock_terminates: bool = False  # the time limit is a true end, of value 0, as in the code's learners

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        numbers = Vector(4 * SIZE + 3 * (self.obs == "doors"))
        return Spec(
            agents=2,
            view=numbers,
            action=Discrete(4),
            length=self.length,
            state=numbers,
            headline="success",
            scripts=tuple(PLANS),
            agent_colours=(agent_hex(0), agent_hex(1)),
            action_names=("up", "right", "down", "left"),
            event_names=("success", "doors_opened"),
            event_words=(("success", "everybody is in the room"), ("doors_opened", "a door opens")),
        )

    def reset(self, key: Key) -> tuple[State, Observation]:
        agents = jnp.zeros((2, 2), jnp.int32)
        if not self.fixed_start:
            agents = jax.random.randint(key, (2, 2), 0, jnp.array([SIZE, WALL]))
        state = State(agents, jnp.zeros(3, bool), jnp.zeros(3, jnp.int32), jnp.zeros((), jnp.int32))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        agents = moved(state, action)
        opened, waited = doors_after(self, state, agents)
        after = State(agents, opened, waited, state.time + 1)
        success = ((agents[:, 1] > WALL) & (agents[:, 0] < ROOM_WALLS[0])).all()
        late = (after.time >= self.length) & ~success
        return after, Timestep(
            observation=self.observation(after),
            reward=jnp.where(success, jnp.float32(self.reward), 0.0) * jnp.ones(2),
            terminated=success | late if self.clock_terminates else success,
            truncated=jnp.bool_(False) if self.clock_terminates else late,
            info={
                "success": success.astype(jnp.float32),
                "doors_opened": (opened & ~state.opened).sum().astype(jnp.float32),
                "inside": (agents[:, 1] > WALL).astype(jnp.float32),
                "cell": (agents @ jnp.array([SIZE, 1])).astype(jnp.float32),
            },
        )

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """[B]: `success`, `doors_opened`, `joint_cells` visited; [B, 2]: `inside` (steps in small rooms), `cells`."""
        total = lambda x: jnp.where(valid.reshape(*valid.shape, *(1,) * (x.ndim - 2)), x, 0.0).sum(0)  # noqa: E731
        totals = {name: total(info[name]) for name in ("success", "doors_opened", "inside")}
        return {**totals, **explored(info["cell"], valid, SIZE**2)}

    def observation(self, state: State) -> Observation:
        """Returns the observation; both agents see the same."""
        numbers = one_hot(state.agents, SIZE)
        if self.obs == "doors":
            numbers = jnp.concatenate([numbers, state.opened.astype(jnp.int8)])
        return Observation(jnp.stack([numbers] * 2), numbers, jnp.ones((2, 4), bool))

    def cells(self, view: Array) -> tuple[Array, Array]:
        """Reads (cells of the agents [..., 2, 2], nothing [..., 0]) from views [..., 2, V]. Doors are left out."""
        found = cell_of(view[..., 0, : 4 * SIZE], SIZE)
        return found, found[..., 0, :0]

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory, act) of one of PLANS. It plays without looking: from the fixed start, with hold_open 0."""
        plan = jnp.array([int(move) for move in PLANS[name]], jnp.int32)

        def act(time: Array, view: Array) -> tuple[Array, Array]:
            del view
            return plan[jnp.minimum(time, len(plan) - 1)], time + 1

        return jnp.zeros((), jnp.int32), act

    def draw(self, state: State) -> np.ndarray:
        """uint8 [H, W, 3] of one game."""
        from comity.drawing.sparse import secret_room

        cells = [[(row, WALL) for row in rows] for rows in DOORS]
        return secret_room(np.asarray(state.agents), walls(), cells, np.asarray(state.opened), SWITCHES)


def moved(state: State, action: Array) -> Array:
    """Returns agents [2, 2] after a step. They cannot leave the grid, or enter a wall or a closed door."""
    towards = jnp.clip(state.agents + jnp.asarray(MOVES)[action], 0, SIZE - 1)
    row, column = towards[:, 0], towards[:, 1]
    passable = jnp.append(state.opened, True)[jnp.asarray(door_cells())[row, column]]
    free = passable & ~jnp.asarray(walls())[row, column]
    return jnp.where(free[:, None], towards, state.agents).astype(jnp.int32)


def doors_after(game: SecretRoom, state: State, agents: Array) -> tuple[Array, Array]:
    """Returns (open doors [3], steps that they have stayed open [3]).

    An open door closes after `hold_open` more steps. A switch opens only a closed door.
    """
    over = state.opened & (state.waited >= game.hold_open)
    still = state.opened & ~over
    on = (agents[:, None] == jnp.asarray(SWITCHES)).all(-1).any(0)  # [4]
    pressed = ~still & (on[0] | on[1:])
    waited = jnp.where(still, state.waited + 1, 0)
    return still | pressed, waited.astype(jnp.int32)
