"""A JaxMARL environment as a game of comity. It is written in JAX, so it is compiled with the rest."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.extras import needed
from comity.spec import Box, Discrete, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep


@dataclass(frozen=True)
class FromJaxMARL:
    """An environment of JaxMARL. Views are flattened and padded with zeros to the longest, actions padded to the most.

    Steps use `step_env`, which never resets. All agents end together, by `done["__all__"]`. With `clock_truncates` an
    end at the time limit truncates. The state is all views joined.
    """

    env: Any  # a name for `jaxmarl.make`, or an environment
    length: int  # time limit in steps
    clock_truncates: bool = True
    options: tuple[tuple[str, Any], ...] = ()  # arguments of `jaxmarl.make`

    def __post_init__(self):
        object.__setattr__(self, "options", tuple(tuple(option) for option in self.options))  # a file gives lists

    @cached_property
    def environment(self) -> Any:
        return _environment(self.env, dict(self.options))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self.environment.agents)

    @property
    def spec(self) -> Spec:
        return self._spec

    @cached_property
    def _spec(self) -> Spec:
        n, view, actions = len(self.names), max(self.view_sizes), max(self.action_sizes)
        boxes = not hasattr(self.environment.action_space(self.names[0]), "n")
        action = Box(actions) if boxes else Discrete(actions)
        return Spec(n, Vector(view), action, self.length, state=Vector(n * view), mixed_motive=True)

    @cached_property
    def view_sizes(self) -> tuple[int, ...]:
        return tuple(int(np.prod(self.environment.observation_space(name).shape)) for name in self.names)

    @cached_property
    def action_sizes(self) -> tuple[int, ...]:
        spaces = [self.environment.action_space(name) for name in self.names]
        return tuple(int(s.n) if hasattr(s, "n") else int(np.prod(s.shape)) for s in spaces)

    def observed(self, seen: dict[str, Array], state: PyTree) -> Observation:
        pad = lambda x: jnp.pad(x.reshape(-1).astype(jnp.float32), (0, self.spec.view.size - x.size))  # noqa: E731
        view = jnp.stack([pad(seen[name]) for name in self.names])
        exists = jnp.asarray(np.arange(self.spec.action.n) < np.array(self.action_sizes)[:, None])
        masks = None if isinstance(self.spec.action, Box) else self.masks(state)
        if masks is not None:
            widened = lambda x: jnp.pad(x.astype(bool), (0, self.spec.action.n - x.shape[-1]))  # noqa: E731
            exists &= jnp.stack([widened(masks[name]) for name in self.names])
        return Observation(view, view.reshape(-1), exists)

    def masks(self, state: PyTree) -> dict[str, Array] | None:
        """Legal actions of each agent; None: the environment does not tell. Hanabi has its own name for them."""
        if hasattr(self.environment, "get_legal_moves"):
            return self.environment.get_legal_moves(state)
        try:
            return self.environment.get_avail_actions(state)
        except (AttributeError, NotImplementedError):
            return None

    def reset(self, key: Key) -> tuple[tuple[PyTree, Array], Observation]:
        seen, state = self.environment.reset(key)
        return (state, jnp.int32(0)), self.observed(seen, state)

    def step(self, key: Key, state: tuple[PyTree, Array], action: Array) -> tuple[PyTree, Timestep]:
        inner, now = state
        chosen = {name: self._of(k, action[k]) for k, name in enumerate(self.names)}
        seen, inner, rewards, done, _ = self.environment.step_env(key, inner, chosen)
        reward = jnp.stack([jnp.asarray(rewards[name], jnp.float32).reshape(()) for name in self.names])
        now += 1
        late = now >= self.length
        over = jnp.asarray(done["__all__"]).reshape(())
        terminated = over & ~(late & self.clock_truncates)
        truncated = late & ~terminated
        return (inner, now), Timestep(self.observed(seen, inner), reward, terminated, truncated, {})

    def _of(self, agent: int, action: Array) -> Array:
        if not isinstance(self.spec.action, Box):
            return action
        space = self.environment.action_space(self.names[agent])
        unit = (action[: self.action_sizes[agent]].reshape(space.shape) + 1) / 2
        return space.low + unit * (space.high - space.low)


def from_jaxmarl(env: Any, length: int | None = None, clock_truncates: bool = True, **options: Any) -> FromJaxMARL:
    """Returns a JaxMARL environment as a game. env: its name, with `options` for `jaxmarl.make`, or an environment.

    length: time limit in steps (None: the environment's `max_steps`). clock_truncates: an episode that ends at that
    step is truncated, even if the environment says that it is over; False: then it is terminated. If env is an object,
    another process cannot load the run, because it cannot make the environment again. Raises ValueError for options
    together with an object, or if there is no length; ImportError without jaxmarl.
    """
    if options and not isinstance(env, str):
        raise ValueError(f"options {', '.join(options)} are for an environment's name: give it instead of the object")
    length = length or getattr(_environment(env, options), "max_steps", None)
    if not length:
        raise ValueError(f"{env if isinstance(env, str) else type(env).__name__} has no max_steps: give length")
    return FromJaxMARL(env, int(length), clock_truncates, tuple(options.items()))


def _environment(env: Any, options: dict[str, Any]) -> Any:
    if not isinstance(env, str):
        return env
    jaxmarl = needed("jaxmarl")

    with jax.ensure_compile_time_eval():  # its constants are arrays, and a traced function may call this
        return jaxmarl.make(env, **options)
