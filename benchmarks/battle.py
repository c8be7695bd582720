"""Measures the speed of SMAC's battles with random play on this machine: steps of the game per second of processor
time.

python benchmarks/battle.py [MAP ...] [--games 32]
"""

import argparse
import time

import jax
import jax.numpy as jnp

from comity.environments.battle.game import SMAC

STEPS = 60


def measured(name: str, games: int) -> tuple[float, float, float]:
    """Returns (seconds to compile reset and step, steps per second of processor time, steps per second of
    wall time).
    """
    env, key = SMAC(map=name), jax.random.key(0)  # pyright: ignore[reportArgumentType]
    keys = jax.random.split(key, games)
    begun = time.process_time()
    state, seen = jax.jit(jax.vmap(env.reset))(keys)
    step = jax.jit(env.step_games).lower(keys, state, jnp.zeros(seen.view.shape[:2], jnp.int32)).compile()
    compiled = time.process_time() - begun
    del step

    @jax.jit
    def play(key, state, can):
        def one(carry, key):
            state, can = carry
            key_act, key_step = jax.random.split(key)
            action = jax.random.categorical(key_act, jnp.where(can, 0.0, -jnp.inf))
            state, timestep = env.step_games(jax.random.split(key_step, games), state, action)
            seen = timestep.observation
            return (state, seen.available), (timestep.reward.sum(), seen.view.sum(), seen.state.sum())

        return jax.lax.scan(one, (state, can), jax.random.split(key, STEPS))

    jax.block_until_ready(play(key, state, seen.available))
    processor, clock = time.process_time(), time.perf_counter()
    jax.block_until_ready(play(key, state, seen.available))
    processor, clock = time.process_time() - processor, time.perf_counter() - clock
    return compiled, games * STEPS / processor, games * STEPS / clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("maps", nargs="*", default=["2s3z", "MMM2", "2c_vs_64zg"])
    parser.add_argument("--games", type=int, nargs="*", default=[1, 32, 1024])
    given = parser.parse_args()
    print("map            games  compile s  steps/s (processor)  steps/s (clock)")
    for name in given.maps:
        for games in given.games:
            compiled, processor, clock = measured(name, games)
            print(f"{name:<13} {games:>6} {compiled:>10.1f} {processor:>20,.0f} {clock:>16,.0f}", flush=True)


if __name__ == "__main__":
    main()
