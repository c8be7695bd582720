"""Compares algorithms over several tasks: a table by task, an aggregate, a performance profile.

Agarwal et al. (2021), "Deep RL at the edge of the statistical precipice". Scores of tasks are put on one scale first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.report.cells import cell, chance, heading
from comity.report.curves import STYLE, entitle, frame, save
from comity.report.labels import labels_by_task, task_labels
from comity.report.looks import line_looks
from comity.report.sheet import Sheet
from comity.report.statistics import (
    FEWEST_SEEDS,
    Summary,
    bootstrap_ci,
    iqm,
    probability_of_improvement,
    resample,
)
from comity.report.study import Study, pool, refuse_mixture, tabulate
from comity.report.tables import estimate, few_seeds, newest_whole
from comity.report.words import is_rate
from comity.runs.saved import SavedRun

AGGREGATE = "aggregate IQM"
POINTS = 101  # of a profile


class Scores:
    """The last policies of several algorithms on several tasks: {label: {task: {seed: score}}}, as measured."""

    def __init__(self, runs: Sequence[SavedRun], metric: str | None = None, policy: str = "sampled"):
        """metric: None means the headline of each task. Raises ValueError if versions or step units differ."""
        self.policy = policy
        names, tasks = labels_by_task(runs), task_labels(runs)
        self.tasks, self.labels = list(dict.fromkeys(tasks)), list(dict.fromkeys(names))
        self.learners = {name: run.algorithm for name, run in zip(names, runs, strict=True)}
        self.metrics: dict[str, str] = {}
        self.notes: list[str] = []
        self.raw: dict[str, dict[str, dict[int, float]]] = {label: {} for label in self.labels}
        self.summaries: dict[tuple[str, str], Summary] = {}
        for task in self.tasks:
            where = [i for i, name in enumerate(tasks) if name == task]
            self._of_task(task, [runs[i] for i in where], [names[i] for i in where], metric)

    def _of_task(self, task: str, runs: list[SavedRun], names: list[str], metric: str | None) -> None:
        refuse_mixture(runs)
        table, notes = pool(tabulate(runs, names, "eval"))
        study = Study(tuple(runs), table, ())
        if not len(table):
            raise ValueError(f"{task}: no evaluation in its runs yet: let them train a little")
        self.metrics[task] = name = study.metric(metric)
        self.notes += [f"{task}: {note}" for note in notes]
        for label in study.labels:
            status = ", ".join(dict.fromkeys(run.status for run in study.members(label)))
            final, more = newest_whole(study, label, status)
            self.notes += [f"{task}: {note}" for note in more]
            last = final.rows((final["policy"] == self.policy) & (final["which"] != "best"))
            scored = zip(last["seed"].tolist(), last[name].tolist(), strict=True)
            self.raw[label][task] = {seed: x for seed, x in scored if np.isfinite(x)}
            self.summaries[label, task] = estimate(last, name, iqm)

    def scaled(self) -> dict[str, NDArray[np.float64]]:
        """Returns scores from 0 to 1, [seeds, tasks], of each algorithm, for the seeds that it has on every task.
        Algorithms without such seeds are left out.

        Rates are already on that scale; other metrics are put between the lowest and the highest seed of their task.
        """
        limits = {}
        for task, name in self.metrics.items():
            all_ = [x for label in self.labels for x in self.raw[label].get(task, {}).values()]
            limits[task] = (0.0, 1.0) if is_rate(name) or not all_ else (min(all_), max(all_))
        found = {}
        for label in self.labels:
            of_tasks = [self.raw[label].get(task, {}) for task in self.tasks]
            seeds = sorted(set.intersection(*map(set, of_tasks)))
            if not seeds:
                continue
            columns = []
            for task, some in zip(self.tasks, of_tasks, strict=True):
                low, high = limits[task]
                columns.append([(some[seed] - low) / (high - low) if high > low else 0.5 for seed in seeds])
            found[label] = np.array(columns).T
        return found


def tasks_sheet(scores: Scores) -> Sheet:
    """Returns one row for each algorithm: its IQM on every task, the aggregate over all, P(better)."""
    scaled, notes, rows, numbers, counts = scores.scaled(), list(scores.notes), [], [], []
    first = next(iter(scaled), None)
    columns = ["", *(f"{task}, {heading(scores.metrics[task])}" for task in scores.tasks), AGGREGATE, "P(better)"]
    for label in scores.labels:
        row = [label]
        for task in scores.tasks:
            found = scores.summaries.get((label, task), Summary(np.nan, np.nan, np.nan, 0, "undefined"))
            counts += [found.seeds] if found.seeds else []
            row.append(cell(found, scores.metrics[task]))
            numbers.append(_number(label, task, scores.metrics[task], found))
        if label not in scaled:
            notes.append(f"{label} has not the same seeds on every task, and so no aggregate")
            rows.append((*row, "–", "–"))
            continue
        found = _aggregate(scaled[label])
        numbers.append(_number(label, "all", "aggregate", found))
        better: Summary | None = None
        if first is not None and label != first:
            chances = probability_of_improvement(scaled[label], scaled[first])
            fewest = min(len(scaled[label]), len(scaled[first]))
            low, high = (chances.low, chances.high) if fewest >= FEWEST_SEEDS else (np.nan, np.nan)
            better = Summary(chances.value, low, high, fewest, "95% CI")
            numbers.append(_number(label, "all", f"P(better than {first})", better))
        rows.append((*row, cell(found, "aggregate"), "reference" if label == first else chance(better)))
    notes.append(f"{AGGREGATE}: over seeds and tasks, 0 to 1; {_scale(scores)}")
    if first is not None:
        notes.append(f"P(better): how likely a seed beats one of {first} on a task, the mean over tasks")
    notes += few_seeds(counts, "IQM")
    title = f"{len(scores.tasks)} tasks · interquartile means over seeds, last policy, {scores.policy} actions"
    return Sheet(title, tuple(columns), tuple(rows), tuple(dict.fromkeys(notes)), tuple(numbers))


def _scale(scores: Scores) -> str:
    other = [f"{name} of {task}" for task, name in scores.metrics.items() if not is_rate(name)]
    return f"put between the lowest and the highest seed: {', '.join(other)}" if other else "rates as they are"


def _aggregate(values: NDArray[np.float64]) -> Summary:
    if len(values) < FEWEST_SEEDS:
        by_seed = values.mean(1)
        kind = "one seed" if len(values) == 1 else "range"
        return Summary(float(iqm(values)), float(by_seed.min()), float(by_seed.max()), len(values), kind)
    found = bootstrap_ci(values)
    return Summary(float(found.value), float(found.low), float(found.high), len(values), "95% CI")


def _number(label: str, task: str, metric: str, found: Summary) -> dict[str, Any]:
    about = {"label": label, "task": task, "metric": metric, "statistic": "IQM"}
    return {**about, **found._asdict()}


def profile(values: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of scores [S, K] above each point [P], as the mean over tasks (section 4.2). Returns [P]."""
    return (values[None] > points[:, None, None]).mean((1, 2))


def draw_profiles(scores: Scores, path: Path, level: float = 0.95, resamples: int = 500) -> list[Path]:
    """Draws each algorithm's performance profile with its stratified bootstrap band; [] if none has an aggregate."""
    import matplotlib
    from matplotlib.figure import Figure

    scaled, points = scores.scaled(), np.linspace(0, 1, POINTS)
    if not scaled:
        return []
    looks = line_looks({label: scores.learners[label] for label in scaled})
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.6), dpi=200, layout="constrained")
        axes = figure.subplots()
        for label, values in scaled.items():
            look: Mapping[str, Any] = looks[label]
            axes.plot(points, profile(values, points), label=label, **look)
            if len(values) >= FEWEST_SEEDS:
                drawn = resample(np.random.default_rng(0), values, resamples)  # [R, S, K]
                shares = np.stack([profile(one, points) for one in drawn])
                band = np.quantile(shares, [(1 - level) / 2, (1 + level) / 2], axis=0)
                axes.fill_between(points, *band, color=look["color"], alpha=0.15, linewidth=0)
        frame(axes)
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="score", ylabel="share of seeds and tasks above it")
        axes.legend(frameon=False, fontsize=8)
        few = "" if all(len(x) >= FEWEST_SEEDS for x in scaled.values()) else "; fewer than 5 seeds have no band"
        caption = f"Scores: {_scale(scores)}. Bands: {100 * level:g}% stratified bootstrap{few}."
        entitle(figure, f"{len(scores.tasks)} tasks, {scores.policy} actions", caption)
        return save(figure, path)
