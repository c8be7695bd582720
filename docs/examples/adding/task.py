"""Toy: say the number that one sees, an example of how a task is added (docs/adding.md)."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from comity.settings import TwoOrMore, check
from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {"paper": {}}


@dataclass(frozen=True)
class Toy:
    """Two agents, one step, 1 point to each for the number that it saw. view int8 [2, numbers]: one-hot."""

    numbers: TwoOrMore = 3  # how many there are

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        return Spec(agents=2, view=Vector(self.numbers), action=Discrete(self.numbers), length=1, state=Vector(1))

    def reset(self, key: Key) -> tuple[Array, Observation]:
        seen = jax.random.randint(key, (2,), 0, self.numbers)
        return seen, self.observation(seen)

    def step(self, key: Key, state: Array, action: Array) -> tuple[Array, Timestep]:
        reward = (action == state).astype(jnp.float32)
        return state, Timestep(self.observation(state), reward, jnp.bool_(True), jnp.bool_(False), {})

    def observation(self, seen: Array) -> Observation:
        """What is seen, before and after."""
        view = jax.nn.one_hot(seen, self.numbers, dtype=jnp.int8)
        return Observation(view, jnp.ones(1, jnp.int8), jnp.ones((2, self.numbers), bool))
