"""`comity compare RUN...`: compares several runs, prints the result and writes it as picture, Markdown and CSV."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from comity.report.curves import draw_study
from comity.report.study import GroupsLike, Study, gather, refuse_mixture
from comity.report.tables import compare_study
from comity.runs.commands import command
from comity.runs.reading import printable
from comity.runs.saved import SavedRun, find, open_run

if TYPE_CHECKING:
    from rich.console import Console


def compare(
    runs: GroupsLike,
    metric: str | None = None,
    out: str | os.PathLike[str] | None = None,
    console: Console | None = None,
    root: str | os.PathLike[str] = "runs",
) -> list[Path]:
    """Prints the table of `compare_table` and writes compare.png, .svg, .md and .csv; returns their paths.

    runs: as in `comity.report.study.gather`, which refuses runs that cannot be compared. Runs of several tasks go to
    `compare_tasks`. metric: None means the headline of the runs. out: a directory; None means a new
    `comparisons/DATE_HASH` beside `runs`. Unfinished runs count with their newest periodic evaluation, and a note says
    so.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    if several := _of_several_tasks(runs, root):
        return compare_tasks(several, metric, out, console)
    study = gather(runs, root=root)
    sheet = compare_study(study, metric)  # refuses before anything is written
    folder = Path(out) if out is not None else new_folder(study.runs)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = None if metric is None else [metric] + ["return"] * (metric != "return" and "return" in study.table)
    written = draw_study(study, chosen, the_policy(study), folder / "compare.png")
    markdown = folder / "compare.md"
    listed = "\n".join(
        f"* {label}: {', '.join(f'`{run.path}`' for run in study.members(label))}" for label in study.labels
    )
    markdown.write_text(f"{sheet.markdown()}\n![learning curves](compare.png)\n\nRuns:\n\n{listed}\n", encoding="utf-8")
    written += [markdown, sheet.to_csv(folder / "compare.csv")]
    sheet.show(console)
    console.print(Text(printable("\nfiles\n" + "\n".join(f"  {path}" for path in written))), soft_wrap=True)
    console.print(Text("next\n" + "\n".join(f"  {line}" for line in next_commands(study, metric))), soft_wrap=True)
    return written


def _of_several_tasks(runs: GroupsLike, root: str | os.PathLike[str]) -> list[SavedRun]:
    """Returns the opened runs if they have several tasks, else []. Raises ValueError if versions of a task differ."""
    if isinstance(runs, Mapping):
        return []
    opened = [open_run(path) for path in find(runs, root)]
    by_name: dict[str, list[SavedRun]] = {}
    for run in opened:
        by_name.setdefault(run.task.partition("@")[0], []).append(run)
    if len(by_name) < 2:
        return []
    for some in by_name.values():
        refuse_mixture(some)
    return opened


def compare_tasks(
    runs: Sequence[SavedRun], metric: str | None, out: str | os.PathLike[str] | None, console: Console
) -> list[Path]:
    """Does the same as `compare` for runs of several tasks: a table by task with an aggregate, and profiles."""
    from rich.text import Text

    from comity.report.tasks import Scores, draw_profiles, tasks_sheet

    scores = Scores(runs, metric)
    sheet = tasks_sheet(scores)  # refuses before anything is written
    folder = Path(out) if out is not None else new_folder(runs)
    folder.mkdir(parents=True, exist_ok=True)
    written = draw_profiles(scores, folder / "compare.png")
    markdown = folder / "compare.md"
    picture = "\n![performance profiles](compare.png)\n" if written else ""
    listed = "\n".join(f"* `{run.path}`" for run in runs)
    markdown.write_text(f"{sheet.markdown()}{picture}\nRuns:\n\n{listed}\n", encoding="utf-8")
    written += [markdown, sheet.to_csv(folder / "compare.csv")]
    sheet.show(console)
    console.print(Text(printable("\nfiles\n" + "\n".join(f"  {path}" for path in written))), soft_wrap=True)
    first = [run.path for run in runs if run.task == runs[0].task]
    together = first if len(first) <= 4 else ["RUN..."]
    console.print(Text(f"next, of one task\n  {command('comity', 'compare', *together)}"), soft_wrap=True)
    return written


def the_policy(study: Study) -> str:
    """Returns "sampled", which every run records, or else the first policy in the table."""
    there = study.table.unique("policy")
    return "sampled" if "sampled" in there or not there else there[0]


def new_folder(runs: Sequence[SavedRun]) -> Path:
    """Returns `comparisons/DATE_HASH` beside the folder `runs` that holds the first run, else in the current folder.

    The hash is of the runs' names. If the name is taken, a number is appended, so that nothing is overwritten.
    """
    path = runs[0].path
    roots = [parent for parent in path.parents if parent.name == "runs"]
    names = "\n".join(sorted(run.path.as_posix() for run in runs))
    name = f"{datetime.now():%Y%m%d-%H%M%S}_{hashlib.sha256(names.encode()).hexdigest()[:4]}"
    place = (roots[0].parent if roots else Path()) / "comparisons"
    folders = (place / (name if i == 1 else f"{name}_{i}") for i in range(1, 1000))
    return next(folder for folder in folders if not folder.exists())


def next_commands(study: Study, metric: str | None) -> list[str]:
    """Returns commands that the user may want next."""
    paths = [run.path for run in study.runs]
    together = paths if len(paths) <= 4 else ["RUN..."]
    unfinished = [run.path for run in study.runs if run.status == "interrupted"]
    commands: list[tuple[str | Path, ...]] = [("resume", path) for path in unfinished[:1]]
    commands += [("watch", paths[0]), ("play", *together)]
    other = [name for name in study.table.metrics if name not in (study.metric(metric), "return") and "." not in name]
    if other:
        commands.append(("compare", *together, "--metric", other[0]))
    return [command("comity", *words) for words in commands]
