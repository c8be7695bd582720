"""Makes the tables of figures and verdicts in the papers' pages: `python -m comity.experiments.pages` writes them.

A page holds such a table between two comments with its name. The tests compare it with the table made here.
"""

import importlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comity.experiments import PAPERS, packed
from comity.experiments.figure import Figure, Paper
from comity.experiments.tables import share_in_words

FOLDER = Path(__file__).parents[2] / "docs" / "papers"
WIDE = "picture" + "&nbsp;" * 25  # without the spaces, browsers make the column of pictures very narrow
HEAD = [f"| figure | the paper says | found | seeds | verdicts | {WIDE} |", "| --- | --- | --- | --- | --- | --- |"]
VERDICTS = ("reproduced", "partly", "not reproduced", "too little training", "open")


def papers() -> dict[str, Paper]:
    """Returns name -> paper, in the order of the registry."""
    return {name: importlib.import_module(module).PAPER for name, (module, _) in PAPERS.items()}


def all_figures(folder: Path) -> list[str]:
    """Returns the table of docs/papers/README.md: a row for each figure of each paper."""
    lines = list(HEAD)
    for name, paper in papers().items():
        lines.append(f"| [**{name}**]({name}/README.md) | | | | | |")
        lines += [row(figure, folder / name, f"{name}/") for figure in paper.figures.values()]
    return lines


def figures_of(paper: Paper, folder: Path) -> list[str]:
    """Returns the table of one paper, for its own page. folder: of the paper."""
    return [*HEAD, *(row(figure, folder, "") for figure in paper.figures.values())]


def summary(folder: Path) -> list[str]:
    """Returns the table of the README: a row for each paper. folder: docs/papers."""
    lines = ["| paper | found | figures | verdicts |", "| --- | --- | --- | --- |"]
    for name, paper in papers().items():
        known = [claims_file(folder / name, figure) for figure in paper.figures.values()]
        drawn = sum(
            not found(figure, x).startswith("being trained")
            for figure, x in zip(paper.figures.values(), known, strict=True)
        )
        verdicts = in_words(sum((counted(x) for x in known), Counter[str]()))
        link = f"[{paper.label}](docs/papers/{name}/README.md)"
        lines.append(f"| {link} | {paper.found} | {drawn} of {len(known)} | {verdicts} |")
    return lines


def claims_file(folder: Path, figure: Figure) -> dict[str, Any]:
    """Returns the figure's verdicts as they are committed, {} if there are none. folder: of the paper."""
    path = folder / f"{figure.name}.claims.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def counted(about: Mapping[str, Any]) -> Counter[str]:
    """Returns the number of each verdict, without claims that were replaced."""
    return Counter(claim["verdict"] for claim in about.get("claims", ()) if not claim["replaced_by"])


def in_words(number: Mapping[str, int]) -> str:
    """Returns `2 reproduced, 1 open`."""
    return ", ".join(f"{number[verdict]} {verdict}" for verdict in VERDICTS if number[verdict])


def row(figure: Figure, folder: Path, prefix: str) -> str:
    """Returns a figure's row. folder: of its verdicts and pictures; prefix: from the page to that folder."""
    about = claims_file(folder, figure)
    name = f"[{figure.name}]({prefix}{figure.name}.md)" if about else figure.name
    pictures = [x for x in (f"{figure.name}.png", f"{figure.name}-ends.png") if (folder / x).exists()]
    picture = ""
    if pictures:
        picture = (
            f'<a href="{prefix}{pictures[0]}"><img src="{prefix}{pictures[0]}" width="180" alt="{figure.name}"></a>'
        )
    return f"| {name} | {figure.says} | {found(figure, about)} | {seeds(about)} | {verdicts(about)} | {picture} |"


def found(figure: Figure, about: Mapping[str, Any]) -> str:
    """Returns the figure's finding if the verdicts hold on which it rests; else the state of its training."""
    if not figure.arms:
        return figure.finding.words if figure.finding else ""
    counts = [len(arm["seeds"]) for arm in about.get("arms", {}).values()]
    if not any(counts):
        return "being trained"
    stand = {claim["name"]: claim["verdict"] for claim in about["claims"]}
    if figure.finding and all(stand.get(name) == verdict for name, verdict in figure.finding.rests_on.items()):
        return figure.finding.words
    return "being trained; undecided so far" if min(counts) < 3 else "undecided"


def seeds(about: Mapping[str, Any]) -> str:
    """Returns the fewest and the most seeds of its arms."""
    counts = [len(arm["seeds"]) for arm in about.get("arms", {}).values()]
    return " to ".join(str(n) for n in sorted({min(counts), max(counts)})) if counts else ""


def verdicts(about: Mapping[str, Any]) -> str:
    """Returns the counts of verdicts, without claims that were replaced, and the share of the paper's training."""
    claims = [claim for claim in about.get("claims", ()) if not claim["replaced_by"]]
    tested = [test for claim in claims for test in claim["tests"] if test["estimate"] != "nan"]
    shares = [(test["share"], test.get("share_of", "training")) for test in tested]
    if not shares:
        return "" if not claims else f"{len(claims)} open"
    counts = in_words(counted(about))
    return "; ".join(filter(None, (counts, share_in_words(shares))))


def packed_results(figure: str, folder: Path) -> dict[str, list[Any]]:
    """Returns label -> packed records of a figure of hidden gifts, at laptop scale."""
    from comity.experiments import reproduce

    module, _ = PAPERS["hidden-gifts"]
    where = reproduce.Folders((packed.packed_file(module),), folder, folder)
    paper = papers()["hidden-gifts"]
    jobs = reproduce.plan(paper, [paper.figures[figure]], "laptop", where)
    return reproduce.results(paper, paper.figures[figure], "laptop", jobs)


def repairs(folder: Path) -> list[str]:
    """Returns the table of the repair study of hidden gifts, from the packed records, like the verdicts beside it."""
    from comity.experiments.hidden_gifts import matrix

    return matrix.table(packed_results("repairs", folder))


def credit(folder: Path) -> list[str]:
    """Returns the table of what each rule says of a gift, from the packed records."""
    from comity.experiments.hidden_gifts.credit_drawing import table

    return table(packed_results("credit", folder))


def tables(folder: Path) -> dict[Path, dict[str, list[str]]]:
    """Returns page -> name of a table in it -> its lines. folder: docs/papers."""
    pages = {folder / "README.md": {"figures": all_figures(folder)}}
    pages[folder.parents[1] / "README.md"] = {"papers": summary(folder)}
    for name, paper in papers().items():
        pages[folder / name / "README.md"] = {"figures": figures_of(paper, folder / name)}
    pages[folder / "hidden-gifts" / "README.md"]["repairs"] = repairs(folder)
    pages[folder.parent / "credit.md"] = {"credit": credit(folder)}
    return pages


def put(text: str, name: str, lines: list[str]) -> str:
    """Replaces the table between its two comments in a page. Raises ValueError if the page has no such place."""
    begin, end = f"<!-- {name}: made by python -m comity.experiments.pages -->", f"<!-- end of {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page has no place for {name}: add the lines {begin} and {end}")
    table = "\n".join([begin, "", *lines, "", end])
    return re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: table, text, flags=re.DOTALL)


def main() -> None:
    """Writes all tables again, and prints the pages that changed."""
    for page, parts in tables(FOLDER).items():
        before = text = page.read_text(encoding="utf-8")
        for name, lines in parts.items():
            text = put(text, name, lines)
        if text != before:
            page.write_text(text, encoding="utf-8")
            print(page)


if __name__ == "__main__":
    main()
