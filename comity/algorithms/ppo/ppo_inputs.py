"""What PPO's networks read: actors their views or everyone's, critics as the member of the family has it."""

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
    """What members of the family differ in."""

    count: int  # networks: N, or 1
    values: int  # that each of them gives: 1, or N
    reads: Callable[[Observation], Array]  # what they read, [..., count or 1, ...]
    view: View  # of what size

    def one_value(self, agents: int) -> bool:
        """One value for all agents."""
        return self.count * self.values < agents


def own_views(observation: Observation) -> Array:
    """[..., N, ...] what each agent sees."""
    return observation.view


def all_views(env: Environment, observation: Observation) -> Array:
    """What all agents see, without their own pasts (`spec.history`): [..., 1, N V'] one after the other, or
    [..., 1, h, w, N c] one behind the other."""
    view = present_view(present(env.spec), observation.view)
    if isinstance(env.spec.view, Image):
        behind = jnp.moveaxis(view, -4, -2)  # [..., h, w, N, c]
        return behind.reshape(*behind.shape[:-2], -1)[..., None, :, :, :]
    return view.reshape(*view.shape[:-2], 1, -1)


def views_of_all(spec: Spec) -> View:
    """The size of what `all_views` gives."""
    view = present(spec)
    if isinstance(view, Image):
        return replace(view, channels=spec.agents * view.channels)
    return Vector(spec.agents * view.size)


def actor_view(config: Config, spec: Spec) -> View:
    """The size of what `actor_sees` gives."""
    if config.actor_reads == "view":
        return spec.view
    everyone = views_of_all(spec)
    return Vector(everyone.size + spec.history) if isinstance(everyone, Vector) else everyone


def actor_sees(config: Config, env: Environment, observation: Observation) -> Array:
    """[..., N, ...] what each actor sees; vectors are float and to scale."""
    view, spec = observation.view, env.spec
    if config.actor_reads == "views":
        everyone = all_views(env, observation)
        lead = view.shape[: view.ndim - len(spec.view.shape)]
        everyone = jnp.broadcast_to(everyone, (*lead, *views_of_all(spec).shape))
        vectors = isinstance(spec.view, Vector)
        view = jnp.concatenate([everyone, view[..., present(spec).size :]], -1) if vectors else everyone
    return to_scale(config, spec.view, view)


def critic_sees(config: Config, critics: Critics, observation: Observation) -> Array:
    """[..., C, ...] what each critic sees; vectors are float and to scale."""
    read = critics.reads(observation)
    lead = read.shape[: read.ndim - len(critics.view.shape) - 1]
    return to_scale(config, critics.view, jnp.broadcast_to(read, (*lead, critics.count, *critics.view.shape)))


def to_scale(config: Config, view: View, x: Array) -> Array:
    """Numbers of a vector, scaled; encoders scale images."""
    return x.astype(jnp.float32) * config.view_scale if isinstance(view, Vector) else x
