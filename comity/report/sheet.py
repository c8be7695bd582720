"""A table with text cells for a terminal, plain text or Markdown, and with numbers for CSV files."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comity.runs.reading import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable


@dataclass(frozen=True)
class Sheet:
    """A table with text cells; `numbers` holds the same results with one row per estimate, for programs."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: tuple[dict[str, Any], ...] = ()
    grouped: int = 0  # number of leading columns that are filled only in the first row of a group

    def text(self, width: int | None = None) -> str:
        """Returns plain text, made to fit `width` columns as far as possible.

        If it does not fit, intervals go below their estimates. If it is still too wide, the leading columns become a
        line of their own.
        """
        cells = [self.columns, *self.rows]
        if not fits(cells, width):
            cells = [tuple(broken(cell) for cell in row) for row in cells]
        apart = self.grouped if not fits(cells, width) else 0
        widths = [extent(column) for column in zip(*cells, strict=True)][apart:]
        lines = [self.title, ""]
        for i, row in enumerate(cells):
            if apart and i and row[0]:
                facts = zip(self.columns[1:apart], self.rows[i - 1][1:apart], strict=True)
                lines += ["", " · ".join([self.rows[i - 1][0], *(f"{name} {fact}" for name, fact in facts)])]
            parts = [cell.split("\n") for cell in row[apart:]]
            for k in range(max(map(len, parts))):
                line = (part[k] if k < len(part) else "" for part in parts)
                lines.append("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())
            if i == 0:
                lines.append("  ".join("-" * w for w in widths))
        return "\n".join([*lines, *([""] if self.notes else []), *(f"* {note}" for note in self.notes)])

    def markdown(self) -> str:
        """Returns a Markdown table, with the title as heading and the notes as a list."""
        rows = [self.columns, tuple("---" for _ in self.columns), *self.rows]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return "\n".join([f"## {self.title}", "", *lines, "", *(f"* {note}" for note in self.notes)]).rstrip() + "\n"

    def rich(self, width: int = 100) -> RichTable | None:
        """Returns a table for a terminal of `width` columns; None if it does not fit, so that `text` is used."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        cells = [self.columns, *self.rows]
        if not fits(cells, width, between=3):
            cells = [tuple(broken(cell) for cell in row) for row in cells]
        if not fits(cells, width, between=3):
            return None
        table = RichTable(title=Text(printable(self.title), style="bold"), title_justify="left", box=box.SIMPLE_HEAD)
        for name in cells[0]:
            table.add_column(Text(printable(name), style="bold"), no_wrap=True)
        starts = [row[0] != "" for row in self.rows] if self.grouped else []
        for i, row in enumerate(cells[1:]):
            table.add_row(
                *(Text(printable(cell)) for cell in row), end_section=bool(starts[i + 1 : i + 2] and starts[i + 1])
            )
        return table

    def show(self, console: Console | None = None) -> None:
        """Prints the table: drawn in a terminal, plain text elsewhere."""
        from rich.console import Console
        from rich.text import Text

        console = console or Console()
        table = self.rich(console.width) if console.is_terminal else None
        if table is None:
            text = printable(self.text(console.width if console.is_terminal else None))
            console.print(Text(text), soft_wrap=True)
            return
        console.print(table)
        for note in self.notes:
            console.print(Text(printable(f"* {note}"), style="dim"))

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Writes `numbers`, one row per estimate; undefined ones are empty."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.numbers[0]) if self.numbers else ["label"])
            writer.writeheader()
            for row in self.numbers:
                writer.writerow({k: "" if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()})
        return Path(path)


def broken(text: str) -> str:
    """Breaks a cell or heading into several short lines, with its interval or unit below."""
    for mark in (" [", " (", " of best", " checkpoint"):
        text = text.replace(mark, "\n" + mark.strip())
    if "[" not in text:  # a heading
        text = text.replace(", ", "\n").replace("env steps", "env\nsteps")
    return text.replace(" · ", "\n")


def extent(cells: Iterable[str]) -> int:
    """Number of columns that the widest line of these cells takes."""
    return max(len(line) for cell in cells for line in cell.split("\n"))


def fits(cells: Sequence[Sequence[str]], width: int | None, between: int = 2) -> bool:
    """True if a table of these rows is at most `width` wide, with `between` blanks per column."""
    return width is None or sum(extent(column) + between for column in zip(*cells, strict=True)) <= width
