"""Many seeds of an algorithm trained as one compiled program, for games so small that this takes seconds."""

import jax
from jax import lax

from comity import rollout

WELL = {"xla_backend_optimization_level": 1, "xla_llvm_disable_expensive_passes": False}  # runs longer than it compiles


def training(algorithm, env, iterations: int, games: int):
    """key -> the state of one seed after training."""

    def run(key):
        key_init, key_play, key_train = jax.random.split(key, 3)
        state = algorithm.init(key_init)
        play = rollout.start(key_play, env, algorithm.memory, games)

        def iteration(carry, key):
            state, play = carry
            key_play, key_learn = jax.random.split(key)
            play, steps = rollout.collect(key_play, env, algorithm, state, play)
            state, _ = algorithm.update(key_learn, state, steps)
            return (state, play), None

        return lax.scan(iteration, (state, play), jax.random.split(key_train, iterations))[0][0]

    return run


def trained_seeds(key, algorithm, env, seeds: int, iterations: int, games: int):
    """States after training, leaves [seeds, ...]."""
    run = jax.vmap(training(algorithm, env, iterations, games))
    return jax.jit(run, compiler_options=WELL)(jax.random.split(key, seeds))
