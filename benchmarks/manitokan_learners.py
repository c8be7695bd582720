"""Compares every learner on Manitokan after an equal budget of environment steps: trains what is missing, then prints
the table.

    python benchmarks/manitokan_learners.py [--algorithms pg vdn] [--seeds 3] [--workers 2] [--minutes 60] [--table]

Each (algorithm, action history, seed) has a process and a core of its own: first seed 0 of all, then seed 1, and so
on. A finished seed is one line of docs/results/manitokan_learners.jsonl, so the work may be stopped and continued.
--table only prints. Settings are each algorithm's preset `sound`; the task's profile is the paper's.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from scipy import stats

ITERATIONS = 1_000  # rollouts of 32 games x 150 steps: 4.8 million joint actions at most
RESULTS = Path(__file__).parent.parent / "docs" / "results" / "manitokan_learners.jsonl"
LEARNERS = {  # row: (algorithm, preset)
    "PG": ("pg", "sound"),
    "COMA": ("coma", "sound"),
    "IPPO": ("ippo", "sound"),
    "MAPPO": ("mappo", "sound"),
    "SAF": ("saf", "sound"),
    "IQL": ("iql", "sound"),
    "VDN": ("vdn", "sound"),
    "QMIX": ("qmix", "sound"),
    "QTRAN-base": ("qtran", "sound"),
    "QTRAN-alt": ("qtran", "alt"),
    "MAVEN": ("maven", "sound"),
    "random": ("random", "sound"),
}
KEPT = ("success", "return", "drops", "doors_opened", "reward_share", "pickups", "distance", "length")


def finished() -> list[dict]:
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def name(line: dict) -> tuple:
    return line["learner"], line["history"], line["seed"]


def train(job: tuple[str, bool, int], core: int, scratch: Path) -> dict:
    """Trains one seed in a process of its own and returns its line."""
    learner, history, seed = job
    algorithm, preset = LEARNERS[learner]
    out = scratch / f"{algorithm}-{preset}-{history}-{seed}"
    command = [sys.executable, "-m", "comity", "train", "manitokan", algorithm, "--preset", preset, "--seeds", "1"]
    command += ["--first-seed", str(seed), "--iterations", str(ITERATIONS), "--chunk", "50", "--evaluations", "0"]
    command += ["--task.observe", "last-action" if history else "window", "--out", str(out)]
    start = time.perf_counter()
    pin = (lambda: os.sched_setaffinity(0, {core})) if hasattr(os, "sched_setaffinity") else None
    subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=pin)
    seconds = time.perf_counter() - start
    (directory,) = out.glob("manitokan/*/*")
    last = [line for line in lines(directory / "eval.jsonl") if line["which"] == "last"]
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    metrics = lines(directory / "metrics.jsonl")
    shutil.rmtree(out)
    return {
        "learner": learner,
        "preset": preset,
        "history": history,
        "seed": seed,
        "iterations": ITERATIONS,
        "env_steps": last[0]["env_steps"],
        "seconds": round(seconds, 1),
        "commit": (manifest.get("git") or {}).get("commit", "unknown"),
        "versions": manifest.get("versions", {}),
        **{line["policy"]: {key: line["mean"][key] for key in KEPT} for line in last},
        "success_curve": [[line["iteration"], round(line["success"], 4)] for line in metrics[1::2]],
    }


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def work(wanted: list[tuple], workers: int, minutes: float | None) -> None:
    """Trains what is missing, `workers` processes at once; nothing new begins after `minutes`."""
    done = {name(line) for line in finished()}
    jobs = [job for job in wanted if job not in done]
    lock, start = threading.Lock(), time.monotonic()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(workers))
    RESULTS.parent.mkdir(exist_ok=True)

    def worker(core: int, scratch: Path) -> None:
        while True:
            with lock:
                if not jobs or (minutes and time.monotonic() - start > 60 * minutes):
                    return
                job = jobs.pop(0)
            try:
                line = train(job, core, scratch)
            except subprocess.CalledProcessError as error:
                print(f"{job} failed: {error.stderr.strip().splitlines()[-1:]}", flush=True)
                continue
            with lock, RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                print(f"{job}: success {line['sampled']['success']:.3f}, {line['seconds']} s", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        threads = [threading.Thread(target=worker, args=(core, Path(scratch))) for core in cores[:workers]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def interval(values: list[float], scale: float, digits: int) -> str:
    """Returns the mean and, with three seeds or more, the 95 % t interval over seeds."""
    values = [scale * value for value in values]
    if len(values) < 3:
        return f"{np.mean(values):.{digits}f}"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.{digits}f} ± {half:.{digits}f}"


def table() -> str:
    """Returns a Markdown table, a row per learner and condition: the last policy on 320 new episodes per seed."""
    rows = ["| learner | action history | seeds | env steps | success % | return | drops | greedy success % |"]
    rows.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for learner in LEARNERS:
        for history in (False, True):
            found = [line for line in finished() if (line["learner"], line["history"]) == (learner, history)]
            if not found:
                continue
            column = lambda policy, key, found=found: [line[policy][key] for line in found]  # noqa: E731
            cells = [
                learner,
                "yes" if history else "no",
                str(len(found)),
                f"{np.mean([line['env_steps'] for line in found]) / 1e6:.2f}M",
                interval(column("sampled", "success"), 100, 1),
                interval(column("sampled", "return"), 1, 2),
                interval(column("sampled", "drops"), 1, 2),
                interval(column("greedy", "success"), 100, 1),
            ]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", nargs="*", choices=list(LEARNERS), default=list(LEARNERS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="processes at once, each on one core")
    parser.add_argument("--minutes", type=float, help="nothing new begins after this")
    parser.add_argument("--table", action="store_true", help="print the table of what is there, train nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        wanted = [
            (learner, history, seed)
            for seed in range(arguments.seeds)
            for learner in arguments.algorithms
            for history in (False, True)
        ]
        work(wanted, arguments.workers, arguments.minutes)
    print(table())


if __name__ == "__main__":
    main()
