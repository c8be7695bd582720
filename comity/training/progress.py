"""The output of a run while it trains: a header, a live bar, notes. Without a terminal it is plain lines."""

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from comity.runs.reading import printable
from comity.runs.writing import not_through_links

PLAIN_EVERY = 5.0  # seconds between plain lines
WIDEST_BAR, NARROWEST_BAR = 24, 6  # characters
MOST_CHANGES = 4  # largest number of changed settings that a heading names


class Bar:
    """The live lines of a terminal: a bar by time with the time left, and parts, which take further lines if the
    terminal is narrow. Times are updated without calls."""

    def __init__(self, parts: Sequence[str], spent: float, left: float | None, waiting: str = ""):
        """spent, left: seconds by now; left None: unknown, and a clock runs instead. waiting: text before the clock."""
        self.parts, self.spent, self.left, self.waiting = list(parts), spent, left, waiting
        self.began = time.monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = time.monotonic() - self.began
        full, empty = ("#", ".") if options.ascii_only else ("\u2501", "\u2500")
        for line in self.lines(options.max_width, self.spent + now, full, empty):
            yield Text(line, no_wrap=True, overflow="ellipsis")

    def lines(self, width: int, spent: float, full: str = "#", empty: str = ".") -> list[str]:
        """The text in lines of at most `width`. spent: seconds by now; the time left shrinks as they pass."""
        if self.left is None:
            return packed([self.waiting, *self.parts, duration(spent)], width)
        left = max(self.left - (spent - self.spent), 0.0)
        share = min(spent / max(spent + left, 1e-9), 1.0)
        first, *rest = packed([f"{100 * share:3.0f}%  ETA {duration(left)}", *self.parts], width - NARROWEST_BAR - 1)
        size = max(NARROWEST_BAR, min(WIDEST_BAR, width - len(first) - 1))
        done = round(share * size)
        return [f"{full * done}{empty * (size - done)} {first}", *(f"  {line}" for line in rest)]


class Steps:
    """Progress through work of several steps, on stderr: `steps.next("what")` before each, `close` after the last."""

    def __init__(self, total: int, verb: str, console: Console | None = None):
        self.console, self.total, self.verb = console or Console(stderr=True), total, verb
        self.begun, self.began, self.live = 0, time.monotonic(), None

    def next(self, what: str) -> None:
        self.close()
        spent, done = time.monotonic() - self.began, self.begun
        self.begun += 1
        left = spent / done * (self.total - done) if done else None
        told = f"{self.verb} {what} ({self.begun} of {self.total})"
        if self.console.is_terminal:
            bar = Bar([told], spent, left) if left is not None else Bar([], spent, None, f"{told}:")
            self.live = live(bar, self.console)
        else:
            self.console.print(f"  {told}{'' if left is None else f', ETA {duration(left)}'}", highlight=False)

    def close(self) -> None:
        shown, self.live = self.live, None
        if shown is not None:
            shown.stop()


def live(bar: Bar, console: Console) -> Live:
    """Starts live lines. Text that is printed meanwhile appears above them, unless it goes to a file."""
    shown = Live(bar, console=console, transient=True, refresh_per_second=4, redirect_stdout=sys.stdout.isatty())
    shown.start()
    return shown


def packed(parts: Sequence[str], width: int) -> list[str]:
    """Joins parts by two blanks, in as many lines as needed. No part is cut."""
    lines: list[str] = []
    for part in filter(None, parts):
        if lines and len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f"  {part}"
        else:
            lines.append(part)
    return lines


class Narrator:
    """A listener that prints the progress of a training loop. All text also goes to the run's log.txt."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(stderr=True)
        self.console.on_broken_pipe = _raise  # the console's own handler ends the process
        self.live: Live | None = None
        self.told = 0.0
        self.log: Callable[[str], None] = lambda text: None
        self.took: list[tuple[int, float]] = []  # (iterations, seconds) of chunks, without evaluations
        self.elapsed = self.over = 0.0  # seconds since the run began, and those before its first chunk
        self.before: float | None = None  # seconds of compiling the last time

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
        """Ends the output, not the training, if the terminal was closed or the reader is gone."""
        try:
            yield
        except OSError:
            self.live = None
            file = self.console.file
            self.console = Console(file=io.StringIO(), quiet=True)
            with contextlib.suppress(OSError, ValueError):  # buffered text would raise an error when Python ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())

    def _header(self, facts: dict[str, Any]) -> None:
        recipe, training, path = facts["recipe"], facts["training"], facts["directory"]
        self.log = lambda text: _append(path / "log.txt", text)
        self.took, self.elapsed = [], 0.0  # one narrator may follow several runs, one after the other
        first, last = training.first_seed, training.first_seed + training.seeds - 1
        seeds = f"seed {first}" if first == last else f"{training.seeds} seeds ({first}-{last})"
        how = f"{facts['workers']} at a time" if facts["mode"] == "loop" else "as one batch"
        profile, preset = (f" ({x})" if x else "" for x in (recipe.profile, recipe.preset))
        verb = "resuming" if facts["resuming"] else "training"
        self.close()
        self.say(f"{verb} {recipe.algorithm.name}{preset} on {recipe.task.name}{profile}", "bold")
        if changed := recipe.changed():
            more = f", and {len(changed) - MOST_CHANGES} more" * (len(changed) > MOST_CHANGES)
            self.say(f"  with {', '.join(changed[:MOST_CHANGES])}{more}")
        self.say(f"  {path}")
        self.say(f"  {seeds}, {how}; {facts['numbers']:,} numbers of state each")
        self.say(
            f"  {training.iterations:,} iteration{'s' * (training.iterations != 1)} x {training.envs} games"
            + (f", or until {training.minutes:g} minutes are over" if training.minutes else "")
        )
        self.say(f"  at most {facts['env_steps']:,} env steps (joint actions) in all")

    def _preparing(self, facts: dict[str, Any]) -> None:
        recipe = facts["recipe"]
        self._wait(f"preparing {recipe.algorithm.name} on {recipe.task.name}:")

    def _compiling(self, facts: dict[str, Any]) -> None:
        self.before = facts["last"]
        text = f"compiling {', '.join(facts['programs'])}"
        text += f" ({self.before:.1f} s the last time)" if self.before is not None else ""
        self._tell(f"  {text}", f"  {text}:")

    def _compiled(self, facts: dict[str, Any]) -> None:
        self.close()
        before = f" ({self.before:.1f} s the last time)" if self.before is not None else ""
        self.say(f"  compiled in {facts['seconds']:.1f} s{before if self.console.is_terminal else ''}")

    def _note(self, facts: dict[str, Any]) -> None:
        self.say(f"  {facts['text']}", "yellow")

    _notice = _note  # about the game or the settings, before training goes on

    def _finals(self, facts: dict[str, Any]) -> None:
        what = f"{facts['episodes']} episodes per seed and policy, last and best"
        self.say(f"  final evaluation: {what}, about {duration(facts['seconds'])}")
        if self.console.is_terminal:
            self._show(Bar(["final evaluation"], self.elapsed - self.over, facts["seconds"]))

    def _evaluation(self, facts: dict[str, Any]) -> None:
        pass  # shown by the tables at the end

    def _chunk(self, facts: dict[str, Any]) -> None:
        now, done, total = facts["elapsed"], facts["iteration"], facts["iterations"]
        alone = now - self.elapsed - facts["evaluating"] if self.elapsed else facts["seconds"]
        self.took = [*self.took[-9:], (facts["count"], alone)]
        if not self.elapsed:  # the work before the first chunk, such as compiling, is over
            self.over = now - facts["seconds"] - facts["evaluating"]
        self.elapsed, spent = now, now - self.over
        pace = sum(s for _, s in self.took) / sum(n for n, _ in self.took)  # seconds per iteration
        left, limit = pace * (total - done) + facts["left"], facts["limit"]
        cut = limit is not None and limit - now < left  # the time limit comes first
        left = max(limit - now, 0.0) if cut else left
        if len(self.took) == 1:
            rest = f"; {duration(facts['left'])} of it evaluation" if facts["left"] >= 1 and not cut else ""
            self.say(f"  about {duration(left)} to go ({1e3 * pace:.0f} ms per iteration of all seeds{rest})")
            if cut:
                self.say(f"  --minutes ends it at iteration {self._reached(facts, left, pace):,} or so")
        speed = f"{short(facts['seeds'] / pace)} updates/s", f"{short(facts['steps'] / facts['count'] / pace)} steps/s"
        metrics = [f"{name} {_over_seeds(name, values)}" for name, values in facts["metrics"].items()]
        bar = Bar([f"iteration {done:,}/{total:,}", *speed, *metrics], spent, left)
        line = f"{100 * spent / max(spent + left, 1e-9):3.0f}%  ETA {duration(left)}  {'  '.join(bar.parts)}"
        if self.console.is_terminal:
            self._show(bar)
            self.log(printable(f"  {line}"))
        elif done >= total or time.monotonic() - self.told > PLAIN_EVERY:
            self.told = time.monotonic()
            self.say(f"  {line}")

    @staticmethod
    def _reached(facts: dict[str, Any], left: float, pace: float) -> int:
        """The iteration at which the time limit will stop training, roughly: evaluations take part of the time left."""
        ahead = facts["iterations"] - facts["iteration"]
        whole = pace * ahead + facts["left"]
        return facts["iteration"] + int(ahead * left / max(whole, 1e-9))

    def _tell(self, plain: str, live: str) -> None:
        """Shows a line with a running clock in a terminal, else prints a plain line."""
        if self.console.is_terminal:
            self.log(printable(plain))
            self._wait(live)
        else:
            self.say(plain)

    def _wait(self, text: str) -> None:
        if self.console.is_terminal:
            self._show(Bar([], 0.0, None, text))

    def _show(self, bar: Bar) -> None:
        """Shows a bar as the live lines of a terminal."""
        bar.parts = [printable(part) for part in bar.parts]
        with self._heard():
            if self.live is None:
                self.live = live(bar, self.console)
            self.live.update(bar)

    def _done(self, facts: dict[str, Any]) -> None:
        self.close()
        if facts["status"] == "finished":
            done = facts["iteration"]
            self.say(f"  finished: {done:,} iteration{'s' * (done != 1)} in {duration(self.elapsed)}")

    def close(self) -> None:
        live, self.live = self.live, None
        if live is not None:
            with self._heard():
                live.stop()


def _raise() -> None:
    """Raises the current exception again."""
    raise


def _over_seeds(name: str, values: list[float]) -> str:
    """Mean and 95% t interval over seeds as text; with fewer than five seeds the range."""
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


def short(number: float) -> str:
    """A number with about three digits: 0.52, 12.3, 9,876, 115k, 1.2M."""
    if number >= 1e4:
        return f"{number / 1e6:.3g}M" if number >= 999_500 else f"{number / 1e3:.0f}k"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes}:{seconds:02d} min" if minutes else f"{seconds} s"


def _append(path: Path, text: str) -> None:
    try:
        with open(path, "a", encoding="utf-8", opener=not_through_links) as file:
            file.write(text + "\n")
    except OSError:
        pass  # a full disk must not stop training over a log line
