"""A grid: trains every algorithm on every task that it fits, with one budget of processor time. It is a sweep with a
table of its own.

A cell's score lies between random play (0) and the best known result (1): the best cell of the task, or the team that
comes with comity if that is better and plays the same game. The score is that of the last policy, with sampled or
greedy actions, whichever earns more. A cell that lost a seed has no score: the mean of the others would be too good.
"""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from comity.report.labels import distinguish
from comity.report.sheet import Sheet
from comity.report.statistics import summary
from comity.runs.reading import read_json, read_yaml
from comity.runs.renamed import as_now
from comity.runs.saved import REFERENCE, SavedRun, reference, section
from comity.runs.values import same
from comity.runs.writing import write_text
from comity.sweeps import plan
from comity.sweeps.plan import Row, Sweep
from comity.sweeps.worker import FAILED, done

FILE = "grid.json"
RANDOM = "random"
BUDGET = 60.0  # processor seconds of a seed
SEEDS = 3
FOREVER = 1_000_000  # iterations; the budget ends a cell before


@dataclasses.dataclass(frozen=True)
class Cell:
    """The result of an algorithm on a task."""

    scores: tuple[float, ...]  # of each seed that has one, not normalised
    score: float  # mean over seeds, normalised; NaN: unknown
    low: float  # of the smallest seed; with five seeds or more, of the interval
    high: float
    seconds: float  # processor time of a seed
    lost: str = ""  # says that the run failed, or how many seeds became NaN; then there is no normalised score


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid on disk."""

    sweep: Sweep
    metrics: dict[str, str]  # task: the metric that is scored
    refused: dict[str, dict[str, str]]  # task: {algorithm: the reason}
    names: tuple[list[str], list[str]]  # tasks, algorithms (with random play), with the settings in which they differ
    labels: dict[str, list[str]]  # name of a row: its task and its algorithm, as in `names`


def planned(
    path: Path, study: Mapping[str, Any], file: Path | None = None, given: Mapping[str, Any] | None = None,
    write: bool = True, say: Callable[[str], None] = lambda text: None,
) -> Grid:  # fmt: skip
    """Returns the grid of a study in the folder `path`; plans it if it is new. Pairs that do not fit are left out.

    study: as for a sweep, with `cpu_seconds` per seed. file, given, write, say: as for the plan of a sweep. Raises
    ValueError, OSError.
    """
    from comity.training.settings import training_of

    study = dict(study)
    plan.check(study)
    if study.get("search"):
        raise ValueError("a grid has no search: take it out, or give the study to comity sweep")
    if RANDOM not in [plan.entry_of(x)["name"] for x in study["algorithms"]]:
        study["algorithms"] = [*study["algorithms"], RANDOM]
    made_from = plan.fingerprint(study)
    before = read_json(path / FILE) if (path / FILE).is_file() else {}
    if before.get("made_from") == made_from and "labels" in before:
        return opened(path)
    seeds = int(study.get("seeds", SEEDS))
    training = {"iterations": FOREVER, "evaluations": 4, "final_episodes": 64, **study, "seeds": seeds}
    training["cpu_seconds"] = float(study.get("cpu_seconds", BUDGET)) * (1 if study.get("apart") else seeds)
    training_of({"training": {str(k).replace("-", "_"): v for k, v in training.items() if k not in plan.OWN}})
    made: dict[tuple[int, int], list[Row]] = {}
    reasons: dict[tuple[int, int], str] = {}
    pairs = itertools.product(enumerate(study["tasks"]), enumerate(study["algorithms"]))
    for (i, task), (j, algorithm) in pairs:
        one = {**training, "tasks": [task], "algorithms": [algorithm]}
        try:
            made[i, j] = plan.rows_of(_of_random(one) if plan.entry_of(algorithm)["name"] == RANDOM else one)
        except ValueError as error:
            reasons[i, j] = str(error)
    rows = [row for some in made.values() for row in some]
    labels = dict(zip((row.name for row in rows), _labels(rows), strict=True))
    if len(labels) < len(rows):
        raise ValueError("two cells are the same: name each task and each algorithm once, or with other settings")
    named = [
        [_named(entry, [labels[row.name][side] for pair, some in made.items() if pair[side] == i for row in some])
         for i, entry in enumerate(study[key])]
        for side, key in enumerate(("tasks", "algorithms"))
    ]  # fmt: skip
    metrics = {name: _metric(task) for task, some in zip(study["tasks"], named[0], strict=True) for name in some}
    refused: dict[str, dict[str, str]] = {}
    for (i, j), reason in reasons.items():
        for task_name, name in itertools.product(named[0][i], named[1][j]):
            if [task_name, name] not in labels.values():
                refused.setdefault(task_name, {})[name] = reason
    names = [list(dict.fromkeys(name for some in side for name in some)) for side in named]
    sweep = plan.replaced(path, study, rows, made_from, file, given, write, say)
    if write:
        about = {"made_from": made_from, "metrics": metrics, "refused": refused, "labels": labels}
        about |= {"tasks": names[0], "algorithms": names[1]}
        write_text(path / FILE, json.dumps(about, indent=1) + "\n")
    return Grid(sweep, metrics, refused, (names[0], names[1]), labels)


def opened(path: Path) -> Grid:
    """Returns the grid in a folder. Raises ValueError with one line."""
    try:
        about = read_json(path / FILE)
        parts = about["metrics"], about["refused"], (about["tasks"], about["algorithms"]), about["labels"]
    except (FileNotFoundError, KeyError) as error:
        raise ValueError(f"{path} is no grid ({error}): begin one with comity grid TASKS ALGORITHMS") from None
    return Grid(plan.opened(path), *parts)


def _labels(rows: Sequence[Row]) -> list[list[str]]:
    """Returns for each row its task and its algorithm, each with the settings in which rows differ; seeds do not count.

    Rows with the same label are seeds of one experiment.
    """
    runs = [SavedRun(Path(), row.config, {}) for row in rows]
    tasks, algorithms = [row.task for row in rows], [row.algorithm for row in rows]
    seeds = ("first_seed", "seeds") if all(row.config["training"]["seeds"] == 1 for row in rows) else ("first_seed",)
    training = [{name: x for name, x in section(run, "training").items() if name not in seeds} for run in runs]
    of_task = distinguish(tasks, [section(run, "task") for run in runs], "profile")
    of_algorithm = distinguish(algorithms, [section(run, "algorithm") for run in runs], "preset")
    of_training = distinguish([""] * len(rows), training, "")
    return [
        [" · ".join([task, *differ]), " · ".join([algorithm, *also, *trained])]
        for task, differ, algorithm, also, trained in zip(
            tasks, of_task, algorithms, of_algorithm, of_training, strict=True
        )
    ]


def _named(entry: Any, found: list[str]) -> list[str]:
    """Returns the labels of a study's task or algorithm; if nothing fits it, its name and the settings given."""
    given = {name: value for name, value in plan.entry_of(entry).items() if name != "vary"}
    return list(dict.fromkeys(found)) or [" · ".join([given.pop("name"), *plan.described(given)])]


def _of_random(study: dict[str, Any]) -> dict[str, Any]:
    """Returns a study of random play without variations of settings that only learners have."""
    from comity.recipes import find_algorithm, find_task
    from comity.training.settings import Training

    source, learner = find_task(plan.entry_of(study["tasks"][0])["name"]), find_algorithm(RANDOM)
    fields = [field.name for field in dataclasses.fields(Training)]

    def has(name: str) -> bool:
        try:
            return bool(plan.place(name.replace("-", "_"), source, learner, fields))
        except ValueError:
            return False

    return {**study, "vary": {name: x for name, x in (study.get("vary") or {}).items() if has(str(name))}}


def _metric(task: Any) -> str:
    """Returns a task's metric: its headline, or the return for mixed-motive games, whose headline is no goal."""
    from comity.recipes import find_task

    given = {name: value for name, value in plan.entry_of(task).items() if name != "vary"}
    _, game = plan.from_preset(find_task(given.pop("name")), "profile", given)
    spec = game.spec
    return "return" if spec.mixed_motive else spec.headline


def cells(grid: Grid) -> dict[str, dict[str, Cell]]:
    """Returns {task: {algorithm: its result}} of cells that are over, by their labels."""
    found: dict[str, dict[str, list[tuple[Row, dict[str, Any]]]]] = {}
    for row in grid.sweep.rows:
        if about := done(grid.sweep.of(row)):
            task, algorithm = grid.labels[row.name]
            found.setdefault(task, {}).setdefault(algorithm, []).append((row, about))
    return {task: _normalised(grid, task, of) for task, of in found.items()}


def _better(abouts: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    """Returns the scores of seeds for the policy with the larger mean; [] if there are none."""
    known = []
    for policy in ("scores", "greedy"):
        of = {seed: x for about in abouts for seed, x in about.get(policy, {}).get(metric, {}).items()}
        known.append([float(x) for x in of.values() if x is not None])
    return max(known, key=lambda x: float(np.mean(x)) if x else -math.inf)


def _spent(folder: Path, about: dict[str, Any]) -> float:
    """Returns the processor seconds of a row's training; NaN if unknown."""
    try:
        return float(read_json(folder / str(about.get("run")) / "manifest.json")["cpu_seconds"])
    except (OSError, ValueError, KeyError):
        return math.nan


def _seeds(rows: Sequence[tuple[Row, dict[str, Any]]]) -> int:
    return sum(row.config["training"]["seeds"] for row, _ in rows)


def _lost(rows: Sequence[tuple[Row, dict[str, Any]]], known: int) -> str:
    """Returns what happened to a cell that failed or lost seeds; "" for others. known: number of scores."""
    statuses = [about.get("status") for _, about in rows]
    if FAILED[0] in statuses:
        return "failed"
    return f"{_seeds(rows) - known} of {_seeds(rows)} lost" if FAILED[1] in statuses else ""


def _normalised(grid: Grid, task: str, of: dict[str, list[tuple[Row, dict[str, Any]]]]) -> dict[str, Cell]:
    metric, first = grid.metrics[task], next(iter(of.values()))[0][0]
    scores = {name: _better([about for _, about in rows], metric) for name, rows in of.items()}
    lost = {name: _lost(rows, len(scores[name])) for name, rows in of.items()}
    means = {name: float(np.mean(x)) for name, x in scores.items() if x and not lost[name]}
    best = max([*means.values(), *_reference_scores(first, metric)], default=math.nan)
    random = [mean for name, mean in means.items() if of[name][0][0].algorithm == RANDOM]
    worst = float(np.mean(random)) if random else math.nan
    way = best - worst if best > worst else math.nan
    result = {}
    for name, rows in of.items():
        if not scores[name] and not lost[name]:
            continue  # the metric is undefined
        seconds = sum(_spent(grid.sweep.of(row), about) for row, about in rows) / _seeds(rows)
        score = low = high = math.nan
        if not lost[name]:
            about = summary(scores[name], np.mean)
            score, low, high = ((x - worst) / way for x in (means[name], about.low, about.high))
        result[name] = Cell(tuple(scores[name]), score, low, high, seconds, lost[name])
    return result


def _reference_scores(row: Row, metric: str) -> list[float]:
    """Returns the score of the team that comes with comity, if it has the same metric and the same game; else []."""
    path = reference(row.task)
    if not path or (said := read_json(path / REFERENCE)).get("metric") != metric:
        return []
    mine = row.config["task"]
    theirs = as_now(read_yaml(path / "config.yaml")["task"], mine)
    equal = same(*({name: x for name, x in game.items() if name != "profile"} for game in (mine, theirs)))
    return [float(np.mean(said["scores"]))] if equal else []


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
        whole = known and not any(one and one.lost for one in mine.values())
        mean = float(np.mean(known)) if whole else math.nan
        rows.append((name, *texts, _number(mean), f"{np.mean(seconds):.0f}" if seconds else ""))
        for task, one in mine.items():
            if one:
                raw = math.nan if one.lost else float(np.mean(one.scores))
                score = {"score": one.score, "low": one.low, "high": one.high, "raw": raw, "lost": one.lost}
                numbers.append({"algorithm": name, "task": task, **score, "cpu_seconds": one.seconds})
    budget = float(grid.sweep.study.get("cpu_seconds", BUDGET))
    notes = [
        f"0: random play, 1: the best known; last policy, sampled or greedy; {budget:g} CPU s of training a seed",
        "( ): smallest to largest seed, [ ]: 95% t interval; fewer than 5 seeds give no interval, and no result",
        "-: does not fit (grid.json says why); ...: not trained yet; the mean is over the tasks that fit",
    ]
    if any(one.lost for of in found.values() for one in of.values()):
        notes.append("lost: seeds became NaN or infinite; failed: an error ended the run; such a cell has no score")
    return Sheet(f"{grid.sweep.path}: score", columns, tuple(rows), tuple(notes), tuple(numbers))


def _number(x: float) -> str:
    return "" if math.isnan(x) else f"{x:.2f}"


def _text(grid: Grid, task: str, name: str, one: Cell | None) -> str:
    if one is None:
        return "-" if name in grid.refused.get(task, {}) else "..."
    if one.lost:
        return one.lost
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
    score, lost = np.full((len(algorithms), len(tasks)), np.nan), {}
    for column, task in enumerate(tasks):
        for row, name in enumerate(algorithms):
            if one := found.get(task, {}).get(name):
                score[row, column], lost[row, column] = one.score, one.lost
    size = max(6.5, 2.5 + 0.9 * len(tasks)), max(3.5, 1.5 + 0.32 * len(algorithms))  # room for the words around
    figure, axes = pyplot.subplots(figsize=size, layout="constrained")
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="#EEEEEE")
    picture = axes.imshow(np.clip(score, 0, 1), vmin=0, vmax=1, cmap=colours, aspect="auto")
    axes.set_xticks(range(len(tasks)), tasks, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(algorithms)), algorithms)
    for (row, column), value in np.ndenumerate(score):
        if not np.isnan(value):
            dark = np.clip(value, 0, 1) < 0.6
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w" if dark else "k")
        elif word := lost.get((row, column)):
            axes.text(column, row, word, ha="center", va="center", fontsize=7, color="k")
    figure.colorbar(picture, label="0: random play, 1: best known", shrink=0.8)
    budget = float(grid.sweep.study.get("cpu_seconds", BUDGET))
    axes.set_title(f"After {budget:g} CPU seconds of training a seed; grey: does not fit, or not trained", fontsize=9)
    files = [path.with_suffix(ending) for ending in (".png", ".svg")]
    for file in files:
        figure.savefig(file, dpi=150)
    pyplot.close(figure)
    return files
