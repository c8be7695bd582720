"""Normalisation of vector views to mean 0 and deviation 1 by running moments, a setting for any learner.

    return normalised(config, env, lambda env: learner(config, env))

The learner inside sees only normalised views. A rollout is played and learned from with the same moments; they are
updated afterwards. A replay stores each view as it was normalised when it was seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.axes import aligned
from comity.compatibility import require_vectors
from comity.spec import Functions, Spec, functions
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Timestep, Transition

LIMIT = 10.0  # deviations; normalised views are clipped to this size
LEAST = 1e-8  # is added to the variance, so that a number that never changes becomes 0


@dataclass(frozen=True)
class Settings:
    """The setting that turns normalisation on."""

    normalise_views: bool = False  # normalise views by each agent's running mean and deviation; vectors only


class ViewMoments(NamedTuple):
    """The moments of all views so far."""

    count: Array  # [] float32, number of valid steps of all games
    mean: Array  # [N, V]
    square: Array  # [N, V], sum of squared deviations from the mean


class State(NamedTuple):
    learner: PyTree
    seen: ViewMoments


def fresh(spec: Spec) -> ViewMoments:
    """Returns the moments before the first view."""
    zeros = jnp.zeros((spec.agents, spec.view.size))
    return ViewMoments(jnp.zeros(()), zeros, zeros)


def after(moments: ViewMoments, view: Array, valid: Array) -> ViewMoments:
    """Returns the moments after the views [T, B, N, V] of the valid steps [T, B] (Chan, Golub & LeVeque 1983)."""
    view, counts = view.astype(jnp.float32), aligned(valid, view)
    new = valid.sum().astype(jnp.float32)
    mean = jnp.where(counts, view, 0.0).sum((0, 1)) / jnp.maximum(new, 1.0)
    square = jnp.where(counts, jnp.square(view - mean), 0.0).sum((0, 1))
    total = jnp.maximum(moments.count + new, 1.0)
    away = mean - moments.mean
    square = moments.square + square + jnp.square(away) * moments.count * new / total
    return ViewMoments(moments.count + new, moments.mean + away * new / total, square)


def normalised_view(moments: ViewMoments, view: Array) -> Array:
    """Returns normalised views [..., N, V]. Before the first update of the moments they are only clipped."""
    variance = jnp.where(moments.count > 1, moments.square / jnp.maximum(moments.count, 1.0), 1.0)
    return jnp.clip((view - moments.mean) * jax.lax.rsqrt(variance + LEAST), -LIMIT, LIMIT)


@dataclass(frozen=True)
class Floats:
    """A game whose views are float32, so that a replay built from its shapes can store them. It packs nothing."""

    game: Environment

    @property
    def spec(self) -> Spec:
        return self.game.spec

    @property
    def functions(self) -> Functions:
        inner = functions(self.game)
        together = inner.step_games
        stepped = together and (lambda *given: self._as_float(together(*given)))
        return inner._replace(pack=None, unpack=None, step_games=stepped)

    def reset(self, key: Key) -> tuple[PyTree, Observation]:
        state, observation = self.game.reset(key)
        return state, in_floats(observation)

    def step(self, key: Key, state: PyTree, action: PyTree) -> tuple[PyTree, Timestep]:
        return self._as_float(self.game.step(key, state, action))

    def _as_float(self, stepped: tuple[PyTree, Timestep]) -> tuple[PyTree, Timestep]:
        state, timestep = stepped
        return state, timestep._replace(observation=in_floats(timestep.observation))


def in_floats(observation: Observation) -> Observation:
    """Returns the observation with its views as float32."""
    return observation._replace(view=observation.view.astype(jnp.float32))


def normalised(config: Settings, env: Environment, make: Callable[[Environment], Algorithm]) -> Algorithm:
    """Returns the learner that `make` gives, on normalised views if the settings ask for it.

    Raises ValueError for images.
    """
    if not config.normalise_views:
        return make(env)
    require_vectors(env, "normalise_views")
    learner = make(Floats(env))

    def shown(moments: ViewMoments, observation: Observation) -> Observation:
        return observation._replace(view=normalised_view(moments, observation.view))

    def init(key: Key) -> State:
        return State(learner.init(key), fresh(env.spec))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        return learner.act(key, state.learner, memory, shown(state.seen, observation), explore=explore)

    def practise(key: Key, state: State, memory: PyTree, observation: Observation):
        assert learner.practise is not None
        return learner.practise(key, state.learner, memory, shown(state.seen, observation))

    def update(key: Key, state: State, steps: Transition, reward_of: Any = None) -> tuple[State, dict[str, Array]]:
        if reward_of is not None:
            raise ValueError("the replay stores normalised views, and the bonus needs raw ones: set "
                             "normalise_views to False, or take another learner")  # fmt: skip
        before, following = (shown(state.seen, o) for o in (steps.observation, steps.next_observation))
        inside, metrics = learner.update(
            key, state.learner, steps._replace(observation=before, next_observation=following)
        )
        return State(inside, after(state.seen, steps.observation.view, steps.valid)), metrics

    return learner._replace(init=init, act=act, update=update, practise=practise if learner.practise else None)
