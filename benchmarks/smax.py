"""Compares battles with SMAX of JaxMARL (Rutherford et al. 2023): random play of 2s3z, both in one process, on one
core.

In an environment that has jaxmarl 0.2.0 beside comity: python benchmarks/smax.py [--map 2s3z] [--games 32]

They take turns. For each the highest speed over the rounds is printed, in env steps per second of processor time. All
numbers of every view, state and reward are summed. No game is reset: SMAX's own `step` would do so at every step.
"""

import argparse
import os
import time

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, set before jax counts the cores

import jax
import jax.numpy as jnp
from jaxmarl import make  # pyright: ignore[reportMissingImports]
from jaxmarl.environments.smax import map_name_to_scenario  # pyright: ignore[reportMissingImports]

from comity.environments.battle.game import SMAC

STEPS = 60


def drawn(key, can):
    """Draws one of the available actions for each agent; can [..., A]."""
    return jax.random.categorical(key, jnp.where(can, 0.0, -jnp.inf))


def ours(name: str, games: int):
    env = SMAC(map=name)  # pyright: ignore[reportArgumentType]

    @jax.jit
    def play(key):
        def step(carry, key):
            state, can = carry
            key_act, key_step = jax.random.split(key)
            action = drawn(key_act, can).astype(jnp.int32)
            state, timestep = env.step_games(jax.random.split(key_step, games), state, action)
            seen = timestep.observation
            return (state, seen.available), timestep.reward.sum() + seen.view.sum() + seen.state.sum()

        state, seen = jax.vmap(env.reset)(jax.random.split(key, games))
        return jax.lax.scan(step, (state, seen.available), jax.random.split(key, STEPS))[1].sum()

    return play


def theirs(name: str, games: int):
    """Returns random play of SMAX against the enemy that JaxMARL scripts."""
    env = make("HeuristicEnemySMAX", scenario=map_name_to_scenario(name))

    @jax.jit
    def play(key):
        def step(state, key):
            key_act, key_step = jax.random.split(key)
            can = jax.vmap(env.get_avail_actions)(state)
            keys = jax.random.split(key_act, len(env.agents))
            action = {agent: drawn(k, can[agent] > 0) for agent, k in zip(env.agents, keys, strict=True)}
            seen, state, reward, *_ = jax.vmap(env.step_env)(jax.random.split(key_step, games), state, action)
            return state, jnp.stack([x.sum() for x in jax.tree.leaves((seen, reward))]).sum()

        _, state = jax.vmap(env.reset)(jax.random.split(key, games))
        return jax.lax.scan(step, state, jax.random.split(key, STEPS))[1].sum()

    return play


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--map", default="2s3z")
    parser.add_argument("--games", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=8)
    given = parser.parse_args()
    both, most = {}, {}
    for name, made in {"comity": ours, "SMAX": theirs}.items():
        begun = time.process_time()
        both[name] = made(given.map, given.games).lower(jax.random.key(0)).compile()
        print(f"{name}: compiled in {time.process_time() - begun:.1f} s", flush=True)
    for n in range(given.rounds):
        for name, play in both.items():
            begun = time.process_time()
            jax.block_until_ready(play(jax.random.key(n)))
            speed = given.games * STEPS / (time.process_time() - begun)
            most[name] = max(most.get(name, 0.0), speed)
            print(f"{name}, round {n}: {speed:,.0f} steps/s", flush=True)
    print(f"{given.map}, {given.games} games: " + ", ".join(f"{name} {x:,.0f}" for name, x in most.items()), end="; ")
    print(f"ratio {most['comity'] / most['SMAX']:.1f}")


if __name__ == "__main__":
    main()
