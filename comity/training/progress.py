"""What a run says while it trains: a header, one live line, notes. Without a terminal: plain lines."""

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from comity.runs.reading import printable
from comity.runs.writing import not_through_links

PLAIN_EVERY = 5.0  # seconds between plain lines


class Narrator:
    """Listens to a training loop and tells a person; everything also goes to the run's log.txt."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(stderr=True)
        self.console.on_broken_pipe = _raise  # its own ends the process
        self.live: Progress | None = None
        self.told = 0.0
        self.log: Callable[[str], None] = lambda text: None
        self.took: list[tuple[int, float]] = []  # (iterations, seconds) of chunks, evaluations left out
        self.elapsed = 0.0
        self.scores: dict[str, list[float]] = {}

    def __enter__(self) -> "Narrator":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __call__(self, event: str, facts: dict[str, Any]) -> None:
        getattr(self, f"_{event}")(facts)

    def say(self, text: str, style: str | None = None) -> None:
        text = printable(text)
        self.log(text)
        with self._heard():
            self.console.print(escape(text), style=style, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def _heard(self) -> Iterator[None]:
        """A terminal that was closed, or a reader that went away, ends what is said and not the training."""
        try:
            yield
        except OSError:
            self.live = None
            file = self.console.file
            self.console = Console(file=io.StringIO(), quiet=True)
            with contextlib.suppress(OSError, ValueError):  # what is still buffered would fail when Python ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())

    def _header(self, facts: dict[str, Any]) -> None:
        recipe, training, path = facts["recipe"], facts["training"], facts["directory"]
        self.log = lambda text: _append(path / "log.txt", text)
        self.took, self.elapsed = [], 0.0  # of this run: one narrator may tell of several
        first, last = training.first_seed, training.first_seed + training.seeds - 1
        seeds = f"seed {first}" if first == last else f"{training.seeds} seeds ({first}-{last})"
        how = f"{facts['workers']} at a time" if facts["mode"] == "loop" else "as one batch"
        profile, preset = (f" ({x})" if x else "" for x in (recipe.profile, recipe.preset))
        verb = "resuming" if facts["resuming"] else "training"
        self.say(f"{verb} {recipe.algorithm.name}{preset} on {recipe.task.name}{profile}", "bold")
        self.say(f"  {path}")
        self.say(f"  {seeds}, {how}; {facts['numbers']:,} numbers of state each")
        self.say(
            f"  {training.iterations:,} iteration{'s' * (training.iterations != 1)} x {training.envs} games, "
            f"at most {facts['env_steps']:,} env steps in all (an env step is one joint action)"
        )
        if training.minutes:
            self.say(f"  or until {training.minutes:g} minutes are over")

    def _compiled(self, facts: dict[str, Any]) -> None:
        self.say(f"  compiled in {facts['seconds']:.1f} s")

    def _note(self, facts: dict[str, Any]) -> None:
        self.say(f"  {facts['text']}", "yellow")

    _notice = _note  # about the game or the settings, before training goes on

    def _finals(self, facts: dict[str, Any]) -> None:
        self.close()
        what = f"{facts['episodes']} episodes per seed and policy, of the last policy and of the best"
        self.say(f"  final evaluation: {what}, about {_duration(facts['seconds'])}")

    def _evaluation(self, facts: dict[str, Any]) -> None:
        pass  # shown by the tables at the end

    def _chunk(self, facts: dict[str, Any]) -> None:
        now, done, total = facts["elapsed"], facts["iteration"], facts["iterations"]
        alone = now - self.elapsed - facts["evaluating"] if self.elapsed else facts["seconds"]
        self.took = [*self.took[-9:], (facts["count"], alone)]
        self.elapsed = now
        pace = sum(s for _, s in self.took) / sum(n for n, _ in self.took)  # seconds per iteration
        left = pace * (total - done) + facts["left"]
        if len(self.took) == 1:
            rest = f"; {_duration(facts['left'])} of it evaluation" if facts["left"] >= 1 else ""
            self.say(f"  about {_duration(left)} to go ({1e3 * pace:.0f} ms per iteration of all seeds{rest})")
        line = (
            f"{100 * done / total:5.1f}%  iteration {done:,}/{total:,}  ETA {_duration(left):>7}  "
            f"{facts['env_steps'] / facts['seconds']:,.0f} env steps/s  "
            + "  ".join(f"{name} {_over_seeds(name, values)}" for name, values in facts["metrics"].items())
        )
        last = done >= total
        if self.console.is_terminal:
            self._draw(line, done, total)
            self.log(printable(f"  {line}"))
        elif last or time.monotonic() - self.told > PLAIN_EVERY:
            self.told = time.monotonic()
            self.say(f"  {line}")

    def _draw(self, line: str, done: int, total: int) -> None:
        """The live line of a terminal."""
        with self._heard():
            if self.live is None:
                columns = BarColumn(bar_width=20), TextColumn("{task.description}")
                self.live = Progress(*columns, console=self.console, transient=True)
                self.live.add_task("", total=total)
                self.live.start()
            self.live.update(self.live.task_ids[0], completed=done, description=escape(printable(line)))

    def _done(self, facts: dict[str, Any]) -> None:
        self.close()
        if facts["status"] == "finished":
            done = facts["iteration"]
            self.say(f"  finished: {done:,} iteration{'s' * (done != 1)} in {_duration(self.elapsed)}")

    def close(self) -> None:
        live, self.live = self.live, None
        if live is not None:
            with self._heard():
                live.stop()


def _raise() -> None:
    """Raises the exception that is being handled."""
    raise


def _over_seeds(name: str, values: list[float]) -> str:
    """Mean and 95% t interval over seeds; with fewer than five, the range."""
    from comity.report.statistics import mean_ci

    known = np.array([v for v in values if not np.isnan(v)])
    show = (lambda x: f"{100 * x:.1f}%") if name.startswith("success") else (lambda x: f"{x:.3g}")
    if not known.size:
        return "-"
    if known.size == 1:
        return show(known[0])
    low, high = (known.min(), known.max()) if known.size < 5 else mean_ci(known)[1:3]
    word = "range" if known.size < 5 else "95% CI"
    return f"{show(known.mean())} ({word} {show(low)} to {show(high)})"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes}:{seconds:02d} min" if minutes else f"{seconds} s"


def _append(path: Path, text: str) -> None:
    try:
        with open(path, "a", encoding="utf-8", opener=not_through_links) as file:
            file.write(text + "\n")
    except OSError:
        pass  # a full disk must not stop training over a log line
