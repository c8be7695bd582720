"""Point mass: push a body in a square to a target and stop there. One agent, or one for each direction.

docs/tasks/control.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.environments.control import bodies
from comity.settings import Positive, check
from comity.spec import Spec
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

PROFILES = bodies.SPLIT

INTERVAL = 0.1  # s
PUSH = 2.0  # m/s^2, of an action of 1
DRAG = 0.5  # 1/s
SEEN = tuple(f"{what}, {axis}" for what in ("place", "speed", "way to the target") for axis in "xy")
NEAR = 0.1  # m: at this distance the body counts as at the target


class State(NamedTuple):
    position: Array  # [2] m, in [-1, 1]
    velocity: Array  # [2] m/s
    target: Array  # [2] m
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class PointMass:
    """Two numbers, the push along x and y. view and state [6]: position, velocity, the target relative to the body.

    v <- v + 0.1 (2 a - 0.5 v), x <- x + 0.1 v; walls at -1 and 1 stop it. reward: -|x - target| after the step.
    """

    split: bool = False  # two agents, one for each direction
    length: Positive[int] = 50  # steps of an episode

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        return bodies.spec_of(
            ("push along x", "push along y"), SEEN, self.length, self.split,
            event_names=("there",), event_states=("there",), event_words=(("there", "the body is at the target"),),
        )  # fmt: skip

    def reset(self, key: Key) -> tuple[State, Observation]:
        position, target = jax.random.uniform(key, (2, 2), minval=-1.0)
        state = State(position, jnp.zeros(2), target, jnp.zeros((), jnp.int32))
        return state, bodies.shown(self.spec, view_of(state))

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        del key
        velocity = state.velocity + INTERVAL * (PUSH * bodies.commands(action) - DRAG * state.velocity)
        free = state.position + INTERVAL * velocity
        position = jnp.clip(free, -1.0, 1.0)
        velocity = jnp.where(position == free, velocity, 0.0)
        after = State(position, velocity, state.target, state.time + 1)
        distance = jnp.sqrt(jnp.square(position - state.target).sum())
        info = {"there": (distance < NEAR).astype(jnp.float32)}
        return after, bodies.answered(self.spec, view_of(after), -distance, after.time, info)

    def draw(self, state: State, size: int = 240) -> np.ndarray:
        """uint8 [size, size, 3]."""
        from comity.drawing import particle as drawing

        discs = [
            drawing.landmark(state.target, NEAR),
            *drawing.agents(state.position[None], state.velocity[None], 0.05),
        ]
        return drawing.draw(discs, size)


def view_of(state: State) -> Array:
    """Returns the view, [6]."""
    return jnp.concatenate([state.position, state.velocity, state.target - state.position])
