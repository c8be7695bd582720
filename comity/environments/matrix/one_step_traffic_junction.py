"""One-step traffic junction (Zhou et al. 2020, LICA, section 4.3.1): exactly one of two cars should pass.

The two joint actions that pay are equally good, and a view tells an agent only its own index. So the agents must learn
to act differently. docs/tasks/small_games.md: the known results of each learner.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {"paper": {}}

WAIT, PASS = range(2)


@dataclass(frozen=True)
class OneStepTrafficJunction:
    """Two agents, two actions, one step. view int8 [2, 2]: own index as one-hot; state int8 [1]: always 1."""

    spec = Spec(2, Vector(2), Discrete(2), 1, state=Vector(1), headline="optimal", action_names=("wait", "pass"))

    def reset(self, key: Key) -> tuple[tuple[()], Observation]:
        return (), self.observation()

    def step(self, key: Key, state: tuple[()], action: Array) -> tuple[tuple[()], Timestep]:
        one = (action[0] != action[1]).astype(jnp.float32)
        info = {"optimal": one, "passes": (action == PASS).astype(jnp.float32)}
        return (), Timestep(self.observation(), jnp.broadcast_to(one, (2,)), jnp.bool_(True), jnp.bool_(False), info)

    def observation(self) -> Observation:
        """Returns the observation, the same before and after the step."""
        return Observation(jnp.eye(2, dtype=jnp.int8), jnp.ones(1, jnp.int8), jnp.ones((2, 2), bool))
