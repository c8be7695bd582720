"""The common parts of the control tasks: the agents of a body, angles, the clock. docs/tasks/control.md.

One agent gives all numbers that move a body, or several agents give one number each, have the same view and share the
reward.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

from comity.drawing.colours import agent_hex
from comity.spec import Box, Spec, Vector
from comity.types import Observation, Timestep

SPLIT: dict[str, dict[str, Any]] = {"one": {}, "split": {"split": True}}  # profiles of a body with several numbers


def spec_of(gives: tuple[str, ...], seen: tuple[str, ...], length: int, split: bool = False, **more: Any) -> Spec:
    """Returns the spec of a body.

    gives: names of the numbers that move it; seen: names of the numbers in a view; split: one agent per number.
    """
    agents, numbers = len(gives) if split else 1, Vector(len(seen), names=seen)
    colours = tuple(agent_hex(k) for k in range(agents))
    names: dict[str, Any] = {"agent_names": gives} if split else {"action_names": gives}
    action = Box(len(gives) // agents)
    return Spec(agents, numbers, action, length, Vector(len(seen)), agent_colours=colours, **names, **more)


def shown(spec: Spec, seen: Array) -> Observation:
    """Returns the observation: each agent sees all of `seen`."""
    views = jnp.broadcast_to(seen, (spec.agents, seen.shape[-1]))
    return Observation(views, seen, jnp.ones((spec.agents, spec.action.n), bool))


def commands(action: Array) -> Array:
    """Joins actions [N, A] to the numbers that move a body, [N A] in [-1, 1]."""
    return jnp.clip(action.reshape(-1), -1.0, 1.0)


def answered(spec: Spec, seen: Array, reward: Array, time: Array, info: dict[str, Array]) -> Timestep:
    """Returns the timestep of a body that only the clock stops. All agents get the reward []."""
    over = time >= spec.length
    return Timestep(shown(spec, seen), jnp.broadcast_to(reward, (spec.agents,)), jnp.zeros_like(over), over, info)


def turned(angle: Array) -> Array:
    """Returns the angle in [-pi, pi)."""
    return (angle + jnp.pi) % (2 * jnp.pi) - jnp.pi


def advanced(slope: Callable[[Array], Array], state: Array, interval: float, parts: int) -> Array:
    """Returns the state [...] after `interval`, where d state / dt = slope(state).

    parts: number of fourth-order Runge-Kutta steps.
    """
    h = interval / parts
    for _ in range(parts):
        a = slope(state)
        b = slope(state + h / 2 * a)
        c = slope(state + h / 2 * b)
        d = slope(state + h * c)
        state = state + h / 6 * (a + 2 * b + 2 * c + d)
    return state
