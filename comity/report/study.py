"""Reads several runs together: their numbers as one tidy table, pooled where only seeds differ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.report.labels import labels
from comity.report.table import KEYS, OF_EVALUATIONS, Table
from comity.report.words import nearest, spans
from comity.runs.saved import RunsLike, SavedRun, find, open_run, records

GroupsLike = RunsLike | Mapping[str, RunsLike]  # or groups with labels of your own


@dataclass(frozen=True)
class Study:
    """Runs read together: their table with labels, each seed once, and notes for the reader."""

    runs: tuple[SavedRun, ...]
    table: Table
    notes: tuple[str, ...]

    @cached_property
    def labels(self) -> list[str]:
        return self.table.unique("label")

    @cached_property
    def diverged(self) -> frozenset[tuple[str, int]]:
        """(run, seed) of the seeds whose state became NaN or infinite, so that their training ended early."""
        return frozenset((run.path.as_posix(), int(seed)) for run in self.runs for seed in run.lost)

    def diverged_rows(self, table: Table) -> NDArray[np.bool_]:
        """Returns for each row of a table whether its seed diverged, [rows]."""
        keys = zip(table["run"].tolist(), table["seed"].tolist(), strict=True)
        return np.array([key in self.diverged for key in keys], bool)

    @property
    def step_unit(self) -> str:
        return self.runs[0].step_unit

    def members(self, label: str) -> list[SavedRun]:
        """Returns the runs of a label."""
        paths = set(self.table["run"][self.table["label"] == label].tolist())
        return [run for run in self.runs if run.path.as_posix() in paths]

    def metric(self, name: str | None = None) -> str:
        """Returns `name` if it was measured; None means the headline. Raises ValueError with the nearest name."""
        if name is None:
            headlines = list(dict.fromkeys(run.headline for run in self.runs))
            name = headlines[0] if len(headlines) == 1 else "return"
        if name not in self.table.metrics:
            raise ValueError(f"no metric {name!r}{nearest(name, self.table.metrics)}")
        return name


def read(runs: RunsLike, source: str = "eval", root: str | os.PathLike[str] = "runs") -> Table:
    """Returns one table of several runs: a row per evaluation, seed and policy (or, in training, per chunk and seed).

    source: "eval" for evaluations, which play episodes of their own, or "metrics" for training rollouts (`policy` and
    `which` are then "training"). Columns: run, task, algorithm, label (the algorithm and the settings in which these
    runs differ), seed, iteration, env_steps (cumulative for that seed), policy, which, episodes (only of "eval"), then
    the mean of each metric; NaN if undefined. A seed that is in two runs appears twice; `gather` keeps one.
    """
    opened = [open_run(path) for path in find(runs, root)]
    return tabulate(opened, labels(opened), source)


def gather(runs: GroupsLike, source: str = "eval", root: str | os.PathLike[str] = "runs") -> Study:
    """Returns the runs of a comparison, labelled and pooled.

    runs: as in `find`, or a dict of label -> runs. Runs whose configs differ only in seeds share a label, and their
    seeds are pooled. A seed that is in two of them is the same experiment, so only the run with more env steps counts.
    Raises ValueError if the runs cannot be compared: different tasks, task versions or step units.
    """
    if isinstance(runs, Mapping):
        opened, names = [], []
        for name, some in runs.items():
            these = [open_run(path) for path in find(some, root)]
            opened += these
            names += [name] * len(these)
    else:
        opened = [open_run(path) for path in find(runs, root)]
        names = labels(opened)
    refuse_mixture(opened)
    table, notes = pool(tabulate(opened, names, source))
    return Study(tuple(opened), table, tuple(notes))


def refuse_mixture(runs: Sequence[SavedRun]) -> None:
    """Raises ValueError if the runs have different tasks, task versions or step units: they cannot be compared."""
    tasks = list(dict.fromkeys(run.task for run in runs))
    if len(tasks) > 1:
        example = [next(run.path for run in runs if run.task == task) for task in tasks[:2]]
        where = f"{tasks[0]} ({example[0]}) and {tasks[1]} ({example[1]})"
        if len({task.partition("@")[0] for task in tasks}) == 1:
            raise ValueError(f"versions of a task differ: {where}; its dynamics changed: train one of them anew")
        raise ValueError(f"tasks differ: {where}; compare runs of one task at a time")
    units = {run.step_unit: run.path for run in runs}
    if len(units) > 1:
        (first, a), (second, b), *_ = units.items()
        raise ValueError(f"step units differ: {first} ({a}) and {second} ({b}); their curves share no axis")


def pool(table: Table) -> tuple[Table, list[str]]:
    """Keeps each seed of each label once, from the run with more env steps. Returns also notes on repeated seeds."""
    furthest: dict[tuple[str, int], dict[str, int]] = {}
    columns = (table[name].tolist() for name in ("label", "seed", "run", "env_steps"))
    for label, seed, run, steps in zip(*columns, strict=True):
        seen = furthest.setdefault((label, seed), {})
        seen[run] = max(steps, seen.get(run, 0))
    twice: dict[str, list[int]] = {}
    kept = set()
    for (label, seed), runs in furthest.items():
        kept.add((label, seed, max(runs, key=lambda run: (runs[run], run))))
        if len(runs) > 1:
            twice.setdefault(label, []).append(seed)
    keys = zip(*(table[name].tolist() for name in ("label", "seed", "run")), strict=True)
    notes = [
        f"{label}: seed{'s' * (len(seeds) > 1)} {spans(seeds)} stand{'s' * (len(seeds) == 1)} in several runs; "
        "the run that got further counts"
        for label, seeds in twice.items()
    ]
    return table.rows(np.array([key in kept for key in keys], bool)), notes


def tabulate(
    runs: Sequence[SavedRun],
    names: Sequence[str],
    source: str,
    lines: Sequence[Sequence[Mapping[str, Any]]] | None = None,
) -> Table:
    """Returns the table of `read` for opened runs and their labels. lines: for each run, used instead of its file."""
    if source not in ("eval", "metrics"):
        raise ValueError(f"source {source!r}: allowed are eval and metrics")
    rows: list[dict[str, Any]] = []
    means: dict[str, None] = {}  # metric names in order of appearance
    for i, (run, label) in enumerate(zip(runs, names, strict=True)):
        fixed = {"run": run.path.as_posix(), "task": run.task, "algorithm": run.algorithm, "label": label}
        for record in records(run.path / f"{source}.jsonl") if lines is None else lines[i]:
            row, mean = split(record, source)
            rows.append(fixed | row | {"mean": mean})
            means.update(dict.fromkeys(mean))
    columns: dict[str, Any] = {}
    for name in (*KEYS, *(OF_EVALUATIONS if source == "eval" else ())):
        kind = np.int64 if name in ("seed", "iteration", "env_steps", *OF_EVALUATIONS) else np.str_
        columns[name] = np.array([row[name] for row in rows], kind)
    for name in means:
        columns[name] = np.array([row["mean"].get(name, np.nan) for row in rows], float)
    return Table(columns)


def split(record: Mapping[str, Any], source: str) -> tuple[dict[str, Any], dict[str, float]]:
    """Splits one line into (keys, metric means): nulls become NaN, a list x becomes its mean, x.0, x.1, ..."""
    row = {key: int(record[key]) for key in ("seed", "iteration", "env_steps")}
    if source == "eval":
        row |= {"policy": str(record.get("policy", "sampled")), "which": str(record.get("which", "periodic"))}
        row["episodes"] = int(record.get("episodes", 0))
        unknown = -1 if row["which"] == "best" else row["iteration"]  # of runs from before 30 November 2026
        row["policy_iteration"] = int(record.get("policy_iteration", unknown))
        measured = record.get("mean", {})
    else:
        row |= {"policy": "training", "which": "training"}
        measured = {key: value for key, value in record.items() if key not in row}
    mean: dict[str, float] = {}
    for name, value in measured.items():
        if isinstance(value, list):
            parts = [number(x) for x in value]
            mean.setdefault(name, float(np.mean(parts)) if parts else np.nan)
            for i, x in enumerate(parts):
                mean.setdefault(f"{name}.{i}", x)
        elif value is None or isinstance(value, (int, float)):
            mean[name] = number(value)
    return row, mean


def number(value: Any) -> float:
    """Returns a number as float; null becomes NaN."""
    return np.nan if value is None else float(value)
