"""A comity game as a PettingZoo ParallelEnv."""

from functools import partial
from typing import Any

import jax
import numpy as np

from comity.extras import needed
from comity.spec import Box, MultiDiscrete, functions
from comity.types import Environment, begin

gymnasium = needed("gymnasium")
pettingzoo = needed("pettingzoo")
spaces = gymnasium.spaces


class ParallelGame(pettingzoo.ParallelEnv):
    """`env` with one dictionary entry per agent; reset and step are compiled once.

    An agent's observation is its view. Its info has its legal actions as `action_mask` (int8 [A], which gymnasium's
    samplers read; with several heads a tuple). Continuous actions are boxes from -1 to 1. All agents of a game end
    together. `state()` returns the state that a central critic may read.
    """

    metadata = {"render_modes": ["rgb_array"], "is_parallelizable": True}  # noqa: RUF012  # PettingZoo declares it so

    def __init__(self, env: Environment, render_mode: str | None = None):
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode {render_mode!r} is not None or 'rgb_array'")
        spec, self._draw = env.spec, functions(env).draw
        if functions(env).host:
            raise ValueError(
                f"{type(env).__name__} is stepped by Python already, from an environment of another library: use that "
                "environment itself"
            )
        if render_mode and not self._draw:
            raise ValueError(f"{type(env).__name__} draws no pictures: leave render_mode out")
        self.env, self.render_mode = env, render_mode
        self.metadata = {**ParallelGame.metadata, "name": f"comity_{type(env).__name__.lower()}"}
        names = spec.agent_names or [f"agent_{k}" for k in range(spec.agents)]
        self.possible_agents = [str(name).replace(" ", "_") for name in names]
        self.agents: list[str] = []
        self._start, self._step = jax.jit(partial(begin, env)), jax.jit(env.step)
        _, seen = jax.eval_shape(self._start, jax.random.key(0), 0)
        low, high = _bounds(seen.view.dtype)
        self._views = spaces.Box(low, high, seen.view.shape[1:], np.dtype(seen.view.dtype))
        if isinstance(spec.action, Box):
            self._actions = spaces.Box(-1.0, 1.0, (spec.action.n,), np.float32)
        elif isinstance(spec.action, MultiDiscrete):
            self._actions = spaces.MultiDiscrete(spec.action.heads)
        else:
            self._actions = spaces.Discrete(spec.action.n)
        low, high = _bounds(seen.state.dtype)
        self.state_space = spaces.Box(low, high, seen.state.shape, np.dtype(seen.state.dtype))
        self._observation_spaces = {name: _copy(self._views) for name in self.possible_agents}
        self._action_spaces = {name: _copy(self._actions) for name in self.possible_agents}
        self._rng, self._episode = np.random.default_rng(), -1  # -1: before the first
        self._key: Any = None
        self._state: Any = None
        self._seen: Any = None

    def observation_space(self, agent: str) -> Any:
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        """Starts an episode. The same seed gives the same episode; without one, random numbers go on.

        Games that change with the number of the episode get it: 0 after a seed, then one more each time.
        """
        if seed is not None:
            self._rng, self._episode = np.random.default_rng(seed), -1
        self._episode += 1
        start, self._key = jax.random.split(jax.random.key(int(self._rng.integers(2**31))))
        self._state, observation = self._start(start, np.int32(self._episode))
        self.agents = list(self.possible_agents)
        return self._views_and_masks(observation)

    def step(self, actions: dict[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """Returns (observations, rewards, terminations, truncations, infos) of one step, by agent name.

        At the end of an episode `agents` becomes empty. actions: a whole number for each agent, one per head with
        several heads, or [A] from -1 to 1. Rewards are the game's. Raises RuntimeError outside an episode, ValueError
        if an agent has no action.
        """
        if not self.agents:
            raise RuntimeError("the episode is over, or has not begun: call reset")
        if missing := [name for name in self.agents if name not in actions]:
            raise ValueError(f"no action for {', '.join(missing)}: give one for every agent")
        chosen = np.stack([np.asarray(actions[name]) for name in self.possible_agents])
        if isinstance(self.env.spec.action, Box):
            joint: Any = chosen.astype(np.float32)
        elif isinstance(self.env.spec.action, MultiDiscrete):
            joint = tuple(chosen[:, k].astype(np.int32) for k in range(chosen.shape[1]))
        else:
            joint = chosen.astype(np.int32)
        self._key, key = jax.random.split(self._key)
        self._state, timestep = self._step(key, self._state, joint)
        views, infos = self._views_and_masks(timestep.observation)
        reward = np.asarray(timestep.reward)
        terminated, truncated = bool(timestep.terminated), bool(timestep.truncated)
        each = lambda value: dict.fromkeys(self.agents, value)  # noqa: E731
        rewards = {name: float(reward[k]) for k, name in enumerate(self.agents)}
        found = views, rewards, each(terminated), each(truncated), infos
        if terminated or truncated:
            self.agents = []
        return found

    def state(self) -> np.ndarray:
        return np.asarray(self._seen.state)

    def render(self) -> np.ndarray | None:
        return np.asarray(self._draw(self._state)) if self.render_mode and self._draw else None

    def close(self) -> None:
        pass

    def _views_and_masks(self, observation: Any) -> tuple[dict, dict]:
        self._seen = jax.tree.map(np.asarray, observation)
        views = {name: self._seen.view[k] for k, name in enumerate(self.possible_agents)}
        masks = jax.tree.map(lambda x: x.astype(np.int8), self._seen.available)
        of = lambda k: {"action_mask": jax.tree.map(lambda x: x[k], masks)}  # noqa: E731
        return views, {name: of(k) for k, name in enumerate(self.possible_agents)}


def to_pettingzoo(env: Environment, render_mode: str | None = None) -> ParallelGame:
    """`env` as a PettingZoo ParallelEnv. Raises ValueError if it cannot draw or if Python steps it; without PettingZoo,
    ImportError."""
    return ParallelGame(env, render_mode)


def _bounds(dtype: Any) -> tuple[Any, Any]:
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return 0, 1
    if np.issubdtype(dtype, np.integer):
        return np.iinfo(dtype).min, np.iinfo(dtype).max
    return -np.inf, np.inf


def _copy(space: Any) -> Any:
    """Copies a space, so that the seed of one agent's sampler does not change the others."""
    import copy

    return copy.deepcopy(space)
