"""One side of a game, as its learner sees it: a game of one agent, and its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from comity.spec import Discrete, Image, Spec, Vector, View
from comity.types import Environment, Observation, Transition


@dataclass(frozen=True)
class Side:
    """One side of a game, as a game of one agent. It has only a spec, for the sizes that its learner needs."""

    game: Environment

    @property
    def spec(self) -> Spec:
        game = self.game.spec
        return Spec(1, alone(game.view), Discrete(game.action.n), game.length, state=Vector(game.state.size))


def alone(view: View) -> View:
    """Returns a view without its entities: its agents do not play in the same game."""
    return view if isinstance(view, Image) else Vector(view.size)


def require_sides(game: Environment) -> None:
    """Raises ValueError unless learners can be opponents in this game."""
    name, spec = type(game).__name__, game.spec
    if spec.agents < 2:
        raise ValueError(f"learners are opponents in games of two or more, {name} has one agent")
    if not isinstance(spec.action, Discrete):
        raise ValueError(f"learners play games of one discrete action, {name} is none")


def sides(observation: Observation) -> Observation:
    """Observations of all sides but the first, each as a game of one agent: leaves [b, N, ...] -> [K, b, 1, ...]."""
    each = lambda x: jnp.moveaxis(x[:, 1:], 1, 0)[:, :, None]  # noqa: E731
    view, available = each(observation.view), each(observation.available)
    return Observation(view, jnp.broadcast_to(observation.state, (len(view), *observation.state.shape)), available)


def learner_step(
    observation: Observation, action: Array, notes: dict[str, Array], reward: Array, over: Array, terminated: Array,
    truncated: Array,
) -> Transition:  # fmt: skip
    """Returns the learners' step, leaves [K, b, ...], given rewards [b, N] and ends [b] of inner games.

    `with_next_observations` adds the rest when the inner episode ends.
    """
    nothing: Any = ()
    each = lambda x: jnp.broadcast_to(x, (len(action), *x.shape))  # noqa: E731
    ends = (each(terminated), each(truncated), each(~over))
    return Transition(observation, nothing, action, reward[:, 1:].T[..., None], nothing, nothing, *ends, notes, {})


def with_next_observations(steps: Transition, last: Observation) -> Transition:
    """Adds to each step of an inner episode [T, b, ...] the observation that followed. last: the one after the end."""
    shift = lambda xs, x: jnp.concatenate([xs[1:], x[None]])  # noqa: E731
    return steps._replace(next_observation=jax.tree.map(shift, steps.observation, last))
