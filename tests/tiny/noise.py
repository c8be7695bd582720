"""A game in which everything but the reward is random. All algorithms can be tested on it."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.spec import Discrete, Spec, Vector
from comity.types import Collective, Observation, Timestep

N, A, V, S = 2, 3, 5, 4  # agents, actions, numbers in a view and a state; no other size of a test is N
LENGTH = 4  # steps of an episode


class State(NamedTuple):
    view: Array  # [N, V]
    available: Array  # [N, A] bool
    time: Array  # [] int32


@dataclasses.dataclass(frozen=True)
class Noise:
    """Random views and masks. An episode may end early, else the clock truncates it. Exchanging agents changes nothing
    but the order of what is theirs: the state is a sum over agents."""

    @property
    def spec(self) -> Spec:
        return Spec(N, Vector(V), Discrete(A), LENGTH, state=Vector(S))

    def draw(self, key, time) -> tuple[State, Observation]:
        key_view, key_available = jax.random.split(key)
        view = jax.random.normal(key_view, (N, V))
        state = State(view, masks(key_available, (N,)), time)
        return state, Observation(view, view.sum(0)[:S], state.available)

    def reset(self, key):
        return self.draw(key, jnp.int32(0))

    def step(self, key, state, action):
        after, observation = self.draw(key, state.time + 1)
        over = (action[0] == action[1]) & (state.view[:, 0].sum() > 0)
        reward = jnp.where(action == state.view[:, :A].argmax(-1), 1.0, 0.0) + 0.5 * (action[0] != action[1])
        late = after.time >= LENGTH
        return after, Timestep(observation, reward, over, late & ~over, {})

    def collective(self, steps):
        """The first agent is the giver, and what follows the first step is everybody's."""
        games = steps.valid.shape[1]
        giver = jnp.broadcast_to(jnp.arange(N) == 0, (games, N))
        after = steps.valid & (jnp.arange(len(steps.valid)) > 0)[:, None]
        return Collective(steps.reward.min(-1), giver, after)


def masks(key, axes: tuple[int, ...]) -> Array:
    """[*axes, A] bool, at least one action available."""
    key_some, key_one = jax.random.split(key)
    one = jax.random.randint(key_one, (*axes, 1), 0, A) == jnp.arange(A)
    return jax.random.bernoulli(key_some, 0.4, (*axes, A)) | one
