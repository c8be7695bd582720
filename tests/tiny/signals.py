"""A tiny game, as a user's own file: each of two agents sees the number that the other has to name.

An agent does not see its own number, so the best is to tell the other's number by the last action. This can be learned
in part, which is enough to change every array of a run. Episodes end early when both are right.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.settings import Fraction, Positive, check
from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep


class State(NamedTuple):
    target: Array  # [N] int32
    last: Array  # [N] int32
    time: Array  # [] int32
    turn: Array  # [] int32, 1: both are shown their own number instead
    broken: Array  # [] bool, this episode's rewards are NaN


@dataclass(frozen=True)
class Signals:
    """Two agents, three numbers. view [N, 7]: a number, the other's last action, time."""

    length: Positive[int] = 6  # steps per episode
    bonus: float = 1.0  # reward of a right number
    nan_chance: Fraction = 0.0  # that an episode's rewards are NaN: for tests of broken games

    @property
    def spec(self) -> Spec:
        return Spec(2, Vector(7), Discrete(3), self.length, state=Vector(6), headline="right")

    def __post_init__(self):
        check(self)

    def reset(self, key: Key) -> tuple[State, Observation]:
        return self.begin(key, jnp.zeros((), jnp.int32))

    def begin(self, key: Key, turn: Array) -> tuple[State, Observation]:
        key_target, key_broken = jax.random.split(key)
        target = jax.random.randint(key_target, (2,), 0, 3)
        broken = jax.random.uniform(key_broken) < self.nan_chance
        state = State(target, jnp.full(2, -1), jnp.zeros((), jnp.int32), turn, broken)
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        right = action == state.target  # [N]
        reward = jnp.where(state.broken, jnp.nan, self.bonus * right)
        state = state._replace(last=action, time=state.time + 1)
        terminated, truncated = right.all(), state.time >= self.length
        return state, Timestep(self.observe(state), reward, terminated, truncated & ~terminated, {"right": right})

    def observe(self, state: State) -> Observation:
        shown = jax.nn.one_hot(jnp.where(state.turn == 1, state.target, state.target[::-1]), 3)
        time = jnp.full((2, 1), state.time / self.length)
        view = jnp.concatenate([shown, jax.nn.one_hot(state.last[::-1], 3), time], -1)
        return Observation(view, jax.nn.one_hot(state.target, 3).reshape(-1), jnp.ones((2, 3), bool))


@dataclass(frozen=True)
class Turns(Signals):
    """Every other episode in the same place shows agents their own number: what the count of episodes decides."""

    def reset(self, key: Key, episode: Array) -> tuple[State, Observation]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.begin(key, episode % 2)
