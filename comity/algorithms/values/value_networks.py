"""The networks of value decomposition, and their outputs on whole episodes: the agents' values, the mixer's input."""

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
    mixer: PyTree  # the member's mixer; () if it has none
    reader: JointNet | None  # the encoder of the mixer's input


class Values(NamedTuple):
    """The networks' outputs at every step of whole episodes."""

    q: Array  # [T, B, N, A]
    memory: Array  # [T, B, N, H], the memory that gives q: it includes the step's view
    central: Array  # [T, B, S], the mixer's input


class StepValues(NamedTuple):
    """The values before each step and after it."""

    before: Values
    after: Values


def as_given(outputs: Array) -> Array:
    """Returns the outputs of agents' networks as they are: each is the Q of one action."""
    return outputs


def team_of(config: Config, env: Environment, name: str, make: Callable[[Key, int], PyTree]) -> Team:
    """Returns the agents' networks. make(key, inputs) draws one.

    Raises ValueError unless each agent chooses one discrete action, and the mixer's input is not empty.
    """
    require_discrete(env, name, images=True)
    spec = env.spec
    if isinstance(config, CentralConfig) and not central_part(config, spec).view.size:
        game = type(env).__name__
        raise ValueError(f"{name}'s mixer reads the state, {game}'s is empty: set mixer_reads to 'views', or take vdn")
    core = fresh_core(config.core, config.hidden, spec.agents)
    return actors.team(config, env, actions(spec.action), config.agents, make, core, config.hidden)


def central_part(config: CentralConfig, spec: Spec) -> Part:
    """Returns the description of the mixer's input: the state, or the views of all agents."""
    return Part(spec.state) if config.mixer_reads == "state" else Part(spec.view, spec.agents)


def central_size(config: CentralConfig, spec: Spec) -> int:
    """Returns the size S of `central_view`."""
    view, count = central_part(config, spec)
    return count * encoded_size(view, config.hidden)


def central_reader(config: Config, spec: Spec, key: Key) -> JointNet | None:
    """Returns the network that turns the mixer's input into a vector; None if the mixer has no input."""
    if not isinstance(config, CentralConfig):
        return None
    nothing_behind = lambda key, inputs: ()  # noqa: E731
    sizes = config.hidden, config.convolutions, config.activation
    return joint_net(key, (central_part(config, spec),), nothing_behind, *sizes)


def central_view(config: Config, spec: Spec, reader: JointNet | None, observation: Observation) -> Array:
    """Returns the mixer's input, [..., S] float, see `CentralConfig`; S is 0 if it has none."""
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
    """Returns `StepValues` of episodes, which are rollouts of `games`.

    params: only agents and reader are used; q_of(outputs) -> q.
    """
    observation, batch = episodes.observation, episodes.valid.shape[1]
    fresh = jax.tree.map(lambda x: jnp.broadcast_to(x, (batch, *x.shape)), team.memory)
    done = jnp.concatenate([episodes.action, episodes.action[-1:]])  # the entry after the end is never read
    memory = team.memories(params.agents, observation.view, fresh, action=done)
    q = q_of(team.output(params.agents, memory))
    central = central_view(config, env.spec, params.reader, observation)
    return split(config, Values(q, memory, central), observation.available, games)


def split(config: Config, values: Values, available: Array, games: int) -> StepValues:
    """Splits values [T + 1, B, ...] into `StepValues`. available [T + 1, B, ...]; games: number in one rollout."""
    before, after = Values(*(x[:-1] for x in values)), Values(*(x[1:] for x in values))
    if config.misread:
        (q, memory), (next_q, next_memory) = released.before_and_after(values.q, values.memory, games)
        before, after = Values(q, memory, before.central), Values(next_q, next_memory, after.central)
    if config.padding == "released":
        after = after._replace(q=released.worthless(after.q, available[1:]))
    return StepValues(before, after)
