"""Speed of PG on Manitokan against the arithmetic it cannot do without. Prints ratios from one run.

    python benchmarks/manitokan_pg.py [--iterations 10] [--repeats 7]

One core: the process is pinned, times are process CPU time, medians over rounds in which every measurement takes its
turn. Floor: floating-point operations per update (each layer once forward, twice backward, nothing for the inputs'
gradient) over the rate of a plain matmul of the same rounds. Two cores: wall time of four seeds, two at once as
`comity train` runs them, against the one core above, beside what the machine itself gives two matmul processes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from measuring import GAMES, SEEDS, THREADS, Program, in_process, pin, rounds


def flop_per_update(env, config) -> float:
    """2 per multiply-add: play and learning share one forward pass, the backward pass takes two."""
    hidden, view, present = config.hidden, env.view_size, env.view_size - env.history_size
    actor = view * hidden + 2 * 3 * hidden**2 + hidden * env.num_actions
    critic = present * hidden + hidden**2 + hidden
    per_agent_step = 3 * (actor + critic) - view * hidden - present * hidden
    return 2.0 * per_agent_step * env.num_agents * GAMES * env.length


def one_core(iterations: int, repeats: int) -> dict[str, float]:
    """Medians on one pinned core, by process CPU time."""
    program = Program("pg", iterations)
    times, rate = rounds(program, repeats)
    floor = flop_per_update(program.env, program.config) / rate
    return {
        **times,
        "env_steps_per_second": 1e3 * GAMES * program.env.length / times["update_ms"],
        "gflop": flop_per_update(program.env, program.config) / 1e9,
        "matmul_gflops": rate / 1e9,
        "floor_ms": 1e3 * floor,
        "ratio": times["update_ms"] / 1e3 / floor,
        "compile_s": program.compile_seconds,
    }


def two_cores(iterations: int, repeats: int) -> dict[str, float]:
    """Four seeds on two cores, two at once and in turn, by wall time."""
    program = Program("pg", iterations, workers=2)
    rows = []
    for _ in range(repeats):
        start = time.perf_counter()
        for seed in range(SEEDS):
            program.run([seed])
        turn = time.perf_counter() - start
        start = time.perf_counter()
        program.run(list(range(SEEDS)))
        rows.append((turn, time.perf_counter() - start))
    turn, once = (statistics.median(column) / SEEDS / iterations for column in zip(*rows, strict=True))
    return {"in_turn_ms": 1e3 * turn, "at_once_ms": 1e3 * once}


def machine_scaling() -> float:
    """Rate of two matmul processes together over that of one: what this machine gives anyone."""
    code = (
        "import time, numpy as np; a = np.ones((1024, 1024), np.float32); a @ a; n = 0; end = time.time() + 4\n"
        "while time.time() < end: a @ a; n += 1\n"
        "print(n)"
    )
    environment = {**os.environ, **THREADS}

    def count(processes: int) -> int:
        started = [
            subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        return sum(int(process.communicate()[0]) for process in started)

    return statistics.median(count(2) / count(1) for _ in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=10, help="updates per compiled call")
    parser.add_argument("--repeats", type=int, default=7, help="rounds; medians are printed")
    parser.add_argument("--part", choices=("one", "two"), help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, default=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        pin(given.cores)
        print(json.dumps((one_core if given.part == "one" else two_cores)(given.iterations, given.repeats)))
        return
    rounds = ["--iterations", given.iterations, "--repeats", given.repeats]
    one = in_process(__file__, ["--part", "one", *rounds], 1)
    print("PG on Manitokan: 32 games x 150 steps x 2 agents per update, one core, process CPU time, medians")
    print(f"  CPU ms per update        {one['update_ms']:8.1f}   (spread {100 * one['spread']:.0f}%)")
    print(f"    of which play          {one['play_ms']:8.1f}")
    print(f"  env steps per CPU second {one['env_steps_per_second']:8,.0f}")
    work = f"{one['gflop']:.2f} GFLOP at {one['matmul_gflops']:.0f} GFLOP/s"
    print(f"  floor, ms                {one['floor_ms']:8.1f}   {work}")
    print(f"  ratio to the floor       {one['ratio']:8.2f}")
    print(f"  set-up and compile, s    {one['compile_s']:8.1f}")
    if len(os.sched_getaffinity(0)) < 2:
        print("one core only: no scaling to measure")
        return
    two, machine = in_process(__file__, ["--part", "two", *rounds], 2), machine_scaling()
    print("four seeds, two cores, wall time per update and seed")
    print(f"  ms, in turn              {two['in_turn_ms']:8.1f}   (XLA shares some products between cores)")
    print(f"  ms, two at once          {two['at_once_ms']:8.1f}")
    scaling = one["update_ms"] / two["at_once_ms"]
    print(f"  against one core         {scaling:8.2f}   two matmul processes on this machine: {machine:.2f}")


if __name__ == "__main__":
    main()
