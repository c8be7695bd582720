"""Trains arms side by side, each in its own process: one arm's steps are sequential, but several arms fill a device.

On a CPU each process keeps to its own cores, so that no process waits for another, nor for the last of an odd number
of seeds. A process gets the name of its arm and makes the plan itself, so that only names and paths are handed over.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import jax

from comity.experiments.figure import Scale
from comity.experiments.reproduce import Folders, Job, Say, plan, seconds_left, train_missing, words_of
from comity.training.seeds import visible_cores
from comity.training.stopping import Interrupted, terminated_as_interrupted

CORES = 4  # number of cores that compiling one arm's programs keeps busy


class Order(NamedTuple):
    """A request to `comity reproduce`."""

    module: str  # of the paper
    figures: tuple[str, ...]
    scale: Scale
    folders: Folders
    fresh: bool
    seeds: int | None
    minutes: float | None


def train(order: Order, jobs: Sequence[Job], at_once: int, say: Say) -> list[str]:
    """Trains what is missing, `at_once` arms at a time, in the order given. Returns the names of unfinished arms.

    If an arm fails, one line says so, and the others are trained. If processes share the cores, only as many compile at
    the same time as the cores allow: all at once would take several times as long, and the device would wait. Ctrl-C
    and SIGTERM are passed on to the arms in training, which save; no other arm begins. Raises Interrupted then.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share a device's memory
    until = None if order.minutes is None else time.time() + 60 * order.minutes
    left, missing, began = [], [job for job in jobs if job.missing], time.monotonic()
    count, spawn = max(1, min(at_once, len(missing))), multiprocessing.get_context("spawn")
    places = homes(count)
    compiling = count if places[0] else max(1, visible_cores() // CORES)
    with spawn.Manager() as manager, ProcessPoolExecutor(count, spawn, _move_in, (free := manager.Queue(),)) as pool:
        for home in places:
            free.put(home)
        gate, stop = manager.BoundedSemaphore(compiling), manager.Event()
        with terminated_as_interrupted():
            try:
                begun = [(job, pool.submit(_train, order, job.name, until, gate, stop)) for job in missing]
                for number, (job, future) in enumerate(begun):
                    if number and order.minutes is None:
                        spent = time.monotonic() - began
                        ahead = seconds_left(missing[:number], missing[number:], spent, 1)
                        say(f"{number} of {len(missing)} arms are over, about {words_of(ahead)} to go")
                    try:
                        left += future.result()
                    except Exception as error:  # of any kind: the other arms go on
                        say(f"{job.arm.name}: {type(error).__name__}: {error}")
                        left.append(job.arm.name)
            except KeyboardInterrupt as error:
                say("stopping: arms under way are saved; Ctrl-C again stops them at once")
                stop.set()
                _stop(pool)
                number = error.args[0] if error.args else signal.SIGINT
                raise Interrupted("stopped; finished arms are kept, the same command goes on", number) from None
    return left


def _stop(pool: ProcessPoolExecutor) -> None:
    """Asks each process once to save and stop, and waits for all of them. Every further Ctrl-C is passed on, too."""
    while True:
        for child in multiprocessing.active_children():  # the manager's process ignores the signal
            os.kill(child.pid or 0, signal.SIGINT)
        try:
            return pool.shutdown(wait=True, cancel_futures=True)
        except KeyboardInterrupt:
            continue


def homes(count: int) -> list[set[int]]:
    """Returns the cores of each of `count` processes: on a CPU its own. An empty set means any cores: on other devices,
    or if cores cannot be chosen.
    """
    if jax.default_backend() != "cpu" or not hasattr(os, "sched_setaffinity"):
        return [set()] * count
    cores = sorted(os.sched_getaffinity(0))
    return [set(cores[i::count]) or {cores[i % len(cores)]} for i in range(count)]


def _move_in(free: Any) -> None:
    """Starts a process on its own cores, before jax starts, which makes as many threads as there are cores.

    Ctrl-C reaches only the first process, which passes it on. Outside of a training there is nothing to save.
    """
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if home := free.get():
        os.sched_setaffinity(0, home)


def _train(order: Order, name: str, until: float | None, gate: Any, stop: Any) -> list[str]:
    if stop.is_set():
        return [name]
    paper = importlib.import_module(order.module).PAPER
    figures = [paper.figures[figure] for figure in order.figures]
    job = next(x for x in plan(paper, figures, order.scale, order.folders, order.fresh, order.seeds) if x.name == name)
    say = lambda text: print(text, flush=True)  # noqa: E731
    with contextlib.ExitStack() as compiling:
        gate.acquire()
        compiling.callback(gate.release)
        if stop.is_set():
            return [name]
        minutes = None if until is None else (until - time.time()) / 60
        teller = Teller(job.arm.name, say, compiling.close)
        return train_missing([job], paper, order.folders, minutes, say, teller, order.scale)


class Teller:
    """A listener of one of several runs: prints its notes, each quarter of training and its end, under its name."""

    def __init__(self, name: str, say: Say, compiled: Callable[[], Any]):
        """compiled: called when the run's programs are compiled."""
        self.name, self.say, self.compiled, self.quarter, self.began = name, say, compiled, 0, time.monotonic()

    def __call__(self, event: str, facts: dict[str, Any]) -> None:
        if event == "note":
            self.say(f"{self.name}: {facts['text']}")
        elif event == "compiled":
            self.compiled()
            self.say(f"{self.name}: compiled in {facts['seconds']:.1f} s")
        elif event == "chunk" and (quarter := 4 * facts["iteration"] // facts["iterations"]) > self.quarter:
            self.quarter = quarter
            pace = 1e3 * facts["seconds"] / facts["count"]
            seconds = time.monotonic() - self.began
            self.say(f"{self.name}: {25 * quarter} % after {seconds:.0f} s, {pace:.1f} ms per iteration of all seeds")
