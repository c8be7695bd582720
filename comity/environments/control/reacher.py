"""Reacher: move the tip of a two-link arm on a table to a target. One agent, or one for each joint.

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
from comity.settings import NotNegative, Positive, check
from comity.spec import Spec
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

PROFILES = bodies.SPLIT

LONG, MASS = 0.5, 1.0  # m, kg: each link is a rod
HALF, INERTIA = LONG / 2, MASS * LONG**2 / 12  # m, half of a link; kg m^2, its inertia about its middle
INTERVAL, PARTS = 0.05, 2  # s of one action, and number of Runge-Kutta steps in it
TORQUE = 3.0  # N m, of an action of 1
SEEN = (
    *(f"{f} of the {joint} angle" for f in ("cos", "sin") for joint in ("shoulder", "elbow")),
    *(f"turning speed of the {joint}" for joint in ("shoulder", "elbow")),
    *(f"{what}, {axis}" for what in ("target", "way from the tip to the target") for axis in "xy"),
)
NEAR = 0.05  # m: at this distance the tip counts as at the target
PRICE = 0.01  # points lost per mean squared action


class State(NamedTuple):
    angles: Array  # [2] rad: the first link's from the x axis, the second's from the first link
    speeds: Array  # [2] rad/s
    target: Array  # [2] m
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class Reacher:
    """Two numbers, the torques of the joints. view and state [10]: cos and sin of both angles, their speeds, the
    target, and the target relative to the tip.

    reward: -|tip - target| - 0.01 mean a^2, after the step.
    """

    split: bool = False  # two agents, one for each joint
    friction: NotNegative[float] = 0.3  # friction of each joint, N m s
    length: Positive[int] = 50  # steps of an episode

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        return bodies.spec_of(
            ("shoulder torque", "elbow torque"), SEEN, self.length, self.split,
            event_names=("there",), event_states=("there",), event_words=(("there", "the tip is at the target"),),
        )  # fmt: skip

    def reset(self, key: Key) -> tuple[State, Observation]:
        key_angles, key_target = jax.random.split(key)
        angles = jax.random.uniform(key_angles, (2,), minval=-jnp.pi, maxval=jnp.pi)
        share, way = jax.random.uniform(key_target, (2,))
        far = 2 * LONG * jnp.sqrt(0.04 + 0.92 * share)  # uniform over a ring that the tip can reach
        target = far * jnp.stack([jnp.cos(2 * jnp.pi * way), jnp.sin(2 * jnp.pi * way)])
        state = State(angles, jnp.zeros(2), target, jnp.zeros((), jnp.int32))
        return state, bodies.shown(self.spec, view_of(state))

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        del key
        given = bodies.commands(action)

        def slope(moving: Array) -> Array:
            angles, speeds = moving
            return jnp.stack([speeds, accelerations(angles, speeds, TORQUE * given - self.friction * speeds)])

        angles, speeds = bodies.advanced(slope, jnp.stack([state.angles, state.speeds]), INTERVAL, PARTS)
        after = State(angles, speeds, state.target, state.time + 1)
        distance = jnp.sqrt(jnp.square(tip(angles) - state.target).sum())
        info = {"there": (distance < NEAR).astype(jnp.float32)}
        reward = -distance - PRICE * jnp.square(given).mean()
        return after, bodies.answered(self.spec, view_of(after), reward, after.time, info)

    def draw(self, state: State, size: int = 240) -> np.ndarray:
        """uint8 [size, size, 3]."""
        from comity.drawing import bodies as drawing

        elbow, end = np.asarray(joint(state.angles)), np.asarray(tip(state.angles))
        return drawing.draw([((0, 0), elbow), (elbow, end)], [(0, 0), elbow], size, 1.2, goals=[state.target])


def inertia(angles: Array) -> tuple[Array, Array, Array]:
    """Entries (M_11, M_12, M_22) of the inertia matrix, kg m^2."""
    turn = MASS * LONG * HALF * jnp.cos(angles[1])
    outer = INERTIA + MASS * HALF**2
    return 2 * INERTIA + MASS * (2 * HALF**2 + LONG**2) + 2 * turn, outer + turn, jnp.full_like(turn, outer)


def accelerations(angles: Array, speeds: Array, torques: Array) -> Array:
    """Angular accelerations q'' [2], rad/s^2, from M(q) q'' + c(q, q') = torques."""
    first, both, second = inertia(angles)
    pull = MASS * LONG * HALF * jnp.sin(angles[1])
    a = torques[0] + pull * (2 * speeds[0] + speeds[1]) * speeds[1]
    b = torques[1] - pull * speeds[0] ** 2
    return jnp.stack([second * a - both * b, first * b - both * a]) / (first * second - both**2)


def joint(angles: Array) -> Array:
    """Position of the joint between the links, [2] m."""
    return LONG * jnp.stack([jnp.cos(angles[0]), jnp.sin(angles[0])])


def tip(angles: Array) -> Array:
    """Position of the tip, [2] m."""
    whole = angles.sum()
    return joint(angles) + LONG * jnp.stack([jnp.cos(whole), jnp.sin(whole)])


def view_of(state: State) -> Array:
    """Returns the view, [10]."""
    turns = jnp.cos(state.angles), jnp.sin(state.angles)
    return jnp.concatenate([*turns, state.speeds, state.target, state.target - tip(state.angles)])
