"""A game of random images: an agent is paid if it names the brightest channel."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.spec import Discrete, Image, Spec, Vector
from comity.types import Observation, Timestep
from tests.tiny.noise import masks

AGENTS, ACTIONS, LENGTH = 2, 3, 4
VIEW, STATE = Image(4, 5, ACTIONS), Image(6, 3, 2)


class State(NamedTuple):
    view: Array  # [N, h, w, c] uint8
    time: Array  # [] int32


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Views are pictures; the state is one, too, or empty. An episode may end early."""

    state: str = "image"  # or "empty"

    @property
    def spec(self) -> Spec:
        return Spec(AGENTS, VIEW, Discrete(ACTIONS), LENGTH, state=STATE if self.state == "image" else Vector(0))

    def draw(self, key, time) -> tuple[State, Observation]:
        key_view, key_state, key_available = jax.random.split(key, 3)
        pixels = lambda key, *shape: jax.random.randint(key, shape, 0, 256).astype(jnp.uint8)  # noqa: E731
        view = pixels(key_view, AGENTS, *VIEW.shape)
        whole = pixels(key_state, *STATE.shape) if self.state == "image" else jnp.zeros(0)
        return State(view, time), Observation(view, whole, masks(key_available, (AGENTS,)))

    def reset(self, key):
        return self.draw(key, jnp.int32(0))

    def step(self, key, state, action):
        after, observation = self.draw(key, state.time + 1)
        brightest = state.view.mean((1, 2)).argmax(-1)
        late, over = after.time >= LENGTH, state.view[0, 0, 0, 0] < 60
        return after, Timestep(observation, 1.0 * (action == brightest), over, late & ~over, {})
