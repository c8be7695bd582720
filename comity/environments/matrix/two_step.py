"""The two-step game (Rashid et al. 2018, QMIX, section 5.1): do agents leave a safe table for a better, risky one?

First the action of agent 0 alone picks a table; then both choose, and the table pays once. Table 2A pays 7 for any
joint action, table 2B pays up to 8. docs/tasks/small_games.md: the known results of each learner.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {"paper": {}}

FIRST, SAFE, RISKY = range(3)  # states 1, 2A, 2B
PAYOFF = np.zeros((3, 2, 2), np.float32)  # [state, action of agent 0, of agent 1], points to both
PAYOFF[SAFE] = 7.0
PAYOFF[RISKY] = [[0.0, 1.0], [1.0, 8.0]]
BEST = 8.0  # largest return of an episode


class State(NamedTuple):
    where: Array  # [] int32: FIRST, SAFE or RISKY
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class TwoStep:
    """Two agents, two actions, two steps. view int8 [2, 5]: state as one-hot, own index as one-hot; state int8 [3]."""

    spec = Spec(2, Vector(5), Discrete(2), 2, state=Vector(3), headline="optimal", action_names=("A", "B"))

    def reset(self, key: Key) -> tuple[State, Observation]:
        state = State(jnp.int32(FIRST), jnp.int32(0))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        paid = jnp.asarray(PAYOFF)[state.where, action[0], action[1]]
        first = state.where == FIRST
        after = State(jnp.where(first, SAFE + action[0], state.where).astype(jnp.int32), state.time + 1)
        info = {
            "optimal": (paid == BEST).astype(jnp.float32),
            "risky": (first & (after.where == RISKY)).astype(jnp.float32),  # agent 0 chose table 2B
        }
        reward = jnp.broadcast_to(paid, (2,))
        return after, Timestep(self.observation(after), reward, after.time >= self.spec.length, jnp.bool_(False), info)

    def observation(self, state: State) -> Observation:
        """Returns the observation of a state. After the end it is the state that paid."""
        where = jax.nn.one_hot(state.where, 3, dtype=jnp.int8)
        view = jnp.concatenate([jnp.tile(where, (2, 1)), jnp.eye(2, dtype=jnp.int8)], -1)
        return Observation(view, where, jnp.ones((2, 2), bool))
