"""Measures the play and processor time that a learner needs to hold the pendulum up: `python benchmarks/pendulum.py
[NAME ...]`.

Run it in the repository's root. Rows are those of tests/algorithms/test_pendulum.py, with five seeds each. At regular
numbers of env steps (EVERY) 50 greedy episodes are played. The learner has solved the task if their mean return is
above -200 in two checks in a row; the first of them is printed. Processor time is that of learning alone, without
compiling and checks.
"""

import sys
import time
from pathlib import Path

import jax
from jax import lax

sys.path.insert(0, str(Path(__file__).parents[1]))

from comity import rollout
from comity.recipes import find_algorithm
from tests.algorithms.test_pendulum import ENV, ROWS

SEEDS, EPISODES, SOLVED = 5, 50, -200.0
EVERY = {1: 1_000, 8: 16_000, 16: 32_000}  # env steps between checks, by the number of games
MOST = 20  # number of checks


def measured(name: str, algorithm: str, preset: str, settings: dict, games: int) -> None:
    thing = find_algorithm(algorithm).thing
    learner = thing.make(thing.Config(**{**thing.PRESETS[preset], **settings}), ENV)
    rollouts = EVERY[games] // (games * (learner.steps or ENV.spec.length))

    def iterate(carry, key):
        key_play, key_update = jax.random.split(key)
        play, steps = rollout.collect(key_play, ENV, learner, *carry)
        return (learner.update(key_update, carry[0], steps)[0], play), None

    def start(key):
        key_init, key_start = jax.random.split(key)
        return learner.init(key_init), rollout.start(key_start, ENV, learner.memory, games)

    learn = lambda carry, key: lax.scan(iterate, carry, jax.random.split(key, rollouts))[0]  # noqa: E731

    def check(state, key):
        greedy = lambda key, memory, observation: learner.act(key, state, memory, observation, False)  # noqa: E731
        play = rollout.start(key, ENV, learner.memory, EPISODES)
        return rollout.collect_episodes(key, ENV, greedy, play).reward.sum(0).mean()

    began = time.process_time()
    first = jax.jit(start)(jax.random.key(0))
    learn = jax.jit(learn).lower(first, jax.random.key(0)).compile()
    check = jax.jit(check).lower(first[0], jax.random.key(0)).compile()
    compiling = time.process_time() - began
    for seed in range(SEEDS):
        key = jax.random.key(seed)
        carry, seconds, found, before = jax.jit(start)(key), 0.0, None, -1e9
        for n in range(MOST):
            began = time.process_time()
            carry = jax.block_until_ready(learn(carry, jax.random.fold_in(key, n)))
            took = time.process_time() - began
            paid = float(check(carry[0], jax.random.fold_in(key, 1_000 + n)))
            seconds += took
            if paid > SOLVED and before > SOLVED:
                break
            found, before = ((n + 1) * EVERY[games], seconds), paid
        else:
            found = None
        told = f"{found[0]:,} env steps, {found[1]:.1f} CPU seconds" if found else f"not in {MOST * EVERY[games]:,}"
        print(f"{name}, seed {seed}: {told} (compiling {compiling:.0f})", flush=True)


if __name__ == "__main__":
    for name, algorithm, preset, settings, games, _ in ROWS:
        if name in sys.argv[1:] or not sys.argv[1:]:
            measured(name, algorithm, preset, settings, games)
