"""Synthetic run directories: files as training would have written them, without training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml


def write_run(
    directory: Path,
    *,
    task: str = "manitokan@1",
    algorithm: str = "pg",
    seeds: tuple[int, ...] = (0, 1, 2, 3),
    scores: Any = None,
    iterations: int = 300,
    every: int = 30,
    steps: int = 4800,
    final: bool = True,
    task_fields: dict[str, Any] | None = None,
    algorithm_fields: dict[str, Any] | None = None,
    training_fields: dict[str, Any] | None = None,
    manifest: dict[str, Any] | None = None,
    noise: float = 0.0,
) -> Path:
    """A run whose success rises linearly from 0 to `scores` (one per seed); greedy is half of sampled, best + 0.05.

    Return is one and a half times success, agent 0 gets 0.1 more than the mean, agent 1 0.1 less. steps: per iteration.
    """
    directory.mkdir(parents=True)
    scores = list(scores) if scores is not None else [0.5] * len(seeds)
    config = {
        "comity": "0.1.0",
        "task": {"name": task, "profile": "paper", "observe": "plain"} | (task_fields or {}),
        "algorithm": {"name": algorithm, "preset": "sound", "learning_rate": 5e-4, "hidden": [32]}
        | (algorithm_fields or {}),
        "training": {"seeds": list(seeds), "games": 32, "iterations": iterations, "chunk": 10, "evaluate_every": every}
        | (training_fields or {}),
    }
    (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    about = {
        "command": f"comity train {task.partition('@')[0]} {algorithm}",
        "git": {"commit": "0" * 40, "dirty": False},
        "status": "finished" if final else "running",
        "iterations_done": iterations,
        "env_steps": iterations * steps * len(seeds),
        "wall_seconds": 100.0,
        "step_unit": "joint actions",
        "headline": "success",
    }
    (directory / "manifest.json").write_text(json.dumps(about | (manifest or {})))
    generator = np.random.default_rng(len(str(directory.name)))
    with open(directory / "metrics.jsonl", "w") as file:
        for iteration in range(10, iterations + 1, 10):
            for seed, score in zip(seeds, scores, strict=True):
                success = score * iteration / iterations
                line = {"seed": seed, "iteration": iteration, "env_steps": iteration * steps, "wall_s": iteration / 3}
                line |= {"success": success, "return": 1.5 * success, "delay": None if success < 0.1 else 12.0}
                file.write(json.dumps(line) + "\n")
    with open(directory / "eval.jsonl", "w") as file:

        def write(seed: int, iteration: int, which: str, success: float, episodes: int) -> None:
            for policy, factor in (("sampled", 1.0), ("greedy", 0.5)):
                level = float(np.clip(success * factor + noise * generator.normal(), 0, 1))
                won = round(level * episodes)
                returned = [[1.5 * level + 0.1, 1.5 * level - 0.1]] * episodes
                line = {"seed": seed, "iteration": iteration, "env_steps": iteration * steps, "policy": policy}
                mean = {"success": level, "return": 1.5 * level}
                mean |= {"return.0": 1.5 * level + 0.1, "return.1": 1.5 * level - 0.1}
                line |= {"which": which, "episodes": episodes, "mean": mean}
                line |= {"values": {"success": [1] * won + [0] * (episodes - won), "return": returned}}
                file.write(json.dumps(line) + "\n")

        for iteration in range(0, iterations + 1, every):
            for seed, score in zip(seeds, scores, strict=True):
                write(seed, iteration, "periodic", score * iteration / iterations, 32)
        for seed, score in zip(seeds, scores, strict=True):
            if final:
                write(seed, iterations, "last", score, 320)
                write(seed, iterations, "best", score + 0.05, 320)
    return directory


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """`make_run(name="20260101-120000_aaaa", ...)` writes runs/TASK/ALGORITHM/NAME under the test's folder."""
    count = iter(range(1000))

    def make(name: str | None = None, **how: Any) -> Path:
        name = name or f"20260101-1200{next(count):02d}_{'abcd'}"
        task, algorithm = how.get("task", "manitokan@1"), how.get("algorithm", "pg")
        return write_run(tmp_path / "runs" / task.partition("@")[0] / algorithm / name, **how)

    return make
