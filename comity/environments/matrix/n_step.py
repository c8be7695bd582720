"""The n-step matrix game (Mahajan et al. 2019, MAVEN, section 5.1): agents must explore together.

The first joint action fixes a branch, of which two of four pay. To be paid again, the team repeats that joint action
at every step; anything else ends the episode. Both good branches pay 1 per step, but the last step of branch (0, 0)
pays by a table of its own, up to 4. docs/tasks/small_games.md: the known results of each learner.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.settings import TwoOrMore, check
from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {"paper": {}}

NONE = -1  # the branch before the first joint action
GOOD = (0, 3)  # branches that pay: (0, 0) and (1, 1), numbered 2 x action of agent 0 + action of agent 1
LAST = np.array([[1.0, 1.0], [1.0, 4.0]], np.float32)  # points at the last step of branch (0, 0)


class State(NamedTuple):
    time: Array  # [] int32, steps played
    branch: Array  # [] int32, the first joint action, or NONE


@dataclass(frozen=True)
class NStep:
    """Two agents, two actions, n steps. view int8 [2, n + 5]: step as one-hot, branch as one-hot; state: the same."""

    n: TwoOrMore = 10  # steps of an episode that no agent ends early

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        size = self.n + 5
        return Spec(2, Vector(size), Discrete(2), self.n, state=Vector(size), headline="optimal")

    @property
    def best(self) -> float:
        """Largest return of an episode, in points. Branch (1, 1) gives at most n."""
        return self.n + 3.0

    def reset(self, key: Key) -> tuple[State, Observation]:
        state = State(jnp.int32(0), jnp.int32(NONE))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        joint = 2 * action[0] + action[1]
        first, last = state.time == 0, state.time == self.n - 1
        branch = jnp.where(first, joint, state.branch).astype(jnp.int32)
        good = (branch == GOOD[0]) | (branch == GOOD[1])
        paid = (good & (joint == branch)).astype(jnp.float32)
        paid = jnp.where(last & (branch == GOOD[0]), jnp.asarray(LAST)[action[0], action[1]], paid)
        after = State(state.time + 1, branch)
        info = {
            "optimal": (paid == LAST.max()).astype(jnp.float32),
            "branch_00": (first & (branch == GOOD[0])).astype(jnp.float32),
            "branch_11": (first & (branch == GOOD[1])).astype(jnp.float32),
        }
        reward = jnp.broadcast_to(paid, (2,))
        return after, Timestep(self.observation(after), reward, last | (paid == 0), jnp.bool_(False), info)

    def observation(self, state: State) -> Observation:
        """Returns the observation of a state. Before the first joint action the branch is all zeros."""
        step, branch = jax.nn.one_hot(state.time, self.n + 1), jax.nn.one_hot(state.branch, 4)
        central = jnp.concatenate([step, branch]).astype(jnp.int8)
        return Observation(jnp.tile(central, (2, 1)), central, jnp.ones((2, 2), bool))
