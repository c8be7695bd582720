"""Runs workers as jobs of submitit: an array on a Slurm cluster, or processes here if there is no Slurm.

A job runs `comity sweep DIR --worker i/n` as a process of its own. When Slurm warns it (its time is nearly over, or
others need the node), the worker saves, and submitit puts the job back into the queue, where it goes on.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from typing import Any

from comity.extras import needed
from comity.sweeps.claims import started
from comity.sweeps.launch import LOGS, Say, joined, last_line_of, worker
from comity.sweeps.plan import Sweep

SAVING = 80  # seconds that a worker may take to save; submitit is warned 90 seconds before the end
REQUEUES = 1000  # maximum number of requeues of a job whose time was over
HERE = 7 * 24 * 60  # time limit in minutes of a job without Slurm


class Job:
    """The object that submitit pickles and calls: it runs a worker as a process."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None

    def __call__(self, words: list[str], folder: str) -> int:
        deaf = ["sh", "-c", 'trap "" USR2; exec "$@"', "sh"]  # Slurm warns the whole job; `checkpoint` warns the child
        self.child = subprocess.Popen([*deaf, sys.executable, *words], cwd=folder)
        if status := self.child.wait():
            raise RuntimeError(f"the worker ended with status {status}; its log is above")
        return 0

    def checkpoint(self, words: list[str], folder: str) -> Any:
        """Called by submitit when it is warned: lets the worker save, and submits the same job again."""
        if self.child and started(self.child.pid):
            os.kill(self.child.pid, signal.SIGUSR1)
            end = time.monotonic() + SAVING  # not `wait`: the interrupted call holds its lock
            while started(self.child.pid) and time.monotonic() < end:
                time.sleep(0.1)
        return needed("submitit").helpers.DelayedSubmission(Job(), words, folder)


def submit(sweep: Sweep, count: int, options: str, say: Say, more: tuple[str, ...] = ()) -> int:
    """Submits `count` workers. options: of sbatch, such as `--time=2:00:00 --mem=4G`. Raises ValueError, one line."""
    submitit: Any = needed("submitit", "without it: --launch slurm, or --launch print")
    folder = sweep.path.resolve() / LOGS / "submitit"
    executor = submitit.AutoExecutor(folder=folder, slurm_max_num_timeout=REQUEUES)
    given = dict(_option(one) for one in joined(shlex.split(options)))
    limit = given.pop("time", None)
    if executor.cluster == "slurm" and limit is None:
        raise ValueError('submitit gives a job five minutes unless it is told: --slurm "--time=2:00:00"')
    minutes = HERE if limit is None else minutes_of(limit)
    executor.update_parameters(name=re.sub(r"[^\w.-]", "-", sweep.path.name) or "sweep", timeout_min=minutes)
    if executor.cluster == "slurm":
        executor.update_parameters(slurm_additional_parameters=given, slurm_stderr_to_stdout=True)
    words = [worker(sweep, index, count, more)[1:] for index in range(1, count + 1)]
    try:
        with executor.batch():
            jobs = [executor.submit(Job(), one, str(sweep.folder)) for one in words]
        names = jobs[0].job_id if count == 1 else f"{jobs[0].job_id} to {jobs[-1].job_id}"
    except submitit.core.utils.FailedJobError as error:
        raise ValueError(f"sbatch refused the jobs: {last_line_of(str(error))}") from None
    where = "to Slurm" if executor.cluster == "slurm" else "here, since there is no srun on PATH"
    say(f"{count} worker{'s' * (count > 1)} submitted {where}: {names}, logs in {folder}")
    say(f"the table later: comity sweep {sweep.path} --table")
    return 0


def _option(word: str) -> tuple[str, Any]:
    """Turns `--mem=4G` or `--mem 4G` into (mem, 4G), `--exclusive` into (exclusive, True)."""
    found = re.fullmatch(r"--([a-z][a-z-]*)(?:[= ](.*))?", word)
    if not found:
        raise ValueError(f"--slurm {word!r}: give options by their long names, such as --mem=4G")
    return found[1], True if found[2] is None else found[2]


def minutes_of(text: Any) -> int:
    """Reads Slurm's ways to write a time: minutes, minutes:seconds, hours:minutes:seconds,
    days-hours[:minutes[:seconds]].
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", str(text))
    if not found:
        raise ValueError(f"--slurm: time {text!r} is no Slurm time: write it like 2:00:00 for two hours")
    days, *parts = (None if x is None else int(x) for x in found.groups())
    a, b, c = parts
    if days is not None or c is not None:  # the first number is hours
        minutes = (days or 0) * 1440 + (a or 0) * 60 + (b or 0) + (c or 0) / 60
    else:
        minutes = (a or 0) + (b or 0) / 60
    return max(1, -int(-minutes // 1))
