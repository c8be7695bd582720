"""The programs of a training run, for one seed: pure functions, which `compile` and `seeds` compile.

Float settings are an argument, `floats`, so the same program serves every learning rate. Keys depend on the seed and
the iteration alone, so bits do not depend on how iterations are cut into chunks.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from comity import rollout
from comity.runs.keys import together
from comity.settings import floats, with_floats
from comity.spec import functions
from comity.training.episodes import (
    episode_statistics,
    finished_episodes,
    fresh_totals,
    means,
    of_each_policy,
    with_welfare,
)
from comity.training.notices import faults
from comity.types import Algorithm, Environment, Key, Metrics, PyTree, Transition

SMALL = 100_000  # largest size of an array that is copied to be checked
INIT, PLAY, TRAIN, EVALUATE, FINAL, BEST, FILM, FRESH, TRIAL = range(9)  # streams of keys from one seed


class Carry(NamedTuple):
    """The whole state of one seed's training between two chunks."""

    state: PyTree  # the algorithm's
    play: PyTree  # rollout.Play; if Python steps the games, they are not saved in checkpoints, see `stepping`
    totals: PyTree  # sums of the current episodes, in continuing play; else ()


@partial(jax.tree_util.register_dataclass, data_fields=["table"], meta_fields=["names"])
@dataclasses.dataclass(frozen=True)
class Recorded:
    """Metrics in one array. One array for each would be several kernels each, as many to compile as for learning."""

    table: Any  # [iterations, M], or [M] of one iteration
    names: tuple[str, ...]

    @staticmethod
    def of(metrics: Metrics) -> "Recorded":
        """Makes a record of one iteration's scalars."""
        return Recorded(jnp.stack([jnp.asarray(x, jnp.float32) for x in metrics.values()]), tuple(metrics))

    def by_name(self) -> dict[str, np.ndarray]:
        """The metrics on the host, {name: [iterations]}."""
        return dict(zip(self.names, np.asarray(self.table).T, strict=True))


class Program(NamedTuple):
    """A function for one seed, and the facts with which it is compiled for many seeds."""

    f: Callable[..., Any]
    arguments: tuple[Any, ...]  # shapes, of one seed
    per_seed: tuple[bool, ...]  # True for arguments that have one value for each seed; all results have
    donated: tuple[int, ...] = ()
    often: bool = False  # it runs many times, so its speed counts for more than its compile time


PER_SEED = {"init": (False, True), "chunk": (False, True, False, False, True), "evaluate": (False, False, True, True)}


@dataclasses.dataclass(frozen=True)
class Programs:
    """The functions that the loop calls, for one seed. `PER_SEED` says which arguments have one value for each seed.

    For a compiled game `init`, `chunk` and `evaluate` are compiled as a whole. If Python steps the game, they run in
    Python, `parts` of them are compiled, and `join` makes the three functions from the compiled parts.
    """

    init: Callable[..., Carry]  # (floats, seed_key) -> carry
    chunk: Callable[..., tuple[Carry, Recorded, Array]]
    #   (floats, seed_key, iteration, count, carry) -> (carry, metrics [capacity, M], finite []): `count` iterations
    evaluate: Callable[..., Any]
    #   (floats, begun, key, state) -> {"sampled": {name: [E] or [E, N]}, "greedy": {...}, "faults": {name: [E]}}
    #   begun: see `begun`
    made: Callable[[], Algorithm]
    floats: dict[str, float]  # the values of the float settings
    parts_of: Callable[[Carry], dict[str, Program]]  # (shapes of one seed's carry) -> the programs to compile
    join: Callable[[Mapping[str, Callable[..., Any]]], Mapping[str, Callable[..., Any]]] = dict
    #   (compiled parts) -> init, chunk and evaluate by name
    largest: str = "chunk"  # the part whose memory decides how many seeds fit
    begins_anew: bool = False  # checkpoints do not hold the games' states, so after `resume` they begin new episodes
    close: Callable[[], None] = lambda: None  # ends the games

    @cached_property
    def algorithm(self) -> Algorithm:
        """The algorithm with the settings' own floats. It is made at its first use, as that allocates its memory."""
        return self.made()

    @cached_property
    def outline(self) -> Algorithm:
        """The algorithm with shapes in place of its memory's arrays: nothing is allocated, nothing compiled."""
        found: list[Algorithm] = []

        def memory() -> PyTree:
            found.append(self.made())
            return found[0].memory

        shapes = jax.eval_shape(memory)
        return found[0]._replace(memory=shapes)

    @cached_property
    def shape(self) -> Carry:
        """The shapes of one seed's carry. Tracing raises the errors of a game and an algorithm that do not fit."""
        return jax.eval_shape(self.init, self.floats, one_key())

    @cached_property
    def parts(self) -> dict[str, Program]:
        return self.parts_of(self.shape)


def programs(
    make: Callable[[Any, Environment], Algorithm],
    config: Any,
    env: Environment,
    games: int,
    capacity: int,
    episodes: int,
    spread: rollout.Spread = rollout.unsharded,
) -> Programs:
    """Builds the programs of a compiled game.

    games: number of parallel games of a rollout; capacity: largest number of iterations of a chunk; episodes: number of
    episodes of one `evaluate` call; spread: places games on devices.
    """

    def build(values: dict[str, Array]) -> Algorithm:
        return make(with_floats(config, values), env)

    @jax.jit  # traced only once, although `chunk` needs its shapes before the loop
    def iterate(values: dict[str, Array], key: Key, iteration: Array, carry: Carry) -> tuple[Carry, Recorded]:
        algorithm = build(values)
        key_play, key_reward, key_update = jax.random.split(jax.random.fold_in(key, iteration), 3)
        play, steps = rollout.collect(key_play, env, algorithm, carry.state, spread(carry.play), spread)
        shaped = functions(env).training_reward
        reward = shaped(key_reward, steps, iteration) if shaped else None
        state, totals, metrics = learned(key_update, env, algorithm, carry.state, carry.totals, steps, reward)
        return Carry(state, play, totals), Recorded.of(metrics)

    def init(values, seed_key) -> Carry:
        algorithm = build(values)
        state = algorithm.init(jax.random.fold_in(seed_key, INIT))

        def start() -> rollout.Play:
            return rollout.start(jax.random.fold_in(seed_key, PLAY), env, algorithm.memory, games)

        shapes = jax.eval_shape(start)
        keys = any(jnp.issubdtype(x.dtype, jax.dtypes.prng_key) for x in jax.tree.leaves(shapes))
        if algorithm.whole_episodes:  # each rollout starts new episodes: shapes suffice, so no reset is compiled
            return Carry(state, start() if keys else _zeros(shapes), ())
        play = start()
        totals = jax.eval_shape(lambda: fresh_totals(rollout.collect(seed_key, env, algorithm, state, play)[1]))
        return Carry(state, play, _zeros(totals))

    def chunk(values, seed_key, iteration, count, carry):
        key = jax.random.fold_in(seed_key, TRAIN)

        shapes = jax.eval_shape(iterate, values, key, iteration, carry)[1]

        def step(i, carried):
            carry, history = carried
            carry, metrics = iterate(values, key, iteration + i, carry)
            return carry, lax.dynamic_update_slice(history, metrics.table[None], (i, 0))

        history = jnp.full((capacity, len(shapes.names)), jnp.nan, jnp.float32)
        carry, history = lax.fori_loop(0, count, step, (carry, history))
        return carry, Recorded(history, shapes.names), finite(carry.state)

    def evaluate(values, begun, key, state):
        algorithm = build(values)
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
        statistics = of_each_policy(episode_statistics(env, steps), number, algorithm.policies)
        sampled, greedy = _halves(statistics, episodes)
        return {"sampled": sampled, "greedy": greedy, "faults": faults(steps, episodes)}

    numbers, i = floats(config), np.int32(0)

    def parts(shape: Carry) -> dict[str, Program]:
        key = one_key()
        arguments = {
            "chunk": (numbers, key, i, i, shape),
            "evaluate": (numbers, i, key, shape.state),
            "init": (numbers, key),
        }
        each = {"chunk": chunk, "evaluate": evaluate, "init": init}
        donated, often = {"chunk": (4,)}, ("chunk",)
        return {
            name: Program(each[name], given, PER_SEED[name], donated.get(name, ()), name in often)
            for name, given in arguments.items()
        }

    return Programs(init, chunk, evaluate, lambda: make(config, env), numbers, parts)


def one_key() -> Any:
    """The shape and dtype of a key."""
    return jax.eval_shape(lambda: jax.random.key(0))


def learned(
    key: Key, env: Environment, algorithm: Algorithm, state: PyTree, totals: PyTree, steps: Transition,
    reward: Array | None = None,
) -> tuple[PyTree, PyTree, Metrics]:  # fmt: skip
    """Updates the algorithm on a rollout and returns (state, totals, metrics).

    totals: sums of the current episodes, in continuing play. reward: rewards that only the learner gets, such as
    injected ones; None: the game's own.
    """
    if algorithm.whole_episodes:
        statistics = episode_statistics(env, steps)
    else:
        totals, statistics = finished_episodes(totals, steps)
        statistics = with_welfare(env, statistics)
    state, metrics = algorithm.update(key, state, steps if reward is None else steps._replace(reward=reward))
    env_steps = steps.valid.sum() + metrics.pop("extra_steps", 0)  # joint actions of this iteration
    return state, totals, together(means(statistics), metrics, {"env_steps": env_steps})


def begun(algorithm: Algorithm, env: Environment, iteration: int) -> np.int32:
    """Number of episodes that training has begun in each place by an iteration, if none ended early.

    The evaluation at that iteration numbers its episodes from there on.
    """
    return np.int32(iteration * (algorithm.steps or env.spec.length) // env.spec.length)


def finite(tree: PyTree) -> Array:
    """True, [] bool, if no float in the tree is NaN or infinite."""
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    small = [x.astype(jnp.float32).ravel() for x in leaves if x.size <= SMALL]  # one kernel for all of them
    each = [x for x in leaves if x.size > SMALL] + ([jnp.concatenate(small)] if small else [])
    return jnp.stack([jnp.isfinite(x).all() for x in each]).all() if each else jnp.bool_(True)


def _halves(tree: PyTree, size: int) -> tuple[PyTree, PyTree]:
    return jax.tree.map(lambda x: x[:size], tree), jax.tree.map(lambda x: x[size:], tree)


def _zeros(shapes: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
