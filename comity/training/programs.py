"""The programs of a training run, for one seed: pure functions, compiled by `seeds`.

Float settings enter as the argument `floats`, so the same program serves every learning rate. Keys come from the seed
and the iteration alone, so bits do not depend on how iterations are cut into chunks.
"""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from comity import rollout
from comity.runs.keys import together
from comity.settings import with_floats
from comity.spec import functions
from comity.training.episodes import episode_statistics, finished_episodes, fresh_totals, means, with_welfare
from comity.training.notices import faults
from comity.types import Algorithm, Environment, Key, Metrics, PyTree

INIT, PLAY, TRAIN, EVALUATE, FINAL, BEST, FILM, FRESH, TRIAL = range(9)  # streams of keys from one seed


class Carry(NamedTuple):
    """Everything that one seed's training goes on from."""

    state: PyTree  # the algorithm's
    play: rollout.Play
    totals: PyTree  # of episodes under way, in continuing play; else ()


@dataclasses.dataclass(frozen=True)
class Programs:
    init: Callable[..., Carry]  # (floats, seed_key) -> carry
    chunk: Callable[..., tuple[Carry, Metrics, Array]]
    #   (floats, seed_key, iteration, count, carry) -> (carry, metrics [capacity], finite []): `count` iterations
    evaluate: Callable[..., Any]
    #   (floats, begun, key, state) -> {"sampled": {name: [E] or [E, N]}, "greedy": {...}, "faults": {name: [E]}}
    #   begun: see `begun`
    made: Callable[[], Algorithm]

    @cached_property
    def algorithm(self) -> Algorithm:
        """With the settings' own floats. Made when it is asked for, since that allocates its memory."""
        return self.made()


def programs(
    make: Callable[[Any, Environment], Algorithm],
    config: Any,
    env: Environment,
    games: int,
    capacity: int,
    episodes: int,
    spread: rollout.Spread = rollout.as_it_lies,
) -> Programs:
    """games: parallel games of a rollout; capacity: most iterations of a chunk; episodes: of one `evaluate` call;
    spread: how games lie on devices."""

    def build(floats: dict[str, Array]) -> Algorithm:
        return make(with_floats(config, floats), env)

    @jax.jit  # traced once, though `chunk` asks for its shapes before it loops over it
    def iterate(floats: dict[str, Array], key: Key, iteration: Array, carry: Carry) -> tuple[Carry, Metrics]:
        algorithm = build(floats)
        key_play, key_reward, key_update = jax.random.split(jax.random.fold_in(key, iteration), 3)
        play, steps = rollout.collect(key_play, env, algorithm, carry.state, spread(carry.play), spread)
        if algorithm.whole_episodes:
            totals, statistics = carry.totals, episode_statistics(env, steps)
        else:
            totals, statistics = finished_episodes(carry.totals, steps)
            statistics = with_welfare(env, statistics)
        shaped = functions(env).training_reward
        if shaped:  # rewards that only the learner sees, such as injected ones
            steps = steps._replace(reward=shaped(key_reward, steps, iteration))
        state, metrics = algorithm.update(key_update, carry.state, steps)
        env_steps = steps.valid.sum() + metrics.pop("extra_steps", 0)  # joint actions of this iteration
        return Carry(state, play, totals), together(means(statistics), metrics, {"env_steps": env_steps})

    def init(floats, seed_key) -> Carry:
        algorithm = build(floats)
        state = algorithm.init(jax.random.fold_in(seed_key, INIT))

        def start() -> rollout.Play:
            return rollout.start(jax.random.fold_in(seed_key, PLAY), env, algorithm.memory, games)

        shapes = jax.eval_shape(start)
        keys = any(jnp.issubdtype(x.dtype, jax.dtypes.prng_key) for x in jax.tree.leaves(shapes))
        if algorithm.whole_episodes:  # every rollout starts anew: only the shapes are needed, so no reset is compiled
            return Carry(state, start() if keys else _zeros(shapes), ())
        play = start()
        totals = jax.eval_shape(lambda: fresh_totals(rollout.collect(seed_key, env, algorithm, state, play)[1]))
        return Carry(state, play, _zeros(totals))

    def chunk(floats, seed_key, iteration, count, carry):
        key = jax.random.fold_in(seed_key, TRAIN)

        def step(i, carried):
            carry, history = carried
            carry, metrics = iterate(floats, key, iteration + i, carry)
            return carry, jax.tree.map(lambda xs, x: xs.at[i].set(x), history, metrics)

        shapes = jax.eval_shape(iterate, floats, key, iteration, carry)[1]
        history = jax.tree.map(lambda x: jnp.full((capacity, *x.shape), jnp.nan, jnp.float32), shapes)
        carry, history = lax.fori_loop(0, count, step, (carry, history))
        return carry, history, finite(carry.state)

    def evaluate(floats, begun, key, state):
        algorithm = build(floats)
        key_start, key = jax.random.split(key)
        # Both policies in one program: the first half of the games is sampled, the second half greedy.
        number = begun + jnp.arange(2 * episodes) % episodes  # for games that change with it
        play = rollout.start(key_start, env, algorithm.memory, 2 * episodes, number)

        def act(key, memory, observation):
            keys, (first, second) = jax.random.split(key), _halves((memory, observation), episodes)
            sampled = algorithm.act(keys[0], state, *first, explore=True)
            greedy = algorithm.act(keys[1], state, *second, explore=False)
            return jax.tree.map(lambda *xs: jnp.concatenate(xs), sampled, greedy)

        steps = rollout.collect_episodes(key, env, act, play)
        sampled, greedy = _halves(episode_statistics(env, steps), episodes)
        return {"sampled": sampled, "greedy": greedy, "faults": faults(steps, episodes)}

    return Programs(init, chunk, evaluate, lambda: make(config, env))


def begun(algorithm: Algorithm, env: Environment, iteration: int) -> np.int32:
    """Episodes that training has begun in each place by then, if none ended early: evaluations go on from there."""
    return np.int32(iteration * (algorithm.steps or env.spec.length) // env.spec.length)


def finite(tree: PyTree) -> Array:
    """[] bool: no float in the tree is NaN or infinite."""
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(x).all() for x in leaves]).all() if leaves else jnp.bool_(True)


def _halves(tree: PyTree, size: int) -> tuple[PyTree, PyTree]:
    return jax.tree.map(lambda x: x[:size], tree), jax.tree.map(lambda x: x[size:], tree)


def _zeros(shapes: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
