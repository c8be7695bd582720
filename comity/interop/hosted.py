"""A PettingZoo parallel environment as a game that Python steps: its sizes, its rules for agents that differ.

comity's games are compiled; this one is not, so it has no `reset` and `step` that a program could call, and
`comity.interop.train` plays it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from comity.extras import needed
from comity.spec import Box, Discrete, Spec, Vector
from comity.types import Key, Observation, Timestep


class Seen(NamedTuple):
    """One game's observation, numpy."""

    view: np.ndarray  # [N, V] float32, flattened and padded with zeros
    state: np.ndarray  # [S] float32
    available: np.ndarray  # [N, A] bool


@dataclass(frozen=True)
class Hosted:
    """Sizes of a game that Python steps, and how to make one.

    Views are flattened by gymnasium and padded with zeros to the longest. With discrete actions `available` says which
    an agent has, and which its `action_mask` allows, from its info or its observation; with boxes, which numbers. Who
    has left sees zeros, earns 0, and has action 0 alone. The state is the game's own `state()`, or all views in a row.
    """

    make: Callable[[], Any]  # -> ParallelEnv, a new one each time
    length: int  # steps after which a game is cut, if it has not ended

    @cached_property
    def sample(self) -> Any:
        """One that only tells its spaces."""
        env = self.make()
        env.reset(seed=0)
        return env

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.sample.possible_agents)

    @property
    def spec(self) -> Spec:
        return self._spec

    @cached_property
    def _spec(self) -> Spec:
        n, view, actions = len(self.names), max(self.view_sizes), max(self.action_sizes)
        boxes = isinstance(self.action_spaces[0], needed("gymnasium").spaces.Box)
        state = int(np.asarray(self.sample.state()).size) if self.own_state else n * view
        action = Box(actions) if boxes else Discrete(actions)
        trainer = "comity.interop.train"  # and nothing that would compile `reset` and `step`
        return Spec(n, Vector(view), action, self.length, state=Vector(state), mixed_motive=True, trained_by=trainer)

    @cached_property
    def view_spaces(self) -> tuple[Any, ...]:
        """What is seen of each agent, without a mask that stands beside it."""
        spaces = needed("gymnasium").spaces

        def of(space: Any) -> Any:
            return space["observation"] if isinstance(space, spaces.Dict) and "observation" in space.spaces else space

        return tuple(of(self.sample.observation_space(name)) for name in self.names)

    @cached_property
    def action_spaces(self) -> tuple[Any, ...]:
        return tuple(self.sample.action_space(name) for name in self.names)

    @cached_property
    def action_sizes(self) -> tuple[int, ...]:
        """Of each agent: how many actions, or how many numbers."""
        spaces = needed("gymnasium").spaces
        if all(isinstance(space, spaces.Discrete) for space in self.action_spaces):
            return tuple(int(space.n) for space in self.action_spaces)
        if all(isinstance(space, spaces.Box) for space in self.action_spaces):
            if not all(np.isfinite(x).all() for space in self.action_spaces for x in (space.low, space.high)):
                raise ValueError("actions are boxes without bounds: clip them, as by a wrapper of gymnasium")
            return tuple(int(np.prod(space.shape)) for space in self.action_spaces)
        kinds = ", ".join(sorted({type(space).__name__ for space in self.action_spaces}))
        raise ValueError(f"actions are {kinds}: all agents need Discrete actions, or all a Box")

    @cached_property
    def view_sizes(self) -> tuple[int, ...]:
        flatdim = needed("gymnasium").spaces.utils.flatdim
        return tuple(flatdim(space) for space in self.view_spaces)

    @cached_property
    def own_state(self) -> bool:
        """Whether the game has a `state()` of its own."""
        try:
            return np.asarray(self.sample.state()).size > 0
        except (NotImplementedError, AttributeError):
            return False

    def seen(self, env: Any, observations: dict, infos: dict) -> Seen:
        """One game's observation, of the agents that are still there."""
        flatten = needed("gymnasium").spaces.utils.flatten
        spec = self.spec
        continuous = isinstance(spec.action, Box)
        view = np.zeros((spec.agents, spec.view.size), np.float32)
        available = np.zeros((spec.agents, spec.action.n), bool)
        for k, name in enumerate(self.names):
            if name not in observations or name not in env.agents:
                available[k, :1] = not continuous
                continue
            found, mask = observations[name], infos.get(name, {}).get("action_mask")
            if isinstance(found, dict) and "observation" in found:
                found, mask = found["observation"], found.get("action_mask", mask)
            flat = np.asarray(flatten(self.view_spaces[k], found), np.float32)
            view[k, : flat.size] = flat
            size = self.action_sizes[k]
            available[k, :size] = True if mask is None or continuous else np.asarray(mask, bool)[:size]
        state = np.asarray(env.state(), np.float32).reshape(-1) if self.own_state else view.reshape(-1)
        return Seen(view, state, available)

    def action_of(self, agent: int, action: np.ndarray) -> Any:
        """What agent k's environment wants: an int, or numbers in its own bounds and shape."""
        space = self.action_spaces[agent]
        if not isinstance(self.spec.action, Box):
            return int(action) + int(getattr(space, "start", 0))
        unit = (np.asarray(action[: self.action_sizes[agent]], np.float64).reshape(space.shape) + 1) / 2
        return (space.low + unit * (space.high - space.low)).astype(space.dtype)

    # Shapes, for algorithms that build a replay from them; nothing may be played with these.

    def reset(self, key: Key) -> tuple[tuple[()], Observation]:
        return (), self._shapes()

    def step(self, key: Key, state: tuple[()], action: Any) -> tuple[tuple[()], Timestep]:
        never = jnp.bool_(False)
        return (), Timestep(self._shapes(), jnp.zeros(self.spec.agents), never, never, {})

    def _shapes(self) -> Observation:
        spec = self.spec
        return Observation(
            jnp.zeros((spec.agents, spec.view.size)),
            jnp.zeros(spec.state.size),
            jnp.ones((spec.agents, spec.action.n), bool),
        )


def from_pettingzoo(make: Callable[[], Any], length: int) -> Hosted:
    """A PettingZoo parallel environment for `comity.interop.train`.

    make: gives a new ParallelEnv at each call. length: steps after which a game is cut, if it has not ended by itself.
    Raises ValueError for what has no place here: action spaces of several kinds, boxes without bounds.
    """
    if not isinstance(length, int) or length < 1:
        raise ValueError(f"length {length} is not a whole number of 1 or greater")
    game = Hosted(make, length)
    _ = game.spec
    return game
