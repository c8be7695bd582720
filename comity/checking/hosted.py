"""Finds the problems of a game that Python steps, one line each."""

from typing import Any

import numpy as np

from comity.spec import Box, functions

EPISODES, MOST_STEPS = 3, 1000  # limits of random play


def hosted_problems(env: Any, play: bool) -> list[str]:
    """Lists problems. Begins two games with equal seeds and, with `play`, plays both with equal actions.

    What does not fit raises ValueError inside; hidden randomness shows as a difference.
    """
    host = None
    try:
        spec = env.spec
        host = functions(env).host(2)  # pyright: ignore[reportOptionalCall]
        host.begin(np.ones(2, bool), np.zeros(2, int))
        return _problems_in_play(host, spec) if play else []
    except ValueError as error:
        return [str(error)]
    finally:
        if host is not None:
            host.close()


def _problems_in_play(host: Any, spec: Any) -> list[str]:
    rng, both = np.random.default_rng(0), np.ones(2, bool)
    for seed in range(EPISODES):
        seen = host.begin(both, np.full(2, seed))
        for step in range(min(spec.length, MOST_STEPS) + 1):
            if differs := _differs(seen):
                return [
                    f"two games with seed {seed} and the same actions have another {differs} at step {step}: draw "
                    "whatever is random from reset's seed"
                ]
            available = np.asarray(seen[2][0])
            if isinstance(spec.action, Box):
                action = rng.uniform(-1, 1, available.shape)
            else:
                action = (rng.random(available.shape) * available).argmax(-1)
            seen, reward, terminated, truncated = host.step(both, np.stack([action, action]))[:4]
            if not np.isfinite(reward).all():
                return [f"rewards are not finite at step {step + 1} of seed {seed}: {reward[0].tolist()}"]
            if (terminated | truncated).any():
                break
    return []


def _differs(seen: Any) -> str | None:
    words = ("view", "state", "set of legal actions")
    same = (np.array_equal(x[0], x[1], equal_nan=x.dtype.kind == "f") for x in seen)
    return next((word for word, equal in zip(words, same, strict=True) if not equal), None)
