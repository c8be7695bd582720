"""`comity watch`: shows an episode as a GIF and as a page on which the reader can move through it."""

import sys
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import Any

from comity.cli.main import Usage
from comity.cli.runs import flags, one_run, to_write
from comity.extras import needed
from comity.runs.reading import printable
from comity.runs.trust import in_terminal

HELP = """  --seed S         the seed whose team is shown (the first)
  --episode K      episode K of 32 new ones; without it the best of them, labelled as chosen
  --in-turn N      shows up to N equally good episodes, one after the other (3)
  --policy P       sampled (default) or greedy
  --checkpoint C   last (default), best, or an iteration that was kept (train
                   --keep-every); several side by side: 500,1000,last
  --best, --both   short for --checkpoint best and --checkpoint last,best
  --open           opens the replay in the browser
  --mp4 FILE       also writes a video (extra `video`)
  --gif FILE       where the GIF goes (RUN/figures/; of a reference, here)
  --html FILE      where the replay goes (RUN/figures/)
  --trust          runs code that came with the run (docs/trust.md)"""


def watch(arguments: list[str]) -> None:
    from comity.report.film import write_gif, write_html, write_mp4
    from comity.report.labels import film_titles
    from comity.runs.saved import open_run
    from comity.training.run import load

    known = {"seed": int, "episode": int, "in-turn": int, "policy": str, "checkpoint": str}
    known |= dict.fromkeys(("gif", "mp4", "html"), to_write)
    words, values = flags(arguments, known, switches=("best", "both", "open", "trust"))
    if not words:
        raise Usage("watch needs one RUN or more: run directories, globs with one match, or latest")
    policy = values.get("policy", "sampled")
    if policy not in ("sampled", "greedy"):
        raise Usage(f"--policy {policy!r} is not one of sampled, greedy")
    wanted = checkpoints(values)
    if (most := values.get("in_turn", 3)) < 1:
        raise Usage(f"--in-turn {most} must be 1 or more")
    if "mp4" in values or values.get("gif", Path()).suffix == ".mp4":
        needed("imageio_ffmpeg", "leave --mp4 out: a GIF needs nothing")  # checked before any episode is played
    paths = [one_run(word) for word in words]
    trust = in_terminal("trust" in values)
    runs = [load(path, which=which, trust=trust) for path in paths for which in wanted]
    for run in runs:
        if not run.is_reference:
            run.directory.refuse_links()
    print("playing up to 32 episodes; compiling them takes up to a minute the first time", file=sys.stderr)
    films = [run.films(values.get("seed"), policy, values.get("episode"), most) for run in runs]
    firsts = range(0, len(films), len(wanted))  # one film of each run
    of_runs = [open_run(path) for path in paths], [films[k][0].title for k in firsts], [runs[k].short for k in firsts]
    titles = [title for title in film_titles(*of_runs) for _ in wanted]
    beside = f"_{'-'.join(map(str, wanted))}" if wanted != ["last"] else ""
    if beside or len(films) > 1:  # the title names the policy
        whose = [f"{named(run.which)}iteration {run.iterations[x[0].seed]}" for run, x in zip(runs, films, strict=True)]
        films = [
            [replace(film, title=f"{title}, {which}") for film in some]
            for some, title, which in zip(films, titles, whose, strict=True)
        ]
    run, film, path = runs[0], films[0][0], paths[0]
    beside += f"_{len(films)}_films" if len(films) > 1 else ""
    own = path / "figures" / f"seed{film.seed}_{policy}{beside}"
    name = f"reference-{path.name.replace('/', '-')}-{policy}{beside}"
    stem = Path(name) if run.is_reference else own  # nothing is written into the package
    for film in (film for some in films for film in some):
        title = f"{film.title}: " if beside else ""
        print(printable(f"{title}{film.caption}; {film.length} steps, {film.ended}"))
    gif, html = values.get("gif", stem.with_suffix(".gif")), values.get("html", stem.with_suffix(".html"))
    moving = [gif, *([values["mp4"]] if "mp4" in values else [])]
    for file in (*moving, html):
        file.parent.mkdir(parents=True, exist_ok=True)
    written = [(write_mp4 if file.suffix == ".mp4" else write_gif)(films, file) for file in moving]
    page = f"{write_html(films, html)}  (open in a browser: scrub, arrows, space)"
    print(printable("\n  ".join(["files", *map(str, written), page])))
    if "open" in values:
        webbrowser.open(html.resolve().as_uri())


def checkpoints(values: dict[str, Any]) -> list[Any]:
    """Returns the checkpoints to show of each run: "last", "best" or an iteration. Raises Usage."""
    given = [flag for flag in ("best", "both", "checkpoint") if flag in values]
    if len(given) > 1:
        raise Usage(f"{' and '.join(f'--{flag}' for flag in given)}: give one of them")
    words = "last,best" if "both" in values else "best" if "best" in values else values.get("checkpoint", "last")
    found: list[Any] = []
    for word in words.split(","):
        if word not in ("last", "best") and not (word.isdecimal() and len(word) <= 8):
            raise Usage(f"--checkpoint {word!r} is not last, best or an iteration such as 500")
        found.append(int(word) if word.isdecimal() else word)
    return found


def named(which: Any) -> str:
    """Returns the name of a policy, as it stands before its iteration."""
    return f"{which} of " if isinstance(which, str) else ""
