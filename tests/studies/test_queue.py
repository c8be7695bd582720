"""The queue of runs: its table, its claims, and a tiny paper trained through it in a separate repository."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from comity.experiments import records
from comity.training import loop
from studies import queue_step, train_queue
from studies.queue_step import step
from studies.queue_table import DONE, NOTHING_OPEN, TIME_IS_UP, Queue, parse, replaced
from tiny.paper import PAPER

ROOT = Path(__file__).parents[2]
TABLE = """# Runs

| row | figure | scale | arms | seeds | hours left | hours spent | state | why |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| later | tiny.paper/fig3 | laptop | all | - | ? | 0 | to be built | nobody has built it |
| wrong | tiny.paper/fig4 | laptop | all | 1 | ? | 0 | open | there is none |
| first | tiny.paper/fig2 | laptop | all | 2 | ? | 0 | open | matters most |
| second | tiny.paper/fig1 | laptop | two | 1 | ? | 0 | open | matters less |

After the table.
"""


def git(root, *words):
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """In a repository in which somebody is at work on something else."""
    monkeypatch.setenv("COMITY_COMMIT", "")  # a step sets it
    for name, value in (("NAME", "a"), ("EMAIL", "a@example.org")):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    queue = Queue(tmp_path)
    queue.table.parent.mkdir()
    queue.table.write_text(TABLE)
    (tmp_path / ".gitignore").write_text("runs/\n")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    (tmp_path / "other.txt").write_text("not the queue's")
    git(tmp_path, "add", "other.txt")
    return queue


def test_the_table_is_read_and_one_row_written():
    rows = parse(TABLE)
    assert [row.name for row in rows] == ["later", "wrong", "first", "second"]
    assert [row.seeds for row in rows] == [0, 1, 2, 1]
    assert [row.waiting for row in rows] == [False, True, True, True]
    assert rows[2]._replace(state="1 of 2 seeds").waiting
    assert not rows[2]._replace(state="done").waiting
    assert rows[2]._replace(state="done").counted
    new = replaced(TABLE, rows[2]._replace(state="done", left="0.0"))
    assert new == TABLE.replace("2 | ? | 0 | open | matters most", "2 | 0.0 | 0 | done | matters most")
    assert all(replaced(TABLE, row) == TABLE for row in rows)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("| row | figure", "| figure | row", "has no table"),
        ("| 2 | ? |", "| two | ? |", "the fifth a number or -, not .* first "),
        ("| second |", "| first |", "two rows of the queue have one name"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(old, new, words):
    with pytest.raises(ValueError, match=words):
        parse(TABLE.replace(old, new))


HOLD = """
import pathlib, sys, time
from studies.queue_table import Queue
with Queue(pathlib.Path(sys.argv[1])).locked("first", wait=False) as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


def test_a_row_belongs_to_one_process_until_that_ends(tmp_path):
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        for name, free in (("first", False), ("second", True)):
            with Queue(tmp_path).locked(name, wait=False) as mine:
                assert mine == free
        other.kill()
    with Queue(tmp_path).locked("first", wait=False) as mine:
        assert mine


def kill_when_training(queue):
    """Starts the command, and kills it and the process of its seed as soon as that has made a run directory."""
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, "-m", "studies.train_queue", "--root", str(queue.root), "--minutes", "10"]
    with subprocess.Popen(command, env=surroundings, stdout=subprocess.DEVNULL) as process:
        while not list(queue.runs.glob("*/first/runs/**/config.yaml")):
            assert process.poll() is None
            time.sleep(0.02)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
    with queue.locked("first"):  # which the killed process held until it was gone
        pass


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds a process's children in /proc")
def test_seeds_are_trained_one_by_one_and_committed_in_spite_of_a_kill(queue, monkeypatch):
    kill_when_training(queue)
    (begun,) = queue.runs.glob("*/first/runs/**/config.yaml")
    said, went_on, resume = [], [], loop.resume
    monkeypatch.setattr(loop, "resume", lambda run, *rest: went_on.append(run) or resume(run, *rest))
    assert step(queue, time.time() - 1, True, said.append) == TIME_IS_UP
    assert step(queue, None, True, said.append) == DONE
    assert [directory.path for directory in went_on] == [begun.parent]  # the run that was killed
    assert queue.row("first").state == "1 of 2 seeds"
    with queue.locked("first", wait=False):  # somebody else has it
        assert step(queue, None, True, said.append) == DONE
    assert queue.row("second").state == "done"
    assert step(queue, None, True, said.append) == DONE
    assert step(queue, None, True, said.append) == NOTHING_OPEN
    assert [row.state for row in queue.rows()] == ["to be built", "open", "done", "done"]
    assert queue.row("first").left == "0.0"
    finished = [line for line in said if "core-hours" in line]
    assert [line.partition(" (")[0] for line in finished] == [
        "tiny.paper/fig2: one, seed 0",
        "tiny.paper/fig1: two, seed 0",
        "tiny.paper/fig2: one, seed 1",
    ]
    assert any(line.startswith("wrong: row wrong: there is no tiny.paper/fig4") for line in said)
    assert [x["seed"] for x in records.lines(queue.records("tiny") / "one.jsonl")] == [0, 1]
    assert git(queue.root, "log", "--format=%s").splitlines() == [*reversed(finished), "Begin"]
    changed = set(git(queue.root, "log", "-3", "--name-only", "--format=").splitlines())
    assert changed == {"studies/queue.md", "studies/new/tiny/one.jsonl", "studies/new/tiny/two.jsonl"}
    assert git(queue.root, "status", "--porcelain") == "A  other.txt"
    assert not list(queue.runs.glob("**/config.yaml"))  # nothing of finished seeds is left
    assert "file" not in records.lines(queue.records("tiny") / "one.jsonl")[0]


def test_records_written_just_before_a_kill_are_kept_and_committed(queue, monkeypatch):
    """One has reached the folder of new records and no commit, one only that of its run."""
    row = queue.row("first")
    known = queue_step.work(queue, row)
    (job,) = known.jobs
    assert [(seed, x.arm.name) for seed, x in known.missing()] == [(0, "one"), (1, "one")]
    assert [known.counted(row).state, known.counted(row).left] == ["open", "0.0"]
    facts = {"settings": records.settings(job.recipe, job.budget), "bits": {"pool": 1}, "core_seconds": 3600.0}
    records.write(queue.records("tiny"), job.arm, [{**facts, "seed": 0}])
    records.write(known.folders.data, job.arm, [{**facts, "seed": 1}])
    monkeypatch.setattr(queue_step, "trained", lambda *_: pytest.fail("nothing is missing"))
    queue.write(queue.row("second")._replace(state="gone"))
    assert step(queue, None, False, lambda _: None) == NOTHING_OPEN
    assert (queue.row("first").state, queue.row("first").spent) == ("done", "2.0")
    assert [x["seed"] for x in records.lines(queue.records("tiny") / "one.jsonl")] == [0, 1]
    assert git(queue.root, "log", "--format=%s") == "Begin"  # asked not to commit
    assert step(queue, None, True, lambda _: None) == NOTHING_OPEN
    assert git(queue.root, "log", "-1", "--format=%s") == "Seeds that were finished when the queue was stopped"
    assert git(queue.root, "show", "HEAD:studies/new/tiny/one.jsonl").count("\n") == 1
    assert git(queue.root, "status", "--porcelain") == "A  other.txt"


@pytest.mark.parametrize(("changed", "commit", "name"), [("", "f" * 40, "f" * 12), (" M x", "", "f" * 12 + "-changed")])
def test_a_record_names_the_commit_of_the_code(monkeypatch, changed, commit, name):
    monkeypatch.setenv("COMITY_COMMIT", "")
    monkeypatch.setattr(queue_step, "git", lambda _, *words: "f" * 40 if words[0] == "log" else changed)
    assert queue_step.code() == name
    assert os.environ["COMITY_COMMIT"] == commit


def test_a_seed_that_becomes_not_finite_stops_its_row(queue, monkeypatch):
    monkeypatch.setattr(queue_step, "train_missing", lambda *_: [])  # finished, and no record
    assert step(queue, None, True, lambda _: None) == DONE
    assert queue.row("first").state == "stopped: one, seed 0, became not finite"
    assert [x["seed"] for x in records.lines(queue.records("tiny") / "one.lost")] == [0]
    assert step(queue, None, True, lambda _: None) == DONE
    assert queue.row("second").state.startswith("stopped: two, seed 0")


def test_the_first_seeds_of_all_arms_come_first(queue):
    known = queue_step.work(queue, queue.row("second")._replace(arms="all", seeds=2))
    assert [(seed, job.arm.name) for seed, job in known.missing()] == [(0, "one"), (0, "two"), (1, "one"), (1, "two")]
    assert known.paper is PAPER
    assert queue_step.work(queue, queue.row("first")._replace(seeds=0)).jobs[0].missing == [0, 1, 2]  # the figure's own


PRETEND = """
import os, pathlib, signal, sys, time
here = pathlib.Path(sys.argv[1])
count = len(list(here.iterdir()))
(here / f"{count}.txt").write_text(f"{os.nice(0)} {len(os.sched_getaffinity(0))}")
if count == 2:
    try:
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)
    except KeyboardInterrupt:
        (here / "saved").touch()
        sys.exit(130)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen here")
def test_seeds_come_one_after_another_until_it_is_stopped(tmp_path):
    """At lowest priority on one core; SIGTERM is passed on, so that the seed under way is saved."""
    program = (
        "import sys\nfrom studies.train_queue import *\nhumble(None)\n"
        "sys.exit(one_after_another([sys.executable, '-c', sys.argv[1], sys.argv[2]]))"
    )
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, PRETEND, str(tmp_path)]
    assert subprocess.run(command, env=surroundings, timeout=60, check=False).returncode == 130
    assert {file.name for file in tmp_path.iterdir()} == {"0.txt", "1.txt", "2.txt", "saved"}
    assert (tmp_path / "0.txt").read_text() == "19 1"


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="sessions do not share cores here")
def test_the_session_of_a_seed_gets_what_others_leave():
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        train_queue.behind_others(child.pid)
        told = Path(f"/proc/{child.pid}/autogroup").read_text()
        child.kill()
    assert told.split()[-2:] == ["nice", "19"]
    train_queue.behind_others(child.pid)  # one that is gone is no error


def test_the_rows_of_this_checkout_name_figures_and_arms_that_there_are(capsys):
    queue = Queue(ROOT)
    for row in queue.rows():
        if row.counted:
            assert queue_step.work(queue, row).jobs, row.name
    assert train_queue.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(queue.rows())
