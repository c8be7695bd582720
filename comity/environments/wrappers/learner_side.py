"""One side of a game as the learner on it sees it: a game of one agent, and its steps."""

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
    """One side of a game, as a game of one agent. It has sizes only, which its learner needs."""

    game: Environment

    @property
    def spec(self) -> Spec:
        game = self.game.spec
        return Spec(1, alone(game.view), Discrete(game.action.n), game.length, state=Vector(game.state.size))


def alone(view: View) -> View:
    """A view without the parts that are about others: agents here are no players of one game."""
    return view if isinstance(view, Image) else Vector(view.size)


def require_sides(game: Environment) -> None:
    """Raises ValueError, one line, unless learners can be opponents in this game."""
    name, spec = type(game).__name__, game.spec
    if spec.agents < 2:
        raise ValueError(f"learners are opponents in games of two or more, {name} has one agent")
    if not isinstance(spec.action, Discrete):
        raise ValueError(f"learners play games of one discrete action, {name} is none")


def sides(observation: Observation) -> Observation:
    """What all sides but the first see, each as a game of one agent: from leaves [b, N, ...] leaves [K, b, 1, ...]."""
    each = lambda x: jnp.moveaxis(x[:, 1:], 1, 0)[:, :, None]  # noqa: E731
    view, available = each(observation.view), each(observation.available)
    return Observation(view, jnp.broadcast_to(observation.state, (len(view), *observation.state.shape)), available)


def learner_step(
    observation: Observation, action: Array, notes: dict[str, Array], reward: Array, over: Array, terminated: Array,
    truncated: Array,
) -> Transition:  # fmt: skip
    """The learners' step, leaves [K, b, ...], from rewards [b, N] and ends [b] of inner games.

    `with_next_observations` adds the rest when the inner episode ends.
    """
    nothing: Any = ()
    each = lambda x: jnp.broadcast_to(x, (len(action), *x.shape))  # noqa: E731
    ends = (each(terminated), each(truncated), each(~over))
    return Transition(observation, nothing, action, reward[:, 1:].T[..., None], nothing, nothing, *ends, notes, {})


def with_next_observations(steps: Transition, last: Observation) -> Transition:
    """An inner episode [T, b, ...], in which each step has the observation that followed it; last: after the end."""
    shift = lambda xs, x: jnp.concatenate([xs[1:], x[None]])  # noqa: E731
    return steps._replace(next_observation=jax.tree.map(shift, steps.observation, last))
