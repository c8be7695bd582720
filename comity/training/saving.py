"""Writes the files of a run between chunks: metrics, checkpoints, the manifest."""

import contextlib
import datetime
from typing import Any

import numpy as np

from comity.training import checkpoint, evaluation
from comity.training.events import Listen
from comity.training.programs import finite
from comity.training.session import Session


def metrics(session: Session, history: Any, count: int) -> None:
    """Writes the lines of metrics.jsonl about a chunk of `count` iterations. history: the metrics of each seed."""
    lines = []
    for index, seed in session.alive:
        values = {name: np.asarray(x)[:count] for name, x in history[index].items()}
        session.env_steps[seed] += int(values.pop("env_steps").astype(np.float64).sum())
        line = {"seed": seed, "iteration": session.iteration, "env_steps": session.env_steps[seed]}
        lines.append({**line, **{name: evaluation.known_mean(x) for name, x in values.items()}})
    session.lines.add("metrics.jsonl", lines)
    session.directory.append("metrics.jsonl", lines)


def what_is_not_finite(session: Session, sound: Any, listen: Listen) -> None:
    """Marks seeds whose state is not finite as failed and saves their state. sound: for each seed, True if finite."""
    for index, seed in session.alive:
        if bool(sound[index]):
            continue
        state = session.seeds.of(session.carry, index).state
        session.failed[seed] = what = next(name for name, x in checkpoint.named(state) if not finite(x))
        path = session.directory.checkpoints / f"not-finite-{seed}.npz"
        checkpoint.save(path, state, {"iteration": session.iteration, "seed": seed, "not_finite": what})
        listen("note", {"text": f"seed {seed}: {what} is not finite; saved in {path}, the others go on"})


def checkpoint_now(session: Session, wall: float = 0.0) -> None:
    """Saves a checkpoint of all seeds and removes old ones. wall: seconds that the run has taken so far."""
    each = session.seeds.each(session.carry)
    tree = {str(seed): carry for seed, carry in zip(session.names, each, strict=True)}
    about = {"iteration": session.iteration, "env_steps": session.env_steps, "failed": session.failed}
    about |= {"wall_seconds": wall, "run": session.manifest.get("run"), "seeds": session.names}
    about |= {"lines": session.lines.counts, "cpu_seconds": session.cpu_seconds}
    checkpoint.save(session.directory.checkpoints / f"{session.iteration:08d}.npz", tree, about)
    every, chunk = session.training.keep_every, session.training.chunk
    for old in session.directory.saved()[:-2]:
        if not every or int(old.stem) // every == (int(old.stem) - chunk) // every:  # not the first from a multiple on
            old.unlink()


def manifest(session: Session, status: str, wall: float | None = None, quietly: bool = False) -> None:
    """Writes the manifest. quietly: ignores OSError, such as for a full disk, because another error came before."""
    update = {"status": status, "iterations_done": session.iteration}
    update |= {"headline": session.env.spec.headline, "aim": session.aim}
    update |= {"env_steps": session.env_steps, "compile_seconds": session.compile_seconds}
    if wall is not None:
        update["cpu_seconds"] = round(session.cpu_seconds, 3)
        update["wall_seconds"] = round(wall, 3)
        update["env_steps_per_second"] = round(sum(session.env_steps.values()) / max(wall, 1e-9))
    if session.failed:
        update["not_finite"] = session.failed
    changed = datetime.datetime.now().isoformat(timespec="seconds")
    session.manifest = {**session.manifest, **update, "changed": changed}
    with contextlib.suppress(OSError) if quietly else contextlib.nullcontext():
        session.directory.write_manifest(session.manifest)
