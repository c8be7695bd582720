"""A game of two agents that tells the number of its episode, in one step."""

from dataclasses import dataclass

import jax.numpy as jnp

from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Timestep


@dataclass(frozen=True)
class Numbered:
    """Its statistic `number` is the number that `reset` was given."""

    @property
    def spec(self):
        return Spec(agents=2, view=Vector(1), action=Discrete(2), length=1)

    def reset(self, key, episode=0):
        return jnp.asarray(episode, jnp.int32), self._seen()

    def step(self, key, state, action):
        info = {"number": state.astype(jnp.float32)}
        return state, Timestep(self._seen(), jnp.zeros(2), jnp.bool_(True), jnp.bool_(False), info)

    def _seen(self):
        return Observation(jnp.zeros((2, 1)), jnp.zeros(0), jnp.ones((2, 2), bool))
