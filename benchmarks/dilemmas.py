"""Measures the speed of Harvest and Cleanup alone: random play, one core, CPU time. `python benchmarks/dilemmas.py`.

`--agents 7 --radius 5 --games 32 --obs channels` are the sizes at which SocialJax was measured, docs/tasks/harvest.md.

Prints env steps per CPU second (all agents moved once) for both kinds of views. Every view is summed, so that the
compiler cannot leave out any of its numbers.
"""

import argparse
import os
import time

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, set before jax counts the cores

import jax
import jax.numpy as jnp

from comity.environments.dilemmas.cleanup import Cleanup
from comity.environments.dilemmas.harvest import Harvest


def program(env, games: int, steps: int):
    """Returns (key) -> a number that depends on every reward and every number of every view."""

    def play(key):
        key_start, key_play = jax.random.split(key)
        state, _ = jax.vmap(env.reset)(jax.random.split(key_start, games))

        def step(carry, key):
            state, total = carry
            key_act, key_step = jax.random.split(key)
            action = jax.random.randint(key_act, (games, env.num_agents), 0, env.spec.action.n)
            state, timestep = jax.vmap(env.step)(jax.random.split(key_step, games), state, action)
            view = timestep.observation.view
            return (state, total + timestep.reward.sum() + view.sum(dtype=jnp.uint32)), None

        return jax.lax.scan(step, (state, jnp.zeros(())), jax.random.split(key_play, steps))[0][1]

    return jax.jit(play)


def measured(env, games: int, steps: int, repeats: int) -> list[float]:
    """Returns env steps per CPU second of each repeat."""
    run = program(env, games, steps)
    run(jax.random.key(0)).block_until_ready()
    found = []
    for repeat in range(repeats):
        begin = time.process_time()
        run(jax.random.key(repeat)).block_until_ready()
        found.append(games * steps / (time.process_time() - begin))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--agents", type=int, default=5)
    parser.add_argument("--radius", type=int, default=7, help="cells seen to each side")
    parser.add_argument("--obs", nargs="+", default=["channels", "rgb"])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    words = parser.parse_args()
    print("| game | views | games | env steps per CPU second (least to most) |\n| --- | --- | --- | --- |")
    for kind in (Harvest, Cleanup):
        for obs in words.obs:
            for games in words.games:
                env = kind(num_agents=words.agents, radius=words.radius, obs=obs)
                found = sorted(measured(env, games, words.steps, words.repeats))
                middle = found[len(found) // 2]
                name = kind.__name__.lower()
                print(f"| {name} | {obs} | {games} | {middle:,.0f} ({found[0]:,.0f} to {found[-1]:,.0f}) |", flush=True)


if __name__ == "__main__":
    main()
