"""Stag hunt, repeated: hunt together, or catch a hare alone (Skyrms 2004, ch. 1)."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.spec import Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep

STAG, HARE = 0, 1


class State(NamedTuple):
    last: Array  # [N] int32, last actions
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class MyGame:
    """Two hunters. view [N, 4]: one-hot of (mine, theirs), zeros at the start. Rewards in points."""

    stag: float = 4.0  # to each, if both hunt the stag
    hare: float = 3.0  # to whoever catches a hare

    # Of the game itself, so no setting: it has no type.
    spec = Spec(
        agents=2,
        view=Vector(4),
        action=Discrete(2),
        length=10,
        state=Vector(8),
        headline="stags",
        action_names=("stag", "hare"),
    )

    def reset(self, key: Key) -> tuple[State, Observation]:
        state = State(last=jnp.zeros(2, jnp.int32), time=jnp.zeros((), jnp.int32))
        return state, observe(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        caught = (action == STAG).all()  # []
        reward = jnp.where(action == HARE, self.hare, self.stag * caught)  # [N]
        state = State(last=action, time=state.time + 1)
        return state, Timestep(
            observation=observe(state),
            reward=reward,
            terminated=jnp.bool_(False),
            truncated=state.time >= self.spec.length,
            info={"stags": caught / self.spec.length},  # summed over an episode: the share of steps with a stag
        )

    def draw(self, state: State) -> np.ndarray:
        """uint8 [H, W, 3]: a square for each hunter's last choice, brown for stag, grey for hare; white before any."""
        picture = np.full((24, 48, 3), 255, np.uint8)
        for hunter, choice in enumerate(np.asarray(state.last)):
            if state.time > 0:
                picture[4:20, 24 * hunter + 4 : 24 * hunter + 20] = (140, 90, 40) if choice == STAG else (160, 160, 160)
        return picture


def observe(state: State) -> Observation:
    view = jax.nn.one_hot(2 * state.last + state.last[::-1], 4) * (state.time > 0)  # [N, 4]
    return Observation(view, state=view.reshape(-1), available=jnp.ones((2, 2), bool))
