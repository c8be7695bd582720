"""The table of studies/queue.md: trainings that figures wait for. A person orders the rows, a script fills them in."""

import contextlib
import fcntl
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DONE, NOTHING_OPEN, TIME_IS_UP, INTERRUPTED = 0, 3, 4, 130  # exit codes of the process of a seed
HEAD = ("row", "figure", "scale", "arms", "seeds", "hours left", "hours spent", "state", "why")


class Row(NamedTuple):
    """One line of the table. The columns from `left` to `state` are computed; a person writes the others."""

    name: str  # also of its claim
    figure: str  # PAPER/FIGURE
    scale: str
    arms: str  # names or beginnings of names, as for `comity reproduce --arms`; all: every arm of the figure
    seeds: int  # of each arm; 0, in the table -: as many as the figure asks for
    left: str  # core-hours that the missing seeds will take
    spent: str  # core-hours of the finished seeds
    state: str  # open, N of M seeds, done; any other words: the row waits, for the reason they give
    why: str

    @property
    def counted(self) -> bool:
        """True if the state is a computed one. Words of a person are left alone."""
        return self.state in ("open", "done") or bool(re.fullmatch(r"\d+ of \d+ seeds", self.state))

    @property
    def waiting(self) -> bool:
        return self.counted and self.state != "done"

    def line(self) -> str:
        cells = (str(cell) for cell in self._replace(seeds=self.seeds or "-"))  # pyright: ignore[reportArgumentType]
        return f"| {' | '.join(cells)} |"


def parse(text: str) -> list[Row]:
    """Returns the rows in their order. Raises ValueError with one line if the table cannot be read."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head = f"| {' | '.join(HEAD)} |"
    if head not in lines:
        raise ValueError(f"the queue has no table that begins with {head}")
    rows = []
    for line in lines[lines.index(head) + 2 :]:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != len(HEAD) or not re.fullmatch(r"\d+|-", cells[4]):
            raise ValueError(f"a row of the queue has {len(HEAD)} cells, the fifth a number or -, not {line}")
        name, figure, scale, arms, seeds, *rest = cells
        rows.append(Row(name, figure, scale, arms, 0 if seeds == "-" else int(seeds), *rest))
    if len({row.name for row in rows}) != len(rows):
        raise ValueError("two rows of the queue have one name")
    return rows


def replaced(text: str, row: Row) -> str:
    """Replaces the row of that name in the text; the rest stays as it is."""
    lines = text.splitlines(keepends=True)
    (place,) = (i for i, line in enumerate(lines) if line.startswith(f"| {row.name} |"))
    lines[place] = row.line() + "\n"
    return "".join(lines)


class Queue(NamedTuple):
    """The queue of a checkout: its table, and claims, new records and runs in training, which git ignores."""

    root: Path

    @property
    def table(self) -> Path:
        return self.root / "studies" / "queue.md"

    @property
    def runs(self) -> Path:
        return self.root / "studies" / "runs"

    def records(self, paper: str) -> Path:
        return self.root / "studies" / "new" / paper

    def rows(self) -> list[Row]:
        return parse(self.table.read_text(encoding="utf-8"))

    def row(self, name: str) -> Row:
        return next(row for row in self.rows() if row.name == name)

    def write(self, row: Row) -> None:
        """Writes a row; the caller holds `locked("table")`."""
        from comity.runs.writing import write_text  # `--list` needs no jax

        text = self.table.read_text(encoding="utf-8")
        if (new := replaced(text, row)) != text:
            write_text(self.table, new)

    @contextlib.contextmanager
    def locked(self, name: str, wait: bool = True) -> Iterator[bool]:
        """Yields True if this process alone holds the name, until it leaves the block or dies in any way."""
        folder = self.runs / "claims"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True
