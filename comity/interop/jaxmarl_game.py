"""A JaxMARL environment as a game of comity: it is JAX already, so it is compiled with the rest."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.types import Key, Observation, PyTree, Timestep


@dataclass(frozen=True)
class FromJaxMARL:
    """`env` of JaxMARL. Views are flattened and padded with zeros to the longest, actions padded to the most.

    It is stepped by `step_env`, which resets nothing. All agents end together, by `done["__all__"]`; an end at the
    clock counts as a cut where `clock_truncates`. The state is all views in a row.
    """

    env: Any
    length: int  # steps after which it is cut
    clock_truncates: bool = True

    mixed_motive = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.env.agents)

    @property
    def num_agents(self) -> int:
        return len(self.names)

    @cached_property
    def view_sizes(self) -> tuple[int, ...]:
        return tuple(int(np.prod(self.env.observation_space(name).shape)) for name in self.names)

    @property
    def view_size(self) -> int:
        return max(self.view_sizes)

    @cached_property
    def action_sizes(self) -> tuple[int, ...]:
        spaces = [self.env.action_space(name) for name in self.names]
        return tuple(int(s.n) if hasattr(s, "n") else int(np.prod(s.shape)) for s in spaces)

    @property
    def num_actions(self) -> int:
        return max(self.action_sizes)

    @cached_property
    def continuous(self) -> bool:
        return not hasattr(self.env.action_space(self.names[0]), "n")

    @property
    def state_size(self) -> int:
        return self.num_agents * self.view_size

    def observed(self, seen: dict[str, Array], state: PyTree) -> Observation:
        pad = lambda x: jnp.pad(x.reshape(-1).astype(jnp.float32), (0, self.view_size - x.size))  # noqa: E731
        view = jnp.stack([pad(seen[name]) for name in self.names])
        exists = jnp.asarray(np.arange(self.num_actions) < np.array(self.action_sizes)[:, None])
        if not self.continuous and hasattr(self.env, "get_avail_actions"):
            try:
                masks = self.env.get_avail_actions(state)
            except NotImplementedError:
                masks = None
            if masks is not None:
                widened = lambda x: jnp.pad(x.astype(bool), (0, self.num_actions - x.shape[-1]))  # noqa: E731
                exists &= jnp.stack([widened(masks[name]) for name in self.names])
        return Observation(view, view.reshape(-1), exists)

    def reset(self, key: Key) -> tuple[tuple[PyTree, Array], Observation]:
        seen, state = self.env.reset(key)
        return (state, jnp.int32(0)), self.observed(seen, state)

    def step(self, key: Key, state: tuple[PyTree, Array], action: Array) -> tuple[PyTree, Timestep]:
        inner, now = state
        chosen = {name: self._of(k, action[k]) for k, name in enumerate(self.names)}
        seen, inner, rewards, done, _ = self.env.step_env(key, inner, chosen)
        reward = jnp.stack([jnp.asarray(rewards[name], jnp.float32).reshape(()) for name in self.names])
        now += 1
        late = now >= self.length
        over = jnp.asarray(done["__all__"]).reshape(())
        terminated = over & ~(late & self.clock_truncates)
        truncated = late & ~terminated
        return (inner, now), Timestep(self.observed(seen, inner), reward, terminated, truncated, {})

    def _of(self, agent: int, action: Array) -> Array:
        if not self.continuous:
            return action
        space = self.env.action_space(self.names[agent])
        unit = (action[: self.action_sizes[agent]].reshape(space.shape) + 1) / 2
        return space.low + unit * (space.high - space.low)


def from_jaxmarl(env: Any, length: int | None = None, clock_truncates: bool = True) -> FromJaxMARL:
    """A JaxMARL environment for `comity.train`. length: steps of an episode; None: the environment's `max_steps`."""
    length = length or getattr(env, "max_steps", None)
    if not length:
        raise ValueError(f"{type(env).__name__} has no max_steps: give length")
    return FromJaxMARL(env, int(length), clock_truncates)
