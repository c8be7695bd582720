"""A sweep's table, from what its rows left when they were over: no run is opened, and jax is not imported."""

from typing import Any

import numpy as np

from comity.report.statistics import summary
from comity.report.tables import Sheet, cell, heading
from comity.report.words import is_rate
from comity.sweeps.plan import Row, Sweep, described
from comity.sweeps.worker import done


def sheet(sweep: Sweep) -> Sheet:
    """One row for each combination, its seeds pooled; of each its headline and its return at the end."""
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
