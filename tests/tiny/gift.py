"""The smallest gift: agent 0 gets its own reward first, then may give; agent 1 may use the gift; both are paid."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.spec import Discrete, Spec, Vector
from comity.types import Collective, Observation, Timestep, Transition


class State(NamedTuple):
    time: Array  # [] int32
    given: Array  # [] bool


@dataclass(frozen=True)
class Gift:
    """Step 0: nothing is decided. Step 1: agent 0 gives by action 1. Step 2: agent 1 uses by action 1."""

    length: int = 3

    @property
    def spec(self) -> Spec:
        return Spec(2, Vector(5), Discrete(2), self.length, state=Vector(2), headline="success")

    def observe(self, state: State) -> Observation:
        now = jnp.tile(jax.nn.one_hot(state.time, 3), (2, 1))
        return Observation(jnp.concatenate([now, jnp.eye(2)], -1), jnp.zeros(2), jnp.ones((2, 2), bool))

    def reset(self, key):
        state = State(jnp.int32(0), jnp.bool_(False))
        return state, self.observe(state)

    def step(self, key, state, action):
        given = state.given | ((state.time == 1) & (action[0] == 1))
        success = (state.time == 2) & state.given & (action[1] == 1)
        after = State(state.time + 1, given)
        reward = jnp.broadcast_to(1.0 * success, (2,))
        info = {"success": 1.0 * success, "given": 1.0 * (given & ~state.given)}
        return after, Timestep(self.observe(after), reward, after.time >= 3, jnp.bool_(False), info)

    def collective(self, steps: Transition) -> Collective:
        times, games, _ = steps.reward.shape
        giver = jnp.broadcast_to(jnp.array([True, False]), (games, 2))
        return Collective(steps.reward[..., 0], giver, jnp.broadcast_to(jnp.arange(times)[:, None] > 0, (times, games)))
