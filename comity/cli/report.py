"""`comity report`: writes one HTML file about one run or several."""

import webbrowser
from dataclasses import replace
from pathlib import Path

from comity.cli.main import Usage
from comity.cli.runs import flags, to_write
from comity.runs.directory import RunDirectory
from comity.runs.reading import printable
from comity.runs.saved import REFERENCE
from comity.runs.trust import in_terminal

HELP = """  --out FILE       the file (RUN/figures/report.html; for several runs comparisons/DATE_HASH/report.html;
                   of a reference, here)
  --metric NAME    what is shown first (the task's headline)
  --no-replay      leaves out the films, for which the policies have to play
  --open           opens the file in the browser
  --trust          runs code that came with a run (docs/trust.md)
The file has interactive curves, tables, the settings that differ, a replay, and
the origin of each run. It needs no network and no server. Runs of several tasks
have a section each."""
MOST_FILMS = 3  # side by side


def report(arguments: list[str]) -> None:
    from comity.report.compare import new_folder
    from comity.report.page import tasks_of, write_report
    from comity.report.study import gather

    known = {"out": to_write, "metric": str}
    words, values = flags(arguments, known, switches=("no-replay", "open", "trust"))
    if not words:
        raise Usage("report needs one RUN or more: run directories, globs, or latest")
    tasks = tasks_of(words)
    paths = [path for some in tasks.values() for path in some]
    studies = [gather([str(path) for path in some]) for some in tasks.values()]  # refuses before any episode is played
    for study in studies:
        study.metric(values.get("metric"))
    if "out" in values:
        file = values["out"]
    elif len(paths) > 1:
        file = new_folder(studies[0].runs) / "report.html"
    elif (paths[0] / REFERENCE).is_file():
        file = Path(f"reference-{paths[0].name}-report.html")  # nothing is written into the package
    else:
        RunDirectory(paths[0]).refuse_links()
        file = paths[0] / "figures" / "report.html"
    films = {}
    if "no_replay" not in values:
        trusted = in_terminal("trust" in values)
        firsts = [[study.members(label)[0].path for label in study.labels] for study in studies]
        films = {task: _film(some, trusted) for task, some in zip(tasks, firsts, strict=True)}
    file = write_report([str(path) for path in paths], file, values.get("metric"), films)
    print(printable(f"files\n  {file}  (open in a browser: point at the curves)"))
    if "open" in values:
        webbrowser.open(file.resolve().as_uri())


def _film(paths: list[Path], trusted: object) -> str:
    """Returns a replay of the first runs side by side, or a line that says why there is none."""
    from comity.report.labels import film_titles
    from comity.report.replay import replay_html
    from comity.runs.saved import open_run
    from comity.training.run import load

    try:
        runs = [load(path, trust=trusted) for path in paths[:MOST_FILMS]]  # pyright: ignore[reportArgumentType]
        films, names = [run.film() for run in runs], [run.short for run in runs]
        titles = film_titles([open_run(path) for path in paths[:MOST_FILMS]], [film.title for film in films], names)
        return replay_html([replace(film, title=title) for film, title in zip(films, titles, strict=True)])
    except (ValueError, OSError) as error:
        line = " ".join(str(error).split())
        print(printable(f"no replay: {line}"))
        return f"No replay: {line}"
