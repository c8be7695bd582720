"""`comity report RUN...`: curves, tables, differences of settings, a replay and the runs' origin, as one HTML file."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.report.curves import points, split_seeds
from comity.report.labels import labels, starts, text_of, varying
from comity.report.looks import line_looks
from comity.report.replay import numbers
from comity.report.sheet import Sheet
from comity.report.statistics import FEWEST_SEEDS, common_curve, mean_ci
from comity.report.study import Study, gather
from comity.report.table import Table
from comity.report.tables import compare_study, final_table
from comity.report.words import is_rate
from comity.runs.saved import RunsLike, SavedRun, find, open_run, section
from comity.runs.writing import write_text

MOST_POINTS = 400  # of a curve
MADE = {  # entry of a manifest: its name on the page
    "status": "status",
    "command": "command",
    "began": "began",
    "wall_seconds": "wall seconds",
    "compile_seconds": "compile seconds",
    "env_steps_per_second": "env steps per second",
}


def write_report(
    runs: RunsLike, path: Path, metric: str | None = None, films: Mapping[str, str] | None = None, root: str = "runs"
) -> Path:
    """Writes one HTML file that needs nothing else. films: {task: a replay from `replay.replay_html`, or a line that
    says why there is none}.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, report_html(runs, metric, films, root))
    return path


def report_html(
    runs: RunsLike, metric: str | None = None, films: Mapping[str, str] | None = None, root: str = "runs"
) -> str:
    data = report_data(runs, metric, films or {}, root)
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    parts = {"title": html.escape(data["title"]), "data": text.replace("<", "\\u003c")}
    template = files("comity.report").joinpath("report.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(title|data)\}\}", lambda place: parts[place[1]], template)  # one pass: names may hold {{data}}


def tasks_of(runs: RunsLike, root: str = "runs") -> dict[str, list[Path]]:
    """Returns {task: its run directories}."""
    found: dict[str, list[Path]] = {}
    for path in find(runs, root):
        found.setdefault(open_run(path).task, []).append(path)
    return found


def report_data(runs: RunsLike, metric: str | None, films: Mapping[str, str], root: str) -> dict[str, Any]:
    """Returns everything that the page shows, as plain JSON values. Each task has a part of its own."""
    parts = [_part(paths, metric, films.get(task, "")) for task, paths in tasks_of(runs, root).items()]
    names = ", ".join(part["task"] for part in parts)
    made = f"{datetime.now():%d %B %Y, %H:%M}"
    return {"title": f"comity report: {names}", "made": made, "parts": parts}


def _part(paths: Sequence[Path], metric: str | None, film: str) -> dict[str, Any]:
    study = gather([str(path) for path in paths])
    sheets = [compare_study(study, metric)] if len(study.labels) > 1 else []
    sheets += [final_table(run, metric) for run in study.runs]
    return {
        "task": study.runs[0].task,
        "unit": study.step_unit,
        "metric": study.metric(metric),
        "curves": _curves(study),
        "sheets": [_sheet(sheet) for sheet in sheets],
        "differences": _differences(study.runs),
        "runs": [_run(run) for run in study.runs],
        "notes": list(study.notes),
        "film": film,
    }


def _curves(study: Study) -> dict[str, Any]:
    """Returns the looks of the labels, and the curves of each label for each policy and metric."""
    groups = {label: study.members(label)[0].algorithm.partition("@")[0] for label in study.labels}
    looks = line_looks(groups)
    drawn: dict[str, dict[str, list[Any]]] = {}
    learning = gather({label: [str(run.path) for run in study.members(label)] for label in study.labels}, "metrics")
    for policy, source in (("sampled", "eval"), ("greedy", "eval"), ("training", "metrics")):
        whole = (study if source == "eval" else learning).table
        if policy != "training" and policy not in whole.unique("policy"):
            continue
        if not len(whole):
            continue
        table = points(whole, policy, source)
        for name in whole.metrics:
            lines = [_line(table.where(label=label), name, study.diverged) for label in study.labels]
            if any(lines):
                drawn.setdefault(policy, {})[name] = lines
    return {
        "labels": study.labels,
        "colours": [looks[label]["color"] for label in study.labels],
        "dashes": [_dash(looks[label]["linestyle"]) for label in study.labels],
        "drawn": drawn,
    }


def _dash(style: Any) -> str:
    return "" if isinstance(style, str) else " ".join(f"{2 * x:g}" for x in style[1])


def _line(rows: Table, metric: str, diverged: Collection[tuple[str, int]]) -> dict[str, Any] | None:
    """Returns one label's curve: steps, mean, interval if there are enough seeds, every seed. Seeds that diverged are
    apart, under `lost`, with steps of their own. None without values.
    """
    whole, broken = split_seeds(rows, metric, diverged)
    lost = [
        {"seed": seed, "steps": numbers(steps[some := _thinned(len(steps))], 7), "values": numbers(values[some])}
        for seed, (steps, values) in broken.items()
    ]
    curves, seeds = list(whole.values()), list(whole)
    common = common_curve(curves) if curves else None
    if common is None or not len(common.steps):
        nothing = {"steps": [], "seeds": [], "each": [], "mean": [], "lost": lost, "rate": bool(is_rate(metric))}
        return nothing if lost else None
    kept = _thinned(len(common.steps))
    values = common.values[:, kept]
    found = {"steps": numbers(common.steps[kept], 7), "seeds": seeds, "each": numbers(values), "lost": lost}
    found["mean"] = numbers(values.mean(0))
    if len(curves) >= FEWEST_SEEDS:
        _, low, high = mean_ci(values)
        if is_rate(metric):
            low, high = np.clip(low, 0, 100), np.clip(high, 0, 100)
        found |= {"low": numbers(low), "high": numbers(high)}
    return found | {"rate": bool(is_rate(metric))}


def _thinned(count: int) -> NDArray[np.int_]:
    """Returns the places of at most MOST_POINTS points, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(MOST_POINTS, count)).round().astype(int))


def _sheet(sheet: Sheet) -> dict[str, Any]:
    return {"title": sheet.title, "columns": sheet.columns, "rows": sheet.rows, "notes": sheet.notes}


def _differences(runs: Sequence[SavedRun]) -> dict[str, Any]:
    """Returns a table of the settings in which the runs differ: one row per setting, one column per run."""
    rows = []
    for part in ("task", "algorithm", "training"):
        configs = [{"": str(run.config[part].get("name", ""))} | section(run, part) for run in runs]
        for field in varying(configs):
            name = f"{part}.{field}".rstrip(".").replace("_", "-")
            rows.append([name, *(text_of(c[field]) if field in c else "" for c in configs)])
    if len(set(begun := starts(runs))) > 1:
        rows.append(["initialise", *map(text_of, begun)])
    return {"columns": ["setting", *labels(runs)], "rows": rows}


def _run(run: SavedRun) -> dict[str, Any]:
    made = [[name, _text(run.manifest[entry])] for entry, name in MADE.items() if run.manifest.get(entry) is not None]
    git, versions = run.manifest.get("git"), run.manifest.get("versions")
    if isinstance(git, dict) and git.get("commit"):
        made.append(["commit", f"{git['commit']}{', with changes' if git.get('dirty') else ''}"])
    if isinstance(versions, dict):
        made.append(["versions", ", ".join(f"{name} {version}" for name, version in versions.items())])
    hardware = run.manifest.get("hardware")
    if isinstance(hardware, dict):
        made.append(["machine", ", ".join(_text(x) for x in hardware.values())])
    settings = [
        [f"{part}.{name}".replace("_", "-"), text_of(value)]
        for part in ("task", "algorithm", "training")
        for name, value in section(run, part).items()
    ]
    if start := run.config.get("initialise"):
        settings.append(["initialise", str(start)])
    return {"path": run.path.as_posix(), "algorithm": run.algorithm, "made": made, "settings": settings}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:,.1f}" if isinstance(value, float) else str(value)
