"""Inputs of PPO's networks: actors read their own views or all views, critics what the family's member defines."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from comity.algorithms.actors import present, present_view
from comity.algorithms.ppo.ppo_settings import Config
from comity.spec import Image, Spec, Vector, View
from comity.types import Environment, Observation


class Critics(NamedTuple):
    """The critics, in which the members of the family differ."""

    count: int  # number of critics: N, or 1
    values: int  # number of values of each critic: 1, or N
    reads: Callable[[Observation], Array]  # observation -> the critics' input, [..., count or 1, ...]
    view: View  # size of the input of one critic

    def one_value(self, agents: int) -> bool:
        """True if all agents have the same value."""
        return self.count * self.values < agents


def own_views(observation: Observation) -> Array:
    """Returns each agent's own view, [..., N, ...]."""
    return observation.view


def all_views(env: Environment, observation: Observation) -> Array:
    """Returns all agents' views in one, without the agents' action histories (`spec.history`).

    Vectors are concatenated, [..., 1, N V']; images are stacked by channels, [..., 1, h, w, N c].
    """
    view = present_view(present(env.spec), observation.view)
    if isinstance(env.spec.view, Image):
        behind = jnp.moveaxis(view, -4, -2)  # [..., h, w, N, c]
        return behind.reshape(*behind.shape[:-2], -1)[..., None, :, :, :]
    return view.reshape(*view.shape[:-2], 1, -1)


def views_of_all(spec: Spec) -> View:
    """Returns the description of the output of `all_views`."""
    view = present(spec)
    if isinstance(view, Image):
        return replace(view, channels=spec.agents * view.channels)
    return Vector(spec.agents * view.size)


def actor_view(config: Config, spec: Spec) -> View:
    """Returns the description of the output of `actor_sees`."""
    if config.actor_reads == "view":
        return spec.view
    everyone = views_of_all(spec)
    return Vector(everyone.size + spec.history) if isinstance(everyone, Vector) else everyone


def actor_sees(config: Config, env: Environment, observation: Observation) -> Array:
    """Returns the actors' inputs, [..., N, ...]; vectors are float and scaled."""
    view, spec = observation.view, env.spec
    if config.actor_reads == "views":
        everyone = all_views(env, observation)
        lead = view.shape[: view.ndim - len(spec.view.shape)]
        everyone = jnp.broadcast_to(everyone, (*lead, *views_of_all(spec).shape))
        vectors = isinstance(spec.view, Vector)
        view = jnp.concatenate([everyone, view[..., present(spec).size :]], -1) if vectors else everyone
    return to_scale(config, spec.view, view)


def critic_sees(config: Config, critics: Critics, observation: Observation) -> Array:
    """Returns the critics' inputs, [..., C, ...]; vectors are float and scaled."""
    read = critics.reads(observation)
    lead = read.shape[: read.ndim - len(critics.view.shape) - 1]
    return to_scale(config, critics.view, jnp.broadcast_to(read, (*lead, critics.count, *critics.view.shape)))


def to_scale(config: Config, view: View, x: Array) -> Array:
    """Returns a vector view, scaled, as float. Images stay as they are, because encoders scale them."""
    return x.astype(jnp.float32) * config.view_scale if isinstance(view, Vector) else x
