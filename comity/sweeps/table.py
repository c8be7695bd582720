"""Builds a sweep's table from the results that its rows left: no run is opened, and jax is not imported."""

from typing import Any

import numpy as np

from comity.report.cells import cell, heading
from comity.report.sheet import Sheet
from comity.report.statistics import summary
from comity.report.words import is_rate
from comity.sweeps.plan import Row, Sweep, described
from comity.sweeps.worker import FAILED, done


def sheet(sweep: Sweep) -> Sheet:
    """Returns a row for each combination, seeds pooled: headline and return at the end. Of a search, the
    best trials.
    """
    if any(row.search for row in sweep.rows):
        return _best(sweep)
    groups: dict[tuple[str, ...], list[tuple[Row, dict[str, Any]]]] = {}
    for row in sweep.rows:
        settings = {name: value for name, value in row.settings.items() if name != "seed"}
        key = row.task, " · ".join([row.algorithm, *described(settings)])
        groups.setdefault(key, []).append((row, done(sweep.of(row)) or {}))
    abouts = [about for group in groups.values() for _, about in group]
    headlines = dict.fromkeys(about["headline"] for about in abouts if about.get("headline"))
    metrics = list(dict.fromkeys([*headlines, "return"]))
    rows, numbers, notes = [], [], []
    few = False
    for (task, label), group in groups.items():
        cells, values = [], {}
        for metric in metrics:
            scored = [x for _, about in group for x in about.get("scores", {}).get(metric, {}).values()]
            known = np.array([np.nan if x is None else x for x in scored], float)
            found = summary(known)
            if is_rate(metric):
                low, high = np.clip((found.low, found.high), 0, 1).tolist()
                found = found._replace(low=low, high=high)
            few |= found.kind in ("range", "one seed")
            cells.append(cell(found, metric))
            values |= {metric: found.value, f"{metric}, low": found.low, f"{metric}, high": found.high}
        over = sum(about.get("status") == "finished" for _, about in group)
        seeds = max((len(x) for _, about in group for x in about.get("scores", {}).values()), default=0)
        total = seeds if len(group) == 1 else sum(bool(about.get("scores")) for _, about in group)
        rows.append((task, label, str(total), *cells, f"{over}/{len(group)}"))
        numbers.append({"task": task, "label": label, "seeds": total, **values, "finished": over, "rows": len(group)})
        notes += [f"{row.label}: {about['line']}" for row, about in group if about.get("line")]
    if few:
        notes.append("( ): smallest to largest seed; fewer than 5 seeds give no interval, and no result")
    columns = ("task", "algorithm", "seeds", *(heading(metric) for metric in metrics), "finished")
    title = f"{sweep.path}: interquartile mean over seeds, last policy, sampled actions"
    return Sheet(title, columns, tuple(rows), tuple(notes), tuple(numbers))


BEST = 5  # number of trials of a search that are shown


def _best(sweep: Sweep) -> Sheet:
    """Returns the best trials of each search; `numbers` has all that are over."""
    searches: dict[str, list[tuple[Row, dict[str, Any]]]] = {}
    for row in sweep.rows:
        searches.setdefault((row.search or {})["study"], []).append((row, done(sweep.of(row)) or {}))
    rows, numbers, notes = [], [], []
    for trials in searches.values():
        first = trials[0][0]
        objective = (first.search or {})["objective"]
        fixed = described({name: value for name, value in first.settings.items() if name != "trial"})
        name = " · ".join([first.algorithm, *fixed])
        over = [(row, about) for row, about in trials if about]
        for row, about in ranked(over):
            kept = {name: about.get(name) for name in ("trial", "status", "value", "run", "seconds")}
            kept["value"] = value_of(about)
            numbers.append({"task": row.task, "label": name, "objective": objective, **kept, **about["settings"]})
        for place, (row, about) in enumerate(ranked(over)[:BEST], 1):
            if value_of(about) is None:
                continue
            scored = [x for x in about["scores"][objective].values() if x is not None]
            spread = f" ({min(scored):.3g} to {max(scored):.3g})" if len(scored) > 1 else ""
            settings = " · ".join(described(about["settings"]))
            first_columns = (row.task, name) if place == 1 else ("", "")
            rows.append((*first_columns, str(place), settings, f"{about['value']:.3g}{spread}"))
        counts: dict[str, int] = {}
        for _, about in over:
            counts[about["status"]] = counts.get(about["status"], 0) + 1
        states = ", ".join(f"{count} {status}" for status, count in counts.items()) or "none is over"
        notes.append(f"{name} on {first.task}: of {len(trials)} trials {states}; value: {objective}")
        notes += [f"trial {about['trial']}: {about['line']}" for _, about in over if about["status"] in FAILED][:BEST]
    notes.append("mean over seeds, last policy, sampled actions; ( ): smallest to largest seed")
    notes.append("the best of many looks better than it is: train it again with other seeds")
    columns = ("task", "algorithm", "place", "settings", "value")
    return Sheet(f"{sweep.path}: best trials", columns, tuple(rows), tuple(notes), tuple(numbers), grouped=2)


def value_of(about: dict[str, Any]) -> float | None:
    """Returns a trial's value; None if it did not finish. Older sweeps wrote a value then, too."""
    return about.get("value") if about.get("status") == "finished" else None


def ranked(trials: list[tuple[Row, dict[str, Any]]]) -> list[tuple[Row, dict[str, Any]]]:
    """Sorts trials, the best first; those without a value come last."""
    return sorted(trials, key=lambda one: (value_of(one[1]) is None, -(value_of(one[1]) or 0.0)))


def winner(sweep: Sweep) -> tuple[Row, dict[str, Any]] | None:
    """Returns the best trial; None if none has a value, or if there are several searches."""
    over = [(row, about) for row in sweep.rows if (about := done(sweep.of(row)))]
    best = next(iter(ranked(over)), None)
    alone = len({(row.search or {}).get("study") for row in sweep.rows}) == 1
    return best if alone and best and value_of(best[1]) is not None else None
