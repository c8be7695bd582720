"""MyTask: two agents on a ring of cells are paid for standing together. Change rules, views and rewards as you like."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.settings import Positive, check
from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep

MOVES = jnp.array([-1, 0, 1])  # movement of each action


class State(NamedTuple):
    """Everything that changes in a game."""

    place: Array  # [N] int32, cells
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class MyTask:
    """A game. Its fields are flags: `--task.cells 7`. view [N, 2 cells]: one-hot of the own place, of the other's."""

    cells: Positive[int] = 5  # cells of the ring
    point: float = 1.0  # reward of each agent for a step after which both stand together
    length: Positive[int] = 10  # steps of an episode

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        return Spec(
            agents=2,
            view=Vector(2 * self.cells),
            action=Discrete(3),
            length=self.length,
            state=Vector(2 * self.cells),  # what a central critic may read
            headline="together",  # the number shown first, one of `info`
            action_names=("left", "stay", "right"),
            agent_names=("yellow", "blue"),
            agent_colours=("#e6b428", "#3c6ec8"),  # as `draw` paints them
        )

    def reset(self, key: Key) -> tuple[State, Observation]:
        state = State(jax.random.randint(key, (2,), 0, self.cells), jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        """Plays one step of one game; action [N]. All randomness comes from `key`; use `jnp.where` instead of `if`."""
        state = State((state.place + MOVES[action]) % self.cells, state.time + 1)
        together = state.place[0] == state.place[1]  # []
        return state, Timestep(
            observation=self.observe(state),
            reward=jnp.full(2, self.point) * together,  # [N]
            terminated=jnp.bool_(False),  # True if the game is over: what follows is worth 0
            truncated=state.time >= self.length,  # True if only the time limit is reached
            info={"together": together / self.length},  # summed over an episode
        )

    def observe(self, state: State) -> Observation:
        here = jax.nn.one_hot(state.place, self.cells)  # [N, cells]
        view = jnp.concatenate([here, here[::-1]], 1)  # [N, 2 cells]
        return Observation(view, state=here.reshape(-1), available=jnp.ones((2, 3), bool))

    def draw(self, state: State) -> np.ndarray:
        """Draws the game for `comity watch`, uint8 [H, W, 3]: a row of cells for each agent."""
        picture = np.full((48, 24 * self.cells, 3), 235, np.uint8)
        for agent, colour in enumerate(((230, 180, 40), (60, 110, 200))):
            left = 24 * int(state.place[agent])
            picture[24 * agent + 4 : 24 * agent + 20, left + 4 : left + 20] = colour
        return picture
