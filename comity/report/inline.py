"""HTML that a notebook shows for a run and for a comparison: with pictures inside, without scripts."""

from __future__ import annotations

import base64
import html
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comity.report.compare import the_policy
from comity.report.curves import draw_study
from comity.report.film import write_gif
from comity.report.sheet import Sheet
from comity.report.study import GroupsLike, Study, gather
from comity.report.table import Table
from comity.report.tables import compare_study

DPI = 120  # of curves; low, because a notebook is saved with its pictures


class Comparison:
    """Runs compared with each other: a table and a picture in a notebook, the table as text elsewhere."""

    def __init__(self, runs: GroupsLike, metric: str | None = None, root: str | os.PathLike[str] = "runs"):
        """Raises ValueError if the runs cannot be compared or the metric is unknown, and FileNotFoundError."""
        self.study: Study = gather(runs, root=root)
        self.sheet: Sheet = compare_study(self.study, metric)
        self.metric = metric

    @property
    def numbers(self) -> tuple[dict[str, Any], ...]:
        """One row per estimate, as in compare.csv."""
        return self.sheet.numbers

    @property
    def table(self) -> Table:
        """All evaluations of all runs."""
        return self.study.table

    def to_pandas(self) -> Any:
        """Returns `numbers` as a data frame. Raises ImportError without pandas, which is an extra."""
        names = dict.fromkeys(name for row in self.numbers for name in row)
        return Table({name: [row.get(name) for row in self.numbers] for name in names}).to_pandas()

    def __repr__(self) -> str:
        return self.sheet.text(100)

    def _repr_html_(self) -> str:
        chosen = None if self.metric is None else [self.metric]
        return f"{sheet_html(self.sheet)}{curve_html(self.study, chosen, the_policy(self.study))}"


def sheet_html(sheet: Sheet) -> str:
    cells = lambda row, tag: "".join(f"<{tag} style='text-align:left'>{html.escape(x)}</{tag}>" for x in row)  # noqa: E731
    rows = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in sheet.rows)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in sheet.notes)
    head = f"<thead><tr>{cells(sheet.columns, 'th')}</tr></thead>"
    return f"<p><b>{html.escape(sheet.title)}</b></p><table>{head}<tbody>{rows}</tbody></table><ul>{notes}</ul>"


def curve_html(study: Study, metric: Sequence[str] | None, policy: str) -> str:
    """Returns the learning curves as a picture, or a line of text if there are none yet."""
    with tempfile.TemporaryDirectory(prefix="comity-") as folder:
        try:
            draw_study(study, metric, policy, path := Path(folder) / "curve.png", dpi=DPI)
        except ValueError as error:
            return f"<p>{html.escape(str(error))}</p>"
        return picture(path.read_bytes(), "png", "learning curves")


def film_html(films: Any) -> str:
    with tempfile.TemporaryDirectory(prefix="comity-") as folder:
        return picture(write_gif(films, Path(folder) / "film.gif").read_bytes(), "gif", "an episode")


def picture(content: bytes, kind: str, what: str) -> str:
    data = base64.b64encode(content).decode()
    return f"<img alt='{html.escape(what)}' style='max-width:100%' src='data:image/{kind};base64,{data}'>"


def run_html(title: str, facts: Mapping[str, str], path: Path, film: Any) -> str:
    """Returns the HTML of a run: facts, curve, film. film: a Recording, or a line that says why there is none."""
    entries = "".join(f"<li>{html.escape(name)}: {html.escape(text)}</li>" for name, text in facts.items())
    shown = f"<p>{html.escape(film)}</p>" if isinstance(film, str) else film_html(film)
    study = gather(str(path))
    return (
        f"<p><b>{html.escape(title)}</b></p><ul>{entries}</ul>{curve_html(study, None, the_policy(study))}<br>{shown}"
    )
