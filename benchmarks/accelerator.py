"""Measures the cost of training on one accelerator: milliseconds per update by the number of seeds in one batch,
kernels in each loop of the compiled program, the gain of several processes that train side by side, and whole
trainings.

    python benchmarks/accelerator.py [pg:10 pg:40 mappo:10 ...] [--updates 20] [--beside pg:10 --processes 1 4 8]
    python benchmarks/accelerator.py --whole pg:10x10000 mappo:10x10000 qmix:10x10000 [--limit 500]

ALGORITHM[+SETTING=VALUE...]:SEEDS is one compiled program on Manitokan, 32 games x 150 steps. Programs compile side by
side, each in a process of its own, and are timed in turn, alone on the accelerator. --whole times `comity train` from
start to end, ALGORITHM:SEEDSxUPDATES, one after the other. A training that is not finished after --limit seconds is
stopped, and its progress is reported. Prints a line of JSON for each.
"""

import argparse
import fcntl
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STANDARD = ("pg:1", "pg:10", "pg:40", "pg:160", "pg:640", "mappo:10", "qmix:10")
GAMES, TASK = 32, "manitokan"
NO_KERNEL = ("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional", "after-all")


def kernels(hlo: str) -> dict[str, int]:
    """Counts kernels in one round of each loop of an optimized program, without inner loops: {"name xTRIPS": n}."""
    bodies: dict[str, int] = {}
    current = ""
    for line in hlo.splitlines():
        if line.startswith(("%", "ENTRY")) and line.endswith("{"):
            current = line.split()[0 if line.startswith("%") else 1]
            bodies[current] = 0
        elif found := re.match(r"\s+(?:ROOT )?%[\w.-]+ = .*?[\])}] ([a-z][\w-]*)\(", line):
            bodies[current] = bodies.get(current, 0) + (found[1] not in NO_KERNEL and not found[1].endswith("-done"))
    result = {}
    for line in hlo.splitlines():
        if (body := re.search(r" while\(.*body=(%[\w.-]+)", line)) is not None:
            trips = re.search(r'known_trip_count":\{"n":"(\d+)"', line)
            result[f"{body[1].lstrip('%')} x{trips[1] if trips else '?'}"] = bodies.get(body[1], 0)
    return result


def built(what: str, updates: int) -> tuple[Any, Any, int]:
    """Returns (chunk program, its arguments, seeds) of ALGORITHM[+SETTING=VALUE...]:SEEDS."""
    import jax
    import numpy as np
    import yaml

    from comity.recipes import find_algorithm, find_task, settings_of
    from comity.settings import floats
    from comity.training.programs import programs
    from comity.training.seeds import Seeds

    words, _, count = what.partition(":")
    name, *given = words.split("+")
    source, game, seeds = find_algorithm(name), find_task(TASK), int(count)
    chosen = {key: yaml.safe_load(value) for key, _, value in (pair.partition("=") for pair in given)}
    preset = chosen.pop("preset", "sound")
    config, env = settings_of(source, preset, "preset", chosen), settings_of(game, "paper", "profile")
    program = programs(source.thing.make, config, env, GAMES, updates, 1)
    runs, values = Seeds(seeds, "vmap"), floats(config)
    keys = runs.join([jax.random.key(seed) for seed in range(seeds)])
    start = runs.lower(program.init, (values, keys), (False, True)).compile()
    carry = runs.call(start, (values, keys), (False, True))
    arguments = values, keys, np.int32(0), np.int32(updates), carry
    chunk = runs.lower(program.chunk, arguments, (False, True, False, False, True), (4,)).compile()
    return chunk, (runs, arguments), seeds


def alone(what: str, updates: int, lock: Path, hlo: Path | None, repeats: int = 3) -> dict[str, Any]:
    """Times one program while no other process is timed: wall time, medians. hlo: a folder for the compiled program."""
    began = time.perf_counter()
    chunk, (runs, (values, keys, zero, count, carry)), seeds = built(what, updates)
    compiled, took = time.perf_counter() - began, []
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for _ in range(repeats + 1):  # the first is warm-up
            start = time.perf_counter()
            carry, history, _ = runs.call(chunk, (values, keys, zero, count, carry), (False, True, False, False, True))
            took.append(time.perf_counter() - start)
    import numpy as np

    update = statistics.median(took[1:]) / updates
    steps = float(np.nanmean(history[0].by_name()["env_steps"]))
    memory, text = chunk.memory_analysis(), chunk.as_text()
    if hlo:
        (hlo / f"{what}.hlo").write_text(text, encoding="utf-8")
    return {
        "what": what,
        "update_ms": 1e3 * update,
        "env_steps_per_second": seeds * steps / update,
        "ready_s": compiled,
        "memory_mb": (memory.argument_size_in_bytes + memory.temp_size_in_bytes) / 1e6 if memory else None,
        "kernels": kernels(text),
    }


def beside(what: str, updates: int, barrier: Path, processes: int, seconds: float) -> dict[str, Any]:
    """Measures updates per second of this process while `processes` such processes train on the same accelerator."""
    chunk, (runs, (values, keys, zero, count, carry)), _ = built(what, updates)
    flags = (False, True, False, False, True)
    carry, *_ = runs.call(chunk, (values, keys, zero, count, carry), flags)
    (barrier / str(os.getpid())).touch()
    while len(list(barrier.iterdir())) < processes:
        time.sleep(0.01)
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        carry, *_ = runs.call(chunk, (values, keys, zero, count, carry), flags)
        done += updates
    return {"what": what, "rate": done / (time.perf_counter() - start)}


def whole(what: str, limit: float, out: Path) -> dict[str, Any]:
    """Times one training as a user starts it, with processes and compilation. Wall time."""
    words, _, size = what.partition(":")
    (name, *given), (seeds, updates) = words.split("+"), size.split("x")
    settings = [word for pair in given for word in (f"--algorithm.{pair.partition('=')[0]}", pair.partition("=")[2])]
    command = [sys.executable, "-m", "comity", "train", TASK, name, "--seeds", seeds, "--envs", str(GAMES)]
    command += ["--iterations", updates, "--out", str(out), *settings]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # writes a last checkpoint
        process.wait()
    took = time.perf_counter() - begin
    manifests = list(out.glob("*/*/*/manifest.json"))
    run = json.loads(manifests[0].read_text(encoding="utf-8")) if manifests else {}
    keys = "status", "iterations_done", "compile_seconds", "env_steps_per_second"
    return {"what": what, "seconds": took, **{key: run.get(key) for key in keys}}


def started(*words: Any) -> subprocess.Popen:
    surroundings = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **os.environ}
    command = [sys.executable, __file__, *map(str, words)]
    return subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen) -> dict[str, Any]:
    out, _ = process.communicate()
    return json.loads(out.splitlines()[-1]) if process.returncode == 0 else {"failed": process.returncode}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", default=STANDARD)
    parser.add_argument("--updates", type=int, default=20, help="per compiled call")
    parser.add_argument("--beside", default="", help="a program to run in several processes at once")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--hlo", type=Path, help="a folder for the optimized programs as text")
    parser.add_argument("--seconds", type=float, default=8.0, help="that processes run beside each other")
    parser.add_argument("--whole", nargs="+", default=[], help="ALGORITHM:SEEDSxUPDATES: whole trainings, nothing else")
    parser.add_argument("--limit", type=float, default=500.0, help="seconds for each whole training")
    parser.add_argument("--child", choices=("alone", "beside"), help=argparse.SUPPRESS)
    parser.add_argument("--meet", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child == "alone":
        print(json.dumps(alone(given.programs[0], given.updates, given.meet, given.hlo)))
        return
    if given.child == "beside":
        print(json.dumps(beside(given.programs[0], given.updates, given.meet, given.count, given.seconds)))
        return
    with tempfile.TemporaryDirectory(prefix="comity-bench-") as folder:
        for number, what in enumerate(given.whole):
            print(json.dumps(whole(what, given.limit, Path(folder) / str(number))), flush=True)
        if given.whole:
            return
        lock = Path(folder) / "lock"
        sizes = "--updates", given.updates, "--seconds", given.seconds
        sizes += ("--hlo", given.hlo) if given.hlo else ()
        children = [started(what, *sizes, "--child", "alone", "--meet", lock) for what in given.programs]
        for what, child in zip(given.programs, children, strict=True):
            print(json.dumps({"what": what, **said(child)}), flush=True)
        for processes in given.processes if given.beside else ():
            meet = Path(folder) / str(processes)
            meet.mkdir()
            words = given.beside, *sizes, "--child", "beside", "--meet", meet, "--count", processes
            rates = [said(child).get("rate", 0.0) for child in [started(*words) for _ in range(processes)]]
            line = {"beside": given.beside, "processes": processes, "updates_per_second": sum(rates)}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
