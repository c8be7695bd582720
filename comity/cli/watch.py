"""`comity watch`: an episode as a GIF and as a page that can be scrubbed."""

from pathlib import Path

from comity.cli.main import Usage
from comity.cli.runs import flags, one_run, to_write
from comity.runs.reading import printable
from comity.runs.trust import in_terminal

HELP = """  --seed S         which seed's team (the first)
  --episode K      episode K of 32 fresh ones; without it the best of them, labelled as chosen
  --policy P       sampled (default) or greedy
  --best           the best checkpoint instead of the last policy
  --gif FILE       where the GIF goes (RUN/figures/; of a reference, here)
  --html FILE      where the replay goes (RUN/figures/)
  --trust          run code that came with the run (docs/trust.md)"""


def watch(arguments: list[str]) -> None:
    from comity.report.film import write_gif, write_html
    from comity.training.run import load

    known = {"seed": int, "episode": int, "policy": str, "gif": to_write, "html": to_write}
    words, values = flags(arguments, known, switches=("best", "trust"))
    if len(words) != 1:
        raise Usage("watch needs one RUN: a run directory, a glob with one match, or latest")
    policy = values.get("policy", "sampled")
    if policy not in ("sampled", "greedy"):
        raise Usage(f"--policy {policy!r} is not one of sampled, greedy")
    path = one_run(words[0])
    run = load(path, which="best" if "best" in values else "last", trust=in_terminal("trust" in values))
    if not run.is_reference:
        run.directory.refuse_links()
    film = run.film(values.get("seed"), policy, values.get("episode"))
    own = path / "figures" / f"seed{film.seed}_{policy}"
    stem = Path(f"reference-{path.name.replace('/', '-')}-{policy}") if run.is_reference else own  # not in the package
    print(printable(f"{film.caption}; {film.length} steps, {film.ended}"))
    gif, html = values.get("gif", stem.with_suffix(".gif")), values.get("html", stem.with_suffix(".html"))
    for file in (gif, html):
        file.parent.mkdir(parents=True, exist_ok=True)
    files = (
        f"files\n  {write_gif([film], gif)}\n  {write_html([film], html)}  (open in a browser: scrub, arrows, space)"
    )
    print(printable(files))
