"""Evaluation: plays fresh episodes of a fixed policy, greedy and sampled, and keeps values per episode and agent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from comity.settings import did_you_mean
from comity.training.compile import Ready
from comity.training.seed_keys import key_of
from comity.training.seeds import PerSeed, Seeds

if TYPE_CHECKING:
    from comity.training.together import Member

POLICIES = ("sampled", "greedy")


class Stopped(RuntimeError):
    """Raised if a signal came while an evaluation had batches of episodes left to play."""


def evaluate(
    seeds: Seeds, ready: Ready | Member, floats: dict[str, float], names: list[int], states: PerSeed, stream: int,
    at: int, begun: np.int32, episodes: int, batch: int, stopped: Callable[[], bool] = lambda: False,
) -> list[dict[str, dict[str, np.ndarray]]]:  # fmt: skip
    """Plays `episodes` per seed and policy with the program `evaluate`, which plays `batch` of each.

    Keys come from the seed's name, the stream and `at` (the iteration), so they differ from those of training and never
    change. begun: the number of the first episode, for games that change with it; later batches go on from there.
    Returns for each seed {policy: {statistic: [episodes] or [episodes, N]}}. Raises Stopped if `stopped()` before a
    later batch.
    """
    results = []
    for part in range(-(-episodes // batch)):
        if part and stopped():
            raise Stopped
        keys = seeds.join([_key(name, stream, at, part) for name in names])
        results.append(seeds.each(ready.call(seeds, "evaluate", floats, np.int32(begun + part * batch), keys, states)))

    def of(index: int) -> dict[str, dict[str, np.ndarray]]:
        parts = [jax.tree.map(np.asarray, result[index]) for result in results]
        return jax.tree.map(lambda *xs: np.concatenate(xs)[:episodes], *parts)

    return [of(index) for index in range(len(names))]


def line(
    seed: int, iteration: int, env_steps: int, policy: str, which: str, values: dict[str, np.ndarray], of: int
) -> dict[str, Any]:
    """One line of eval.jsonl: means over episodes (and agents, and per agent) and every episode's own values.

    iteration: the iteration of the evaluation; of: the iteration of the policy, which is an earlier one for the best.
    """
    return {
        "seed": seed,
        "iteration": iteration,
        "env_steps": env_steps,
        "policy": policy,
        "which": which,
        "policy_iteration": of,
        "episodes": len(values["length"]),
        "mean": means(values),
        "values": {name: _plain(x) for name, x in values.items()},
    }


def known(policy: Any) -> Any:
    """Returns the name of a policy. Raises ValueError if there is none of that name."""
    if policy not in POLICIES:
        raise ValueError(f"policy {policy!r} is not one of {', '.join(POLICIES)}{did_you_mean(policy, POLICIES)}")
    return policy


def means(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Mean of each statistic [E] or [E, N] over episodes and agents, and per agent as `name.0`, ..."""
    result = {}
    for name, x in values.items():
        result[name] = known_mean(x)
        if x.ndim > 1:
            result |= {f"{name}.{agent}": known_mean(x[:, agent]) for agent in range(x.shape[1])}
    return result


def known_mean(x: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    known = np.asarray(x, np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else math.nan


def _key(name: int, stream: int, at: int, part: int):
    return key_of(name, stream, at, part)


def _plain(x: np.ndarray) -> list:
    """Numbers for the file: whole numbers as such, others to 7 decimal places."""
    return x.astype(int).tolist() if x.dtype.kind in "ib" else np.round(x.astype(np.float64), 7).tolist()
