"""Passes a run's numbers to trackers: each tracker has a thread, which reads the files of the run.

Training never waits for a tracker and never sees its errors. The run directory keeps a note of the numbers that were
passed on. So a resumed run goes on in the same record, and no number is passed on twice.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from comity.extras import needed
from comity.runs.lines import parsed_lines
from comity.runs.reading import printable, read_json, read_yaml
from comity.runs.writing import write_text
from comity.trackers import TRACKERS

FILES = ("metrics.jsonl", "eval.jsonl")
STATE = "tracking.json"  # in the run directory: the record of each tracker, and the last iterations that it got
EVERY = 2.0  # least seconds between two readings of the files
PATIENCE = 20.0  # seconds for which a run waits for its trackers at the end


class Point(NamedTuple):
    """Numbers of one seed at one time."""

    kind: str  # train, eval/sampled, last/greedy, ...
    seed: int
    iteration: int
    env_steps: int
    values: dict[str, float]  # without undefined ones; those of agents have names like return.0


class Tracker(Protocol):
    """A receiver of a run's numbers. One thread calls all methods. An error ends the tracker, but never the run."""

    def __init__(self, run: Path, config: dict[str, Any], record: str | None): ...

    # record: name of the tracker's record of this run, from before; None: there is none yet

    record: str

    def add(self, points: list[Point]) -> None: ...

    def close(self, status: str) -> None: ...


class Following:
    """A listener of a run: it starts a thread for each tracker, and reports once each that has failed."""

    def __init__(self, names: Iterable[str], listen: Any, every: float | None = None, patience: float | None = None):
        self.names, self.listen = tuple(dict.fromkeys(names)), listen
        self.every, self.patience = every or EVERY, PATIENCE if patience is None else patience
        self.threads: list[Follower] = []

    def __call__(self, event: str, facts: dict[str, Any]) -> None:
        self.listen(event, facts)
        if event == "header" and not self.threads:
            self.threads = [Follower(name, Path(facts["directory"]), self.every) for name in self.names]
        self._tell()

    def close(self, status: str) -> None:
        """Waits until the threads have passed on the rest, but at most `patience` seconds."""
        for thread in self.threads:
            thread.end(status)
        left = self.patience
        for thread in self.threads:
            left -= thread.wait(max(left, 0.0))
        self._tell()

    def _tell(self) -> None:
        for thread in self.threads:
            if thread.problem and not thread.told:
                thread.told = True
                self.listen("note", {"text": f"{thread.name}: {thread.problem}; the run goes on without it"})


class Follower:
    """A thread that passes a run's numbers to one tracker."""

    def __init__(self, name: str, run: Path, every: float):
        self.name, self.run, self.every = name, run, every
        self.problem, self.told, self.status = "", False, ""
        self.ending = threading.Event()
        self.state = saved(run).get(name, {})
        self.sent: dict[str, int] = dict(self.state.get("sent", {}))
        self.places: dict[str, tuple[int, int]] = {}  # {file: (its inode, number of bytes read)}
        self.thread = threading.Thread(target=self._follow, daemon=True, name=f"comity-{name}")
        self.thread.start()

    def end(self, status: str) -> None:
        self.status = status
        self.ending.set()

    def wait(self, seconds: float) -> float:
        """Waits for the end of the thread, at most so many seconds. Returns the seconds that it waited."""
        import time

        began = time.monotonic()
        self.thread.join(seconds)
        if self.thread.is_alive() and not self.problem:
            self.problem = f"it did not finish within {PATIENCE:g} s after the run"
        return time.monotonic() - began

    def _follow(self) -> None:
        try:
            place, _, attribute = TRACKERS[self.name][0].partition(":")
            kind = getattr(importlib.import_module(place), attribute)
            tracker: Tracker = kind(self.run, read_yaml(self.run / "config.yaml"), self.state.get("record"))
            while True:
                over = self.ending.wait(self.every)
                if points := self._new():
                    tracker.add(points)
                    self._save(tracker.record)
                if over:
                    return tracker.close(self.status)
        except BaseException as error:  # also those with which a package would end the process
            words = printable(" ".join(f"{type(error).__name__}: {error}".split()))
            self.problem = words[:300]

    def _new(self) -> list[Point]:
        """Returns the points that are new since the last call."""
        found = []
        for name in FILES:
            for line in self._lines(name):
                point = of_line(line)
                key = f"{point.kind} {point.seed}"
                if point.iteration > self.sent.get(key, -1):
                    found.append(point)
        for point in found:
            self.sent[f"{point.kind} {point.seed}"] = point.iteration
        return found

    def _lines(self, name: str) -> list[dict[str, Any]]:
        """Returns the whole lines of a file that were not read before; all lines if the file is a new one."""
        with contextlib.suppress(FileNotFoundError), open(self.run / name, "rb") as file:
            about = os.fstat(file.fileno())
            before, start = self.places.get(name, (about.st_ino, 0))
            start = start if before == about.st_ino and start <= about.st_size else 0
            file.seek(start)
            text = file.read()
            text = text[: text.rfind(b"\n") + 1]
            self.places[name] = about.st_ino, start + len(text)
            return parsed_lines(text, self.run / name)
        return []

    def _save(self, record: str) -> None:
        with SAVING:
            state = saved(self.run)
            state[self.name] = {"record": record, "sent": self.sent}
            write_text(self.run / STATE, json.dumps(state, indent=1) + "\n")


SAVING = threading.Lock()  # several trackers share the file


def saved(run: Path) -> dict[str, Any]:
    """Returns {tracker: its record and the iterations that it got} of a run."""
    try:
        state = read_json(run / STATE)
    except (OSError, ValueError):
        return {}
    return {name: value for name, value in state.items() if isinstance(value, dict)}


def of_line(line: dict[str, Any]) -> Point:
    """Turns a line of metrics.jsonl or eval.jsonl into a point."""
    keys = {"seed", "iteration", "env_steps"}
    kind, measured = "train", {name: x for name, x in line.items() if name not in keys}
    if "mean" in line:
        which = {"periodic": "eval"}.get(line["which"], line["which"])
        kind, measured = f"{which}/{line['policy']}", line["mean"]
    values: dict[str, float] = {}
    for name, x in measured.items():
        parts = {f"{name}.{i}": one for i, one in enumerate(x)} if isinstance(x, list) else {name: x}
        values |= {part: float(one) for part, one in parts.items() if isinstance(one, (int, float))}
    return Point(kind, line["seed"], line["iteration"], line["env_steps"], values)


def refuse(names: Iterable[str]) -> None:
    """Raises ValueError if the package of a tracker is not installed."""
    for name in names:
        package = TRACKERS[name][1]
        try:
            there = importlib.util.find_spec(package) is not None
        except ValueError:  # a module put into sys.modules by hand, without a spec
            there = True
        if not there:
            try:
                needed(package)
            except ImportError as error:
                raise ValueError(f"--track {name}: {error}") from None


def by_iteration(points: list[Point]) -> dict[int, dict[str, float]]:
    """Returns {iteration: {train/return/seed-0: x}}, for services that have one step for all seeds.

    Each row also has the mean of env_steps.
    """
    found: dict[int, dict[str, float]] = {}
    steps: dict[int, list[int]] = {}
    for point in points:
        row = found.setdefault(point.iteration, {})
        row |= {f"{point.kind}/{name}/seed-{point.seed}": x for name, x in point.values.items()}
        steps.setdefault(point.iteration, []).append(point.env_steps)
    for iteration, row in found.items():
        row["env_steps"] = sum(steps[iteration]) / len(steps[iteration])
    return dict(sorted(found.items()))


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns settings by dotted names."""
    found = {}
    for name, value in config.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found
