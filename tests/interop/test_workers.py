"""Games divided among processes: the results are those of one process, whatever happens to the processes."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

pytest.importorskip("pettingzoo")

import comity
from comity import interop
from comity.interop.games import Batch
from comity.interop.workers import Workers
from tiny.parallel import Draws, Masked, Measured

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dealt():
    """Five games in two processes, the second with one place too many."""
    game = interop.from_pettingzoo(Measured, 6, cut=5)
    host = dataclasses.replace(game, processes=2).host(5)
    assert isinstance(host, Workers)
    assert (host.processes, host.share) == (2, 3)
    yield game, host
    host.close()
    assert not any(process.is_alive() for process in host.envs.processes)


def same(one, two):
    for x, y in zip(jax.tree.leaves(tuple(one)), jax.tree.leaves(tuple(two)), strict=True):
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype


def test_they_show_what_one_process_shows(dealt):
    """Episodes begun together and one by one, a game that stands still, ends."""
    game, host = dealt
    alone, every, some = game.host(5), np.ones(5, bool), np.array([True, False, True, True, False])
    assert isinstance(alone, Batch)
    same(alone.begin(every, np.arange(5)), host.begin(every, np.arange(5)))
    action = np.arange(10).reshape(5, 2) % 2
    one, two = alone.step(some, action), host.step(some, action)
    same(one, two)
    np.testing.assert_array_equal(two.info["halves"], 0.5 * some)
    same(alone.begin(~some, np.arange(5) + 9), host.begin(~some, np.arange(5) + 9))
    for _ in range(4):
        one, two = alone.step(every, action), host.step(every, action)
        same(one, two)
    assert two.truncated.tolist() == some.tolist()


def test_what_was_shown_stays_as_it_was(dealt):
    _, host = dealt
    every = np.ones(5, bool)
    first = host.begin(every, np.arange(5)).view
    kept = first.copy()
    host.step(every, np.zeros((5, 2), int))
    np.testing.assert_array_equal(first, kept)


def test_signals_are_the_first_processs_affair(dealt):
    _, host = dealt
    every = np.ones(5, bool)
    host.begin(every, np.arange(5))
    for process in host.envs.processes:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            os.kill(process.pid, number)
    time.sleep(0.2)
    assert host.step(every, np.zeros((5, 2), int)).reward.sum() == 10


def test_runs_do_not_depend_on_how_many_processes_there_are(tmp_path):
    few = {"seeds": 2, "envs": 3, "iterations": 2, "chunk": 1, "evaluations": 1, "evaluation_episodes": 2,
           "final_episodes": 2, "out": tmp_path, "progress": False}  # fmt: skip
    config = comity.algorithm("iql", hidden=8, capacity=8, batch=4, warmup=2)
    game = interop.from_pettingzoo(Measured, 4)
    runs = [comity.train(dataclasses.replace(game, processes=n), config, **few) for n in (1, 2)]
    jax.tree.map(np.testing.assert_array_equal, *(run.arrays(1) for run in runs))
    first, second = ((run.path / "eval.jsonl").read_bytes() for run in runs)
    assert first == second


def test_an_error_comes_back_as_itself():
    game = dataclasses.replace(interop.from_pettingzoo(Masked, 9, mask=[0, 0, 0], from_step=1), processes=2)
    host = game.host(4)
    host.begin(np.ones(4, bool), np.arange(4))
    with pytest.raises(ValueError, match=r"^a has no legal action at step 1: its action_mask is all zeros"):
        host.step(np.ones(4, bool), np.zeros((4, 2), int))
    host.close()


def test_a_process_that_dies_is_said():
    host = dataclasses.replace(interop.from_pettingzoo(Draws, 9), processes=2).host(4)
    host.begin(np.ones(4, bool), np.arange(4))
    os.kill(host.envs.processes[1].pid, signal.SIGKILL)
    host.envs.processes[1].join()
    with pytest.raises(ValueError, match=r"^a process that steps games has died \(exit status -9;"):
        host.step(np.ones(4, bool), np.zeros((4, 2), int))
    host.close()


SCRIPT = """
import dataclasses, os, sys, time
import numpy as np
sys.path.insert(0, {tests!r})
from tiny.parallel import Always
from comity import interop

class Here(Always):
    pass

host = dataclasses.replace(interop.from_pettingzoo(Here, 9), processes=2).host(4)
host.begin(np.ones(4, bool), np.arange(4))
print(*(process.pid for process in host.envs.processes), flush=True)
if sys.argv[1:]:
    time.sleep(60)
"""


def script(tmp_path: Path, *words: str) -> subprocess.Popen:
    """A user's script without a guard: what it starts must not run it again."""
    file = tmp_path / "script.py"
    file.write_text(SCRIPT.format(tests=str(ROOT / "tests")))
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, file, *words], cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_processes_end_with_a_script_and_with_its_kill(tmp_path):
    one, other = script(tmp_path), script(tmp_path, "wait")
    assert other.stdout
    assert other.stderr
    said, told = one.communicate(timeout=120)
    assert (one.returncode, told) == (0, "")
    pids = [int(word) for word in other.stdout.readline().split()]
    other.kill()
    assert all(map(gone, [*map(int, said.split()), *pids]))
    assert len(pids) == 2
    assert "Traceback" not in other.stderr.read()  # of what lost its parent


def test_slow_games_are_dealt_out_and_quick_ones_are_not(monkeypatch):
    monkeypatch.setattr("comity.interop.hosted.visible_cores", lambda: 2)
    quick, slow = interop.from_pettingzoo(Draws, 4), interop.from_pettingzoo(Draws, 4, cut=3)
    quick.__dict__["seconds"], slow.__dict__["seconds"] = 1e-5, 1e-2
    assert isinstance(quick.host(4), Batch)
    host = slow.host(4)
    assert isinstance(host, Workers)
    host.close()
    assert 0 < interop.from_pettingzoo(Draws, 4, cut=2).seconds < 1
