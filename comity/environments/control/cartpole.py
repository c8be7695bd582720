"""Cart and pole: swing a hanging pole up by pushing its cart, and hold it up.

Equations of Barto, Sutton & Anderson 1983 as corrected by Florian 2007, as in Gymnasium's CartPole.
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

PROFILES: dict[str, dict[str, Any]] = {"sound": {}}

GRAVITY = 9.8  # m/s^2
CART, POLE = 1.0, 0.1  # kg
HALF = 0.5  # m, half of the pole's length
FORCE = 10.0  # N, of an action of 1
TRACK = 2.4  # m, walls at -TRACK and TRACK stop the cart
SEEN = ("place of the cart", "its speed", "cos of the angle", "sin of the angle", "turning speed")
INTERVAL, PARTS = 0.04, 2  # s of one action, and number of integration steps in it


class State(NamedTuple):
    moving: Array  # [4]: position (m) and speed (m/s) of the cart; angle from upright (rad) and its speed (rad/s)
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class CartpoleSwingUp:
    """One agent, one number: the force on the cart. view and state [5]: position and speed of the cart, cos and sin of
    the pole's angle, and its speed.

    reward: (1 + cos angle) / 2 (1 - (position / 2.4)^2 / 2), in [0, 1], after the step.
    """

    length: Positive[int] = 250  # steps of an episode

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        return bodies.spec_of(
            ("push",), SEEN, self.length,
            event_names=("upright",), event_states=("upright",), event_words=(("upright", "the pole stands upright"),),
        )  # fmt: skip

    def reset(self, key: Key) -> tuple[State, Observation]:
        moving = jnp.array([0.0, 0.0, jnp.pi, 0.0]) + jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05)
        state = State(moving, jnp.zeros((), jnp.int32))
        return state, bodies.shown(self.spec, view_of(state))

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        del key
        force, moving = FORCE * bodies.commands(action)[0], state.moving
        for _ in range(PARTS):
            moving = pushed(moving, force, INTERVAL / PARTS)
        place = jnp.clip(moving[0], -TRACK, TRACK)
        moving = jnp.stack([place, jnp.where(place == moving[0], moving[1], 0.0), bodies.turned(moving[2]), moving[3]])
        after = State(moving, state.time + 1)
        upright = jnp.cos(moving[2])
        reward = (1 + upright) / 2 * (1 - jnp.square(place / TRACK) / 2)
        info = {"upright": (upright > 0.95).astype(jnp.float32)}  # steps within 18 degrees
        return after, bodies.answered(self.spec, view_of(after), reward, after.time, info)

    def draw(self, state: State, size: int = 240) -> np.ndarray:
        """uint8 [size, size, 3]."""
        from comity.drawing import bodies as drawing

        place, _, angle, _ = map(float, state.moving)
        end = place + 2 * HALF * np.sin(angle), 2 * HALF * np.cos(angle)
        cart = ((place - 0.3, 0), (place + 0.3, 0))
        return drawing.draw([cart, ((place, 0), end)], [(place, 0)], size, TRACK + 0.5)


def pushed(moving: Array, force: Array, interval: float) -> Array:
    """Returns `moving` [4] after `interval`. Positions move by the new speeds (semi-implicit Euler)."""
    place, speed, angle, turning = moving
    total = CART + POLE
    swing = (force + POLE * HALF * turning**2 * jnp.sin(angle)) / total
    fall = GRAVITY * jnp.sin(angle) - jnp.cos(angle) * swing
    fall = fall / (HALF * (4 / 3 - POLE * jnp.cos(angle) ** 2 / total))
    pull = swing - POLE * HALF * fall * jnp.cos(angle) / total
    speed, turning = speed + interval * pull, turning + interval * fall
    return jnp.stack([place + interval * speed, speed, angle + interval * turning, turning])


def view_of(state: State) -> Array:
    """Returns the view, [5]."""
    place, speed, angle, turning = state.moving
    return jnp.stack([place, speed, jnp.cos(angle), jnp.sin(angle), turning])
