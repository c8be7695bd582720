"""A grid: trains every algorithm on every task that it fits, with one budget of processor time. It is a sweep with a
table of its own.

A cell's score lies between random play (0) and the best known result (1): the best cell of the task, or the team that
comes with comity if that is better. The score is that of the last policy, with sampled or greedy actions, whichever
earns more.
"""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from comity.report.sheet import Sheet
from comity.report.statistics import summary
from comity.runs.reading import read_json
from comity.runs.writing import write_text
from comity.sweeps import plan
from comity.sweeps.plan import Sweep
from comity.sweeps.worker import done

FILE = "grid.json"
RANDOM = "random"
BUDGET = 60.0  # processor seconds of a seed
SEEDS = 3
FOREVER = 1_000_000  # iterations; the budget ends a cell before


@dataclasses.dataclass(frozen=True)
class Cell:
    """The result of an algorithm on a task."""

    scores: tuple[float, ...]  # of each seed, not normalised
    score: float  # mean over seeds, normalised; NaN: unknown
    low: float  # of the smallest seed; with five seeds or more, of the interval
    high: float
    seconds: float  # processor time of a seed


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid on disk."""

    sweep: Sweep
    metrics: dict[str, str]  # task: the metric that is scored
    refused: dict[str, dict[str, str]]  # task: {algorithm: the reason}
    names: tuple[list[str], list[str]]  # tasks, algorithms (with random play)


def planned(path: Path, study: Mapping[str, Any]) -> Grid:
    """Returns the grid of a study in the folder `path`; plans it if it is new. Pairs that do not fit are left out.

    study: as for a sweep, with `cpu_seconds` per seed. Raises ValueError, OSError.
    """
    from comity.training.settings import training_of

    study = dict(study)
    plan.check(study)
    if study.get("search"):
        raise ValueError("a grid has no search: take it out, or give the study to comity sweep")
    names = [[plan.entry_of(x)["name"] for x in study[key]] for key in ("tasks", "algorithms")]
    if RANDOM not in names[1]:
        study["algorithms"], names[1] = [*study["algorithms"], RANDOM], [*names[1], RANDOM]
    made_from = plan.fingerprint(study)
    if (path / FILE).is_file() and read_json(path / FILE).get("made_from") == made_from:
        return opened(path)
    seeds = int(study.get("seeds", SEEDS))
    training = {"iterations": FOREVER, "evaluations": 4, "final_episodes": 64, **study, "seeds": seeds}
    training["cpu_seconds"] = float(study.get("cpu_seconds", BUDGET)) * seeds
    training_of({"training": {str(k).replace("-", "_"): v for k, v in training.items() if k not in plan.OWN}})
    rows, refused, metrics = [], {}, {}
    for task, task_name in zip(study["tasks"], names[0], strict=True):
        metrics[task_name] = _metric(task)
        for algorithm, name in zip(study["algorithms"], names[1], strict=True):
            try:
                rows += plan.rows_of({**training, "tasks": [task], "algorithms": [algorithm]})
            except ValueError as error:
                refused.setdefault(task_name, {})[name] = str(error)
    path.mkdir(parents=True, exist_ok=True)
    value = {"format": plan.FORMAT, "made_from": made_from, "study": study, "folder": os.getcwd()}
    value |= {"rows": [dataclasses.asdict(row) for row in rows]}
    write_text(path / plan.FILE, json.dumps(value, indent=1) + "\n")
    about = {"made_from": made_from, "metrics": metrics, "refused": refused, "tasks": names[0], "algorithms": names[1]}
    write_text(path / FILE, json.dumps(about, indent=1) + "\n")
    return opened(path)


def opened(path: Path) -> Grid:
    """Returns the grid in a folder. Raises ValueError with one line."""
    try:
        about = read_json(path / FILE)
        parts = about["metrics"], about["refused"], (about["tasks"], about["algorithms"])
    except (FileNotFoundError, KeyError) as error:
        raise ValueError(f"{path} is no grid ({error}): begin one with comity grid TASKS ALGORITHMS") from None
    return Grid(plan.opened(path), *parts)


def _metric(task: Any) -> str:
    """Returns a task's metric: its headline, or the return for mixed-motive games, whose headline is no goal."""
    from comity.recipes import find_task

    given = {name: value for name, value in plan.entry_of(task).items() if name != "vary"}
    _, game = plan.from_preset(find_task(given.pop("name")), "profile", given)
    spec = game.spec
    return "return" if spec.mixed_motive else spec.headline


def cells(grid: Grid) -> dict[str, dict[str, Cell]]:
    """Returns {task: {algorithm: its result}} of cells that are over."""
    found: dict[str, dict[str, tuple[list[float], float]]] = {}
    for row in grid.sweep.rows:
        about = done(grid.sweep.of(row)) or {}
        known = _better(about, grid.metrics[row.task])
        if known:
            spent = _spent(grid.sweep.of(row), about) / max(len(known), 1)
            scores, _ = found.setdefault(row.task, {}).setdefault(row.algorithm, ([], spent))
            scores += known
    return {task: _normalised(task, grid.metrics[task], of) for task, of in found.items()}


def _better(about: Mapping[str, Any], metric: str) -> list[float]:
    """Returns the scores of seeds for the policy with the larger mean; [] if there are none."""
    of = [about.get(policy, {}).get(metric, {}).values() for policy in ("scores", "greedy")]
    known = [[float(x) for x in values if x is not None] for values in of]
    return max(known, key=lambda x: float(np.mean(x)) if x else -math.inf)


def _spent(folder: Path, about: dict[str, Any]) -> float:
    """Returns the processor seconds of a row's training; NaN if unknown."""
    try:
        return float(read_json(folder / str(about.get("run")) / "manifest.json")["cpu_seconds"])
    except (OSError, ValueError, KeyError):
        return math.nan


def _normalised(task: str, metric: str, of: dict[str, tuple[list[float], float]]) -> dict[str, Cell]:
    means = {name: float(np.mean(scores)) for name, (scores, _) in of.items()}
    best = max([*means.values(), *_reference_scores(task, metric)])
    worst = means.get(RANDOM, math.nan)
    way = best - worst if best > worst else math.nan
    result = {}
    for name, (scores, seconds) in of.items():
        about = summary(np.asarray(scores))
        score, low, high = ((x - worst) / way for x in (means[name], about.low, about.high))
        result[name] = Cell(tuple(scores), score, low, high, seconds)
    return result


def _reference_scores(task: str, metric: str) -> list[float]:
    """Returns the score of the team that comes with comity, if it has the same metric; else []."""
    from comity.runs.saved import REFERENCE, reference

    path = reference(task)
    said = read_json(path / REFERENCE) if path else {}
    return [float(np.mean(said["scores"]))] if said.get("metric") == metric else []


def sheet(grid: Grid) -> Sheet:
    """Returns a row for each algorithm, a column for each task (normalised score, range of seeds), then the mean."""
    tasks, algorithms = grid.names
    found = cells(grid)
    columns = ("algorithm", *tasks, "mean", "CPU s a seed")
    rows, numbers = [], []
    for name in algorithms:
        mine = {task: found.get(task, {}).get(name) for task in tasks}
        texts = [_text(grid, task, name, one) for task, one in mine.items()]
        known = [one.score for one in mine.values() if one and not math.isnan(one.score)]
        seconds = [one.seconds for one in mine.values() if one and not math.isnan(one.seconds)]
        mean = float(np.mean(known)) if known else math.nan
        rows.append((name, *texts, _number(mean), f"{np.mean(seconds):.0f}" if seconds else ""))
        for task, one in mine.items():
            if one:
                score = {"score": one.score, "low": one.low, "high": one.high, "raw": float(np.mean(one.scores))}
                numbers.append({"algorithm": name, "task": task, **score, "cpu_seconds": one.seconds})
    budget = float(grid.sweep.study.get("cpu_seconds", BUDGET))
    notes = [
        f"0: random play, 1: the best known; last policy, sampled or greedy; {budget:g} CPU s of training a seed",
        "( ): smallest to largest seed, [ ]: 95% t interval; fewer than 5 seeds give no interval, and no result",
        "-: does not fit (grid.json says why); ...: not trained yet; the mean is over the tasks that fit",
    ]
    return Sheet(f"{grid.sweep.path}: score", columns, tuple(rows), tuple(notes), tuple(numbers))


def _number(x: float) -> str:
    return "" if math.isnan(x) else f"{x:.2f}"


def _text(grid: Grid, task: str, name: str, one: Cell | None) -> str:
    if one is None:
        return "-" if name in grid.refused.get(task, {}) else "..."
    few = len(one.scores) < 5
    left, right = "()" if few else "[]"
    interval = f" {left}{one.low:.2f} to {one.high:.2f}{right}" if len(one.scores) > 1 else ""
    return _number(one.score) + (interval if not math.isnan(one.score) else "")


def draw(grid: Grid, path: Path) -> list[Path]:
    """Draws the table as a picture, PNG and SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tasks, algorithms = grid.names
    found = cells(grid)
    score = np.full((len(algorithms), len(tasks)), np.nan)
    for column, task in enumerate(tasks):
        for row, name in enumerate(algorithms):
            if one := found.get(task, {}).get(name):
                score[row, column] = one.score
    figure, axes = pyplot.subplots(figsize=(2.5 + 0.9 * len(tasks), 1.5 + 0.32 * len(algorithms)), layout="constrained")
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="#EEEEEE")
    picture = axes.imshow(np.clip(score, 0, 1), vmin=0, vmax=1, cmap=colours, aspect="auto")
    axes.set_xticks(range(len(tasks)), tasks, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(algorithms)), algorithms)
    for (row, column), value in np.ndenumerate(score):
        if not np.isnan(value):
            dark = np.clip(value, 0, 1) < 0.6
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w" if dark else "k")
    figure.colorbar(picture, label="0: random play, 1: best known", shrink=0.8)
    budget = float(grid.sweep.study.get("cpu_seconds", BUDGET))
    axes.set_title(f"After {budget:g} CPU seconds of training a seed; grey: does not fit, or not trained", fontsize=9)
    files = [path.with_suffix(ending) for ending in (".png", ".svg")]
    for file in files:
        figure.savefig(file, dpi=150)
    pyplot.close(figure)
    return files
