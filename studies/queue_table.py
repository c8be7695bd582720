"""The table of studies/queue.md: trainings that figures wait for. A person orders the rows, a script fills them in."""

import contextlib
import fcntl
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DONE, NOTHING_OPEN, TIME_IS_UP, INTERRUPTED = 0, 3, 4, 130  # how the process of a seed ends
HEAD = ("row", "figure", "scale", "arms", "seeds", "hours left", "hours spent", "state", "why")


class Row(NamedTuple):
    """One line. The last columns but `why` are computed from plan and records; the others a person wrote."""

    name: str  # also of its claim
    figure: str  # PAPER/FIGURE
    scale: str
    arms: str  # names or beginnings of names, as of `comity reproduce --arms`; all: every arm of the figure
    seeds: int  # of each arm; 0, in the table -: as many as the figure asks for
    left: str  # core-hours that missing seeds will take
    spent: str  # core-hours of the seeds that are there
    state: str  # open, N of M seeds, done; any other words: waits for what they say
    why: str

    @property
    def counted(self) -> bool:
        """Whether the state is one that is computed: words of a person are left alone."""
        return self.state in ("open", "done") or bool(re.fullmatch(r"\d+ of \d+ seeds", self.state))

    @property
    def waiting(self) -> bool:
        return self.counted and self.state != "done"

    def line(self) -> str:
        cells = (str(cell) for cell in self._replace(seeds=self.seeds or "-"))  # pyright: ignore[reportArgumentType]
        return f"| {' | '.join(cells)} |"


def parse(text: str) -> list[Row]:
    """Rows in their order. Raises ValueError, one line, for a table that cannot be read."""
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
    """The text with the row of that name anew, all else as it is."""
    lines = text.splitlines(keepends=True)
    (place,) = (i for i, line in enumerate(lines) if line.startswith(f"| {row.name} |"))
    lines[place] = row.line() + "\n"
    return "".join(lines)


class Queue(NamedTuple):
    """Of a checkout: its table, claims, new records and runs under way, which git ignores."""

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
        """Whoever calls this holds `locked("table")`."""
        from comity.runs.writing import write_text  # `--list` needs no jax

        text = self.table.read_text(encoding="utf-8")
        if (new := replaced(text, row)) != text:
            write_text(self.table, new)

    @contextlib.contextmanager
    def locked(self, name: str, wait: bool = True) -> Iterator[bool]:
        """Whether this process alone holds the name, until it leaves the block or dies in whatever way."""
        folder = self.runs / "claims"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True
