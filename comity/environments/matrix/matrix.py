"""One matrix, one step: two agents choose a row and a column, and both get the entry there.

The default payoff is the game of QTRAN (Son et al. 2019, section 5.1). The best entry stands among the worst, so a
learner that judges its own action by an average over the other's actions avoids it. docs/tasks/small_games.md: the
known results of each learner.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.settings import check
from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {"paper": {}}


@dataclass(frozen=True)
class Matrix:
    """Two agents, one action per row of the matrix. view int8 [2, 3]: 1, own index as one-hot; state int8 [1]: 1."""

    payoff: tuple[float, ...] = (8, -12, -12, -12, 0, 0, -12, 0, 0)  # points, row by row; rows are agent 0's actions

    def __post_init__(self) -> None:
        check(self)
        if not self.payoff or math.isqrt(len(self.payoff)) ** 2 != len(self.payoff):
            raise ValueError(f"payoff has {len(self.payoff)} numbers: give a square matrix, row by row")

    @property
    def spec(self) -> Spec:
        n = math.isqrt(len(self.payoff))
        names = tuple(chr(ord("A") + k) if k < 26 else str(k) for k in range(n))
        return Spec(2, Vector(3), Discrete(n), 1, state=Vector(1), headline="optimal", action_names=names)

    @property
    def table(self) -> np.ndarray:
        """float32 [A, A], points for (action of agent 0, action of agent 1)."""
        return np.asarray(self.payoff, np.float32).reshape(self.spec.action.n, -1)

    def reset(self, key: Key) -> tuple[tuple[()], Observation]:
        return (), self.observation()

    def step(self, key: Key, state: tuple[()], action: Array) -> tuple[tuple[()], Timestep]:
        paid = jnp.asarray(self.table)[action[0], action[1]]
        info = {"optimal": (paid == self.table.max()).astype(jnp.float32)}
        return (), Timestep(self.observation(), jnp.broadcast_to(paid, (2,)), jnp.bool_(True), jnp.bool_(False), info)

    def observation(self) -> Observation:
        """Returns the observation, the same before and after the step: an agent sees only its own index."""
        view = jnp.concatenate([jnp.ones((2, 1), jnp.int8), jnp.eye(2, dtype=jnp.int8)], -1)
        return Observation(view, jnp.ones(1, jnp.int8), jnp.ones((2, self.spec.action.n), bool))
