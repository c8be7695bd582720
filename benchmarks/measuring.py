"""What the benchmarks share: a training program, the rate of a plain matmul, a fresh process on so many cores."""

import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

GAMES, SEEDS = 32, 4
SIZE = 1024  # side of the matrices that measure the matmul rate
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # of numpy's matmul
FRESH = {"JAX_ENABLE_COMPILATION_CACHE": "false"}  # so that compile times are those of a first run


def matmul_seconds(clock, repeats: int = 4) -> float:
    """Seconds per product of two SIZE x SIZE float32 matrices, numpy."""
    import numpy as np

    a = np.ones((SIZE, SIZE), np.float32)
    _ = a @ a
    start = clock()
    for _ in range(repeats):
        _ = a @ a
    return (clock() - start) / repeats


def rounds(program: "Program", repeats: int) -> tuple[dict[str, float], float]:
    """Medians of update and play, by process CPU time, with the spread of updates; and the matmul rate, FLOP/s.

    In every round each measurement takes its turn.
    """
    rows = []
    for _ in range(repeats):
        start = time.process_time()
        program.run([0])
        update = (time.process_time() - start) / program.iterations
        start = time.process_time()
        program.play()
        rows.append((update, time.process_time() - start, matmul_seconds(time.process_time)))
    update, play, matmul = (statistics.median(column) for column in zip(*rows, strict=True))
    updates = [row[0] for row in rows]
    times = {"update_ms": 1e3 * update, "spread": (max(updates) - min(updates)) / update, "play_ms": 1e3 * play}
    return times, 2.0 * SIZE**3 / matmul


def in_process(file: str, arguments: list[Any], cores: int, python: str = sys.executable) -> dict[str, Any]:
    """What `python file ARGUMENTS --cores CORES` prints as its last line, JSON, in a fresh process on so many cores."""
    command = [python, file, *map(str, arguments), "--cores", str(cores)]
    environment = {**os.environ, **THREADS, **FRESH}
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if out.returncode:
        raise SystemExit(f"{' '.join(command)} failed\n{out.stderr}")
    return json.loads(out.stdout.splitlines()[-1])


def pin(cores: int) -> None:
    """This process on the first `cores` of the cores it may use."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


class Program:
    """What a training run of an algorithm (preset `sound`) on Manitokan executes: one compiled chunk per seed."""

    def __init__(self, name: str, iterations: int, workers: int = 1):
        import jax
        import numpy as np

        from comity import rollout
        from comity.environments.manitokan import Manitokan
        from comity.recipes import find_algorithm, settings_of
        from comity.settings import floats
        from comity.training.programs import programs
        from comity.training.seeds import Seeds

        source = find_algorithm(name)
        self.make, self.config = source.thing.make, settings_of(source, "sound", "preset")
        self.env, self.iterations = Manitokan(), iterations
        self.floats, self.count = floats(self.config), np.int32(iterations)
        one = programs(self.make, self.config, self.env, GAMES, iterations, 1)
        self.algorithm = one.algorithm
        self.env_steps = GAMES * (one.algorithm.steps or self.env.length)  # per update
        self.seeds = {count: Seeds(count, "loop", workers) for count in (1, SEEDS)}
        self.keys = [jax.random.key(seed) for seed in range(SEEDS)]
        wall, cpu = time.perf_counter(), time.process_time()
        init = jax.jit(one.init)
        self.carry = [init(self.floats, key) for key in self.keys[: 1 if workers == 1 else SEEDS]]
        arguments = (self.floats, [self.keys[0]], np.int32(0), self.count, [self.carry[0]])
        self.flags = (False, True, False, False, True)
        self.chunk = self.seeds[1].lower(one.chunk, arguments, self.flags, (4,)).compile()
        self.compile_seconds, self.compile_cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu

        def play(key, state):
            start = rollout.start(key, self.env, one.algorithm.memory, GAMES)
            act = lambda key, memory, observation: one.algorithm.act(key, state, memory, observation)  # noqa: E731
            return rollout.collect_episodes(key, self.env, act, start).reward.sum()

        self._play = jax.jit(play)
        self.play()
        self.run(list(range(len(self.carry))))

    def run(self, seeds: list[int]) -> None:
        """One chunk of every one of `seeds`."""
        import numpy as np

        keys, carry = [self.keys[s] for s in seeds], [self.carry[s] for s in seeds]
        arguments = (self.floats, keys, np.int32(0), self.count, carry)
        results, _, _ = self.seeds[len(seeds)].call(self.chunk, arguments, self.flags)
        for seed, result in zip(seeds, results, strict=True):
            self.carry[seed] = result

    def play(self) -> None:
        """One rollout of whole episodes, nothing learned."""
        import jax

        jax.block_until_ready(self._play(self.keys[0], self.carry[0].state))
