"""Arms trained side by side in processes of their own give the same records as one after the other."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from comity.experiments import reproduce as machinery
from comity.experiments import side_by_side
from comity.experiments.reproduce import Folders
from comity.experiments.side_by_side import Order
from tiny import paper


def ordered(out, **changes):
    """(order, jobs) of both arms of the tiny paper, one seed each."""
    folders = Folders((), out, out / "runs")
    order = Order("tiny.paper", ("fig1",), "laptop", folders, False, 1, None)._replace(**changes)
    return order, machinery.plan(paper.PAPER, [paper.FIGURE], "laptop", folders, seeds=1)


def test_side_by_side_is_one_after_the_other(tmp_path):
    order, jobs = ordered(tmp_path / "beside")
    assert side_by_side.train(order, jobs, 2, print) == []
    beside = ordered(tmp_path / "beside")[1]
    _, alone = ordered(tmp_path / "alone")
    where = Folders((), tmp_path / "alone", tmp_path / "alone" / "runs")
    assert not machinery.train_missing(alone, paper.PAPER, where, None, print, lambda *_: None, "laptop")
    for one, other in zip(beside, alone, strict=True):
        assert not one.missing
        assert one.found[0]["curve"] == other.found[0]["curve"]
        assert one.found[0]["last"] == other.found[0]["last"]
        assert one.found[0]["bits"]["pool"] in {len(home) for home in side_by_side.homes(2)}


def test_on_a_cpu_each_process_has_cores_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side.os, "sched_getaffinity", lambda _: {4, 5, 6, 7, 9})
    assert side_by_side.homes(1) == [{4, 5, 6, 7, 9}]
    assert side_by_side.homes(2) == [{4, 6, 9}, {5, 7}]
    assert side_by_side.homes(5) == [{4}, {5}, {6}, {7}, {9}]
    assert side_by_side.homes(7)[5:] == [{4}, {5}]
    monkeypatch.setattr(side_by_side.jax, "default_backend", lambda: "gpu")
    assert side_by_side.homes(2) == [set(), set()]


def test_an_arm_that_fails_is_told_of_and_the_others_are_trained(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "one-20").write_text("a file where a folder must be")
    order, jobs = ordered(tmp_path)
    said = []
    assert side_by_side.train(order, jobs, 2, said.append) == ["one"]
    assert len(said) == 2
    assert said[0].startswith("one: ")
    assert said[1].startswith("1 of 2 arms are over, about ")
    assert [job.missing for job in ordered(tmp_path)[1]] == [[0], []]


def test_when_time_is_over_nothing_begins(tmp_path):
    order, jobs = ordered(tmp_path, minutes=-1.0)
    assert side_by_side.train(order, jobs, 1, print) == ["one", "two"]
    assert not order.folders.data.exists()


def test_a_run_tells_its_quarters_under_its_name():
    said = []
    tell = side_by_side.Teller("pg", said.append, lambda: said.append("the next may compile"))
    tell("compiled", {"seconds": 1.0})
    assert said == ["the next may compile", "pg: compiled in 1.0 s"]
    said.clear()
    for iteration in range(1, 9):
        tell("chunk", {"iteration": iteration, "iterations": 8, "seconds": 0.2, "count": 1})
    tell("note", {"text": "look"})
    tell("header", {})
    assert [line.split(" after")[0] for line in said] == ["pg: 25 %", "pg: 50 %", "pg: 75 %", "pg: 100 %", "pg: look"]
    assert "200.0 ms per iteration" in said[0]


def test_processes_share_a_devices_memory(tmp_path, monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    order, _ = ordered(tmp_path)
    side_by_side.train(order, [], 1, print)
    assert side_by_side.os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


STOPPED = """
import signal
import sys
from pathlib import Path
from comity.experiments import reproduce, side_by_side
from tiny import paper

def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, tests too, ignore it
    out = Path(sys.argv[1])
    folders = reproduce.Folders((), out, out / "runs")
    order = side_by_side.Order("tiny.paper", ("fig1",), "laptop", folders, False, 1, None)
    jobs = reproduce.plan(paper.PAPER, [paper.FIGURE], "laptop", folders, seeds=1)
    try:
        side_by_side.train(order, jobs, 1, lambda text: print(text, flush=True))
    except side_by_side.Interrupted as error:
        print(f"interrupted: {error}", flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_when_it_is_stopped_no_other_arm_begins(tmp_path, number):
    """The first of two arms has begun; the process that began it is asked to stop, as by Ctrl-C."""
    program = tmp_path / "stopped.py"
    program.write_text(STOPPED)
    tests = str(Path(__file__).parent.parent)
    surroundings = {**os.environ, "PYTHONPATH": tests}
    command = [sys.executable, str(program), str(tmp_path / "out")]
    with subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline()]  # "one: seeds 0, 20 iterations": it begins
        process.send_signal(number)
        said += process.stdout.readlines()
    assert said[0].startswith("one: seeds 0")
    assert said[-1] == "interrupted: stopped; finished arms are kept, the same command goes on\n"
    assert not any(line.startswith("two: seeds") for line in said)
    assert process.returncode == 0
