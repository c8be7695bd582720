"""Starts workers: as processes here, as a Slurm array or as Ray tasks (`submit` starts jobs of submitit). Each worker
is a call of `comity sweep DIR --worker i/n`.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comity.extras import needed
from comity.runs.writing import write_text
from comity.sweeps.plan import Sweep
from comity.sweeps.worker import DONE, done, left
from comity.training.progress import packed
from comity.training.stopping import terminated_as_interrupted

LOGS = "logs"  # of workers, in the sweep's folder
QUIET, QUIETEST = 10.0, 300.0  # seconds between lines on a worker's progress: at first, at most
WIDTH = 56  # characters of a worker's last line that are shown
Say = Callable[[str], None]


def cores() -> list[int]:
    """Returns the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def worker(sweep: Sweep, index: int | str, count: int, more: tuple[str, ...] = ()) -> list[str]:
    """Returns the command of a worker, with this Python."""
    return [sys.executable, "-m", "comity", "sweep", str(sweep.path.resolve()), "--worker", f"{index}/{count}", *more]


# ---------------------------------------------------------------------- processes


def processes(sweep: Sweep, count: int | None, say: Say, more: tuple[str, ...] = ()) -> int:
    """Runs workers as processes here, each on its own cores, until all have ended. Says when a row is over.

    count: number of workers; None: one for each core, but at most one for each row that is left. Ctrl-C and SIGTERM are
    passed on, and workers save what they train. Returns 0, or 128 + the signal's number.
    """
    rows = left(sweep)
    mine = cores()
    count = min(count or len(mine), len(rows))
    if not count:
        return 0
    logs = sweep.path / LOGS
    logs.mkdir(exist_ok=True)
    say(f"{len(rows)} of {len(sweep.rows)} rows are left; {count} worker{'s' * (count > 1)} here, logs in {logs}")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share a device's memory
    children = []
    with contextlib.ExitStack() as files:
        for index in range(1, count + 1):
            log = files.enter_context(open(logs / f"worker-{index}.log", "a", encoding="utf-8"))
            child = subprocess.Popen(
                worker(sweep, index, count, more), stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
            home = set(mine[index - 1 :: count]) or {mine[(index - 1) % len(mine)]}
            if count > 1 and hasattr(os, "sched_setaffinity"):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(child.pid, home)  # before the child imports jax, which counts its cores
            children.append(child)
        number = _watch(sweep, children, say)
    failed = [index for index, child in enumerate(children, 1) if child.returncode]
    if not number:
        for index in failed:
            say(f"worker {index} ended with status {children[index - 1].returncode}: {last_line(logs, index)}")
    return 128 + number if number else 0


def last_line(logs: Path, index: int) -> str:
    return last_line_of((logs / f"worker-{index}.log").read_text(encoding="utf-8", errors="replace"))


def last_line_of(text: str) -> str:
    return next((line.strip() for line in reversed(text.split("\n")) if line.strip()), "no output")


def _watch(sweep: Sweep, children: list[Any], say: Say) -> int:
    """Waits for all children; returns the number of the signal that stopped them, or 0.

    Prints the last line of one worker now and then, more and more rarely.
    """
    known = {row.name for row in sweep.rows if (sweep.of(row) / DONE).is_file()}
    number, pause, due = 0, QUIET, time.monotonic() + QUIET
    with terminated_as_interrupted():
        while any(child.poll() is None for child in children):
            try:
                time.sleep(0.2)
                _tell(sweep, known, say)
                running = [k for k, child in enumerate(children, 1) if child.poll() is None]
                if running and time.monotonic() > due and not number:
                    index = running[0]
                    said = packed(last_line(sweep.path / LOGS, index).split("  "), WIDTH)[0]
                    say(f"  {len(known)}/{len(sweep.rows)}  worker {index}: {said}")
                    pause = min(2 * pause, QUIETEST)
                    due = time.monotonic() + pause
            except KeyboardInterrupt as error:
                if not number:
                    say("stopping: rows under way are saved; Ctrl-C again stops them at once")
                number = error.args[0] if error.args else int(signal.SIGINT)
                for child in children:
                    if child.poll() is None:
                        child.send_signal(signal.SIGINT)
    _tell(sweep, known, say)
    return number


def _tell(sweep: Sweep, known: set[str], say: Say) -> None:
    """Prints a line for each row that is over and was not before."""
    for row in sweep.rows:
        if row.name not in known and (about := done(sweep.of(row))):
            known.add(row.name)
            line = f": {about['line']}" if about.get("line") else ""
            took = f"{about['status']} in {about['seconds']:.1f} s{line}"
            say(f"  {len(known)}/{len(sweep.rows)}  {row.label}: {took}")


# ---------------------------------------------------------------------- Slurm


def slurm_script(sweep: Sweep, count: int, options: str = "", more: tuple[str, ...] = ()) -> str:
    """Returns the script of a Slurm array of `count` workers. options: of sbatch, such as `--time=2:00:00 --mem=4G`.

    A job that is pre-empted or runs out of time is warned with SIGUSR1 and saves. Without `B:` Slurm would warn only
    the steps that srun starts, not the batch shell, in whose place the worker runs. If it is requeued, or the array is
    submitted again, it goes on.
    """
    directives = [f"--array=1-{count}", f"--job-name={_job(sweep)}", "--requeue", "--open-mode=append"]
    directives += ["--signal=B:USR1@120", f"--output={(sweep.path / LOGS).resolve()}/slurm-%A_%a.log"]
    given = shlex.split(options)
    names = {word.partition("=")[0] for word in given}
    directives = [word for word in directives if word.partition("=")[0] not in names] + joined(given)
    index = "${SLURM_ARRAY_TASK_ID}"
    command = shlex.join(worker(sweep, "INDEX", count, more)).replace("INDEX", f'"{index}"')
    lines = ["#!/bin/bash", *(f"#SBATCH {word}" for word in directives), f"cd {shlex.quote(str(sweep.folder))}"]
    return "\n".join([*lines, f"exec {command}", ""])


def _job(sweep: Sweep) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", sweep.path.name) or "sweep"


def joined(words: list[str]) -> list[str]:
    """Joins flags with the values that follow them, one entry per flag."""
    found: list[str] = []
    for word in words:
        if word.startswith("-") or not found:
            found.append(word)
        else:
            found[-1] += f" {word}"
    return found


def slurm(sweep: Sweep, count: int, options: str, say: Say, submit: bool = True, more: tuple[str, ...] = ()) -> int:
    """Writes the array's script and submits it with the sbatch on PATH; without one, or submit=False, prints it."""
    script = sweep.path / "slurm.sh"
    (sweep.path / LOGS).mkdir(exist_ok=True)
    text = slurm_script(sweep, count, options, more)
    write_text(script, text)
    sbatch = shutil.which("sbatch")
    if not submit or not sbatch:
        say(text.rstrip())
        say(f"written to {script}; submit it with: sbatch {shlex.quote(str(script))}")
        return 0
    answer = subprocess.run([sbatch, str(script)], capture_output=True, text=True)
    if answer.returncode:
        reason = " ".join((answer.stderr or answer.stdout).split())[:500]
        raise ValueError(f"sbatch refused {script}: {reason}")
    say(f"{answer.stdout.strip()} ({count} workers, {script}); the table later: comity sweep {sweep.path} --table")
    return 0


# ---------------------------------------------------------------------- Ray


def ray(sweep: Sweep, count: int, address: str | None, say: Say, more: tuple[str, ...] = ()) -> int:
    """Runs workers as Ray tasks, one core each, on the cluster at `address` (None: RAY_ADDRESS, else a new one on this
    machine). All its nodes must see the sweep's folder. Returns 0, or 1 if a worker failed.
    """
    module: Any = needed("ray")
    module.init(address=address, log_to_driver=False)
    try:
        task = module.remote(num_cpus=1, max_retries=3)(_in_ray)
        words = [worker(sweep, index, count, more)[1:] for index in range(1, count + 1)]
        waiting, failed = [task.remote(one, str(sweep.folder)) for one in words], 0
        known = {row.name for row in sweep.rows if (sweep.of(row) / DONE).is_file()}
        while waiting:
            ready, waiting = module.wait(waiting, timeout=1.0)
            _tell(sweep, known, say)
            for status, line in module.get(ready):
                failed += bool(status)
                if status:
                    say(f"a worker ended with status {status}: {line}")
    finally:
        module.shutdown()
    return int(bool(failed))


def _in_ray(words: list[str], folder: str) -> tuple[int, str]:
    """Runs a worker as a process of its own, so that jax does not run in Ray's process."""
    answer = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    return answer.returncode, (answer.stderr.strip().split("\n") or [""])[-1]
