"""`comity grid`: trains every algorithm on every task that it fits, each with the same budget of processor time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from comity.cli.main import Usage
from comity.cli.runs import flags
from comity.runs.commands import command
from comity.runs.reading import printable
from comity.sweeps import grid as grids
from comity.sweeps import launch, plan, worker

HELP = """TASKS and ALGORITHMS are names with commas between them, or `all` of `comity list`. Or give FILE, a study in
YAML as for `comity sweep`, which may name your own files; or the folder of a grid, to continue it. Pairs that do not
fit are left out.
  --cpu-seconds S   processor time of training for each seed (60); compiling and the final evaluation do not count
  --seeds N         seeds of each cell (3)
  --workers N       processes here (one for each core)
  --dry-run         lists the cells, trains and writes nothing
  --table           prints the table of the results so far, trains nothing
  --out DIR         the grid's folder (grids/NAME)
Random play is always one of the algorithms, because its score is 0."""


def grid(arguments: list[str]) -> int:
    known = {"cpu-seconds": float, "seeds": int, "workers": int, "out": str}
    words, values = flags(arguments, known, switches=("dry-run", "table"))
    for name in ("cpu_seconds", "seeds", "workers"):
        if values.get(name, 1) <= 0:
            raise Usage(f"--{name.replace('_', '-')} {values[name]} must be above 0")
    say = lambda text: print(printable(text), flush=True)  # noqa: E731
    one = _grid_of(words, values, say)
    waiting = worker.left(one.sweep)
    hours = sum(row.config["training"]["cpu_seconds"] for row in waiting) / 3600
    if "dry_run" in values:
        for row in one.sweep.rows:
            say(f"  {row.label}{'' if row in waiting else '  (over)'}")
        left_out = sum(map(len, one.refused.values()))
        cost = f"{len(waiting)} to train in about {hours:.1f} core-hours and compiling"
        say(f"{len(one.sweep.rows)} cells, {cost}, {left_out} pairs do not fit; nothing trained")
        return 0
    status = 0
    if waiting and "table" not in values:
        seconds = float(waiting[0].config["training"]["cpu_seconds"])
        say(f"{len(waiting)} cells of {seconds:g} CPU s: about {hours:.1f} core-hours, and compiling")
        status = launch.processes(one.sweep, values.get("workers"), say)
    return _report(one, status)


def _grid_of(words: list[str], values: dict[str, Any], say: Callable[[str], None]) -> grids.Grid:
    """Returns the grid that the words name; plans it if it is new. Raises Usage, ValueError."""
    given = {name: values[name] for name in ("cpu_seconds", "seeds") if name in values}
    if len(words) == 1 and Path(words[0]).is_dir():
        if given:
            raise Usage(f"{words[0]} is a grid already, with a budget and seeds of its own: give a new --out")
        return grids.opened(Path(words[0]))
    file = None
    if len(words) == 1 and words[0].endswith((".yaml", ".yml")):
        file = Path(words[0])
        study = {**plan.study_of(file), **given}
        name = f"{file.stem}_{plan.digest(given)[:6]}" if given else file.stem
    elif len(words) == 2:
        study = given = {
            **dict(zip(("tasks", "algorithms"), map(_names, words, ("task", "algorithm")), strict=True)),
            **given,
        }
        name = f"grid_{plan.digest(study)[:6]}"
    else:
        raise Usage(
            f"grid needs FILE, or TASKS and ALGORITHMS, or a grid's folder, got {' '.join(words) or 'nothing'}: "
            "comity grid manitokan,two-step pg,ippo,qmix"
        )
    path = Path(values.get("out", Path("grids") / name))
    return grids.planned(path, study, file, given, "dry_run" not in values, say)


def _names(text: str, kind: str) -> list[str]:
    if text != "all":
        return plan.names_of(text, kind)
    from comity.algorithms import ALGORITHMS
    from comity.environments import TASKS

    return list(TASKS if kind == "task" else ALGORITHMS)


def _report(one: grids.Grid, status: int) -> int:
    """Writes the table and the picture and prints the next command. Returns status 1 if a cell failed or is left."""
    from rich.console import Console

    from comity.runs.writing import write_text

    path, table, counts = one.sweep.path, grids.sheet(one), worker.states(one.sweep)
    table.show(Console())
    write_text(path / "table.md", table.markdown())
    files = [path / "table.md", table.to_csv(path / "table.csv"), *grids.draw(one, path / "grid")]
    print(printable("files\n" + "\n".join(f"  {file}" for file in files)))
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    if left := len(one.sweep.rows) - counts.get("finished", 0):
        print(f"next\n  {command('comity', 'grid', path)}")
    return status or int(left > 0)
