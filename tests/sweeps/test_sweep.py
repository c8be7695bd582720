"""Sweeps from end to end: killed workers, a queue of jobs, failures, and the low cost of a finished sweep."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from comity.cli.main import main
from comity.sweeps import launch, plan, worker

from .conftest import TINY
from .killing import assert_each_row_once, kill_and_start_again, started

WORDS = ["matrix", "reinforce", *TINY]
FAKE_SBATCH = """#!/bin/sh
# A queue: runs the array's jobs at once, each in the background, and notes their process numbers.
count=$(sed -n 's/^#SBATCH --array=1-//p' "$1")
for i in $(seq "$count"); do
    SLURM_ARRAY_TASK_ID=$i bash "$1" >>"$JOBS/job-$i.log" 2>&1 &
    echo $! >>"$JOBS/pids"
done
echo "Submitted batch job 7"
"""


def planned(tmp_path, *more):
    """A sweep that nobody trains yet."""
    assert main(["sweep", *WORDS, *more, "--out", "sweep", "--launch", "print"]) == 0
    return plan.opened(tmp_path / "sweep")


def in_this_process(sweep):
    lines = []
    return worker.work(sweep, say=lines.append), lines


class Child:
    """A worker that runs until it was asked so often."""

    returncode = 0

    def __init__(self, polls: int):
        self.polls = polls

    def poll(self):
        self.polls -= 1
        return None if self.polls > 0 else 0


def test_a_line_says_what_a_worker_does_while_no_row_is_over(tmp_path, monkeypatch):
    """Ever more rarely: after 10, 30 and 70 s of a hundred; of a worker that runs still."""
    sweep, now, lines = planned(tmp_path), [0.0], []
    said = "compiling\n   33%  ETA 57 s  iteration 330/3,000  24.9 updates/s  120k steps/s  success 33.4%\n"
    (sweep.path / launch.LOGS / "worker-2.log").write_text(said)
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: now.__setitem__(0, now[0] + 5))
    monkeypatch.setattr(launch, "time", clock)
    assert launch._watch(sweep, [Child(1), Child(40)], lines.append) == 0
    assert lines == ["  0/1  worker 2: 33%  ETA 57 s  iteration 330/3,000  24.9 updates/s"] * 3


def test_killed_workers_lose_no_row_and_train_none_twice(tmp_path, capfd):
    kills_of_a_sweep(tmp_path, rows=8, workers=2, kills=2, pause=0.5, limit=300)
    assert main(["sweep", "sweep"]) == 0  # no row is left: the table
    out = capfd.readouterr().out
    assert "8 finished" in out
    assert "comity compare sweep" in out
    code = "import sys; from comity.cli.main import main; main(['sweep', 'sweep']); sys.exit('jax' in sys.modules)"
    began = sum(os.times()[2:4])
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert sum(os.times()[2:4]) - began < 2  # seconds of the processor


@pytest.mark.slow
def test_200_runs_by_three_workers_with_30_kills(tmp_path, capsys):
    began = time.monotonic()
    taken = kills_of_a_sweep(tmp_path, rows=200, workers=3, kills=30, pause=1.5, limit=3000)
    with capsys.disabled():
        print(f"\n200 rows, 30 kills, {taken} claims taken over, {time.monotonic() - began:.0f} s")


def kills_of_a_sweep(tmp_path, rows, workers, kills, pause, limit):
    sweep = planned(tmp_path, "--apart", "--seeds", str(rows // 2), "--vary", "learning_rate=1e-3,5e-3")
    assert len(sweep.rows) == rows
    start = lambda i: started(launch.worker(sweep, i, workers), tmp_path / f"{i}.log")  # noqa: E731
    assert kill_and_start_again(start, sweep, workers, kills, pause, 0, limit) == kills
    return assert_each_row_once(sweep)


def test_an_array_of_a_queue_that_kills_its_jobs(tmp_path, monkeypatch, capsys):
    bin_folder, jobs = tmp_path / "bin", tmp_path / "jobs"
    bin_folder.mkdir()
    jobs.mkdir()
    (bin_folder / "sbatch").write_text(FAKE_SBATCH)
    (bin_folder / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}:{os.environ['PATH']}")
    monkeypatch.setenv("JOBS", str(jobs))
    submit = ["sweep", *WORDS, "--apart", "--seeds", "3", "--out", "sweep", "--launch", "slurm", "--workers", "2"]
    assert main([*submit, "--slurm", "--time=0:10:00 --signal=B:USR1@30"]) == 0
    out = capsys.readouterr().out
    assert "Submitted batch job 7 (2 workers" in out
    sweep = plan.opened(tmp_path / "sweep")
    script = (sweep.path / "slurm.sh").read_text()
    assert "#SBATCH --time=0:10:00\n" in script
    assert script.count("--signal") == 1
    pids = [int(x) for x in (jobs / "pids").read_text().split()]
    wait(lambda: list(sweep.path.glob("rows/*/claim.0")))
    os.kill(pids[0], signal.SIGKILL)
    wait(lambda: gone(pids[0]))
    assert main(submit) == 0  # as a user whose jobs were killed
    wait(lambda: not worker.left(sweep))
    assert_each_row_once(sweep)
    wait(lambda: all(gone(int(x)) for x in (jobs / "pids").read_text().split()))


def wait(happened, limit=200.0):
    end = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def gone(pid):
    from comity.sweeps.claims import started

    return started(pid) is None


def test_without_a_queue_the_script_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["sweep", *WORDS, "--out", "sweep", "--launch", "slurm"]) == 0
    out = capsys.readouterr().out
    assert "#SBATCH --array=1-1\n" in out
    assert "#SBATCH --signal=B:USR1@120\n" in out  # the worker replaces the batch shell, which `USR1@120` spares
    assert "exec " in out
    assert f"sweep {tmp_path / 'sweep'} --worker" in out
    assert "submit it with: sbatch sweep/slurm.sh" in out


def test_a_queue_that_refuses(tmp_path, monkeypatch, capsys):
    sbatch = tmp_path / "sbatch"
    sbatch.write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert main(["sweep", *WORDS, "--out", "sweep", "--launch", "slurm"]) == 1
    assert "sbatch refused sweep/slurm.sh: invalid partition" in capsys.readouterr().err


class Ray:
    """What is used of Ray: tasks that run when they are waited for."""

    def __init__(self):
        self.options = []

    def init(self, address=None, log_to_driver=True):
        self.options.append(address)

    def remote(self, **options):
        def decorated(function):
            class Task:
                @staticmethod
                def remote(*given):
                    return lambda: function(*given)

            return Task

        return decorated

    def wait(self, waiting, timeout):
        return waiting[:1], waiting[1:]

    def get(self, ready):
        return [one() for one in ready]

    def shutdown(self):
        self.options.append("over")


def test_ray_tasks_are_workers(tmp_path, monkeypatch, capsys):
    module = Ray()
    monkeypatch.setitem(sys.modules, "ray", module)
    run = subprocess.run
    seen = []

    def counted(words, **more):
        if "--worker" in words:
            seen.append(words[words.index("--worker") + 1])
            sweep = plan.opened(Path(words[words.index("sweep") + 1]))
            in_this_process(sweep)
            return subprocess.CompletedProcess(words, 0, "", "")
        return run(words, **more)

    monkeypatch.setattr(launch.subprocess, "run", counted)
    words = ["sweep", *WORDS, "--apart", "--seeds", "2", "--out", "sweep", "--launch", "ray", "--address", "auto"]
    assert main(words) == 0
    assert seen == ["1/2", "2/2"]
    assert module.options == ["auto", "over"]
    assert_each_row_once(plan.opened(tmp_path / "sweep"))


def test_a_row_that_fails_keeps_no_other_from_being_trained(tmp_path, monkeypatch, capsys):
    sweep = planned(tmp_path, "--apart", "--seeds", "2")
    from comity.training import loop

    train = loop.train

    def failing(recipe, training, *more):
        if training.first_seed == 0:
            raise RuntimeError("the game\nbroke")
        return train(recipe, training, *more)

    monkeypatch.setattr(loop, "train", failing)
    assert in_this_process(sweep)[0] == 2
    assert worker.states(sweep) == {"failed": 1, "finished": 1}
    assert in_this_process(sweep)[0] == 0  # a failure is not tried again by itself
    capsys.readouterr()
    assert main(["sweep", "sweep", "--table"]) == 1
    out = capsys.readouterr().out
    assert "RuntimeError: the game broke" in out
    assert "comity sweep sweep --retry" in out
    monkeypatch.setattr(loop, "train", train)
    assert worker.retry(sweep) == 1
    assert in_this_process(sweep)[0] == 1
    assert_each_row_once(sweep)
    done = sweep.of(sweep.rows[0]) / worker.DONE
    done.write_text(json.dumps({**json.loads(done.read_text()), "status": "not finite", "line": "params of seed 0"}))
    assert main(["sweep", "sweep", "--retry"]) == 1  # the same settings would give the same numbers
    out = capsys.readouterr().out
    assert "1 row became not finite: give other settings" in out
    assert "--retry" not in out
    assert worker.states(sweep) == {"not finite": 1, "finished": 1}


def test_a_full_disk_ends_the_worker_and_no_row(tmp_path, monkeypatch):
    sweep = planned(tmp_path, "--seeds", "1")
    from comity.training import loop

    def full(*given):
        raise OSError("no space left")

    monkeypatch.setattr(loop, "train", full)
    with pytest.raises(OSError, match="no space"):
        in_this_process(sweep)
    assert worker.states(sweep) == {"begun": 1}
    monkeypatch.undo()
    os.chdir(tmp_path)
    assert in_this_process(sweep)[0] == 1


def test_rows_that_differ_in_floats_alone_share_programs(tmp_path):
    sweep = planned(tmp_path, "--seeds", "1", "--vary", "learning_rate=1e-3,5e-3")
    assert in_this_process(sweep)[0] == 2
    compiled = []
    for row in sweep.rows:
        (log,) = sweep.of(row).rglob("log.txt")
        text = log.read_text()
        compiled.append(float(text.partition("compiled in ")[2].split()[0]))
    assert compiled[1] <= 0.5 * compiled[0] + 0.1


def test_ctrl_c_saves_what_processes_train_and_the_same_command_goes_on(tmp_path, monkeypatch):
    """The launcher with its workers, as in a terminal."""
    longer = ["--iterations", "600", "--chunk", "5", *TINY[4:]]
    arguments = [
        "sweep",
        "matrix",
        "reinforce",
        *longer,
        "--seeds",
        "1",
        "--out",
        "sweep",
        "--workers",
        "1",
        "--minutes",
        "9",
    ]
    arguments += ["--vary", "learning_rate=1e-3,5e-3"]
    # A shell's background jobs ignore the signal, and so would all that they start.
    listens = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    words = [sys.executable, "-c", f"{listens}; from comity.cli.main import main; raise SystemExit(main({arguments}))"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait(lambda: list(tmp_path.glob("sweep/rows/*/*/*/*/metrics.jsonl")))
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=120)
    assert child.returncode == 130, said
    assert "rows under way are saved" in said
    assert "comity sweep sweep" in said
    sweep = plan.opened(tmp_path / "sweep")
    (run,) = (path.parent for path in tmp_path.rglob("config.yaml"))
    assert len(worker.left(sweep)) == 2
    saved = max(int(path.stem) for path in (run / "checkpoints").glob("0*.npz"))
    assert 0 < saved < 600
    spent = json.loads((run / "manifest.json").read_text())["wall_seconds"]
    from comity.training import loop

    resume, limits = loop.resume, []
    monkeypatch.setattr(loop, "resume", lambda *given: (limits.append(given[2]), resume(*given))[1])
    assert in_this_process(sweep)[0] == 2
    assert limits == [pytest.approx(9 - spent / 60)]  # what is left of the limit, not a new one
    assert spent > 0.1
    assert "resuming" in (run / "log.txt").read_text()
    assert worker.states(sweep) == {"finished": 2}
