"""Helpers for runs of the tiny game: their settings, and whether two runs are equal in every bit."""

from pathlib import Path
from typing import Any

import numpy as np

from comity.recipes import Recipe, from_objects
from comity.runs.directory import RunDirectory
from comity.training.loop import resume, train
from comity.training.settings import Training
from tiny import learner, signals

HERE = Path(__file__).parent
NAMES = [f"{HERE / 'signals.py'}:Signals", str(HERE / "learner.py")]  # TASK ALGORITHM on the command line
SMALL = dict(seeds=2, envs=16, iterations=8, chunk=2, evaluations=2, evaluation_episodes=4, final_episodes=8)


def flags(**settings: Any) -> list[str]:
    """Training settings as flags."""
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def silent(event: str, facts: dict[str, Any]) -> None:
    """Listens to a run and keeps quiet."""


def recipe(config: Any = None, env: Any = None) -> Recipe:
    return from_objects(env or signals.Signals(), config or learner.Config())


def trained(
    out: Path, one: Recipe | None = None, listen: Any = silent, initialise: Path | None = None, **settings: Any
) -> RunDirectory:
    """A run of the tiny game, in this process."""
    training = Training(**{**SMALL, **settings})
    return train(one or recipe(), training, out, initialise, listen)


def resumed(run: RunDirectory, one: Recipe | None = None, listen: Any = silent, **settings: Any) -> RunDirectory:
    return resume(run, listen=listen, recipe=one or recipe(), **settings)


def run_in(out: Path) -> RunDirectory:
    """The one run under `out`."""
    (config,) = out.rglob("config.yaml")
    return RunDirectory(config.parent)


def arrays(file: Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint, read as anyone can."""
    with np.load(file, allow_pickle=False) as data:
        return {name: data[name] for name in data.files if name != "manifest.json"}


def of_seed(file: Path, seed: int) -> dict[str, np.ndarray]:
    return {name: x for name, x in arrays(file).items() if name.startswith(f"{seed}.")}


def assert_same_arrays(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> None:
    """Bit for bit."""
    assert one.keys() == two.keys()
    for name, x in one.items():
        assert (x.dtype, x.shape) == (two[name].dtype, two[name].shape), name
        assert x.tobytes() == two[name].tobytes(), name


def assert_same_run(one: RunDirectory, two: RunDirectory) -> None:
    """Every array of every checkpoint, every line of metrics and evaluations; nothing half-written lies about."""
    for run in (one, two):
        assert not list(run.path.rglob("*.part"))
        for name in ("metrics.jsonl", "eval.jsonl"):
            keys = [tuple(x.get(k) for k in ("seed", "iteration", "policy", "which")) for x in run.lines(name)]
            assert len(set(keys)) == len(keys), f"{name} holds an iteration twice"
    files = sorted(path.name for path in one.checkpoints.iterdir())
    assert files == sorted(path.name for path in two.checkpoints.iterdir())
    for name in files:
        assert_same_arrays(arrays(one.checkpoints / name), arrays(two.checkpoints / name))
    for name in ("metrics.jsonl", "eval.jsonl"):
        assert (one.path / name).read_text() == (two.path / name).read_text(), name
