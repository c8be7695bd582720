"""`comity demo`: shows the main use in a few minutes. It trains PG with and without action history on Manitokan, plays
the random policy, and makes the curves, the film and the table.
"""

import time
from pathlib import Path
from typing import Any

from comity.cli.main import Usage
from comity.cli.runs import flags
from comity.runs.commands import command

HELP = """  --minutes M    time limit of the whole demo (4)
  --seeds S      seeds of each policy (2)
  --out DIR      folder for all files (comity-demo, or comity-demo-2, ... if that exists)"""

PRESET = "fast"  # so that the curve rises within minutes; the caption says so
AFTERWARDS = 35.0  # seconds kept for the work after training: the random policy, curves, film, table


def demo(arguments: list[str]) -> None:
    from rich.console import Console

    words, values = flags(arguments, {"minutes": float, "seeds": int, "out": Path})
    minutes, seeds = values.get("minutes", 4.0), values.get("seeds", 2)
    if words:
        raise Usage(f"demo takes no {words[0]!r}: only --minutes, --seeds and --out")
    if not 1 <= minutes < 1000 or seeds < 1:
        raise Usage(f"--minutes {minutes:g} must be at least 1, --seeds {seeds} at least 1")
    began = time.monotonic()
    out = _new_folder(values.get("out", Path("comity-demo")))
    console = Console()
    console.print(
        f"[bold]comity demo[/bold]: two agents, two doors, one key. Both are paid in full only if whoever opens first "
        f"leaves the key to the other, who cannot see that it was a gift. About {minutes:g} minutes."
    )
    left = lambda: 60 * minutes - (time.monotonic() - began)  # noqa: E731
    head = lambda number, what: console.print(f"\n[bold]{number} of 3: {what}[/bold]", highlight=False)  # noqa: E731
    head(1, "PG, which sees the last steps as a window")
    pg = _train(console, out, "pg", "window", seeds, (left() - AFTERWARDS) / 2)
    head(2, "PG with action history: it sees its own last action")
    history = _train(console, out, "pg", "last-action", seeds, left() - AFTERWARDS, pg.iteration)
    head(3, "the random policy, for comparison")
    random = _train(console, out, "random", "window", seeds, 15.0, pg.iteration)
    _pictures(console, out, {"PG": pg, "PG with action history": history, "random": random}, time.monotonic() - began)


def _train(console: Any, out: Path, name: str, observe: str, seeds: int, seconds: float, iterations: int = 3000) -> Any:
    from comity.api import algorithm, make
    from comity.recipes import from_objects
    from comity.training.loop import train
    from comity.training.progress import Narrator
    from comity.training.run import Run
    from comity.training.settings import Training

    learner = algorithm(name, PRESET if name == "pg" else None)
    recipe = from_objects(make("manitokan", observe=observe), learner)
    training = Training(seeds=seeds, iterations=iterations, minutes=round(max(seconds, 10.0) / 60, 2), evaluations=100)
    with Narrator(console) as narrator:
        directory = train(recipe, training, out / "runs", None, narrator, "comity demo")
    return Run(directory)


def _pictures(console: Any, out: Path, runs: dict[str, Any], seconds: float) -> None:
    import numpy as np

    from comity.report.curves import draw_curves
    from comity.report.film import write_gif, write_html
    from comity.report.tables import compare_table

    seeds = len(runs["PG"].seeds)
    rate = f"PG has the preset {PRESET}, to rise within minutes."
    lines = f"Thin lines: {seeds} seeds, 32 fresh episodes a point; thick: their mean. Too few seeds for an interval."
    caption = f"{lines if seeds < 5 else f'Mean and 95% t interval over {seeds} seeds.'} {rate}"
    groups = {label: run.path for label, run in runs.items()}
    files = draw_curves(groups, path=out / "curves.png", title="Manitokan: leaving the key behind", caption=caption)
    trained = max((runs["PG"], runs["PG with action history"]), key=lambda run: np.nanmean(run.curve()[1][:, -1]))
    films = [trained.films(), runs["random"].film(episode=0)]
    files += [write_gif(films, out / "film.gif"), write_html(films, out / "film.html")]
    sheet = compare_table(groups)
    sheet.show(console)
    (out / "table.md").write_text(sheet.markdown(), encoding="utf-8")
    console.print(f"\nfiles, after {seconds:.0f} s of training")
    for file in [*files, out / "table.md"]:
        console.print(f"  {file}", highlight=False, soft_wrap=True)
    console.print("next")
    for line in (
        command("comity", "watch", trained.path),
        command("comity", "play", runs["PG"].path, "scripted:random"),
        command("comity", "resume", runs["PG"].path, "--iterations", "+1000"),
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def _new_folder(wanted: Path) -> Path:
    """Makes `wanted`, or the first of wanted-2, wanted-3, ... that does not exist, so that nothing is overwritten."""
    names = (wanted if n == 1 else wanted.with_name(f"{wanted.name}-{n}") for n in range(1, 1000))
    folder = next(name for name in names if not name.exists())
    folder.mkdir(parents=True)
    return folder
