"""Several policies of one body. They play whole episodes in turn, and each learns from the steps of all of them.

    return taking_turns(lambda env: learner(config, env), env, policies=2)

The learner inside plays a game with one agent per policy. These agents have the same views and rewards, and each is
recorded with the action of the policy whose turn it was. So all policies share one replay, and the critics judge the
body's action.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from comity.spec import Functions, Spec
from comity.types import Algorithm, Environment, EpisodeNumber, Key, Observation, PyTree, Timestep, Transition

DRIVER = "driver"  # the note with the number of the policy that acted, [..., 1] int32


@dataclass(frozen=True)
class Copies:
    """A game of one agent, shown as a game of `count` agents, for building networks and a replay.

    It plays the action of the first agent.
    """

    game: Environment
    count: int

    @property
    def spec(self) -> Spec:
        return replace(self.game.spec, agents=self.count, agent_names=(), agent_colours=(), roles=())

    @property
    def functions(self) -> Functions:
        return Functions()

    def reset(self, key: Key) -> tuple[PyTree, Observation]:
        state, observation = self.game.reset(key)
        return state, shown(observation, self.count, 0)

    def step(self, key: Key, state: PyTree, action: PyTree) -> tuple[PyTree, Timestep]:
        state, timestep = self.game.step(key, state, jax.tree.map(lambda x: x[:1], action))
        seen, reward = shown(timestep.observation, self.count, 0), jnp.repeat(timestep.reward, self.count)
        return state, timestep._replace(observation=seen, reward=reward, info={})


def repeated(tree: PyTree, count: int, axis: int) -> PyTree:
    """Returns leaves in which the one row on `axis` is repeated `count` times."""
    return jax.tree.map(lambda x: jnp.repeat(x, count, axis), tree)


def shown(observation: Observation, count: int, axis: int) -> Observation:
    """Returns the observation of `count` agents that all see what the one agent sees. axis: the agents' axis."""
    view, available = repeated((observation.view, observation.available), count, axis)
    return observation._replace(view=view, available=available)


def driver(steps: Transition) -> Array:
    """Returns the number of the policy that acted in each step, [T, B] int8; 0 if no policies take turns."""
    found = steps.notes.get(DRIVER)
    return jnp.zeros(steps.valid.shape, jnp.int8) if found is None else found[..., 0].astype(jnp.int8)


def taking_turns(make: Callable[[Environment], Algorithm], env: Environment, policies: int = 2) -> Algorithm:
    """Returns the learner that `make` gives, for `policies` agents that share the game's one body. It has no memory.

    Policy k plays the episodes whose number is k modulo `policies`. Raises ValueError, one line, for games of several
    agents.
    """
    if env.spec.agents != 1:
        raise ValueError(f"several policies of one body need a game of one agent, this one has {env.spec.agents}")
    inner = make(Copies(env, policies))

    def act(key: Key, state: PyTree, memory: EpisodeNumber, observation: Observation, explore: bool = True):
        axis = jax.tree.leaves(observation.available)[0].ndim - 2
        action, _, _ = inner.act(key, state, (), shown(observation, policies, axis), explore=explore)
        turn = memory.number % policies  # [..., 1]

        def of_driver(x: Array) -> Array:
            return jnp.take_along_axis(x, turn.reshape(*turn.shape, *(1,) * (x.ndim - turn.ndim)), axis)

        return jax.tree.map(of_driver, action), memory, {DRIVER: turn}

    def update(key: Key, state: PyTree, steps: Transition, reward_of: Any = None):
        before, after = (shown(x, policies, 2) for x in (steps.observation, steps.next_observation))
        action, reward = repeated((steps.action, steps.reward), policies, 2)
        everyone = steps._replace(
            observation=before, next_observation=after, action=action, reward=reward, memory=(), next_memory=()
        )
        return inner.update(key, state, everyone, reward_of)

    memory = EpisodeNumber(jnp.zeros(1, jnp.int32))
    return inner._replace(act=act, update=update, memory=memory, policies=policies)
