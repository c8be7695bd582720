"""Trains what studies/queue.md asks for, one seed at a time, at lowest priority on one core, and commits each seed.

    python -m studies.train_queue                  goes through the queue; Ctrl-C saves the seed in training
    python -m studies.train_queue --minutes 60     stops after this time; the next call goes on
    python -m studies.train_queue --list           lists what is open, done, and running right now
    python -m studies.train_queue --refresh        counts seeds and hours of all rows again

Each seed has a process of its own, so that it is trained by the code as it is when the seed begins. Seed 0 of all arms
of a row comes before seed 1. An interrupted seed continues if the code is still the same; otherwise it starts again.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from comity.cli.main import surroundings
from studies.queue_table import INTERRUPTED, NOTHING_OPEN, TIME_IS_UP, Queue

Say = Callable[[str], None]
CHECKOUT = Path(__file__).parents[1]


def humble(core: int | None) -> None:
    """Gives this process and its children the lowest priority and one core: the last, if none is named."""
    os.nice(19)
    with contextlib.suppress(AttributeError, OSError):  # not on every system, and not always allowed
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0)) if core is None else core})


def behind_others(process: int) -> None:
    """Lets a child run only when other sessions leave time. Linux divides cores among sessions first, and priority
    counts only within a session; the child has a session of its own.
    """
    with contextlib.suppress(OSError):  # not on every system
        Path(f"/proc/{process}/autogroup").write_text("19")


def one_after_another(command: Sequence[str]) -> int:
    """Starts the command again and again until it says that it did nothing. Ctrl-C and SIGTERM are passed on once."""
    stopped: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def stop(number: int, frame: Any) -> None:
        stopped.append(number)
        if child is not None and child.poll() is None and len(stopped) == 1:
            child.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not stopped:
            child = subprocess.Popen(command, start_new_session=True)  # so that a terminal's Ctrl-C reaches it once
            behind_others(child.pid)
            if stopped:  # the signal came just before there was a child
                child.send_signal(signal.SIGINT)
            if code := child.wait():
                return code
        return INTERRUPTED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def one_step(queue: Queue, until: float | None, commit: bool, say: Say) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore the signal
    try:
        from comity.training.loop import Interrupted
        from studies.queue_step import step

        with contextlib.suppress(Interrupted):
            return step(queue, until, commit, say)
    except KeyboardInterrupt:
        pass
    say("stopped; what was trained is saved, the same command goes on")
    return INTERRUPTED


def listed(queue: Queue, say: Say) -> None:
    for row in queue.rows():
        with queue.locked(row.name, wait=False) as free:
            say(f"{row.name:<20} {row.figure:<28} {row.left:>6} h left  {row.state}{'' if free else ', running'}")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="train no longer than this")
    parser.add_argument("--core", type=int, help="the core to train on (the last)")
    parser.add_argument("--no-commit", action="store_true", help="leave finished seeds uncommitted")
    parser.add_argument("--list", action="store_true", help="say how the rows stand")
    parser.add_argument("--refresh", action="store_true", help="count seeds and hours of all rows anew")
    parser.add_argument("--root", type=Path, default=CHECKOUT, help="the checkout whose queue it is (this one)")
    parser.add_argument("--step", type=float, metavar="TIME", help=argparse.SUPPRESS)  # one seed, until then; 0: no end
    asked = parser.parse_args(arguments)
    queue, say = Queue(asked.root.resolve()), lambda text: print(text, flush=True)
    if asked.list or asked.refresh:
        if asked.refresh:
            from studies.queue_step import refreshed

            refreshed(queue)
        listed(queue, say)
        return 0
    surroundings("reproduce", [])  # before jax is imported
    if asked.step is not None:
        return one_step(queue, asked.step or None, not asked.no_commit, say)
    until = 0 if asked.minutes is None else time.time() + 60 * asked.minutes
    humble(asked.core)
    command = [sys.executable, "-m", "studies.train_queue", "--root", str(queue.root), "--step", str(until)]
    code = one_after_another([*command, *(["--no-commit"] if asked.no_commit else [])])
    if code in (NOTHING_OPEN, TIME_IS_UP):
        return 0
    if code != INTERRUPTED:
        say(f"the queue stops: the process of a seed ended with {code}")
    return abs(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
