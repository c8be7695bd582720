"""Some agents' part of a game, and of what was played: what a member of a population sees.

A member sees its own agents' views, actions, rewards, and the game's whole `state`; of the other agents nothing beside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.spec import Box, Functions, Spec, Vector, View, functions
from comity.types import Environment, Key, Observation, PyTree, Timestep, Transition, begin

TIME_AND_GAMES = 2  # axes before that of agents in a rollout


class PartState(NamedTuple):
    game: PyTree
    available: PyTree  # of all agents


@dataclasses.dataclass(frozen=True)
class Part:
    """`game` as if `agents` were alone in it: what a member's networks and replay are built for.

    It can be played, so that shapes can be traced: the other agents then do the first thing that they can.
    """

    game: Environment
    agents: tuple[int, ...]  # in increasing order

    @property
    def spec(self) -> Spec:
        """Who the others of a view are is not told, since their numbers count agents that are not here."""
        whole = self.game.spec
        of = lambda names: tuple(names[i] for i in self.agents) if names else ()  # noqa: E731
        return dataclasses.replace(
            whole,
            agents=len(self.agents),
            view=_unnumbered(whole.view),
            private=Vector(0),  # the state is whole, so it would not stand at its place
            headline="return",  # statistics of the whole game are not a part's
            event_names=(),
            scripts=(),
            agent_names=of(whole.agent_names),
            agent_colours=of(whole.agent_colours),
            roles=of(whole.roles),
        )

    @property
    def functions(self) -> Functions:
        return Functions(counts=functions(self.game).counts)  # of each agent by itself

    def reset(self, key: Key, episode: Array | int = 0) -> tuple[PartState, Observation]:
        state, observation = begin(self.game, key, episode)
        return PartState(state, observation.available), seen_by(self.agents, observation, 0)

    def step(self, key: Key, state: PartState, action: PyTree) -> tuple[PartState, Timestep]:
        continuous = isinstance(self.game.spec.action, Box)
        others = jax.tree.map(lambda x: jnp.zeros(x.shape) if continuous else x.argmax(-1), state.available)
        mine = jnp.asarray(self.agents)
        everyone = jax.tree.map(lambda all, own: all.astype(own.dtype).at[mine].set(own), others, action)
        after, timestep = self.game.step(key, state.game, everyone)
        observation = timestep.observation
        return PartState(after, observation.available), timestep._replace(
            observation=seen_by(self.agents, observation, 0), reward=timestep.reward[mine], info={}
        )


def _unnumbered(view: View) -> View:
    if isinstance(view, Vector) and view.names:
        view = dataclasses.replace(view, names=())  # which may be of each of the whole game's agents
    if view.entities is None:
        return view
    return dataclasses.replace(view, entities=dataclasses.replace(view.entities, offsets=()))  # pyright: ignore


def part_of(game: Environment, agents: tuple[int, ...]) -> Environment:
    """The part of `agents`; the game itself if they are all of its agents."""
    return game if agents == tuple(range(game.spec.agents)) else Part(game, agents)


def rows(agents: Sequence[int], tree: PyTree, axis: int) -> PyTree:
    """These agents' rows of leaves whose agents stand on `axis`."""
    first, last = agents[0], agents[-1]
    if list(agents) == list(range(first, last + 1)):
        return jax.tree.map(lambda x: lax.slice_in_dim(x, first, last + 1, axis=axis), tree)
    return jax.tree.map(lambda x: jnp.take(x, jnp.asarray(agents), axis=axis), tree)


def seen_by(agents: Sequence[int], observation: Observation, axis: int) -> Observation:
    """What these agents see; the state stays whole. axis: that of agents."""
    view, available = rows(agents, (observation.view, observation.available), axis)
    return Observation(view, observation.state, available)


def played_by(agents: Sequence[int], steps: Transition, memory: PyTree, next_memory: PyTree, notes: dict) -> Transition:
    """A rollout [T, B, ...] as these agents' learner sees it. memory, next_memory: its own, with rows for all agents;
    notes: what its `act` wrote."""
    mine = lambda tree: rows(agents, tree, TIME_AND_GAMES)  # noqa: E731
    return steps._replace(
        observation=seen_by(agents, steps.observation, TIME_AND_GAMES),
        memory=mine(memory),
        action=mine(steps.action),
        reward=mine(steps.reward),
        next_observation=seen_by(agents, steps.next_observation, TIME_AND_GAMES),
        next_memory=mine(next_memory),
        notes=notes,
        info={},
    )


def spread_out(agents: Sequence[int], tree: PyTree, count: int, axis: int) -> PyTree:
    """Leaves with rows for `count` agents, zeros for those that are not `agents`: the reverse of `rows`."""

    def spread(x: Array) -> Array:
        x = jnp.asarray(x)
        room = jnp.zeros((*x.shape[:axis], count, *x.shape[axis + 1 :]), x.dtype)
        return room.at[(slice(None),) * axis + (jnp.asarray(agents),)].set(x)

    return jax.tree.map(spread, tree)


def together(parts: Sequence[tuple[Sequence[int], PyTree]], axis: int) -> PyTree:
    """Parts whose agents are together all agents, as one: leaves with all rows, in the order of agents."""
    order = [agent for agents, _ in parts for agent in agents]
    back = sorted(range(len(order)), key=order.__getitem__)
    join = lambda *xs: rows(back, jnp.concatenate(xs, axis), axis)  # noqa: E731
    return jax.tree.map(join, *(tree for _, tree in parts))
