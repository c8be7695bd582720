"""A worker: claims rows of a sweep one after the other and trains them, until none is left for it."""

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from comity.runs.directory import InUse, RunDirectory
from comity.runs.reading import printable, read_json
from comity.runs.saved import DONE, underneath
from comity.runs.trust import NOTHING, Trust
from comity.runs.writing import write_text
from comity.sweeps.claims import LEASE, Claim, Lost, newest, take
from comity.sweeps.plan import Row, Sweep, described
from comity.sweeps.ranges import TRIAL
from comity.sweeps.search import Pruned, Trial, mean

FAILED = ("failed", "not finite")
Say = Callable[[str], None]


def done(folder: Path) -> dict[str, Any] | None:
    """Returns the result of a row; None if it is not over."""
    try:
        return read_json(folder / DONE)
    except (FileNotFoundError, ValueError):
        return None


def left(sweep: Sweep) -> list[Row]:
    """Returns the rows that are not over, in order."""
    return [row for row in sweep.rows if not (sweep.of(row) / DONE).is_file()]


def retry(sweep: Sweep) -> int:
    """Marks failed rows to be trained again; returns their number.

    A row that became not finite would do so again with the same settings. Only a trial of a search gets others.
    """
    wanted = lambda row: FAILED if row.search else FAILED[:1]  # noqa: E731
    again = [sweep.of(row) for row in sweep.rows if (done(sweep.of(row)) or {}).get("status") in wanted(row)]
    for folder in again:
        (folder / TRIAL).unlink(missing_ok=True)  # values that failed are drawn anew
        (folder / DONE).unlink(missing_ok=True)
    return len(again)


def work(
    sweep: Sweep, index: int = 1, count: int = 1, say: Say = print, trust: Trust = NOTHING, lease: float = LEASE,
    listeners: Callable[[Row], Any] | None = None, batch: int = 1, programs: Any = None,
) -> int:  # fmt: skip
    """Trains rows until none is left for this worker, the index-th of `count`; returns how many it trained.

    Workers begin at different rows, so that two seldom want the same row. If a row fails, one line says so, and the
    others go on. listeners: makes, from a row, an additional listener of its run. batch: maximum number of rows that
    are trained side by side, if they differ only in floats and seeds. programs: compiled programs of this process.
    Raises Interrupted if a signal stops it, OSError if nothing can be written.
    """
    first = (index - 1) * len(sweep.rows) // count
    order, trained = [*sweep.rows[first:], *sweep.rows[:first]], 0
    while True:
        before = trained
        for row in order:
            if not (claim := _taken(sweep, row, lease)):
                continue
            claims = {row.name: claim}
            try:
                if programs is None:
                    from comity.training.remembered import Programs

                    programs = Programs()  # rows that differ only in floats share them
                side_by_side = [row]
                for other in _alike(row, order, trust) if batch > 1 else ():
                    if len(claims) < batch and (claim := _taken(sweep, other, lease)):
                        claims[other.name] = claim
                        side_by_side.append(other)
                with_what = say, trust, programs, listeners
                if len(claims) == 1:
                    trained += _row(sweep, row, claims[row.name], *with_what)
                else:
                    trained += _together(sweep, side_by_side, claims, *with_what)
            finally:
                for claim in claims.values():
                    claim.release()
        if trained == before:
            return trained


def _taken(sweep: Sweep, row: Row, lease: float) -> Claim | None:
    """Claims a row that is not over; None if it is over, or another worker has it."""
    folder = sweep.of(row)
    if (folder / DONE).is_file() or not (claim := take(folder, lease)):
        return None
    if not (folder / DONE).is_file():
        return claim
    claim.release()  # the row was finished between the check and the claim
    return None


def _alike(row: Row, order: list[Row], trust: Trust) -> Iterator[Row]:
    """Yields the other rows that can be trained side by side with a row."""
    wanted = _kind(row, trust)
    for other in order:
        if wanted is not None and other.name != row.name and _kind(other, trust) == wanted:
            yield other


def _kind(row: Row, trust: Trust) -> Any:
    """Returns a key: rows with equal keys can be trained side by side. None if this row has to be trained alone."""
    from comity.recipes import from_config
    from comity.settings import floats
    from comity.training.settings import training_of
    from comity.training.together import alike

    recipe = from_config(row.config, None, trust)
    for one in (row.search or {}).get("ranges", ()):
        if one["section"] != "algorithm" or one["setting"] not in floats(recipe.config):
            return None
    return alike(recipe, training_of(row.config), row.config)


def _together(
    sweep: Sweep, rows: list[Row], claims: dict[str, Claim], say: Say, trust: Trust, programs: Any,
    listeners: Callable[[Row], Any] | None,
) -> int:  # fmt: skip
    """Trains rows side by side; returns how many are over. Raises the first error that stopped one of them."""
    from comity.training.together import Together

    together = Together()
    members = [together.join(row.config["training"]["seeds"]) for row in rows]
    over: list[bool] = []
    errors: list[BaseException] = []

    def train(row: Row, member: Any) -> None:
        try:
            over.append(_row(sweep, row, claims[row.name], say, trust, programs, listeners, member))
        except BaseException as error:
            errors.append(error)
        finally:
            member.leave()

    threads = [threading.Thread(target=train, args=one, daemon=True) for one in zip(rows, members, strict=True)]
    say(f"{len(rows)} rows side by side")
    with together.heeding(say):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    together.close()
    for error in errors:
        raise error
    return sum(over)


def _row(
    sweep: Sweep, row: Row, claim: Claim, say: Say, trust: Trust, programs: Any,
    listeners: Callable[[Row], Any] | None, member: Any = None,
) -> bool:  # fmt: skip
    """Trains a row to its end, or continues it; returns True if it is over. member: its place among rows side by side.
    Raises Interrupted, OSError.
    """
    from comity.training.loop import NotFinite
    from comity.training.stopping import Interrupted

    folder, began, number = sweep.of(row), time.monotonic(), sweep.rows.index(row) + 1
    trial = Trial(sweep, row) if row.search else None
    say(f"row {number}/{len(sweep.rows)}: {' · '.join([row.label, *described(trial.values if trial else {})])}")
    status, line = "finished", ""
    root, config = (folder / f"draw-{trial.number}", trial.config) if trial else (folder, row.config)
    try:
        if trial and trial.pruned:
            raise Pruned("by a worker that was killed then")
        with contextlib.ExitStack() as stack:
            listen = [_guard(claim), _Log(), *([trial] if trial else [])]
            if listeners:
                listen.append(stack.enter_context(listeners(row)))
            run = _trained(root, config, listen, trust, programs, member)
    except (InUse, Lost) as error:
        say(f"  left alone: {error}")
        return False
    except Pruned as error:
        status, line, run = "pruned", str(error), next(iter(underneath(root)), None)
        if run:
            directory = RunDirectory(run)
            directory.write_manifest({**directory.manifest(), "status": status})
    except NotFinite as error:
        status, line, run = "not finite", str(error), error.directory.path
    except (Interrupted, OSError):
        raise
    except Exception as error:
        status, line = "failed", printable(f"{type(error).__name__}: {' '.join(str(error).split())}"[:500])
        run = next(iter(underneath(root)), None)
    try:
        claim.check()
    except Lost as error:
        say(f"  left alone: {error}")
        return False
    about: dict[str, Any] = {"status": status, "line": line, "seconds": round(time.monotonic() - began, 3)}
    about |= {"run": run and str(run.relative_to(folder)), "claim": claim.number}
    about |= scores(run, trial.about["objective"] if trial else None) if run else {}
    if trial:  # told before the row is marked as over: after a kill in between it is only told again
        # If a seed was lost, the mean of the others says little about the settings.
        known = [*about.get("scores", {}).get(trial.about["objective"], {}).values()]
        value = mean(known) if status == "finished" else None
        trial.tell(status, value)
        about |= {"trial": trial.number, "settings": trial.values, "value": value}
    write_text(folder / DONE, json.dumps(about, indent=1) + "\n")
    say(f"  {status} after {about['seconds']:.1f} s{f': {line}' if line else ''}")
    return True


def _trained(
    folder: Path, config: dict[str, Any], listeners: list[Any], trust: Trust, programs: Any, member: Any
) -> Path:
    """Trains the row's run to its end, and returns its path. A run that exists is continued."""
    from comity.recipes import from_config
    from comity.training.loop import resume, train
    from comity.training.settings import training_of

    def listen(event: str, facts: dict[str, Any]) -> None:
        for one in listeners:
            one(event, facts)

    for path in underneath(folder):
        directory = RunDirectory(path)
        if directory.saved():
            minutes = _minutes_left(directory, training_of(config).minutes)
            return resume(directory, None, minutes, listen, None, trust, programs, member).path
        with directory.lock():  # the run was stopped before there was anything to save
            shutil.rmtree(path)
    recipe, training = from_config(config, None, trust), training_of(config)
    return train(recipe, training, folder, None, listen, "comity sweep", programs, member).path


def _minutes_left(directory: RunDirectory, minutes: float | None) -> float | None:
    """Returns what is left of a row's time limit in minutes, enough for one chunk at least; None without a limit."""
    from comity.training import checkpoint

    if minutes is None:
        return None
    spent = [directory.manifest().get("wall_seconds", 0.0)]  # written when a signal stopped the run
    for path in directory.saved()[-1:]:  # after a kill only its checkpoint says how long it was trained
        with contextlib.suppress(checkpoint.CorruptCheckpoint):
            spent.append(checkpoint.about(path)["wall_seconds"])
    return max(minutes - max(spent) / 60, 1e-3)


def _guard(claim: Claim) -> Any:
    """Returns a listener that ends a run if another worker has taken over its row."""

    def listen(event: str, facts: dict[str, Any]) -> None:
        if event == "chunk":
            claim.check()

    return listen


class _Log:
    """A listener that writes a run's log.txt, as for runs outside of sweeps, and prints nothing."""

    def __init__(self):
        from io import StringIO

        from rich.console import Console

        from comity.training.progress import Narrator

        self.narrator = Narrator(Console(file=StringIO(), quiet=True))

    def __call__(self, event: str, facts: dict[str, Any]) -> None:
        self.narrator(event, facts)


def scores(run: Path, objective: str | None = None) -> dict[str, Any]:
    """Returns the headline, return and objective of the run's last policy: {metric: {seed: mean}}, under `scores` with
    sampled actions, under `greedy` with greedy ones.
    """
    from comity.report.study import split
    from comity.runs.saved import open_run, records

    headline = open_run(run).headline
    found: dict[str, dict[str, dict[str, float]]] = {"sampled": {}, "greedy": {}}
    for record in records(run / "eval.jsonl"):
        keys, mean = split(record, "eval")
        if keys["which"] == "last":
            for metric in dict.fromkeys((headline, "return", objective or "return")):
                if metric in mean:
                    found[keys["policy"]].setdefault(metric, {})[str(keys["seed"])] = mean[metric]
    return {"headline": headline, "scores": found["sampled"], "greedy": found["greedy"]}


def states(sweep: Sweep) -> dict[str, int]:
    """Counts rows by state: finished, failed, not finite, pruned, begun, waiting."""
    counts: dict[str, int] = {}
    for row in sweep.rows:
        folder = sweep.of(row)
        over = done(folder)
        state = str(over["status"]) if over else "begun" if newest(folder) >= 0 else "waiting"
        counts[state] = counts.get(state, 0) + 1
    return counts


def as_worker(sweep: Sweep) -> None:
    """Makes this process a worker: changes to the folder of the sweep's planning, to which file names refer."""
    with contextlib.suppress(FileNotFoundError):
        os.chdir(sweep.folder)
