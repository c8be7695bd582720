"""Records mpe2.npz: random episodes of four tasks of mpe2 1.1.1, with both kinds of actions.

    python -m venv mpe2-venv && mpe2-venv/bin/pip install mpe2==1.1.1
    mpe2-venv/bin/python tests/golden/record_mpe2.py

It needs numpy and mpe2 but not comity. README.md beside it describes the file. A second run gives the same numbers.
"""

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
from mpe2 import (  # pyright: ignore[reportMissingImports]  # it is installed where this is run
    simple_adversary_v3,
    simple_speaker_listener_v4,
    simple_spread_v3,
    simple_tag_v3,
)

VERSION = "1.1.1"
STEPS = 25
TASKS = {  # task: (game, its options, episodes of each kind of actions, factor of agents' first places in every third)
    "navigation": (simple_spread_v3, {"N": 3}, 14, 0.35),
    "navigation5": (simple_spread_v3, {"N": 5}, 3, 0.6),
    "communication": (simple_speaker_listener_v4, {}, 12, 1.0),
    "deception": (simple_adversary_v3, {}, 12, 1.0),
    "tag": (simple_tag_v3, {}, 14, 0.2),
}
REPEATS = (
    0.0,
    0.9,
    0.5,
)  # in turn: that an agent repeats its last action. Who repeats itself gets fast, and who begins
# in the middle touches others.
FIELDS = ("position", "velocity", "landmarks", "goal", "message", "view", "action", "reward")


def places(entities):
    return np.array([x.state.p_pos for x in entities])


def goal_of(world):
    """Number of the goal landmark, 0 where there is none."""
    for agent in world.agents:
        for name in ("_goal_b", "goal_a"):
            found = getattr(agent, name, None)
            if any(found is x for x in world.landmarks):
                return world.landmarks.index(found)
    return 0


def episode(module, options, closer, continuous, seed):
    repeats = REPEATS[seed % 3]
    rng = np.random.default_rng([seed, continuous, len(options), options.get("N", 0)])
    env = module.parallel_env(max_cycles=STEPS, continuous_actions=continuous, **options)
    env.reset(seed=seed)
    world, scenario = env.unwrapped.world, env.unwrapped.scenario
    if seed % 3 == 2:
        for agent in world.agents:
            agent.state.p_pos = agent.state.p_pos * closer
    found: dict[str, Any] = {name: [] for name in FIELDS}
    last = {}

    def look():
        found["position"].append(places(world.agents))
        found["velocity"].append(np.array([x.state.p_vel for x in world.agents]))
        found["message"].append(np.array(world.agents[0].state.c, float))
        views = [np.asarray(scenario.observation(agent, world), float) for agent in world.agents]
        size = max(map(len, views))
        found["view"].append(np.array([np.pad(view, (0, size - len(view))) for view in views], np.float32))

    look()
    while env.agents:
        for name in env.agents:
            if name not in last or rng.random() >= repeats:
                space = env.action_space(name)
                # Multiples of 1/1024, so that no number is rounded on its way into and out of [-1, 1].
                last[name] = rng.integers(0, 1025, space.shape) / 1024 if continuous else rng.integers(space.n)
        action = {name: np.float32(x) if continuous else int(x) for name, x in last.items()}
        _, reward, _, truncated, _ = env.step(action)
        size = max(np.size(x) for x in action.values())
        each = [np.pad(np.atleast_1d(x), (0, size - np.size(x))) for x in last.values()]
        found["action"].append(np.array(each) * 1024 if continuous else np.array(each)[:, 0])
        found["reward"].append(list(reward.values()))
        look()
    assert len(found["reward"]) == STEPS
    assert all(truncated.values())
    found["landmarks"], found["goal"] = places(world.landmarks), goal_of(world)
    return found


def main():
    version = importlib.metadata.version("mpe2")
    assert version == VERSION, f"mpe2 {version} is installed: pip install mpe2=={VERSION}"
    arrays = {"version": np.array(version)}
    for task, (module, options, count, closer) in TASKS.items():
        for kind in ("discrete", "continuous"):
            played = [episode(module, options, closer, kind == "continuous", seed) for seed in range(count)]
            for name in FIELDS:
                stacked = np.stack([np.array(one[name]) for one in played])
                dtype = {"view": np.float32, "goal": np.int8, "action": np.int16}.get(name, np.float64)
                arrays[f"{task}_{kind}_{name}"] = stacked.astype(dtype)
    file = Path(__file__).with_name("mpe2.npz")
    np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    print(f"{file}: {file.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
