"""Several policies of one body: they take turns at whole episodes, and each learns from what all of them did.

    return taking_turns(lambda env: learner(config, env), env, policies=2)

The learner inside plays a game in which so many agents stand, who see the same, do what the one whose turn it is did,
and earn the same. Its replay is everybody's, and its critics judge the body's action.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from comity.spec import Functions, Spec
from comity.types import Algorithm, Environment, EpisodeNumber, Key, Observation, PyTree, Timestep, Transition

DRIVER = "driver"  # the note that says whose turn it was, [..., 1] int32


@dataclass(frozen=True)
class Copies:
    """A game of one agent as if `count` stood there, for whoever builds networks and a replay for it. The first one's
    action is played."""

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
    """Leaves with `count` equal rows on `axis`, where one stood."""
    return jax.tree.map(lambda x: jnp.repeat(x, count, axis), tree)


def shown(observation: Observation, count: int, axis: int) -> Observation:
    """What so many agents see who stand in one's place; axis: that of agents."""
    view, available = repeated((observation.view, observation.available), count, axis)
    return observation._replace(view=view, available=available)


def driver(steps: Transition) -> Array:
    """[T, B] int8: whose turn it was; 0 where nobody takes turns."""
    found = steps.notes.get(DRIVER)
    return jnp.zeros(steps.valid.shape, jnp.int8) if found is None else found[..., 0].astype(jnp.int8)


def taking_turns(make: Callable[[Environment], Algorithm], env: Environment, policies: int = 2) -> Algorithm:
    """The learner that `make` gives, of `policies` agents that share the one body of the game. It has no memory.

    Policy k plays the episodes whose number leaves k when it is divided by `policies`. Raises ValueError, one line, for
    games of several agents.
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
