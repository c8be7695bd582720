"""Learning tests: an algorithm is trained as one compiled program on a game so small that this takes seconds. Such
tests are marked `learn`: `pytest -m learn` shows what every algorithm of comity learns.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from comity import rollout

WELL = {"xla_backend_optimization_level": 1, "xla_llvm_disable_expensive_passes": False}  # runs longer than it compiles

Watch = Callable[[Any, dict[str, Any]], Any]  # (steps of a rollout, metrics of its update) -> what a test reads of it


def mean_reward(steps: Any, metrics: dict[str, Any]) -> Any:
    return steps.reward.mean()


def training(algorithm: Any, env: Any, updates: int, games: int, watch: Watch = mean_reward) -> Callable[[Any], Any]:
    """key -> (state after so many updates, what `watch` says of each [updates, ...])."""

    def run(key):
        key_init, key_play, key_train = jax.random.split(key, 3)

        def iteration(carry, key):
            state, play = carry
            key_play, key_learn = jax.random.split(key)
            play, steps = rollout.collect(key_play, env, algorithm, state, play)
            state, metrics = algorithm.update(key_learn, state, steps)
            return (state, play), watch(steps, metrics)

        begin = algorithm.init(key_init), rollout.start(key_play, env, algorithm.memory, games)
        (state, _), told = lax.scan(iteration, begin, jax.random.split(key_train, updates))
        return state, told

    return run


def trained(key, algorithm: Any, env: Any, updates: int, games: int, watch: Watch = mean_reward) -> tuple[Any, Any]:
    """The same of one seed, compiled: (state, told)."""
    return jax.jit(training(algorithm, env, updates, games, watch))(key)


def trained_seeds(
    key, algorithm: Any, env: Any, updates: int, games: int, seeds: int, watch: Watch = mean_reward
) -> tuple[Any, Any]:
    """Many seeds in one program, compiled well: (states, told), leaves [seeds, ...]."""
    run = jax.vmap(training(algorithm, env, updates, games, watch))
    return jax.jit(run, compiler_options=WELL)(jax.random.split(key, seeds))


def played(key, algorithm: Any, state: Any, env: Any, games: int, explore: bool = True) -> Any:
    """Whole episodes of a trained state, as it explores or not: the steps [T, games, ...]. To be compiled."""
    start = rollout.start(key, env, algorithm.memory, games)
    return rollout.collect_episodes(key, env, lambda key, *seen: algorithm.act(key, state, *seen, explore), start)
