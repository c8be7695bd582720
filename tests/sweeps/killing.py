"""Kills workers of a sweep again and again, and checks what must hold for the sweep afterwards."""

import json
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comity.runs.lines import read_lines
from comity.sweeps import plan, worker


def kill_and_start_again(
    start: Callable[[int], Any], sweep: plan.Sweep, workers: int, kills: int, pause: float, seed: int, limit: float
) -> int:
    """Keeps `workers` processes of `start(index)` at work until every row is over, and sends SIGKILL to one of them at
    random moments, `kills` times; returns how often it did."""
    chance, children, done, end = random.Random(seed), {}, 0, time.monotonic() + limit
    due = time.monotonic() + pause
    try:
        while worker.left(sweep):
            assert time.monotonic() < end, f"{len(worker.left(sweep))} rows are left after {limit} s"
            for index in range(1, workers + 1):
                if index not in children or children[index].poll() is not None:
                    children[index] = start(index)
            if done < kills and time.monotonic() > due:
                begun = [row for row in worker.left(sweep) if (sweep.of(row) / "claim.0").exists()]
                if begun:  # else nobody trains yet, and a kill would show nothing
                    children[chance.randint(1, workers)].kill()
                    done += 1
                    due = time.monotonic() + chance.uniform(0.2, 2 * pause)
            time.sleep(0.02)
        for child in children.values():
            child.wait(60)
    finally:
        for child in children.values():
            if child.poll() is None:
                child.kill()
                child.wait()
    return done


def assert_each_row_once(sweep: plan.Sweep) -> int:
    """No row is lost, none was trained twice; returns how many claims were taken over."""
    taken = 0
    for row in sweep.rows:
        folder = sweep.of(row)
        about = worker.done(folder)
        assert about, f"{row.label} is lost"
        assert about["status"] == "finished", (row.label, about)
        (config,) = folder.rglob("config.yaml")  # one run
        run = config.parent
        assert json.loads((run / "manifest.json").read_text())["status"] == "finished"
        metrics = [(x["seed"], x["iteration"]) for x in read_lines(run / "metrics.jsonl")]
        seed = row.config["training"]["first_seed"]
        assert sorted(metrics) == [(seed, 2), (seed, 4)], row.label
        of_evaluation = [(x["policy"], x["which"], x["iteration"]) for x in read_lines(run / "eval.jsonl")]
        assert len(of_evaluation) == len(set(of_evaluation)) == 8, row.label  # begin, end, last, best
        assert len(list(folder.glob("done.json"))) == 1
        numbers = sorted(int(path.name[6:]) for path in folder.glob("claim.*"))
        assert numbers == list(range(len(numbers)))
        assert about["claim"] == numbers[-1], "somebody took the row after it was over"
        assert not list(folder.glob(".*.part")) or len(numbers) > 1  # only a kill leaves some
        taken += len(numbers) - 1
    return taken


def started(words: list[str], log: Path) -> Any:
    with open(log, "a") as file:
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
