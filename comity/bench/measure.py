"""Makes one measurement, in a process of its own that prints one line of JSON:

    python -m comity.bench.measure TASK ALGORITHM --iterations 5 --repeats 3 --cores 1

On a CPU the process is pinned to the given number of cores, and times are process CPU time; elsewhere they are wall
time. All times are medians over rounds, in which each measurement takes its turn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

SIDE = 1024  # side of the square float32 matrices whose product measures the rate of a core
SIDE_OF_AN_ACCELERATOR = 8192
GAMES, SEEDS = 32, 4
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # one thread for numpy's product
FRESH = {"JAX_ENABLE_COMPILATION_CACHE": "false", "COMITY_PROGRAMS": ""}  # compile times as in a first run
Clock = Callable[[], float]


def pin(cores: int) -> None:
    """Pins this process to the first `cores` of the cores it may use, if the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def in_process(arguments: Sequence[Any], python: str = sys.executable, cores: int = 1) -> dict[str, Any]:
    """Returns the JSON that `python ARGUMENTS --cores CORES` prints, see `printed`."""
    return printed([python, *map(str, arguments), "--cores", str(cores)], {**THREADS, **FRESH})


def printed(command: Sequence[str], around: dict[str, str]) -> dict[str, Any]:
    """Runs a command and returns its last line, JSON. around: added to its environment. ValueError: it fails."""
    out = subprocess.run(command, env={**os.environ, **around}, capture_output=True, text=True, check=False)
    if out.returncode:
        reason = out.stderr.strip().splitlines()
        raise ValueError(f"{' '.join(command)} failed: {reason[-1] if reason else out.returncode}")
    return json.loads(out.stdout.splitlines()[-1])


def product_seconds(clock: Clock, repeats: int = 4) -> float:
    """Seconds of one product of two SIDE x SIDE float32 matrices by numpy."""
    import numpy as np

    a = np.ones((SIDE, SIDE), np.float32)
    _ = a @ a
    start = clock()
    for _ in range(repeats):
        _ = a @ a
    return (clock() - start) / repeats


def rate_of_an_accelerator(repeats: int = 10) -> float:
    """FLOP/s of products of float32 matrices at jax's default precision."""
    import jax
    import jax.numpy as jnp

    a = jnp.ones((SIDE_OF_AN_ACCELERATOR, SIDE_OF_AN_ACCELERATOR), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    product(a).block_until_ready()
    start = time.perf_counter()
    for _ in range(repeats):
        last = product(a)
    last.block_until_ready()
    return 2.0 * SIDE_OF_AN_ACCELERATOR**3 * repeats / (time.perf_counter() - start)


def products(processes: int) -> float:
    """Rate of several matmul processes together, divided by that of one: the best gain on this machine."""
    code = (
        "import time, numpy as np; a = np.ones((1024, 1024), np.float32); a @ a; n = 0; end = time.time() + 4\n"
        "while time.time() < end: a @ a; n += 1\n"
        "print(n)"
    )

    def count(processes: int) -> int:
        command, environment = [sys.executable, "-c", code], {**os.environ, **THREADS}
        run = lambda: subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: E731
        return sum(int(process.communicate()[0]) for process in [run() for _ in range(processes)])

    return statistics.median(count(processes) / count(1) for _ in range(3))


class Program:
    """The program of `comity train TASK ALGORITHM`, preset `sound`: one compiled chunk, called for each seed."""

    def __init__(self, task: str, algorithm: str, iterations: int, seeds: int = 1, workers: int = 1):
        import jax
        import numpy as np

        from comity import rollout
        from comity.recipes import find_algorithm, find_task, settings_of
        from comity.settings import floats
        from comity.training.programs import programs
        from comity.training.seeds import Seeds, executable

        source, game = find_algorithm(algorithm), find_task(task)
        self.make, self.config = source.thing.make, settings_of(source, "sound", "preset")
        self.env = settings_of(game, game.first, "profile")
        self.iterations, self.floats, self.count = iterations, floats(self.config), np.int32(iterations)
        one = programs(self.make, self.config, self.env, GAMES, iterations, 1)
        self.algorithm = one.algorithm
        self.runs = {count: Seeds(count, workers=workers) for count in {1, seeds}}
        self.keys = [jax.random.key(seed) for seed in range(seeds)]
        wall, cpu = time.perf_counter(), time.process_time()
        init = executable(jax.jit(one.init).lower(self.floats, self.keys[0]), often=False)
        self.carry = [init(self.floats, key) for key in self.keys]
        self.flags = (False, True, False, False, True)
        self.chunk = executable(self.runs[1].lower(one.chunk, self.arguments([0]), self.flags, (4,)))
        self.compile_wall, self.compile_cpu = time.perf_counter() - wall, time.process_time() - cpu

        def play(key, state):
            start = rollout.start(key, self.env, one.algorithm.memory, GAMES)
            act = lambda key, memory, observation: one.algorithm.act(key, state, memory, observation)  # noqa: E731
            return rollout.collect_episodes(key, self.env, act, start).reward.sum()

        self._play = jax.jit(play)
        self.play()
        self.env_steps = self.warm_up(list(range(seeds)))

    def warm_up(self, seeds: list[int]) -> float:
        """Runs chunks until every replay holds the rows that the first update waits for, so that rounds measure updates
        and not play alone. Returns the env steps per iteration.
        """
        steps = self.run(seeds)
        rows = getattr(self.config, "warmup", 0)
        while any(replay.filled < rows for seed in seeds for replay in replays(self.carry[seed].state)):
            steps = self.run(seeds)
        return steps

    def arguments(self, seeds: list[int]) -> tuple[Any, ...]:
        import numpy as np

        runs = self.runs[len(seeds)]
        keys, carry = runs.join([self.keys[s] for s in seeds]), runs.join([self.carry[s] for s in seeds])
        return self.floats, keys, np.int32(0), self.count, carry

    def run(self, seeds: list[int]) -> float:
        """Runs one chunk for each of `seeds`. Returns the env steps per iteration of the first seed."""
        runs = self.runs[len(seeds)]
        results, metrics, _ = runs.call(self.chunk, self.arguments(seeds), self.flags)
        for index, seed in enumerate(seeds):
            self.carry[seed] = runs.of(results, index)
        return float(runs.of(metrics, 0).by_name()["env_steps"].mean())

    def play(self) -> None:
        """Plays whole episodes of all games, without learning."""
        import jax

        jax.block_until_ready(self._play(self.keys[0], self.carry[0].state))


def replays(state: Any) -> list[Any]:
    """Returns the replays in a learner's state: parts that say how many of their rows are `filled`."""
    import jax

    is_replay = lambda x: hasattr(x, "filled")  # noqa: E731
    return [leaf for leaf in jax.tree.leaves(state, is_leaf=is_replay) if is_replay(leaf)]


def peak_bytes() -> int:
    """Largest memory so far: of an accelerator, or of this process on a CPU."""
    import resource

    import jax

    peak = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit if peak is None else peak


def flop_per_update(env: Any, algorithm: Any, key: Any, carry: Any) -> float:
    """FLOP of the matrix products of one rollout and update. A pass that play and learning could share counts twice."""
    import jax

    from comity import rollout
    from comity.bench import flop

    def iterate(key, state, play):
        play, steps = rollout.collect(key, env, algorithm, state, play)
        return play, algorithm.update(key, state, steps)

    return flop.of_program(jax.make_jaxpr(iterate)(key, carry.state, carry.play))


def algorithm(task: str, name: str, iterations: int, repeats: int) -> dict[str, float | None]:
    """Medians of one algorithm in this process: milliseconds per update and their floor, compile time, memory, ..."""
    import jax

    on_cpu = jax.default_backend() == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    program = Program(task, name, iterations)
    rows, peak = [], 0
    for _ in range(repeats):
        start = clock()
        program.run([0])
        update, start = (clock() - start) / iterations, clock()
        program.play()
        play = clock() - start
        peak = peak or peak_bytes()  # before the first large product, whose matrices are not the learner's
        rows.append((update, play, 2.0 * SIDE**3 / product_seconds(clock) if on_cpu else rate_of_an_accelerator()))
    update, play, rate = (statistics.median(column) for column in zip(*rows, strict=True))
    updates, count, memory = (
        [row[0] for row in rows],
        flop_per_update(program.env, program.algorithm, program.keys[0], program.carry[0]),
        program.chunk.memory_analysis(),
    )
    return {
        "update_ms": 1e3 * update,
        "spread": (max(updates) - min(updates)) / update,
        "play_ms": 1e3 * play,
        "env_steps_per_second": program.env_steps / update,
        "gflop": count / 1e9,
        "rate_gflops": rate / 1e9,
        "floor_ms": 1e3 * count / rate,
        "compile_s": program.compile_cpu if on_cpu else program.compile_wall,
        "temporary_mb": memory.temp_size_in_bytes / 1e6 if memory else None,
        "state_mb": sum(x.nbytes for x in jax.tree.leaves(program.carry[0].state)) / 1e6,
        "peak_mb": peak / 1e6,
    }


def seeds_at_once(task: str, name: str, iterations: int, repeats: int, cores: int) -> dict[str, float]:
    """Wall milliseconds per update and seed of SEEDS seeds: in turn, and at once, as `comity train` runs them."""
    program, rows = Program(task, name, iterations, SEEDS, cores), []
    for _ in range(repeats):
        start = time.perf_counter()
        for seed in range(SEEDS):
            program.run([seed])
        turn, start = time.perf_counter() - start, time.perf_counter()
        program.run(list(range(SEEDS)))
        rows.append((turn, time.perf_counter() - start))
    turn, once = (1e3 * statistics.median(column) / SEEDS / iterations for column in zip(*rows, strict=True))
    return {"in_turn_ms": turn, "at_once_ms": once}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("algorithm")
    parser.add_argument("--iterations", type=int, default=5, help="updates per compiled call")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--seeds", action="store_true", help="several seeds at once, by wall time")
    given = parser.parse_args()
    pin(given.cores)
    sizes = given.task, given.algorithm, given.iterations, given.repeats
    print(json.dumps(seeds_at_once(*sizes, given.cores) if given.seeds else algorithm(*sizes)))


if __name__ == "__main__":
    main()
