"""What a run tells whoever listens: events, and the facts of the longer ones."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from comity.training import evaluation
from comity.training.session import Session

# (event, facts): header, notice, compiled, chunk, evaluation, finals, note, done
Listen = Callable[[str, dict[str, Any]], None]


def silent(event: str, facts: dict[str, Any]) -> None:
    """Listens to a run and keeps quiet."""


def header(session: Session, resuming: bool) -> dict[str, Any]:
    state, training = jax.tree.leaves(session.shape.state), session.training
    per_iteration = training.envs * (session.programs.algorithm.steps or session.env.spec.length)
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


def progress(session: Session, history: Any, count: int, seconds: float) -> dict[str, Any]:
    """Of a chunk of `count` iterations; history: of each seed."""
    values = [history[index] for index, _ in session.alive]
    names = dict.fromkeys((session.env.spec.headline, "return"))
    mean = lambda x: evaluation.known_mean(np.asarray(x)[:count])  # noqa: E731
    return {
        "iteration": session.iteration,
        "iterations": session.training.iterations,
        "count": count,
        "seconds": seconds,
        "env_steps": float(sum(np.asarray(v["env_steps"])[:count].sum() for v in values)),
        "metrics": {n: [mean(v[n]) for v in values] for n in names if n in values[0]} if values else {},
    }
