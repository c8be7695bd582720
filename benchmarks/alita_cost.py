"""Compares the cost of ALITA's update with that of MADDPG, on which it is built: `python benchmarks/alita_cost.py
[--rounds 6]`.

Push-Box, 32 games, rollouts of 25 steps (8 updates). Learners take turns in one process. For each the smallest
processor time per rollout is printed, with its play and updates, and its ratio to MADDPG with the same layers.
"""

import argparse
import time
from typing import Any

import jax
from jax import lax

from comity import rollout
from comity.environments.grid.sparse.push_box import PushBox
from comity.recipes import find_algorithm

GAMES, ROLLOUTS = 32, 10
LEARNERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "MADDPG": ("maddpg", "sound", {"layer_norm": True}),
    "ALITA without influence": ("alita", "no-f", {}),
    "ALITA without bonuses": ("alita", "no-im", {}),
    "ALITA": ("alita", "sound", {}),
    "everyone an influencer": ("alita", "symmetric", {}),
}


def program(name: str, preset: str, settings: dict[str, Any]):
    """Returns (the state of a trained run, a compiled program that continues it for ROLLOUTS rollouts)."""
    thing, env = find_algorithm(name).thing, PushBox()
    learner = thing.make(thing.Config(**{**thing.PRESETS[preset], **settings}), env)

    def iterate(carry, key):
        key_play, key_update = jax.random.split(key)
        play, steps = rollout.collect(key_play, env, learner, *carry)
        return (learner.update(key_update, carry[0], steps)[0], play), None

    def start(key):
        return learner.init(key), rollout.start(key, env, learner.memory, GAMES)

    run = lambda carry, key: lax.scan(iterate, carry, jax.random.split(key, ROLLOUTS))[0]  # noqa: E731
    carry = jax.jit(start)(jax.random.key(0))
    run = jax.jit(run, donate_argnums=0).lower(carry, jax.random.key(0)).compile()
    for n in range(3):  # until the first updates are over
        carry = run(carry, jax.random.key(n))
    return jax.block_until_ready(carry), run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", nargs="*", default=None)
    given = parser.parse_args()
    states = {name: program(*LEARNERS[name]) for name in given.only or LEARNERS}
    least = dict.fromkeys(states, float("inf"))
    for n in range(given.rounds):
        for name, (carry, run) in states.items():
            begun = time.process_time()
            carry = jax.block_until_ready(run(carry, jax.random.key(100 + n)))
            least[name] = min(least[name], 1e3 * (time.process_time() - begun) / ROLLOUTS)
            states[name] = carry, run
    base = least[next(iter(least))]
    for name, took in least.items():
        print(f"{name}: {took:.1f} ms, {took / base:.2f} times", flush=True)


if __name__ == "__main__":
    main()
