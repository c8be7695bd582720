"""MyWrapper: a game around a game. Here an agent sometimes repeats its last action. Change it as you like."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.environments.matrix.repeated_matrix import RepeatedMatrix
from comity.settings import Fraction, check
from comity.spec import Discrete, Functions, Spec, functions
from comity.types import Key, Observation, PyTree, Timestep, begin

INSIDE = RepeatedMatrix()


class State(NamedTuple):
    """State of the inner game, and what the wrapper remembers."""

    game: PyTree
    last: Array  # [N] int32, the last actions; -1 before the first


@dataclass(frozen=True)
class MyWrapper:
    """A wrapper. Its fields are flags: `--task.chance 0.5`, those of the game inside `--task.game.length 20`."""

    game: RepeatedMatrix = INSIDE  # the game inside: put your own class here
    chance: Fraction = 0.25  # probability that an agent repeats its last action

    def __post_init__(self) -> None:
        check(self)
        if not isinstance(self.game.spec.action, Discrete):
            raise ValueError("MyWrapper needs a game of one discrete action per agent")

    @property
    def spec(self) -> Spec:
        return replace(self.game.spec, scripts=())  # all other entries stay as they are

    @property
    def functions(self) -> Functions:
        """The game's own optional functions, as far as they hold for the wrapped game."""
        inner = functions(self.game)
        draw = inner.draw
        own = {} if draw is None else {"draw": lambda state: draw(state.game)}
        return Functions()._replace(summary=inner.summary, **own)

    def reset(self, key: Key, episode: Array | int = 0) -> tuple[State, Observation]:
        game, observation = begin(self.game, key, episode)
        return State(game, jnp.full(self.game.spec.agents, -1)), observation

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        key_again, key_game = jax.random.split(key)
        again = jax.random.bernoulli(key_again, self.chance, action.shape) & (state.last >= 0)
        done = jnp.where(again, state.last, action)
        game, timestep = self.game.step(key_game, state.game, done)
        again_share = again.mean() / self.spec.length
        return State(game, done), timestep._replace(info={**timestep.info, "again": again_share})
