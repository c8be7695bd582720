"""Inputs of RUSP's networks: a view split into the agent's own numbers and those about each other agent, normalised."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from comity.learning import Moments, normalised, updated_moments
from comity.networks import EntityView
from comity.spec import Entities, Image, Vector, View
from comity.types import Environment, Observation


class Scale(NamedTuple):
    """Running moments of each input. The numbers about other agents have the same moments for all other agents."""

    own: Moments  # [O]
    others: Moments | None  # [F]


def taken(x: Array, columns: Sequence[int]) -> Array:
    """Returns x[..., columns], computed by slices of consecutive columns."""
    runs = [list(columns[:1])]
    for column in columns[1:]:
        if column == runs[-1][-1] + 1:
            runs[-1].append(column)
        else:
            runs.append([column])
    return jnp.concatenate([x[..., run[0] : run[-1] + 1] for run in runs], -1) if columns else x[..., :0]


def parts(view: View, x: Array) -> EntityView:
    """Splits a vector x [..., V] into own [..., O] and others [..., K, F]. An image stays as it is."""
    if isinstance(view, Image):
        return EntityView(jnp.zeros((*x.shape[:-3], 0)), None, x)
    x, entities = x.astype(jnp.float32), entities_of(view)
    others = [taken(x, columns) for columns in entities.others if columns]
    return EntityView(taken(x, entities.own), jnp.stack(others, -2) if others else None)


def seen_by_policy(env: Environment, observation: Observation) -> EntityView:
    """Returns the policy's input, each agent's own view, leaves [..., N, ...]."""
    return parts(env.spec.view, observation.view)


def seen_by_critic(env: Environment, observation: Observation) -> EntityView:
    """Returns the critic's input, leaves [..., N, ...]: an agent's view and private numbers, and the game's state."""
    view, spec = seen_by_policy(env, observation), env.spec
    lead = observation.state.shape[: observation.state.ndim - len(spec.state.shape)]
    state = observation.state.reshape(*lead, -1).astype(jnp.float32)
    n, private = spec.agents, spec.private
    game, rest = jnp.split(state, [spec.state.size - n * private.size], -1)
    known = parts(private, rest.reshape(*rest.shape[:-1], n, private.size))
    everywhere = jnp.broadcast_to(game[..., None, :], (*view.own.shape[:-1], game.shape[-1]))
    others = [x for x in (view.others, known.others) if x is not None]
    own = jnp.concatenate([view.own, everywhere, known.own], -1)
    return EntityView(own, jnp.concatenate(others, -1) if others else None, view.picture)


def entities_of(view: View) -> Entities:
    """Returns how a vector splits into parts. Without such a description all of it is the agent's own."""
    own = view.entities if isinstance(view, Vector) else None
    return own or Entities(tuple(range(view.size)), (), ())


def to_scale(view: EntityView, scale: Scale, clip) -> EntityView:
    """Returns every input in deviations from its mean, clipped to `clip` deviations (RUSP's appendix)."""

    def bounded(x: Array, moments: Moments) -> Array:
        return jnp.clip(normalised(x, moments), -clip, clip)

    others = view.others if scale.others is None or view.others is None else bounded(view.others, scale.others)
    return EntityView(bounded(view.own, scale.own), others, view.picture)


def updated_scale(scale: Scale, view: EntityView, valid: Array, decay) -> Scale:
    """Returns `scale` updated with the views, leaves [T, B, N, ...], of the agents' valid steps [T, B, N]."""

    def updated(moments: Moments, x: Array, valid: Array) -> Moments:
        rows = valid[0].size  # not -1: an agent that sees only a picture has 0 numbers
        return updated_moments(moments, x.reshape(len(x), rows, x.shape[-1]), valid.reshape(len(x), rows), decay)

    own = updated(scale.own, view.own, valid)
    if scale.others is None or view.others is None:
        return Scale(own, None)
    each = jnp.broadcast_to(valid[..., None], view.others.shape[:-1])  # [T, B, N, K]
    return Scale(own, updated(scale.others, view.others, each))
