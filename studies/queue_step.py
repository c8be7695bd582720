"""One step of the queue in studies/queue.md: trains one seed, records, counts and commits it."""

import importlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import comity
from comity.cli.reproduce import arms_asked
from comity.experiments import PAPERS, packed, records
from comity.experiments.figure import SCALES, Paper, Scale
from comity.experiments.reproduce import Folders, Job, plan, train_missing
from studies.queue_table import DONE, NOTHING_OPEN, TIME_IS_UP, Queue, Row

Say = Callable[[str], None]


class Work(NamedTuple):
    """A row with the paper, jobs and folders that it names."""

    paper: Paper
    jobs: list[Job]
    folders: Folders

    def missing(self) -> list[tuple[int, Job]]:
        """Returns (seed, job) pairs, with seed 0 of all arms first."""
        pairs = [(seed, job) for job in self.jobs for seed in job.missing]
        return sorted(pairs, key=lambda pair: pair[0])

    def counted(self, row: Row) -> Row:
        """Returns the row with its hours and its state."""
        there = [x for job in self.jobs for seed, x in job.found.items() if seed < job.budget.seeds]
        missing = len(self.missing())
        state = f"{len(there)} of {len(there) + missing} seeds" if there else "open"
        left = sum(job.seconds for job in self.jobs) / 3600
        spent = sum(x["core_seconds"] for x in there if records.on_cpu(x)) / 3600
        return row._replace(left=f"{left:.1f}", spent=f"{spent:.1f}", state=state if missing else "done")


def work(queue: Queue, row: Row) -> Work:
    """Returns the work of a row. Raises ValueError with one line if the row names something that does not exist."""
    name, _, figure = row.figure.partition("/")
    module = PAPERS[name][0] if name in PAPERS else name
    paper: Paper = importlib.import_module(module).PAPER
    if figure not in paper.figures or row.scale not in SCALES:
        raise ValueError(f"row {row.name}: there is no {row.figure} at scale {row.scale}")
    shipped = tuple(p for p in (packed.packed_file(module), queue.records(paper.name)) if p.exists())
    place = queue.runs / code() / row.name
    folders = Folders(shipped, place, place / "runs")
    jobs = plan(paper, [paper.figures[figure]], cast(Scale, row.scale), folders, seeds=row.seeds or None)
    arms = arms_asked("" if row.arms == "all" else row.arms.replace(" ", ""), [job.arm.name for job in jobs])
    return Work(paper, [job for job in jobs if job.arm.name in arms], folders)


def code() -> str:
    """Returns the commit that last changed comity's code, for a seed's record; the queue's own commits do not count."""
    asked = git(Path(comity.__file__).parents[1], "log", "-1", "--format=%H", "--", "comity")
    changed = git(Path(comity.__file__).parents[1], "status", "--porcelain", "-uno", "--", "comity")
    if asked and not changed:
        os.environ["COMITY_COMMIT"] = asked
    return (asked or "unknown")[:12] + ("-changed" if changed else "")


def step(queue: Queue, until: float | None, commit: bool, say: Say) -> int:
    """Trains one seed of the first row that is open and unclaimed; says the result in one line."""
    with queue.locked("table"):
        pending = commit and git(queue.root, "status", "--porcelain", "--", "studies/new")
        if pending:
            committed(queue, "Seeds that were finished when the queue was stopped", say)
    for name in [row.name for row in queue.rows()]:
        with queue.locked(name, wait=False) as mine:
            if not mine or not queue.row(name).waiting:
                continue
            try:
                known = work(queue, queue.row(name))
            except ValueError as error:  # a typing error in one row does not stop the others
                say(f"{name}: {error}")
                continue
            kept(queue, known)
            if missing := known.missing():
                return trained(queue, name, known, *missing[0], until, commit, say)
            finish(queue, name, "", commit, say)
    say("nothing is open")
    return NOTHING_OPEN


def kept(queue: Queue, known: Work) -> None:
    """Keeps seeds whose records were written just before a kill."""
    for job in known.jobs:
        if late := [x for x in job.found.values() if known.folders.made_here(x)]:
            with queue.locked("table"):
                records.write(queue.records(known.paper.name), job.arm, map(plain, late))


def plain(record: packed.Record) -> packed.Record:
    """Returns a record as it was written, without the file it was read from."""
    return {key: value for key, value in record.items() if key != "file"}


def trained(
    queue: Queue, name: str, known: Work, seed: int, job: Job, until: float | None, commit: bool, say: Say
) -> int:  # fmt: skip
    """Trains one seed; the caller has claimed the row."""
    alone = job._replace(missing=[seed])
    minutes = None if until is None else (until - time.time()) / 60
    if minutes is not None and minutes <= 0:
        return TIME_IS_UP
    began, busy = time.monotonic(), time.process_time()
    scale = cast(Scale, queue.row(name).scale)
    if train_missing([alone], known.paper, known.folders, minutes, lambda _: None, silent, scale):
        say(f"{name}: {job.arm.name}, seed {seed}: time is up; it goes on the next time")
        return TIME_IS_UP
    what = f"{queue.row(name).figure}: {job.arm.name}, seed {seed}"
    if seed not in alone.found:
        with queue.locked("table"):
            records.lose(queue.records(known.paper.name), job.arm, job.recipe, job.budget, [seed])
            queue.write(queue.row(name)._replace(state=f"stopped: {job.arm.name}, seed {seed}, became not finite"))
        say(f"{what} became not finite; the row waits for somebody to look at it")
        return DONE
    share = (time.process_time() - busy) / (time.monotonic() - began)  # of the core: others were served first
    record = plain(alone.found[seed])
    record["core_seconds"] = round(record["core_seconds"] * min(share, 1.0), 1)
    with queue.locked("table"):  # so that no other process commits a half-written line
        records.write(queue.records(known.paper.name), job.arm, [record])
    shutil.rmtree(known.folders.out, ignore_errors=True)
    finish(queue, name, f"{what} ({record['core_seconds'] / 3600:.2f} core-hours", commit, say)
    return DONE


def finish(queue: Queue, name: str, what: str, commit: bool, say: Say) -> None:
    """Counts the row's seeds again, commits, and says so."""
    known = work(queue, queue.row(name))
    with queue.locked("table"):
        row = known.counted(queue.row(name))
        queue.write(row)
        line = f"{what}; {row.state})" if what else f"{row.figure}: {row.name} is {row.state}"
        say(line)
        if commit:
            committed(queue, line, say)


def silent(event: str, facts: dict[str, Any]) -> None:
    pass


def git(root: Path, *words: str) -> str:
    """Returns git's answer; "" if it fails."""
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def committed(queue: Queue, message: str, say: Say) -> None:
    """Commits the table and new records, nothing else, on the current branch; if it fails, the next commit has them."""
    new = [path for path in (queue.root / "studies" / "new").rglob("*") if path.suffix in (".jsonl", records.LOST)]
    files = [str(path.relative_to(queue.root)) for path in new]
    files.append(str(queue.table.relative_to(queue.root)))
    if not git(queue.root, "symbolic-ref", "HEAD"):
        return say("not committed: no branch is checked out")
    for words in (["add"], ["commit", "--quiet", "--message", message]):
        done = subprocess.run(
            ["git", *words, "--", *files], cwd=queue.root, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return say(f"not committed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


def refreshed(queue: Queue) -> None:
    """Counts seeds and hours of all rows again."""
    for row in queue.rows():
        if row.counted:
            known = work(queue, row)
            with queue.locked("table"):
                queue.write(known.counted(queue.row(row.name)))
