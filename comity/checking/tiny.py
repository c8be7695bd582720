"""A tiny game for checks of algorithms, if no other is given."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.spec import Box, Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep


class State(NamedTuple):
    time: Array  # [] int32
    end: Array  # [] int32, random, so that episodes have unequal lengths
    forbidden: Array  # [N] int32, changes in every step


@dataclasses.dataclass(frozen=True)
class Tiny:
    """Two agents, three actions of which one is forbidden, up to six steps."""

    continuous: bool = False

    @property
    def spec(self) -> Spec:
        return Spec(2, Vector(4), Box(3) if self.continuous else Discrete(3), 6, state=Vector(5))

    def reset(self, key: Key) -> tuple[State, Observation]:
        end, forbidden = jax.random.split(key)
        state = State(
            jnp.zeros((), jnp.int32),
            jax.random.randint(end, (), 2, self.spec.length + 1),
            jax.random.randint(forbidden, (2,), 0, 3),
        )
        return state, self._observe(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        reward = (action == state.time % 3).astype(jnp.float32) if not self.continuous else action.sum(-1)
        state = State(state.time + 1, state.end, jax.random.randint(key, (2,), 0, 3))
        late = state.time >= self.spec.length
        over = (state.time >= state.end) & ~late
        return state, Timestep(self._observe(state), reward, over, late, {})

    def _observe(self, state: State) -> Observation:
        free = jnp.arange(3) != state.forbidden[:, None]
        available = jnp.ones((2, 3), bool) if self.continuous else free
        view = jnp.concatenate([free, jnp.broadcast_to(state.time / self.spec.length, (2, 1))], -1)
        full = jnp.stack([state.time, state.end, *state.forbidden, state.time % 3]).astype(jnp.float32)
        return Observation(view, full, available)
