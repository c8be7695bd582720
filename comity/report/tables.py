"""Builds tables of final scores: of one run at the end of training, and of several runs compared with each other.

Every cell is an estimate over seeds. With five seeds or more it has a 95 % interval in brackets. With fewer it has the
smallest and largest seed in parentheses, because so few seeds give no reliable interval.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from comity.report.cells import cell, chance, heading, plain
from comity.report.sheet import Sheet
from comity.report.statistics import (
    FEWEST_SEEDS,
    Interval,
    Statistic,
    Summary,
    iqm,
    probability_of_improvement,
    summary,
)
from comity.report.study import GroupsLike, Study, gather, tabulate
from comity.report.table import Table
from comity.report.words import is_rate, short, spans
from comity.runs.saved import SavedRun, open_run

POLICIES = ("sampled", "greedy")
BUDGET_TOLERANCE = 0.02  # share of the environment steps; ends of episodes alone cause such differences


def final_table(
    run: str | os.PathLike[str] | SavedRun, metric: str | None = None, lines: Iterable[Mapping[str, Any]] | None = None
) -> Sheet:
    """Returns one run's scores: mean over seeds with 95 % t interval, per policy, for last policy and best checkpoint.

    metric: the first column (None: the run's headline). With fewer than five seeds, each seed is shown. lines:
    evaluations in the form of `eval.jsonl`, shown instead of the run's own, with any `which`. A run in progress shows
    its newest periodic evaluation. A seed that diverged has no score: its policies are in no mean. All given lines
    count, as only finite policies play.
    """
    opened = run if isinstance(run, SavedRun) else open_run(run)
    table = tabulate([opened], [opened.algorithm], "eval", None if lines is None else [list(lines)])
    study = Study((opened,), table, ())
    if not len(table):
        raise ValueError(f"{opened.path} has no evaluation yet: let it train a little")
    metric = study.metric(metric)
    names = [metric, *(["return"] if metric != "return" and "return" in table else [])]
    final, notes = newest_whole(study, opened.algorithm, opened.status) if lines is None else (table, [])
    seeds = sorted(table.unique("seed"))
    each = len(seeds) < FEWEST_SEEDS
    columns = ["checkpoint", "policy", *(f"{heading(name)}, mean" for name in names)]
    columns += [f"{heading(metric)}, seed{'s' * (len(seeds) > 1)} {spans(seeds)}"] * each
    rows, numbers = [], []
    for which in final.unique("which"):
        for policy in in_order(final.where(which=which).unique("policy")):
            some = final.where(which=which, policy=policy)
            row = [checkpoint_words(some, opened.aim), policy]
            for name in names:
                found = estimate(some, name, np.mean)
                row.append(cell(found, name))
                numbers.append(entry(some, name, "mean", found))
            by_seed = dict(zip(some["seed"].tolist(), some[metric].tolist(), strict=True))
            row += ["  ".join(plain(by_seed.get(seed, np.nan), metric) for seed in seeds)] * each
            rows.append(tuple(row))
    counts = sorted({int(n) for n in final["episodes"]})
    if counts:
        notes.append(f"each score: {' or '.join(map(str, counts))} episodes per seed")
    steps = short(float(np.median(largest_steps(table))))
    count = f"{len(seeds)} seed{'s' * (len(seeds) != 1)}"
    title = f"{opened.task} · {opened.algorithm} · {count} · {steps} environment steps ({opened.step_unit}) per seed"
    notes += few_seeds([len(final.unique("seed"))], "mean")
    return Sheet(title, tuple(columns), tuple(rows), tuple(notes), tuple(numbers))


def checkpoint_words(rows: Table, aim: str | None) -> str:
    """Describes the policies of these rows: `last, iteration 3,000`; `best, by return, of iteration 2,400`.

    aim: the metric by which the best policy was chosen; None if the run does not say it.
    """
    which, at = str(rows["which"][0]), sorted({int(x) for x in rows["policy_iteration"]})
    by = f", by {aim.replace('_', ' ')}" if which == "best" and aim else ""
    if at[0] < 0:
        return which + by
    span = f"{at[0]:,}" if len(at) == 1 else f"{at[0]:,} to {at[-1]:,}"
    return f"{which}{by}, {'of ' if which == 'best' else ''}iteration{'s' * (len(at) > 1)} {span}"


def compare_table(runs: GroupsLike, metric: str | None = None, root: str | os.PathLike[str] = "runs") -> Sheet:
    """Compares runs with each other: interquartile means over seeds with 95 % stratified bootstrap intervals.

    runs: as in `comity.report.study.gather`, which refuses runs that cannot be compared. One row per label and policy:
    the headline (or `metric`) and the return of the last policy, the headline of the best checkpoint, and the
    probability that a seed's last policy is better than that of a seed of the first label. Notes say if budgets or
    numbers of seeds differ, and which seeds diverged: they are in no mean, as in curves.
    """
    return compare_study(gather(runs, root=root), metric)


def compare_study(study: Study, metric: str | None = None) -> Sheet:
    """Does the same as `compare_table` for gathered runs."""
    if not len(study.table):
        raise ValueError("no evaluation in these runs yet: let them train a little")
    metric = study.metric(metric)
    names = [metric, *(["return"] if metric != "return" and "return" in study.table else [])]
    notes = list(study.notes)
    finals: dict[str, Table] = {}
    for label in study.labels:
        status = ", ".join(dict.fromkeys(run.status for run in study.members(label)))
        finals[label], more = newest_whole(study, label, status)
        notes += more
    first = study.labels[0]
    several = len(study.labels) > 1
    columns = ["", "seeds", "env steps", "policy", *map(heading, names)]
    columns += [f"{heading(metric)} of best checkpoint", *(["P(better)"] if several else [])]
    rows, numbers = [], []
    if several:
        notes.append(f"P(better): how likely a seed beats one of {first} by {metric}, ties counting half")
    for label, final in finals.items():
        seeds, steps = len(final.unique("seed")), largest_steps(study.table.where(label=label))
        start = [label, str(seeds), short(float(np.median(steps)))]
        for policy in in_order((final if len(final) else study.table.where(label=label)).unique("policy")):
            last = final.rows((final["policy"] == policy) & (final["which"] != "best"))
            best = final.where(policy=policy, which="best")
            row = [*start, policy]
            for name in names:
                found = estimate(last, name, iqm)
                if found.seeds < len(last):
                    some = f"{len(last) - found.seeds} of {len(last)} seeds"
                    notes.append(f"{label}, {policy}: {name} is undefined for {some}, which are left out of it")
                row.append(cell(found, name))
                numbers.append(entry(last, name, "IQM", found))
            found = estimate(best, metric, iqm)
            row.append(cell(found, metric))
            if len(best):
                numbers.append(entry(best, metric, "IQM", found))
            if several:
                base = finals[first]
                base = base.rows((base["policy"] == policy) & (base["which"] != "best"))
                improvement = beats(last, base, metric)
                row.append("reference" if label == first else chance(improvement))
                if label != first and improvement is not None:
                    numbers.append(entry(last, metric, f"P(better than {first})", improvement))
            rows.append(tuple(row))
            start = ["", "", ""]
    notes += few_seeds([len(final.unique("seed")) for final in finals.values()], "IQM")
    notes += differences(study, finals)
    title = f"{study.runs[0].task} · interquartile means over seeds"
    return Sheet(title, tuple(columns), tuple(rows), tuple(notes), tuple(numbers), grouped=3)


def newest(table: Table, label: str, status: str) -> tuple[Table, list[str]]:
    """Selects the last and the best evaluation of each seed and policy; if there is none yet, the newest periodic one.

    A resumed run still has the last evaluation of its former end; newer periodic evaluations replace it. Returns the
    rows and a note about seeds whose training is not finished.
    """
    chosen: list[int] = []
    unfinished: dict[int, int] = {}  # seed -> environment steps
    keys = list(zip(table["run"].tolist(), table["seed"].tolist(), table["policy"].tolist(), strict=True))
    which, iteration = table["which"].tolist(), table["iteration"].tolist()
    for key in dict.fromkeys(keys):
        rows = [i for i, k in enumerate(keys) if k == key][::-1]  # among equal iterations, the line written last counts
        last = max((i for i in rows if which[i] == "last"), key=iteration.__getitem__, default=None)
        periodic = max((i for i in rows if which[i] == "periodic"), key=iteration.__getitem__, default=None)
        if last is not None and (periodic is None or iteration[periodic] <= iteration[last]):
            chosen += [last, *[i for i in rows if which[i] == "best"][:1]]
        elif periodic is not None:
            chosen.append(periodic)
            unfinished[key[1]] = int(table["env_steps"][periodic])
    order = {"last": 0, "periodic": 1, "best": 2}
    chosen.sort(key=lambda i: order[which[i]])
    notes = []
    if unfinished:
        steps = list(unfinished.values())
        at = (
            short(min(steps))
            if short(min(steps)) == short(max(steps))
            else f"{short(min(steps))} to {short(max(steps))}"
        )
        who = f"seed{'s' * (len(unfinished) > 1)} {spans(unfinished)} ({status})"
        notes.append(f"{label}: {who} without final evaluation: the newest periodic one counts, at {at} env steps")
    return table.rows(np.array(chosen, int)), notes


def newest_whole(study: Study, label: str, status: str) -> tuple[Table, list[str]]:
    """Does the same as `newest` for the seeds of a label that did not diverge. A note names those that did."""
    table = study.table.where(label=label)
    lost = study.diverged_rows(table)
    final, notes = newest(table.rows(~lost), label, status)
    if seeds := sorted(table.rows(lost).unique("seed")):
        notes.append(f"{label}: seed{'s' * (len(seeds) > 1)} {spans(seeds)} diverged, in no mean")
    return final, notes


def differences(study: Study, finals: Mapping[str, Table]) -> list[str]:
    """Returns notes on differences between the rows: budgets, numbers of seeds, failed runs, commits."""
    notes = []
    steps = {label: largest_steps(study.table.where(label=label)) for label in finals}
    for label, some in steps.items():
        if unequal(some):
            notes.append(f"{label}: its seeds end at different env steps, {short(min(some))} to {short(max(some))}")
    medians = {label: float(np.median(some)) for label, some in steps.items()}
    if unequal(list(medians.values())):
        listed = ", ".join(f"{label} {short(n)}" for label, n in medians.items())
        notes.append(f"budgets differ, in env steps per seed: {listed}")
    counts = {label: len(final.unique("seed")) for label, final in finals.items()}
    if len(set(counts.values())) > 1:
        notes.append("numbers of seeds differ: " + ", ".join(f"{label} {n}" for label, n in counts.items()))
    for label in finals:
        for run in study.members(label):
            if run.status == "failed":
                about = "log.txt" if (run.path / "log.txt").exists() else "manifest.json"
                notes.append(f"{label}: {run.path.name} failed; see its {about}")
    commits = {str((run.manifest.get("git") or {}).get("commit") or "")[:7] for run in study.runs} - {""}
    if len(commits) > 1:
        notes.append(f"the runs were made by different commits: {', '.join(sorted(commits))}")
    return notes


def unequal(steps: Sequence[float]) -> bool:
    """True if budgets differ by more than the tolerance."""
    return max(steps) - min(steps) > BUDGET_TOLERANCE * max(steps)


def largest_steps(table: Table) -> list[float]:
    """Returns the environment steps of each seed so far."""
    return [float(table["env_steps"][table["seed"] == seed].max()) for seed in table.unique("seed")]


def few_seeds(counts: Sequence[int], statistic: str) -> list[str]:
    """Returns notes on the meaning of brackets and parentheses in this table."""
    notes = []
    if max(counts, default=0) >= FEWEST_SEEDS:
        kind = "95% t interval" if statistic == "mean" else "95% stratified bootstrap interval"
        notes.append(f"[ ]: {kind} over seeds, not over episodes")
    if min(counts, default=0) < FEWEST_SEEDS:
        notes.append(f"( ): smallest to largest seed; fewer than {FEWEST_SEEDS} seeds give no interval, and no result")
    return notes


def estimate(table: Table, metric: str, statistic: Statistic) -> Summary:
    """Summarises one metric over the seeds of a table that holds one row per seed."""
    found = summary(table[metric], statistic)
    if is_rate(metric):  # a rate lies between 0 and 1
        found = found._replace(low=float(np.clip(found.low, 0, 1)), high=float(np.clip(found.high, 0, 1)))
    return found


def beats(x: Table, y: Table, metric: str) -> Summary | None:
    """Probability that x is better than y; None if one of them has no score."""
    first, second = (values[np.isfinite(values)] for values in (x[metric], y[metric]))
    if not len(first) or not len(second):
        return None
    found: Interval = probability_of_improvement(first, second)
    fewest = min(len(first), len(second))
    if fewest < FEWEST_SEEDS:
        return Summary(found.value, np.nan, np.nan, fewest, "too few seeds")
    return Summary(found.value, found.low, found.high, fewest, "95% CI")


def entry(table: Table, metric: str, statistic: str, found: Summary) -> dict[str, Any]:
    """Returns one row of the CSV."""
    first = {name: table[name][0].item() if len(table) else "" for name in ("task", "algorithm", "label")}
    rest = {name: table[name][0].item() if len(table) else "" for name in ("policy", "which")}
    steps = float(np.median(table["env_steps"])) if len(table) else np.nan
    played = int(table["episodes"].max()) if len(table) else 0
    where = {"env_steps": int(steps) if math.isfinite(steps) else "", "episodes": played, "metric": metric}
    numbers = {"value": found.value, "low": found.low, "high": found.high, "seeds": found.seeds, "interval": found.kind}
    return {**first, **rest, **where, "statistic": statistic, **numbers}


def in_order(policies: Sequence[str]) -> list[str]:
    """Sorts policies in the order of rows: sampled, greedy, then others."""
    return sorted(policies, key=lambda p: POLICIES.index(p) if p in POLICIES else len(POLICIES))
