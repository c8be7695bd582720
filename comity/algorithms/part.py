"""The part of a game, and of a rollout, that a member of a population sees.

A member sees the views, actions and rewards of its own agents, and the game's whole `state`. It sees nothing else of
the other agents.
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

TIME_AND_GAMES = 2  # number of axes before the agents' axis in a rollout


class PartState(NamedTuple):
    game: PyTree
    available: PyTree  # available actions of all agents


@dataclasses.dataclass(frozen=True)
class Part:
    """`game` with `agents` as its only agents. A member's networks and replay are built for it.

    It can be played, so that shapes can be traced: the other agents then take their first available action.
    """

    game: Environment
    agents: tuple[int, ...]  # in increasing order

    @property
    def spec(self) -> Spec:
        """The part's description. Its views do not name the other agents, whose numbers are those of the whole game."""
        whole = self.game.spec
        of = lambda names: tuple(names[i] for i in self.agents) if names else ()  # noqa: E731
        return dataclasses.replace(
            whole,
            agents=len(self.agents),
            view=_unnumbered(whole.view),
            private=Vector(0),  # the state is that of the whole game, so its private part is not at the usual place
            headline="return",  # the part does not have the statistics of the whole game
            event_names=(),
            scripts=(),
            agent_names=of(whole.agent_names),
            agent_colours=of(whole.agent_colours),
            roles=of(whole.roles),
        )

    @property
    def functions(self) -> Functions:
        return Functions(counts=functions(self.game).counts)  # it treats each agent separately

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
        view = dataclasses.replace(view, names=())  # there may be a tuple of names for each agent of the whole game
    if view.entities is None:
        return view
    return dataclasses.replace(view, entities=dataclasses.replace(view.entities, offsets=()))  # pyright: ignore


def part_of(game: Environment, agents: tuple[int, ...]) -> Environment:
    """Returns the part of `agents`; the game itself if they are all of its agents."""
    return game if agents == tuple(range(game.spec.agents)) else Part(game, agents)


def rows(agents: Sequence[int], tree: PyTree, axis: int) -> PyTree:
    """Returns the rows of these agents from leaves whose agents are on `axis`."""
    first, last = agents[0], agents[-1]
    if list(agents) == list(range(first, last + 1)):
        return jax.tree.map(lambda x: lax.slice_in_dim(x, first, last + 1, axis=axis), tree)
    return jax.tree.map(lambda x: jnp.take(x, jnp.asarray(agents), axis=axis), tree)


def seen_by(agents: Sequence[int], observation: Observation, axis: int) -> Observation:
    """Returns the observation of these agents; the state stays whole. axis: the agents' axis."""
    view, available = rows(agents, (observation.view, observation.available), axis)
    return Observation(view, observation.state, available)


def played_by(agents: Sequence[int], steps: Transition, memory: PyTree, next_memory: PyTree, notes: dict) -> Transition:
    """Returns the rollout [T, B, ...] in the form that the learner of these agents sees.

    memory, next_memory: the learner's memories, with rows for all agents; notes: the notes of its `act`.
    """
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
    """Returns leaves with rows for `count` agents, zeros for those that are not in `agents`. The inverse of `rows`."""

    def spread(x: Array) -> Array:
        x = jnp.asarray(x)
        room = jnp.zeros((*x.shape[:axis], count, *x.shape[axis + 1 :]), x.dtype)
        return room.at[(slice(None),) * axis + (jnp.asarray(agents),)].set(x)

    return jax.tree.map(spread, tree)


def together(parts: Sequence[tuple[Sequence[int], PyTree]], axis: int) -> PyTree:
    """Joins parts that together hold all agents: returns leaves with all rows, in the order of the agents."""
    order = [agent for agents, _ in parts for agent in agents]
    back = sorted(range(len(order)), key=order.__getitem__)
    join = lambda *xs: rows(back, jnp.concatenate(xs, axis), axis)  # noqa: E731
    return jax.tree.map(join, *(tree for _, tree in parts))
