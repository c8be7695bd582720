"""Events that a run sends to its listener, and the facts that the longer events carry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from comity.runs.reading import read_json
from comity.training import evaluation
from comity.training.session import Session

# (event, facts): preparing, header, notice, compiling, compiled, chunk, evaluation, finals, note, done
Listen = Callable[[str, dict[str, Any]], None]

NEIGHBOURS = 20  # runs of the same task and algorithm whose manifests are searched for a compile time


def silent(event: str, facts: dict[str, Any]) -> None:
    """A listener that does nothing."""


def header(session: Session, resuming: bool) -> dict[str, Any]:
    state, training = jax.tree.leaves(session.shape.state), session.training
    per_iteration = training.envs * (session.programs.outline.steps or session.env.spec.length)
    return {
        "directory": session.directory.path,
        "resuming": resuming,
        "recipe": session.recipe,
        "training": training,
        "numbers": sum(int(np.prod(x.shape)) for x in state),
        "env_steps": per_iteration * training.iterations * training.seeds,
        "mode": session.seeds.mode,
        "workers": session.seeds.workers,
        "headline": session.env.spec.headline,
    }


def compiling(session: Session) -> dict[str, Any]:
    """The programs to compile, and the seconds that it took this run, or else its newest neighbour, the last time."""
    own = session.directory.path
    folders = [own, *sorted((x for x in own.parent.iterdir() if x != own), reverse=True)[:NEIGHBOURS]]
    found = (_compile_seconds(folder) for folder in folders)
    return {"programs": list(session.programs.parts), "last": next((x for x in found if x is not None), None)}


def _compile_seconds(folder: Path) -> float | None:
    try:
        seconds = read_json(folder / "manifest.json").get("compile_seconds")
    except (OSError, ValueError):
        return None
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 1e6 else None


def progress(session: Session, history: Any, count: int, seconds: float) -> dict[str, Any]:
    """The facts of a chunk of `count` iterations. history: the metrics of each seed."""
    values = [history[index] for index, _ in session.alive]
    names = dict.fromkeys((session.env.spec.headline, "return"))
    rollout = session.training.envs * (session.programs.outline.steps or session.env.spec.length)
    found = float(sum(np.asarray(v["env_steps"])[:count].sum() for v in values))
    mean = lambda x: evaluation.known_mean(np.asarray(x)[:count])  # noqa: E731
    return {
        "iteration": session.iteration,
        "iterations": session.training.iterations,
        "count": count,
        "seconds": seconds,
        "env_steps": found,
        "steps": max(found, float(rollout * count * len(values))),  # with games that ended and wait for others
        "seeds": len(values),
        "metrics": {n: [mean(v[n]) for v in values] for n in names if n in values[0]} if values else {},
    }
