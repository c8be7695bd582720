"""Measures how fast a task steps: random play with resets, on one core.

    python benchmarks/task_speed.py cleanup-lite coin-game oasis --games 32 1024

Prints env steps (of all agents together) per second of this process's own CPU time: the median of five, and all five.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax

from comity import rollout
from comity.algorithms import random
from comity.recipes import find_task

STEPS = 200  # steps of a timed call


def speeds(task: str, games: int, repeats: int = 5) -> list[float]:
    """Returns env steps per CPU second of each repeat."""
    env = find_task(task).thing()
    algorithm = random.make(random.Config(), env)
    act = lambda key, memory, observation: algorithm.act(key, (), memory, observation)  # noqa: E731

    @jax.jit
    def play(key, begun):
        begun, steps = rollout.collect_steps(key, env, act, begun, (), STEPS)
        return begun, steps.reward.sum(), jax.tree.map(lambda x: x.sum(), steps.observation.view)

    begun = rollout.start(jax.random.key(0), env, (), games)
    found = []
    for k in range(repeats + 1):
        before = time.process_time()
        begun, *_ = jax.block_until_ready(play(jax.random.key(k), begun))
        found.append(STEPS * games / (time.process_time() - before))
    return found[1:]  # the first one compiled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--games", type=int, nargs="+", default=[32, 1024])
    given = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for task in given.tasks:
        for games in given.games:
            found = speeds(task, games)
            print(f"{task} {games} games: {statistics.median(found):,.0f} ({', '.join(f'{x:,.0f}' for x in found)})")


if __name__ == "__main__":
    main()
