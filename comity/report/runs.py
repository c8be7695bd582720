"""Saved runs: where they are, what was trained in them, and their numbers as one tidy table.

A run directory holds `config.yaml`, `manifest.json`, `metrics.jsonl` (training, one line per chunk and seed) and
`eval.jsonl` (one line per evaluation, seed and policy). Everything here only reads them, also while a run goes on: a
last line without its end is a line still being written, and is left out.
"""

from __future__ import annotations

import csv
import difflib
import glob
import importlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Fields of `training` that change what is recorded or how fast, not what is learned: no reason for two labels.
BOOKKEEPING = frozenset(
    ("seeds", "chunk", "minutes", "evaluations", "evaluate_every", "evaluation_episodes", "episodes", "out", "trackers")
)
RATES = frozenset(("success", "win", "won", "cooperation"))
KEYS = ("run", "task", "algorithm", "label", "seed", "iteration", "env_steps", "policy", "which")

RunsLike = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
GroupsLike = RunsLike | Mapping[str, RunsLike]  # or groups under labels of one's own


class Run(NamedTuple):
    """One run directory: what was asked for and what became of it."""

    path: Path
    config: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def task(self) -> str:
        """Task with version, `manitokan@1`."""
        return str(self.config["task"]["name"])

    @property
    def algorithm(self) -> str:
        return str(self.config["algorithm"]["name"])

    @property
    def status(self) -> str:
        return str(self.manifest.get("status", "unknown"))

    @property
    def step_unit(self) -> str:
        return str(self.manifest.get("step_unit", "joint actions"))

    @property
    def headline(self) -> str:
        """The metric a user looks at first."""
        return str(self.manifest.get("headline", "return"))


class Table:
    """Columns of equal length by name, as numpy arrays: `table["success"]`, `table.where(policy="greedy", seed=0)`."""

    def __init__(self, columns: Mapping[str, Any]):
        self.columns: dict[str, NDArray[Any]] = {name: np.asarray(column) for name, column in columns.items()}
        lengths = {len(column) for column in self.columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of lengths {sorted(lengths)}: a table needs one length")
        self.length = lengths.pop() if lengths else 0

    def __len__(self) -> int:
        return self.length

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.columns:
            raise ValueError(f"no column {name!r}{nearest(name, self.columns)}")
        return self.columns[name]

    @property
    def metrics(self) -> list[str]:
        """Names of the columns that are measured, in order."""
        return [name for name in self.columns if name not in KEYS and name != "episodes"]

    def where(self, **equals: Any) -> Table:
        """Rows in which each named column equals the value, or one of the values of a list, tuple or set."""
        keep = np.ones(len(self), bool)
        for name, wanted in equals.items():
            if isinstance(wanted, (list, tuple, set, frozenset, np.ndarray)):
                keep &= np.isin(self[name], list(wanted))
            else:
                keep &= np.asarray(self[name] == wanted)
        return self.rows(keep)

    def rows(self, index: Any) -> Table:
        """Rows by a mask or by indices."""
        return Table({name: column[index] for name, column in self.columns.items()})

    def unique(self, name: str) -> list[Any]:
        """Different values of a column, in order of appearance."""
        return list(dict.fromkeys(self[name].tolist()))

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Writes the table as CSV; undefined numbers are empty."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            for row in zip(*(column.tolist() for column in self.columns.values()), strict=True):
                writer.writerow(["" if isinstance(x, float) and math.isnan(x) else x for x in row])
        return Path(path)

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Writes the table as Parquet. ImportError without pyarrow, which is an extra."""
        try:
            pyarrow, parquet = (importlib.import_module(name) for name in ("pyarrow", "pyarrow.parquet"))
        except ImportError:
            raise ImportError("Parquet needs pyarrow: pip install 'comity[analysis]', or use to_csv") from None
        parquet.write_table(pyarrow.table({name: column.tolist() for name, column in self.columns.items()}), path)
        return Path(path)

    def __repr__(self) -> str:
        head = f"Table: {len(self)} rows, {len(self.columns)} columns"
        if not len(self):
            return f"{head} ({', '.join(self.columns)})"
        shown = list(range(len(self))) if len(self) <= 10 else [0, 1, 2, 3, 4, None, *range(len(self) - 3, len(self))]
        blocks = []
        for name, column in self.columns.items():
            numbers = column.dtype.kind in "fiu"
            cells = ["…" if i is None else f"{column[i]:.6g}" if numbers else str(column[i]) for i in shown]
            if name == "iteration" or name == "env_steps":
                cells = ["…" if i is None else str(column[i]) for i in shown]
            cells = [c if len(c) <= 32 else "…" + c[-31:] for c in cells]
            width = max(len(name), *map(len, cells))
            blocks.append([(c.rjust if numbers else c.ljust)(width) for c in (name, *cells)])
        return "\n".join([head, *("  ".join(line).rstrip() for line in zip(*blocks, strict=True))])


@dataclass(frozen=True)
class Study:
    """Runs read together: their table with labels, no seed twice, and what a reader must be told about them."""

    runs: tuple[Run, ...]
    table: Table
    notes: tuple[str, ...]

    @cached_property
    def labels(self) -> list[str]:
        return self.table.unique("label")

    @property
    def step_unit(self) -> str:
        return self.runs[0].step_unit

    def members(self, label: str) -> list[Run]:
        """Runs that a label stands for."""
        paths = set(self.table["run"][self.table["label"] == label].tolist())
        return [run for run in self.runs if run.path.as_posix() in paths]

    def metric(self, name: str | None = None) -> str:
        """`name` if it was measured, else ValueError with the nearest; without a name the runs' headline."""
        if name is None:
            headlines = list(dict.fromkeys(run.headline for run in self.runs))
            name = headlines[0] if len(headlines) == 1 else "return"
        if name not in self.table.metrics:
            raise ValueError(f"no metric {name!r}{nearest(name, self.table.metrics)}")
        return name


def find(run: RunsLike, root: str | os.PathLike[str] = "runs") -> list[Path]:
    """Run directories that `run` means, in order and without repetition.

    run: a run directory, a directory with runs underneath (also relative to `root`), a glob, `latest` (the run of
    `root` that started last), or a list of these. FileNotFoundError if nothing is meant.
    """
    if not isinstance(run, (str, os.PathLike)):
        paths = [path for one in run for path in find(one, root)]
        if not paths:
            raise FileNotFoundError("no run given: give a run directory, a glob or latest")
        return list(dict.fromkeys(paths))
    text, root = os.fspath(run), Path(root)
    if text == "latest":
        runs = underneath(root)
        if not runs:
            raise FileNotFoundError(f"no run under {root}: train one first, comity train TASK ALGORITHM")
        return [max(runs, key=started)]
    candidates = [Path(text)] if Path(text).is_absolute() else [Path(text), root / text]
    if glob.has_magic(text) and not any(path.exists() for path in candidates):
        for pattern in candidates:
            matches = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
            runs = [found for match in matches for found in underneath(Path(match))]
            if runs:
                return list(dict.fromkeys(runs))
        raise FileNotFoundError(f"no run matches {text!r}{known(text, root)}")
    for path in candidates:
        path = path.expanduser()
        if path.is_file() and (path.parent / "config.yaml").is_file():
            return [path.parent]  # a file of a run stands for it: shells complete to config.yaml
        runs = underneath(path)
        if runs:
            return runs
        if path.is_dir():
            raise FileNotFoundError(f"{path} holds no run (no config.yaml in it or underneath){known(text, root)}")
    raise FileNotFoundError(f"no run {text!r}{known(text, root)}")


def underneath(directory: Path) -> list[Path]:
    """Run directories at or below `directory`, sorted."""
    found = []
    for folder, folders, files in os.walk(directory):
        if "config.yaml" in files:
            found.append(Path(folder))
            folders.clear()
        folders.sort()
    return sorted(found)


def started(path: Path) -> tuple[str, float]:
    """Sorts runs by when they started: by DATE_HASH, a directory renamed by its user by the age of its config."""
    return (path.name if path.name[:1].isdigit() else "", (path / "config.yaml").stat().st_mtime)


def known(text: str, root: Path) -> str:
    """The end of a refusal: runs with names near `text`, or how to see all."""
    runs = [path.relative_to(root) for path in underneath(root)]
    if not runs:
        return f"; there is no run under {root} either: train one with comity train TASK ALGORITHM"
    names = {str(part) for path in runs for part in (path, *path.parents) if str(part) != "."}
    asked = text.removeprefix(f"{root}/").strip("/")
    close = difflib.get_close_matches(asked, names, n=3, cutoff=0.5)
    if not close:  # perhaps only its last part is known
        by_name = {name.rsplit("/", 1)[-1]: name for name in sorted(names)}
        close = [by_name[n] for n in difflib.get_close_matches(asked.rsplit("/", 1)[-1], by_name, n=3, cutoff=0.5)]
    if close:
        return f"; nearest: {', '.join(str(root / name) for name in close)}"
    return f"; {root} holds {len(runs)}, the last is {max((root / path for path in runs), key=started)}"


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a refusal: names near `name`, or all of them."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else f"; there are: {', '.join(names) or 'none'}"


def open_run(path: str | os.PathLike[str]) -> Run:
    """Config and manifest of one run directory. ValueError if the config is not one of a run.

    The manifest may be missing or half-written (a run killed as it started): then it is empty.
    """
    import yaml

    path = Path(path)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        config = yaml.load((path / "config.yaml").read_text(encoding="utf-8"), loader)
        _ = config["task"]["name"], config["algorithm"]["name"]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is no run directory: it has no config.yaml") from None
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path / 'config.yaml'} names no task and algorithm ({reason}): is it a run's?") from None
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        manifest = {}
    return Run(path, config, manifest if isinstance(manifest, dict) else {})


def records(path: Path) -> list[dict[str, Any]]:
    """Lines of a .jsonl file, each a dict; none if there is no file.

    A last line that cannot be read was being written and is left out. ValueError: any other such line, by number.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("no {...}")
        except ValueError:  # also what is no UTF-8
            if number == len(lines):
                break
            raise ValueError(f"{path}, line {number} is damaged: {line[:60]!r}; delete that line to go on") from None
        for key in ("seed", "iteration", "env_steps"):
            if key not in record:
                raise ValueError(f"{path}, line {number} has no {key!r}: was it written by another program?")
        found.append(record)
    return found


def read(runs: RunsLike, source: str = "eval", root: str | os.PathLike[str] = "runs") -> Table:
    """One tidy table of several runs, one row per evaluation, seed and policy (or, in training, per chunk and seed).

    source: "eval", what the policies scored on episodes of their own, or "metrics", what training saw (`policy` and
    `which` are then "training"). Columns: run, task, algorithm, label (the algorithm and where its config differs
    among these runs), seed, iteration, env_steps (cumulative for that seed), policy, which, episodes (of "eval"), then
    each metric's mean; NaN where undefined. A seed that stands in two runs stands there twice: `gather` keeps one.
    """
    opened = [open_run(path) for path in find(runs, root)]
    return tabulate(opened, labels(opened), source)


def gather(runs: GroupsLike, source: str = "eval", root: str | os.PathLike[str] = "runs") -> Study:
    """Runs to be held against each other: refused if they cannot be, labelled, pooled.

    runs: as in `find`, or a dict of label -> runs. Runs whose configs differ in nothing but seeds share a label and
    their seeds are pooled; a seed that stands in two of them is one and the same experiment, so the run that got
    further counts. ValueError: different tasks, task versions or step units.
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


def refuse_mixture(runs: Sequence[Run]) -> None:
    """ValueError if the runs are of different tasks, task versions or step units: their numbers do not compare."""
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
    """The table with each seed of each label once, from the run that got further, and what was left out."""
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


def spans(numbers: Iterable[int]) -> str:
    """Integers in short: 0-3, 7."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def tabulate(
    runs: Sequence[Run],
    names: Sequence[str],
    source: str,
    lines: Sequence[Sequence[Mapping[str, Any]]] | None = None,
) -> Table:
    """The table of `read`, of opened runs and their labels. lines: of each run, instead of those in its file."""
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
    for name in (*KEYS, *(["episodes"] if source == "eval" else [])):
        kind = np.int64 if name in ("seed", "iteration", "env_steps", "episodes") else np.str_
        columns[name] = np.array([row[name] for row in rows], kind)
    for name in means:
        columns[name] = np.array([row["mean"].get(name, np.nan) for row in rows], float)
    return Table(columns)


def split(record: Mapping[str, Any], source: str) -> tuple[dict[str, Any], dict[str, float]]:
    """One line as (keys, metric means): nulls become NaN, a list x becomes its mean, x.0, x.1, ..."""
    row = {key: int(record[key]) for key in ("seed", "iteration", "env_steps")}
    if source == "eval":
        row |= {"policy": str(record.get("policy", "sampled")), "which": str(record.get("which", "periodic"))}
        row["episodes"] = int(record.get("episodes", 0))
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


def short(number: float) -> str:
    """A number of steps in short: 0, 500k, 2.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def is_rate(metric: str) -> bool:
    """Whether a metric is a share of episodes or steps, shown in percent and never outside 0 to 100."""
    name = metric.partition(".")[0]
    return name in RATES or name.endswith(("_rate", "_success", "_share", "_fraction"))


def number(value: Any) -> float:
    """A number as float; null is NaN."""
    return np.nan if value is None else float(value)


def labels(runs: Sequence[Run], tasks: bool = True) -> list[str]:
    """For each run its algorithm and the config fields in which these runs differ: `pg · observe=last-action`.

    Algorithm fields are held against runs of the same algorithm, task fields against runs of the same task, training
    fields against all. Where presets (profiles) differ, they are named in place of the fields that they set; fields
    that also differ within one preset are named as well. Equal labels: only seeds and bookkeeping differ.
    tasks: False leaves the task fields out.
    """
    names = [run.algorithm for run in runs]
    parts = [[name] for name in names]
    sections = [(names, [section(run, "algorithm") for run in runs], "preset")]
    if tasks:
        sections.append(([run.task for run in runs], [section(run, "task") for run in runs], "profile"))
    training = [{k: v for k, v in section(run, "training").items() if k not in BOOKKEEPING} for run in runs]
    # How long to train is part of an algorithm's budget: another algorithm's is no difference to name.
    sections.append((names, [{k: v for k, v in t.items() if k == "iterations"} for t in training], ""))
    sections.append(([""] * len(runs), [{k: v for k, v in t.items() if k != "iterations"} for t in training], ""))
    for kinds, configs, preset in sections:
        for part, differences in zip(parts, distinguish(kinds, configs, preset), strict=True):
            part.extend(differences)
    return [" · ".join(part) for part in parts]


def task_labels(runs: Sequence[Run]) -> list[str]:
    """For each run its task and the task fields in which runs of that task differ."""
    tasks = [run.task for run in runs]
    found = distinguish(tasks, [section(run, "task") for run in runs], "profile")
    return [" · ".join([task, *differences]) for task, differences in zip(tasks, found, strict=True)]


def section(run: Run, name: str) -> dict[str, Any]:
    """One section of a config, flat (`critic.hidden`), without its name."""
    flat: dict[str, Any] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            flat[prefix] = tuple(value) if isinstance(value, list) else value

    add("", run.config.get(name) or {})
    flat.pop("name", None)
    return flat


def distinguish(kinds: Sequence[str], configs: Sequence[dict[str, Any]], preset: str) -> list[list[str]]:
    """For each config the fields (`name=value`) in which it differs from others of its kind, presets first."""
    found: list[list[str]] = []
    for kind, config in zip(kinds, configs, strict=True):
        same_kind = [c for k, c in zip(kinds, configs, strict=True) if k == kind]
        shown = varying(same_kind)
        if preset in shown:
            within = {str(c.get(preset)): [d for d in same_kind if d.get(preset) == c.get(preset)] for c in same_kind}
            shown = [preset, *dict.fromkeys(f for some in within.values() for f in varying(some))]
        found.append([f"{field.replace('_', '-')}={written(config.get(field))}" for field in shown])
    return found


def varying(configs: Sequence[dict[str, Any]]) -> list[str]:
    """Fields that do not have the same value in all configs."""
    fields = dict.fromkeys(field for config in configs for field in config)
    return [f for f in fields if any(repr(c.get(f)) != repr(configs[0].get(f)) for c in configs)]


def written(value: Any) -> str:
    """A config value as one writes it on the command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return "(" + ",".join(written(x) for x in value) + ")"
    return "none" if value is None else str(value)


def export_marl_eval(
    runs: RunsLike,
    path: str | os.PathLike[str],
    policy: str = "sampled",
    environment: str = "comity",
    root: str | os.PathLike[str] = "runs",
) -> Path:
    """Writes the raw-data JSON of marl-eval (Gorsane et al. 2022): environment / task / algorithm / seed / step.

    Values are those of single episodes (per-agent ones averaged over agents); `absolute_metrics` are those of the best
    checkpoint. A metric that is undefined in some episode is left out, since those tools have no word for it.
    Tasks may differ. ValueError if a seed has no final evaluation.
    """
    opened = [open_run(p) for p in find(runs, root)]
    names, tasks = labels_by_task(opened), task_labels(opened)
    table, _ = pool(tabulate(opened, [f"{t}\0{n}" for t, n in zip(tasks, names, strict=True)], "eval"))
    kept = set(zip(table["run"].tolist(), table["seed"].tolist(), strict=True))
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
                    raise ValueError(f"{where}: no final evaluation yet; finish it with comity resume, or leave it out")
                steps["absolute_metrics"] = best or last
                for step in steps.values():
                    for metric in undefined:
                        step.pop(metric, None)
    if not found:
        raise ValueError(f"no evaluation of a {policy} policy in these runs: let them train a little")
    Path(path).write_text(json.dumps({environment: found}, indent=1), encoding="utf-8")
    return Path(path)


def episodes(values: Sequence[Any]) -> list[float]:
    """One number per episode: per-agent values are averaged."""
    return [float(np.mean([number(x) for x in v])) if isinstance(v, list) else number(v) for v in values]


def export_rliable(
    runs: RunsLike,
    metric: str,
    policy: str = "sampled",
    which: str = "last",
    root: str | os.PathLike[str] = "runs",
) -> dict[str, NDArray[np.float64]]:
    """Scores as rliable takes them: algorithm -> [seeds, tasks], tasks in the order of `task_labels`.

    ValueError if an algorithm misses a task, has other numbers of seeds on different tasks, or lacks evaluations.
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


def labels_by_task(runs: Sequence[Run]) -> list[str]:
    """Labels of algorithms that mean the same on every task: differences are looked for within each task only."""
    tasks, found = task_labels(runs), [""] * len(runs)
    for task in dict.fromkeys(tasks):
        where = [i for i, t in enumerate(tasks) if t == task]
        for i, label in zip(where, labels([runs[i] for i in where], tasks=False), strict=True):
            found[i] = label
    return found
