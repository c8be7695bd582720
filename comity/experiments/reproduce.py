"""Reproduces figures: shows what exists and what the rest will cost, trains it, draws, and tests the claims.

Finished seeds are records (`records.py`): those that came with the code, and those made here. An interrupted run is
resumed. A run that several figures share is trained once.
"""

import csv
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from comity.experiments import records
from comity.experiments.course import Length, values
from comity.experiments.figure import Arm, Budget, Ends, Figure, Paper, Scale, lacking, recipe_of
from comity.experiments.judging import Judged, judge
from comity.experiments.records import Record
from comity.experiments.tables import about, markdown
from comity.experiments.trials import Trials
from comity.recipes import Recipe
from comity.report.statistics import FEWEST_SEEDS
from comity.report.words import spans
from comity.runs.writing import write_text
from comity.training.settings import Training

SMOKE = Budget(seeds=2, iterations=4, envs=4)
Say = Callable[[str], None]


class Folders(NamedTuple):
    """The folders from which records are read and to which everything is written."""

    shipped: tuple[Path, ...]  # packed files and folders of records that came with the code; never written
    out: Path  # out/data: records made here; out/FIGURE.*: pictures and verdicts
    runs: Path  # run directories

    @property
    def data(self) -> Path:
        return self.out / "data"

    def of_records(self, fresh: bool) -> list[Path]:
        return [*(() if fresh else self.shipped), self.data]

    def made_here(self, record: Record) -> bool:
        """True if a record that was read was made here, so that it is no shipped one."""
        return Path(record["file"]).parent == self.data


class Job(NamedTuple):
    """One arm at one budget, for all figures that need it."""

    arm: Arm
    recipe: Recipe
    budget: Budget
    found: dict[int, Record]
    missing: list[int]
    seconds: float  # CPU seconds that the missing seeds will take
    lacks: str = ""  # a line that says what must be installed before it can be trained
    lost: tuple[int, ...] = ()  # seeds that were trained and became not finite

    @property
    def name(self) -> str:
        return f"{self.arm.name}-{self.budget.iterations}"


def arms_at(paper: Paper, figure: Figure, scale: Scale, seeds: int | None = None) -> dict[str, tuple[Arm, Budget]]:
    """Returns label -> (arm, budget) of a figure at a scale."""
    if scale == "smoke":
        labels = figure.arms if figure.smoke is None else figure.smoke
        budget = SMOKE if seeds is None else SMOKE._replace(seeds=seeds)
        return {label: (paper.smoke(figure.arms[label]), budget) for label in labels}
    found = {}
    for label, arm in figure.arms.items():
        budget = figure.budgets[scale][arm.budget]
        whole = replace(arm, settings={**arm.settings, **budget.settings})
        found[label] = (whole, budget if seeds is None else budget._replace(seeds=seeds))
    return found


def plan(
    paper: Paper,
    figures: Sequence[Figure],
    scale: Scale,
    folders: Folders,
    fresh: bool = False,
    seeds: int | None = None,
) -> list[Job]:
    """Returns what the figures need, each arm once: the seeds that exist, those that are missing, and their cost."""
    wanted: dict[tuple[str, int], tuple[Arm, Budget]] = {}
    for figure in figures:
        for arm, budget in arms_at(paper, figure, scale, seeds).values():
            key = arm.name, budget.iterations
            if key in wanted and wanted[key][0] != arm:
                raise ValueError(f"two arms of {paper.name} are called {arm.name} and differ: give one another name")
            most = max(budget.seeds, wanted[key][1].seeds if key in wanted else 0)
            wanted[key] = arm, budget._replace(seeds=most)
    jobs = []
    for arm, budget in wanted.values():
        places = folders.of_records(fresh)
        found = records.read(places, arm, budget)
        missing = [seed for seed in range(budget.seeds) if seed not in found]
        lost = tuple(seed for seed in records.lost(places, arm, budget) if seed not in found)
        jobs.append(Job(arm, recipe_of(arm), budget, found, missing, 0.0, lacking(arm) if missing else "", lost))
    return [job._replace(seconds=seconds) for job, seconds in zip(jobs, expected(paper, jobs), strict=True)]


def expected(paper: Paper, jobs: Sequence[Job]) -> list[float]:
    """Returns the CPU seconds of each job's missing seeds: from its own finished seeds, else from the paper's estimate.

    If other arms of the same algorithm and preset are trained, the estimate is corrected by what they took.
    """

    def estimate(job: Job) -> float:
        return paper.cost(job.arm, job.recipe) * job.budget.envs / 32

    measured: list[float | None] = []
    off: dict[tuple[str, str], list[float]] = {}  # measured over estimated
    for job in jobs:
        each = [x["core_seconds"] / job.budget.iterations for x in job.found.values() if records.on_cpu(x)]
        measured.append(float(np.median(each)) if each else None)
        if each:
            off.setdefault((job.arm.algorithm, job.arm.preset), []).append(float(np.median(each)) / estimate(job))
    seconds = []
    for job, own in zip(jobs, measured, strict=True):
        factor = float(np.median(off.get((job.arm.algorithm, job.arm.preset), [1.0])))
        rate = estimate(job) * factor if own is None else own
        seconds.append(len(job.missing) * job.budget.iterations * rate)
    return seconds


def described(jobs: Sequence[Job], cores: int, folders: Folders) -> list[str]:
    """Describes the plan: the expected time, then each arm's shipped seeds, seeds made here and missing seeds."""
    total = sum(job.seconds for job in jobs) / cores
    missing = sum(len(job.missing) for job in jobs)
    lines = [f"{missing} seeds to train, about {words_of(total)} on {cores} cores" if missing else "nothing to train"]
    width = max((len(job.arm.name) for job in jobs), default=0)
    for job in jobs:
        here = {seed for seed, x in job.found.items() if folders.made_here(x)}
        parts = [
            (job.found.keys() - here, "came with the code"),
            (here, "trained here"),
            (job.missing, f"to train: {words_of(job.seconds / cores)}"),
        ]
        told = "; ".join(f"{spans(seeds)} {words}" for seeds, words in parts if seeds)
        told = f"seeds {told}" if told else "not at this scale"
        lines.append(f"  {job.arm.name:<{width}}  {job.budget.iterations:>6,} iterations, {told}")
        if job.lacks:
            lines.append(f"  {'':<{width}}  {job.lacks}")
    return lines


def train_missing(
    jobs: Sequence[Job], paper: Paper, folders: Folders, minutes: float | None, say: Say, listen: Any, scale: Scale
) -> list[str]:
    """Trains what is missing, arm by arm, all seeds of an arm side by side. Returns the names of unfinished arms.

    minutes: no arm begins after this time. A run that is in training then is stopped and saved; the next call continues
    it.
    """
    from comity.training.loop import NotFinite
    from comity.training.seeds import visible_cores

    began, left, jobs = time.monotonic(), [], [job for job in jobs if job.missing]
    for number, job in enumerate(jobs):
        spent = (time.monotonic() - began) / 60
        if job.lacks:
            say(f"{job.arm.name}: {job.lacks}")
            left.append(job.arm.name)
            continue
        if minutes is not None and spent >= minutes:
            left.append(job.arm.name)
            continue
        say(f"{job.arm.name}: seeds {', '.join(map(str, job.missing))}, {job.budget.iterations:,} iterations")
        if len(jobs) > 1:
            ahead = seconds_left(jobs[:number], jobs[number:], 60 * spent, visible_cores())
            say(f"  arm {number + 1} of {len(jobs)}, about {words_of(ahead)} to go in all")
        trials = Trials(job.recipe, job.arm.trials, small=scale == "smoke")
        try:
            run = _trained(job, folders, None if minutes is None else minutes - spent, trials.after(listen), scale)
        except NotFinite as error:
            say(f"  {error}")
            run = error.directory.path if _whole(error.directory) else None
        if run is None:
            left.append(job.arm.name)
            continue
        trials.play(run, "last")
        new = [x for x in records.of_run(run, job.recipe, job.budget, paper.kept) if x["seed"] in job.missing]
        records.write(folders.data, job.arm, new)
        job.found.update({record["seed"]: record for record in new})
        if lost := [seed for seed in job.missing if seed not in job.found]:
            records.lose(folders.data, job.arm, job.recipe, job.budget, lost)
            seeds = ", ".join(map(str, lost))
            say(f"  {job.arm.name}: seeds {seeds} became not finite and have no record; see {run}")
    return left


def seconds_left(done: Sequence[Job], ahead: Sequence[Job], spent: float, cores: int) -> float:
    """Estimates the time of all jobs ahead: the plan's time, corrected by how long the finished jobs took against it.

    spent: seconds of the finished jobs.
    """
    planned, taken = (sum(job.seconds for job in jobs) / cores for jobs in (ahead, done))
    return planned * (spent / taken if taken else 1.0)


def _trained(job: Job, folders: Folders, minutes: float | None, listen: Any, scale: Scale) -> Path | None:
    """Returns a finished run directory with the missing seeds; None if time ran out first."""
    from comity.runs.directory import RunDirectory
    from comity.training.loop import resume, train

    root = folders.runs / job.name
    for path in sorted(root.glob("*/*/*/config.yaml"), reverse=True):
        directory = RunDirectory(path.parent)
        config = directory.config()
        training = config["training"]
        seeds = set(range(training["first_seed"], training["first_seed"] + training["seeds"]))
        found = records.identity(config, training["envs"], training["iterations"])
        wanted, given = records.settings(job.recipe, job.budget), records.defaults(job.recipe)
        same = records.same(found, wanted, given, records.unread(job.recipe))
        if not same or not set(job.missing) <= seeds:
            continue
        if not _whole(directory):
            resume(directory, None, minutes, listen)
        return directory.path if _whole(directory) else None
    small = scale == "smoke"
    chunk = -(-job.budget.iterations // min(job.budget.points, records.POINTS))  # one chunk for each point of a curve
    # Continuing play knows only sums over episodes; the other metrics of its curves come from evaluations, one a point.
    whole = job.recipe.make(job.recipe.config, job.recipe.env).whole_episodes
    training = Training(
        seeds=max(job.missing) - min(job.missing) + 1,
        first_seed=min(job.missing),
        envs=job.budget.envs,
        iterations=job.budget.iterations,
        minutes=minutes,
        chunk=chunk,
        evaluations=0 if whole else records.POINTS,
        evaluate_every=None if whole else chunk,
        evaluation_episodes=4 if small else job.budget.episodes,
        final_episodes=4 if small else job.budget.final,
    )
    directory = train(job.recipe, training, root, None, listen, "comity reproduce")
    return directory.path if _whole(directory) else None


def _whole(directory: Any) -> bool:
    """True if every seed that stayed finite was trained to the end, and its final evaluation was recorded."""
    training = directory.config()["training"]
    seeds = range(training["first_seed"], training["first_seed"] + training["seeds"])
    lines = [line for line in directory.lines("eval.jsonl") if line["which"] == "last"]
    there = {line["seed"] for line in lines if line["iteration"] == training["iterations"]}
    return {*seeds} - {int(seed) for seed in directory.manifest().get("not_finite", {})} <= there


# Results --------------------------------------------------------------------------------------------------------------


def results(paper: Paper, figure: Figure, scale: Scale, jobs: Sequence[Job]) -> dict[str, list[Record]]:
    """Returns label -> records of a figure; labels may have different numbers of seeds."""
    there = {(job.arm.name, job.budget.iterations): job.found for job in jobs}
    found = {}
    for label, (arm, budget) in arms_at(paper, figure, scale).items():
        of_arm = there[arm.name, budget.iterations]
        found[label] = [of_arm[seed] for seed in sorted(of_arm)]
    return found


def lost_of(paper: Paper, figure: Figure, scale: Scale, jobs: Sequence[Job]) -> dict[str, list[int]]:
    """Returns label -> seeds that became not finite, for the labels of a figure that lost some."""
    there = {(job.arm.name, job.budget.iterations): job for job in jobs}
    arms = arms_at(paper, figure, scale).items()
    each = {label: there[arm.name, budget.iterations] for label, (arm, budget) in arms}
    return {label: some for label, job in each.items() if (some := [s for s in job.lost if s not in job.found])}


def verdicts_of(figure: Figure, found: Mapping[str, Sequence[Record]]) -> list[Judged]:
    """Returns claims with verdicts. A claim about an arm without a record is open."""
    return judge(figure.claims, found, paper_lengths(figure))


def paper_lengths(figure: Figure) -> dict[str, Length | None]:
    """Returns label -> the length of the paper's training of the arm, which is that of scale `paper`; None if that is
    not known. A shorter one may be too little training.
    """

    def length(arm: Arm) -> Length | None:
        budget = figure.budgets["paper"][arm.budget]
        if not budget.stated:
            return None
        recipe = recipe_of(replace(arm, settings={**arm.settings, **budget.settings}))
        episode = 1 if lacking(arm) else recipe.env.spec.length  # not known without the engine, and equal on both sides
        rollout = getattr(recipe.config, "steps", 0) or episode
        return Length(budget.iterations, budget.iterations * budget.envs * rollout, rollout, episode)

    return {label: length(arm) for label, arm in figure.arms.items()}


def write_figure(
    paper: Paper, figure: Figure, scale: Scale, found: Mapping[str, list[Record]], out: Path,
    lost: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> list[Path]:  # fmt: skip
    """Writes picture, CSV, claims.json and table of a figure; returns their paths. lost: of `lost_of`."""
    out.mkdir(parents=True, exist_ok=True)
    verdicts = verdicts_of(figure, found)
    files = figure.picture(out) if figure.picture else []
    if figure.drawn and any(found.values()):
        files += figure.drawn(found, out)
    if figure.panels and any(found.values()):
        files += pictures(paper, figure, found, heading(figure, verdicts), out)
        drawn = {label: some for label, some in found.items() if some}
        files.append(to_csv(out / f"{figure.name}.csv", drawn, spoken_of(figure)))
    if not figure.arms:
        return files
    path = out / f"{figure.name}.claims.json"
    write_text(path, json.dumps(about(figure, scale, found, verdicts, paper, lost), indent=1) + "\n")
    table = out / f"{figure.name}.md"
    write_text(table, markdown(figure, scale, found, verdicts, paper, lost))
    return [*files, path, table]


def heading(figure: Figure, verdicts: Any) -> str:
    """Returns the title of a figure's pictures: its finding, if its verdicts hold; else the plain title."""
    stand = {claim.name: verdict for claim, verdict, _ in verdicts}
    finding = figure.finding
    if finding and all(stand.get(name) == verdict for name, verdict in finding.rests_on.items()):
        return finding.words
    return figure.title


def pictures(paper: Paper, figure: Figure, found: Mapping[str, Sequence[Record]], title: str, out: Path) -> list[Path]:
    """Draws a figure's curves and, if it has them, its ends, for arms that have learned; returns the paths."""
    from comity.report.ends import Part, draw_ends
    from comity.report.panels import draw_panels

    drawn = {label: some for label, some in found.items() if some}
    plain = "" if title == figure.title else f"{figure.title}. "
    learners = {label: arm.hue for label, arm in figure.arms.items()}
    learned = lambda labels: any(learners[label] != "random" for label in labels)  # noqa: E731
    panels = [(panel, curves) for panel in figure.panels if (curves := curves_of(panel, drawn)) and learned(curves)]
    files = []
    if panels:
        files += draw_panels(
            out / f"{figure.name}.png",
            title,
            panels,
            learners,
            plain + caption(figure, found, paper),
            conditions={label: arm.condition for label, arm in figure.arms.items()},
            budgets={label: trained_for(some, paper) for label, some in drawn.items()},
        )
    if ends := [panel for panel in figure.ends if learned(drawn.keys() & panel.arms.keys())]:
        parts = [Part(panel.words, ends_of(panel, figure, drawn), rounding(panel)) for panel in ends]
        files += draw_ends(out / f"{figure.name}-ends.png", title, parts, plain + ends_caption(ends))
    return files


def trained_for(some: Sequence[Record], paper: Paper) -> str:
    """Returns the length of training in words: `3,000 batches`."""
    iterations = sorted({record["settings"]["iterations"] for record in some})
    return f"{' or '.join(f'{n:,}' for n in iterations)} {paper.batch.split()[0]}"


def curves_of(panel: Any, found: Mapping[str, Sequence[Record]]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns label -> (env steps [P], values [S, P]) of one panel. P is at most the panel's `points`, if set."""
    result = {}
    for label in panel.arms or found:
        if label not in found:
            continue
        curves = [records.curve(record, panel.metric) for record in found[label]]
        points = min(map(len, curves))
        steps = np.array([record["curve"]["env_steps"][:points] for record in found[label]], float).mean(0)
        values = panel.scale * np.stack([x[:points] for x in curves])
        if panel.points:
            groups = np.array_split(np.arange(points), min(points, panel.points))
            steps = steps[[group[-1] for group in groups]]  # as in records, a point lies where its games end
            values = np.stack([values[:, group].mean(1) for group in groups], 1)
        if np.isfinite(values).any():
            result[label] = steps, values
    return result


def ends_of(panel: Ends, figure: Figure, found: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    """Returns name -> row of a panel of ends: the seeds of the arm and of the compared arm, empty if there are none."""
    from comity.report.ends import Row

    seeds = lambda label: panel.scale * values(label, panel.measure, found)  # noqa: E731
    return {
        name: Row(seeds(label), seeds(panel.beside.get(label, "")), figure.arms[label].hue)
        for label, name in panel.arms.items()
    }


def rounding(panel: Ends) -> float:
    """Returns the value below which a panel of ends shows no difference from 0, on its axis: 0.0005 of a share."""
    from comity.report.ranges import limits

    return 5e-4 * panel.scale if limits(panel.measure.metric) == (0, 1) else 0.0


def ends_caption(ends: Sequence[Ends]) -> str:
    measured = "; ".join(dict.fromkeys(panel.measure.words for panel in ends))
    return (
        f"Dots: seeds, {measured}; upright lines: means over seeds. Grey: mean of what an arm is held against, and its "
        "95 % t interval, of five seeds or more."
    )


def caption(figure: Figure, found: Mapping[str, Sequence[Record]], paper: Paper) -> str:
    seeds = sorted({len(some) for some in found.values() if some})
    tried = any(":" in p.metric.removeprefix(records.GREEDY) for p in figure.panels)
    told = "what training saw, and of trials" if tried else "what training saw"
    count = " to ".join(str(n) for n in (seeds if len(seeds) < 2 else (seeds[0], seeds[-1])))
    batches = sorted({trained_for(some, paper) for some in found.values() if some})
    length = f"; {batches[0]}" if len(batches) == 1 else ""
    drawn = [p for p in figure.panels if any(found.get(label) for label in p.arms or found)]
    medians = [p.words for p in drawn if p.show == "median"]
    alone = len(medians) == len(drawn) > 0
    middle, width = ("medians", "quartiles") if alone else ("means", "95 % t intervals")
    told += f"; medians and quartiles: {'; '.join(medians)}" if medians and not alone else ""
    bands = f"bands: {width} over seeds" if seeds and seeds[-1] >= FEWEST_SEEDS else ""
    few = "with fewer than five seeds, thin lines: each seed" if seeds and seeds[0] < FEWEST_SEEDS else ""
    return f"Seeds: {count}{length}. {'; '.join(filter(None, (f'Lines: {middle} over seeds of {told}', bands, few)))}."


def spoken_of(figure: Figure) -> list[str]:
    """Returns the metrics that a figure draws or tests."""
    tested = [test.measure for claim in figure.claims for test in claim.tests]
    tested += [panel.measure for panel in figure.ends]
    names = (*(panel.metric for panel in figure.panels), *(x.metric for x in tested), *(x.other for x in tested))
    return list(dict.fromkeys(filter(None, names)))


def to_csv(path: Path, found: Mapping[str, Sequence[Record]], metrics: Sequence[str]) -> Path:
    """Writes every point of every seed as CSV, with those of the `metrics` that have a value."""
    curves = {name: [records.curve(record, name) for some in found.values() for record in some] for name in metrics}
    known = [name for name, of_seeds in curves.items() if any(np.isfinite(curve).any() for curve in of_seeds)]
    writer = csv.writer(text := io.StringIO())
    writer.writerow(["arm", "seed", "iteration", "env_steps", *known])
    for label, some in found.items():
        for record in some:
            points = [record["curve"][name] for name in ("iteration", "env_steps")]
            values = [map(records.short, records.curve(record, name)) for name in known]
            writer.writerows([label, record["seed"], *row] for row in zip(*points, *values, strict=True))
    write_text(path, text.getvalue())
    return path


def words_of(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1.5:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
