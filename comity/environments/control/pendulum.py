"""Pendulum: swing a rod up and hold it there, with a torque too weak to lift it. The rules of Gymnasium's Pendulum-v1.

docs/tasks/control.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.environments.control import bodies
from comity.settings import Positive, check
from comity.spec import Spec
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {"gymnasium": {}}

MASS, LONG = 1.0, 1.0  # kg, m: a rod that turns about its end
INTERVAL = 0.05  # s
FASTEST = 8.0  # rad/s, largest turning speed
SEEN = ("cos of the angle", "sin of the angle", "turning speed")
TORQUE = 2.0  # N m, of an action of 1


class State(NamedTuple):
    angle: Array  # [] rad from upright, not reduced after full turns
    speed: Array  # [] rad/s
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class Pendulum:
    """One agent, one number. view and state [3]: cos and sin of the angle, its speed.

    reward: -(angle^2 + 0.1 speed^2 + 0.001 torque^2), angle in [-pi, pi), before the step.
    """

    gravity: Positive[float] = 10.0  # acceleration of gravity, m/s^2
    length: Positive[int] = 200  # steps of an episode

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        return bodies.spec_of(
            ("torque",), SEEN, self.length,
            event_names=("upright",), event_states=("upright",), event_words=(("upright", "the rod stands upright"),),
        )  # fmt: skip

    def reset(self, key: Key) -> tuple[State, Observation]:
        angle, speed = jax.random.uniform(key, (2,), minval=-1.0) * jnp.array([jnp.pi, 1.0])
        state = State(angle, speed, jnp.zeros((), jnp.int32))
        return state, bodies.shown(self.spec, view_of(state))

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        del key
        torque = TORQUE * bodies.commands(action)[0]
        away = bodies.turned(state.angle)
        cost = jnp.square(away) + 0.1 * jnp.square(state.speed) + 0.001 * jnp.square(torque)
        pull = 1.5 * self.gravity / LONG * jnp.sin(state.angle) + 3.0 / (MASS * LONG**2) * torque
        speed = jnp.clip(state.speed + INTERVAL * pull, -FASTEST, FASTEST)
        after = State(state.angle + INTERVAL * speed, speed, state.time + 1)
        info = {"upright": (jnp.cos(after.angle) > 0.95).astype(jnp.float32)}  # steps within 18 degrees
        return after, bodies.answered(self.spec, view_of(after), -cost, after.time, info)

    def draw(self, state: State, size: int = 240) -> np.ndarray:
        """uint8 [size, size, 3]."""
        from comity.drawing import bodies as drawing

        angle = float(state.angle)
        return drawing.draw([((0, 0), (np.sin(angle), np.cos(angle)))], [(0, 0)], size, 1.3)


def view_of(state: State) -> Array:
    """Returns the view, [3]."""
    return jnp.stack([jnp.cos(state.angle), jnp.sin(state.angle), state.speed])
