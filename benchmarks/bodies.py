"""Compares the speed of MuJoCo's bodies through comity's host and through plain gymnasium.vector: extra `continuous`.

    python benchmarks/bodies.py [half-cheetah ...]

Steps per second of wall time with random actions and 8 games; medians of 3 rounds in turn.
"""

import sys
import time
from typing import Any, cast

import gymnasium
import numpy as np

from comity.recipes import find_task

GAMES, STEPS, ROUNDS = 8, 300, 3


def ours(body: str, processes: int) -> float:
    game = find_task(f"mujoco:{body}").thing(processes=processes)
    host = game.host(GAMES)
    all_games = np.ones(GAMES, bool)
    host.begin(all_games, np.arange(GAMES))
    rng, size = np.random.default_rng(0), game.spec.action.n
    actions = rng.uniform(-1, 1, (STEPS, GAMES, 1, size)).astype(np.float32)
    began = time.perf_counter()
    for seed, action in enumerate(actions):
        _, _, terminated, truncated = host.step(all_games, action)
        if (ended := terminated | truncated).any():
            host.begin(ended, np.arange(GAMES) + GAMES * (seed + 1))
    took = time.perf_counter() - began
    host.close()
    return GAMES * STEPS / took


def theirs(body: str, processes: int) -> float:
    from comity.interop.bodies import registered

    kind = "async" if processes > 1 else "sync"
    envs = gymnasium.make_vec(registered("mujoco", body), num_envs=GAMES, vectorization_mode=kind)
    envs.reset(seed=0)
    rng, space = np.random.default_rng(0), cast(Any, envs.single_action_space)
    actions = rng.uniform(space.low, space.high, (STEPS, GAMES, *space.shape)).astype(np.float32)
    began = time.perf_counter()
    for action in actions:
        envs.step(action)
    took = time.perf_counter() - began
    envs.close()
    return GAMES * STEPS / took


def main(names: list[str]) -> None:
    print("body           cores  comity, steps/s  gymnasium.vector  ratio")
    for body in names or ["half-cheetah", "ant", "humanoid"]:
        for processes in (1, 2):
            rounds = [(ours(body, processes), theirs(body, processes)) for _ in range(ROUNDS)]
            mine, other = np.median(rounds, 0)
            print(f"{body:<14} {processes:>5}  {mine:>15,.0f}  {other:>16,.0f}  {mine / other:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
