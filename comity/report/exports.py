"""Writes runs in the file formats of other evaluation tools."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.report.labels import labels_by_task, task_labels
from comity.report.study import number, pool, tabulate
from comity.report.words import nearest
from comity.runs.saved import RunsLike, find, open_run, records


def marl_eval(
    runs: RunsLike,
    path: str | os.PathLike[str],
    policy: str = "sampled",
    environment: str = "comity",
    root: str | os.PathLike[str] = "runs",
) -> Path:
    """Writes the raw-data JSON of marl-eval (Gorsane et al. 2022): environment / task / algorithm / seed / step.

    Values are those of single episodes (per-agent values are averaged over agents); `absolute_metrics` are those of the
    best checkpoint. A metric that is undefined in some episode is left out, since those tools cannot express it. Tasks
    may differ. Raises ValueError if a seed has no final evaluation, for instance because its state became NaN.
    """
    opened = [open_run(p) for p in find(runs, root)]
    names, tasks = labels_by_task(opened), task_labels(opened)
    table, _ = pool(tabulate(opened, [f"{t}\0{n}" for t, n in zip(tasks, names, strict=True)], "eval"))
    kept = set(zip(table["run"].tolist(), table["seed"].tolist(), strict=True))
    lost = {(t, n, f"seed_{seed}") for t, n, r in zip(tasks, names, opened, strict=True) for seed in r.lost}
    undefined: set[str] = set()
    found: dict[str, Any] = {}
    for run, task, name in zip(opened, tasks, names, strict=True):
        for record in records(run.path / "eval.jsonl"):
            if record.get("policy") != policy or (run.path.as_posix(), record["seed"]) not in kept:
                continue
            values = {metric: episodes(listed) for metric, listed in record.get("values", {}).items()}
            undefined |= {metric for metric, listed in values.items() if not np.isfinite(listed).all()}
            seed = found.setdefault(task, {}).setdefault(name, {}).setdefault(f"seed_{record['seed']}", {})
            if record["which"] == "periodic":
                steps = sum(key.startswith("step_") for key in seed)
                seed[f"step_{steps}"] = {"step_count": int(record["env_steps"]), **values}
            else:
                seed[record["which"]] = values
    for task, algorithms in found.items():
        for name, seeds in algorithms.items():
            for seed, steps in seeds.items():
                last, best = steps.pop("last", None), steps.pop("best", None)
                if last is None and best is None:
                    where = f"{name} on {task}, {seed}"
                    reason = " yet; finish it with comity resume, or leave it out"
                    if (task, name, seed) in lost:
                        reason = ", it became not finite; leave its run out"
                    raise ValueError(f"{where}: no final evaluation{reason}")
                steps["absolute_metrics"] = best or last
                for step in steps.values():
                    for metric in undefined:
                        step.pop(metric, None)
    if not found:
        raise ValueError(f"no evaluation of a {policy} policy in these runs: let them train a little")
    Path(path).write_text(json.dumps({environment: found}, indent=1), encoding="utf-8")
    return Path(path)


def rliable(
    runs: RunsLike,
    metric: str,
    policy: str = "sampled",
    which: str = "last",
    root: str | os.PathLike[str] = "runs",
) -> dict[str, NDArray[np.float64]]:
    """Returns scores in the form that rliable reads: algorithm -> [seeds, tasks], tasks in the order of `task_labels`.

    Raises ValueError if an algorithm lacks a task or evaluations, or has different numbers of seeds on different tasks.
    """
    opened = [open_run(path) for path in find(runs, root)]
    names, tasks = labels_by_task(opened), task_labels(opened)
    columns = list(dict.fromkeys(tasks))
    keys = [f"{t}\0{n}" for t, n in zip(tasks, names, strict=True)]
    table, _ = pool(tabulate(opened, keys, "eval"))
    if metric not in table.metrics:
        raise ValueError(f"no metric {metric!r}{nearest(metric, table.metrics)}")
    found: dict[str, NDArray[np.float64]] = {}
    for name in dict.fromkeys(names):
        rows = []
        for task in columns:
            scored = table.where(label=f"{task}\0{name}", policy=policy, which=which)
            by_seed = dict(zip(scored["seed"].tolist(), scored[metric].tolist(), strict=True))
            rows.append([by_seed[seed] for seed in sorted(by_seed)])
        counts = {task: len(row) for task, row in zip(columns, rows, strict=True)}
        if len(set(counts.values())) > 1 or 0 in counts.values():
            listed = ", ".join(f"{count} on {task}" for task, count in counts.items())
            raise ValueError(f"{name} has {which} {policy} scores of these numbers of seeds: {listed}; make them equal")
        found[name] = np.array(rows, float).T  # [S, K]
    return found


def episodes(values: Sequence[Any]) -> list[float]:
    """Returns one number per episode: per-agent values are averaged."""
    return [float(np.mean([number(x) for x in v])) if isinstance(v, list) else number(v) for v in values]
