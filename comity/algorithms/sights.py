"""What an agent sees, in parts and to scale: its own numbers, those about each other agent, or a picture. For RUSP."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from comity.learning import Moments, normalised, updated_moments
from comity.networks import EntityView
from comity.spec import Entities, Image, Vector, View
from comity.types import Environment, Observation


class Scale(NamedTuple):
    """Running means and squares of each input; those about others are shared by all others."""

    own: Moments  # [O]
    others: Moments | None  # [F]


def taken(x: Array, columns: Sequence[int]) -> Array:
    """x[..., columns], as slices of columns that follow each other."""
    runs = [list(columns[:1])]
    for column in columns[1:]:
        if column == runs[-1][-1] + 1:
            runs[-1].append(column)
        else:
            runs.append([column])
    return jnp.concatenate([x[..., run[0] : run[-1] + 1] for run in runs], -1) if columns else x[..., :0]


def parts(view: View, x: Array) -> EntityView:
    """A vector x [..., V] as own [..., O] and others [..., K, F]; an image as it is."""
    if isinstance(view, Image):
        return EntityView(jnp.zeros((*x.shape[:-3], 0)), None, x)
    x, entities = x.astype(jnp.float32), entities_of(view)
    others = [taken(x, columns) for columns in entities.others if columns]
    return EntityView(taken(x, entities.own), jnp.stack(others, -2) if others else None)


def seen_by_policy(env: Environment, observation: Observation) -> EntityView:
    """What an agent sees, leaves [..., N, ...]."""
    return parts(env.spec.view, observation.view)


def seen_by_critic(env: Environment, observation: Observation) -> EntityView:
    """What an agent sees, the game's own state, and of the private numbers that agent's: leaves [..., N, ...]."""
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
    """How a vector falls into parts: where it does not, all of it is the agent's own."""
    own = view.entities if isinstance(view, Vector) else None
    return own or Entities(tuple(range(view.size)), (), ())


def to_scale(view: EntityView, scale: Scale, clip) -> EntityView:
    """Every input in deviations from its mean, at most `clip` of them (RUSP's appendix)."""

    def bounded(x: Array, moments: Moments) -> Array:
        return jnp.clip(normalised(x, moments), -clip, clip)

    others = view.others if scale.others is None or view.others is None else bounded(view.others, scale.others)
    return EntityView(bounded(view.own, scale.own), others, view.picture)


def updated_scale(scale: Scale, view: EntityView, valid: Array, decay) -> Scale:
    """`scale` after what was seen, leaves [T, B, N, ...], in the steps of agents that are valid [T, B, N]."""

    def updated(moments: Moments, x: Array, valid: Array) -> Moments:
        rows = valid[0].size  # not -1: who sees pictures alone has numbers of size 0
        return updated_moments(moments, x.reshape(len(x), rows, x.shape[-1]), valid.reshape(len(x), rows), decay)

    own = updated(scale.own, view.own, valid)
    if scale.others is None or view.others is None:
        return Scale(own, None)
    each = jnp.broadcast_to(valid[..., None], view.others.shape[:-1])  # [T, B, N, K]
    return Scale(own, updated(scale.others, view.others, each))
