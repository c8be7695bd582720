"""The networks of value decomposition, and what they say of whole episodes: of agents, and what a mixer reads."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.algorithms import actors
from comity.algorithms.released import mixers as released
from comity.algorithms.values.value_settings import CentralConfig, Config
from comity.compatibility import require_discrete
from comity.learning.actions import actions
from comity.learning.replay import Episodes
from comity.networks import JointNet, Part, Team, encoded_size, fresh_core, joint_net
from comity.spec import Spec
from comity.types import Environment, Key, Observation, PyTree


class Params(NamedTuple):
    agents: PyTree  # leaves [N, ...] if separate
    mixer: PyTree  # of the member; () if it has none
    reader: JointNet | None  # of what the mixer reads: its eyes, where that is images


class Values(NamedTuple):
    """What the networks say at every step of whole episodes."""

    q: Array  # [T, B, N, A]
    memory: Array  # [T, B, N, H], what q was read from: the step's view is in it
    central: Array  # [T, B, S], what mixers read


class StepValues(NamedTuple):
    """The same of what stands before a step, and of what follows it."""

    before: Values
    after: Values


def as_given(outputs: Array) -> Array:
    """Outputs of agents' networks as Q: each is one action's."""
    return outputs


def team_of(config: Config, env: Environment, name: str, make: Callable[[Key, int], PyTree]) -> Team:
    """The agents' networks. make(key, inputs) draws one.

    Raises ValueError unless each agent chooses one action, and a mixer has something to read.
    """
    require_discrete(env, name, images=True)
    spec = env.spec
    if isinstance(config, CentralConfig) and not central_part(config, spec).view.size:
        game = type(env).__name__
        raise ValueError(f"{name}'s mixer reads the state, {game}'s is empty: set mixer_reads to 'views', or take vdn")
    core = fresh_core(config.core, config.hidden, spec.agents)
    return actors.team(config, env, actions(spec.action), config.agents, make, core, config.hidden)


def central_part(config: CentralConfig, spec: Spec) -> Part:
    """What a mixer reads: the state, or the views of all agents."""
    return Part(spec.state) if config.mixer_reads == "state" else Part(spec.view, spec.agents)


def central_size(config: CentralConfig, spec: Spec) -> int:
    """S of `central_view`."""
    view, count = central_part(config, spec)
    return count * encoded_size(view, config.hidden)


def central_reader(config: Config, spec: Spec, key: Key) -> JointNet | None:
    """What makes a vector of what a mixer reads; None for members whose mixers read nothing."""
    if not isinstance(config, CentralConfig):
        return None
    nothing_behind = lambda key, inputs: ()  # noqa: E731
    sizes = config.hidden, config.convolutions, config.activation
    return joint_net(key, (central_part(config, spec),), nothing_behind, *sizes)


def central_view(config: Config, spec: Spec, reader: JointNet | None, observation: Observation) -> Array:
    """[..., S] float, what a mixer reads, see `CentralConfig`; empty if it reads nothing."""
    if reader is None or not isinstance(config, CentralConfig):
        return jnp.zeros((*observation.available.shape[:-2], 0))
    of_state = config.mixer_reads == "state"
    whole = jnp.expand_dims(observation.state, -1 - len(spec.state.shape)) if of_state else observation.view
    central = reader.encode(whole)
    if config.mixer_input == "raw" or reader.eyes[0] is not None:
        return central
    spread = jnp.sqrt(central.var(-1, keepdims=True) + 1e-6)
    return (central - central.mean(-1, keepdims=True)) / spread


def episode_values(
    config: Config,
    env: Environment,
    team: Team,
    params: PyTree,
    episodes: Episodes,
    games: int,
    q_of: Callable[[Array], Array] = as_given,
) -> StepValues:
    """`StepValues` of episodes that are rollouts of `games`. params: agents and reader are read; q_of(outputs) -> q."""
    observation, batch = episodes.observation, episodes.valid.shape[1]
    fresh = jax.tree.map(lambda x: jnp.broadcast_to(x, (batch, *x.shape)), team.memory)
    done = jnp.concatenate([episodes.action, episodes.action[-1:]])  # at the end nothing is done: nobody reads it
    memory = team.memories(params.agents, observation.view, fresh, action=done)
    q = q_of(team.output(params.agents, memory))
    central = central_view(config, env.spec, params.reader, observation)
    return split(config, Values(q, memory, central), observation.available, games)


def split(config: Config, values: Values, available: Array, games: int) -> StepValues:
    """`StepValues` of values and available [T + 1, B, ...], where the B episodes are rollouts of `games`."""
    before, after = Values(*(x[:-1] for x in values)), Values(*(x[1:] for x in values))
    if config.misread:
        (q, memory), (next_q, next_memory) = released.before_and_after(values.q, values.memory, games)
        before, after = Values(q, memory, before.central), Values(next_q, next_memory, after.central)
    if config.padding == "released":
        after = after._replace(q=released.worthless(after.q, available[1:]))
    return StepValues(before, after)
