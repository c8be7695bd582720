"""`comity reproduce`: trains what is missing for a paper's figures, draws them and tests their claims."""

import importlib
from pathlib import Path

from comity.cli.main import Usage
from comity.cli.runs import flags
from comity.experiments import PAPERS
from comity.settings import did_you_mean

HELP = """PAPER means all figures of a paper; PAPER/FIGURE is one of them. Names are those of `comity list figures`.
An arm is one learner with one set of settings; a figure compares several arms.
  --scale S      laptop (default) | paper: as long as in the paper | smoke: two seeds, four updates, tiny networks, to
                 see that everything runs; a figure of many similar arms then trains only some of them
  --seeds N      seeds of each arm, instead of the scale's
  --arms A,B     trains only these arms, by the names that --plan lists, or by the beginning of several names
  --minutes M    time limit; the next call goes on
  --at-once N    number of arms trained side by side (1), each in its own process, on a CPU with its own cores
  --plan         prints what exists and how long the rest will take, trains nothing
  --no-train     draws and tests the results that exist
  --fresh        ignores the results that came with the code
  --out DIR      folder for pictures, claims and new results (reproductions/PAPER)
  --runs DIR     folder for run directories (OUT/runs)"""


def reproduce(arguments: list[str]) -> None:
    words, values = flags(
        arguments,
        {"scale": str, "seeds": int, "arms": str, "minutes": float, "at-once": int, "out": Path, "runs": Path},
        switches=("plan", "no-train", "fresh"),
    )
    papers = {word.partition("/")[0]: None for word in words}
    if len(papers) != 1:
        raise Usage(f"reproduce needs PAPER or PAPER/FIGURE of one paper, such as {next(iter(PAPERS))}/fig5")
    (name,), wanted = papers, [word.partition("/")[2] for word in words]
    if name not in PAPERS:
        raise Usage(f"unknown paper {name!r}{did_you_mean(name, PAPERS)}; known: {', '.join(PAPERS)}")
    scale = values.get("scale", "laptop")
    if scale not in ("smoke", "laptop", "paper"):
        raise Usage(f"--scale {scale!r} is not one of smoke, laptop, paper")
    for flag in ("seeds", "at_once"):
        if values.get(flag, 1) < 1:
            raise Usage(f"--{flag.replace('_', '-')} must be 1 or more, not {values[flag]}")
    if values.get("minutes", 1) <= 0:
        raise Usage(f"--minutes must be more than 0, not {values['minutes']:g}")

    from comity.experiments import reproduce as machinery
    from comity.experiments.packed import shipped
    from comity.experiments.tables import spoken
    from comity.training.progress import Narrator
    from comity.training.seeds import visible_cores

    paper = importlib.import_module(PAPERS[name][0]).PAPER
    for figure in filter(None, wanted):
        if figure not in paper.figures:
            known = ", ".join(paper.figures)
            raise Usage(f"{name} has no {figure!r}{did_you_mean(figure, paper.figures)}; it has {known}")
    figures = list(paper.figures.values()) if "" in wanted else [paper.figures[figure] for figure in wanted]
    out = values.get("out", Path("reproductions") / name)
    folders = machinery.Folders(shipped(name, PAPERS[name][0]), out, values.get("runs", out / "runs"))
    if not folders.shipped and "fresh" not in values:
        print(f"no results of {name} came with this installation", flush=True)
    jobs = machinery.plan(paper, figures, scale, folders, "fresh" in values, values.get("seeds"))
    arms = arms_asked(values.get("arms", ""), [job.arm.name for job in jobs])
    asked = [job for job in jobs if job.arm.name in arms]
    print("\n".join(machinery.described(asked, visible_cores(), folders)), flush=True)
    if "plan" in values:
        return
    left, at_once, minutes = [], values.get("at_once", 1), values.get("minutes")
    wanted = [job for job in asked if job.missing]
    if "no_train" not in values and wanted:
        say = lambda text: print(text, flush=True)  # noqa: E731
        if at_once > 1:
            from comity.experiments import side_by_side

            names = tuple(figure.name for figure in figures)
            order = PAPERS[name][0], names, scale, folders, "fresh" in values, values.get("seeds"), minutes
            left = side_by_side.train(side_by_side.Order(*order), wanted, at_once, say)
            jobs = machinery.plan(paper, figures, scale, folders, "fresh" in values, values.get("seeds"))
        else:
            with Narrator() as narrator:
                left = machinery.train_missing(wanted, paper, folders, minutes, say, narrator, scale)
    files = []
    for figure in figures:
        found = machinery.results(paper, figure, scale, jobs)
        lost = machinery.lost_of(paper, figure, scale, jobs)
        files += machinery.write_figure(paper, figure, scale, found, out, lost)
        print(f"\n{figure.title}")
        print("\n".join(spoken(machinery.verdicts_of(figure, found))))
    print("files")
    for file in files:
        print(f"  {file}")
    if left:
        print(f"not finished: {', '.join(left)}; the same command goes on")


def arms_asked(words: str, names: list[str]) -> set[str]:
    """Returns the arms that `words` ("A,B") name. A word is an arm's name, or else the beginning of several names.

    No words mean all arms. Raises Usage if a word fits no arm.
    """
    found = set()
    for word in filter(None, words.split(",")) if words else [""]:
        some = {word} & {*names} or {name for name in names if name.startswith(word)}
        if not some and names:
            meant = did_you_mean(word, names)
            raise Usage(f"--arms {word}: no arm has this name or beginning{meant}; --plan lists them")
        found |= some
    return found
