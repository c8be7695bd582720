"""Compares TD3 and SAC on MuJoCo's half-cheetah with Stable-Baselines3: returns and processor time at equal settings.

    python benchmarks/half_cheetah_peers.py --steps 100000 --seeds 3            # about 4 core-hours
    python benchmarks/half_cheetah_peers.py --steps 5000 --seeds 1 --learners td3 --libraries comity

Needs stable-baselines3 (and torch) beside comity with the extra `continuous`. Both have the same settings: two layers
of 256, Adam 3e-4, batch 256, one update of the critics for each step, 1,000 uniform first steps, gamma 0.99, tau 0.005;
TD3 with noise 0.1, smoothing 0.2 clipped at 0.5, one step of the actor in two; SAC with a learned alpha that begins at
1. The same function judges all policies: 10 episodes without noise, with the same seeds. Processor time is that of the
process with all threads; building and first compilation are reported apart. Prints one line of JSON for each run.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable

import gymnasium
import numpy as np

BODY, EPISODES, WARMUP = "HalfCheetah-v5", 10, 1_000
Policy = Callable[[np.ndarray], np.ndarray]


def returns(policy: Policy) -> list[float]:
    """Returns of `EPISODES` episodes. policy: view [V] -> action [A] in [-1, 1]."""
    env, found = gymnasium.make(BODY), []
    for seed in range(EPISODES):
        view, _ = env.reset(seed=10_000 + seed)
        total, over = 0.0, False
        while not over:
            view, reward, terminated, truncated, _ = env.step(policy(view))
            total, over = total + float(reward), terminated or truncated
        found.append(total)
    return found


def comity_run(name: str, steps: int, seed: int) -> tuple[Policy, float, float]:
    """Returns (policy, processor seconds of training, of compiling and the first steps)."""
    import jax
    import jax.numpy as jnp

    import comity
    from comity.types import Observation

    config = comity.algorithm(name, warmup=WARMUP)
    told: list[float] = []
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = comity.train(
            "mujoco:half-cheetah", config, out=folder, progress=False, seeds=1, first_seed=seed, envs=1, chunk=100,
            iterations=steps // config.steps, evaluations=0, evaluation_episodes=1, final_episodes=1,
            on_chunk=lambda facts: told.append(time.process_time()),
        )  # fmt: skip
    take = jax.jit(lambda state, view: run.algorithm.act(jax.random.key(0), state, (), seen(view), explore=False)[0])
    numbers = run.env.spec.action.n

    def seen(view) -> Observation:
        return Observation(view[None], jnp.zeros(run.env.spec.state.shape), jnp.ones((1, numbers), bool))

    state = run.state()
    policy = lambda view: np.asarray(take(state, view.astype(np.float32)))[0]  # noqa: E731
    return policy, told[-1] - told[0], told[0] - began


def sb3_run(name: str, steps: int, seed: int) -> tuple[Policy, float, float]:
    """Does the same as `comity_run` with Stable-Baselines3."""
    import torch  # pyright: ignore[reportMissingImports]
    from stable_baselines3 import SAC, TD3  # pyright: ignore[reportMissingImports]
    from stable_baselines3.common.noise import NormalActionNoise  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    env = gymnasium.make(BODY)
    size = int(np.prod(env.action_space.shape or ()))
    same = {
        "learning_rate": 3e-4, "buffer_size": 1_000_000, "learning_starts": WARMUP, "batch_size": 256, "tau": 0.005,
        "gamma": 0.99, "train_freq": 1, "gradient_steps": 1, "policy_kwargs": {"net_arch": [256, 256]}, "seed": seed,
        "device": "cpu",
    }  # fmt: skip
    began = time.process_time()
    if name == "td3":
        noise = NormalActionNoise(np.zeros(size), 0.1 * np.ones(size))
        model = TD3("MlpPolicy", env, action_noise=noise, policy_delay=2, target_policy_noise=0.2,
                    target_noise_clip=0.5, **same)  # fmt: skip
    else:
        model = SAC("MlpPolicy", env, ent_coef="auto", **same)
    built = time.process_time()
    model.learn(steps)
    took = time.process_time() - built
    return lambda view: model.predict(view, deterministic=True)[0], took, built - began


LIBRARIES = {"comity": comity_run, "stable-baselines3": sb3_run}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learners", nargs="+", choices=["td3", "sac"], default=["td3", "sac"])
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    given = parser.parse_args()
    for name in given.learners:
        for seed in range(given.seeds):
            for library in given.libraries:
                policy, took, first = LIBRARIES[library](name, given.steps, seed)
                paid = returns(policy)
                print(json.dumps({
                    "library": library, "learner": name, "steps": given.steps, "seed": seed,
                    "return": round(float(np.mean(paid)), 1), "least": round(min(paid), 1), "most": round(max(paid), 1),
                    "cpu_seconds": round(took, 1), "before": round(first, 1),
                }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
