"""submitit: its own array script through a queue that runs jobs here, warns one job, and gets it back."""

import os
import signal
import subprocess
import sys

import pytest

from comity.cli.main import main
from comity.sweeps import plan, submit, worker
from comity.training import checkpoint

from .conftest import TINY
from .test_sweep import gone, wait

LONG = ["matrix", "reinforce", "--iterations", "400", *TINY[2:6], "--evaluations", "2", *TINY[8:]]
QUEUE = {
    "sbatch": """
cp "$1" "$JOBS/script"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$1")
export SLURM_ARRAY_JOB_ID=7 SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
for i in $(seq 0 "$last"); do
    SLURM_JOB_ID=$((7 + i)) SLURM_ARRAY_TASK_ID=$i sh "$JOBS/script" >>"$JOBS/log" 2>&1 &
done
echo "Submitted batch job 7"
""",
    "srun": """
while [ "${1#--}" != "$1" ]; do
    case "$1" in --output | --error) shift 2 ;; *) shift ;; esac
done
echo $$ >>"$JOBS/step-$SLURM_ARRAY_TASK_ID"
exec "$@"
""",
    "scontrol": """
echo "$@" >>"$JOBS/requeued"
sh "$JOBS/script" >>"$JOBS/log" 2>&1 &
""",
}


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """The folder of a queue whose commands are on PATH."""
    for folder in ("bin", "jobs"):
        (tmp_path / folder).mkdir()
    for name, script in QUEUE.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh{script}")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("JOBS", str(tmp_path / "jobs"))
    return tmp_path / "jobs"


def comity(*words):
    """A process of its own: submitit sets up logging anew where it is imported, and closes handlers of others."""
    return subprocess.run([sys.executable, "-m", "comity", *words], capture_output=True, text=True, check=False)


def test_a_job_that_is_warned_saves_and_goes_on_when_it_is_back(tmp_path, jobs):
    words = ["sweep", *LONG, "--apart", "--seeds", "2", "--out", "sweep", "--submit", "--slurm"]
    done = comity(*words, "--time=2:00:00 --mem=4G --exclusive")
    assert done.returncode == 0, done.stderr
    assert "2 workers submitted to Slurm: 7_0 to 7_1" in done.stdout
    script = (jobs / "script").read_text()
    for line in ("--array=0-1%2", "--time=120", "--mem=4G", "--exclusive", "--job-name=sweep"):
        assert f"#SBATCH {line}\n" in script
    sweep = plan.opened(tmp_path / "sweep")
    first = sweep.of(sweep.rows[0])
    wait(lambda: list(first.glob("*/*/*/metrics.jsonl")))
    (step,) = (jobs / "step-0").read_text().split()
    children = [int(pid) for pid in os.listdir("/proc") if pid.isdecimal() and parent(int(pid)) == int(step)]
    for pid in [*children, int(step)]:  # as Slurm does, which warns all processes of a job
        os.kill(pid, signal.SIGUSR2)
    wait(lambda: gone(int(step)))
    assert (jobs / "requeued").read_text() == "requeue 7_0\n"
    wait(lambda: not worker.left(sweep))
    assert worker.states(sweep) == {"finished": 2}
    (log,) = first.rglob("log.txt")
    text = log.read_text()
    assert "SIGUSR1: stopping after this chunk and saving" in text
    assert "resuming" in text
    (last,) = [path for path in first.glob("*/*/*/checkpoints/*.npz") if path.stem == "00000400"]
    assert checkpoint.about(last)["iteration"] == 400
    wait(lambda: all(gone(int(pid)) for file in jobs.glob("step-*") for pid in file.read_text().split()))


def parent(pid):
    """Number of the process that started it; 0 where that is not known."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


def test_submitit_needs_a_time_on_slurm(tmp_path, jobs):
    for more, line in (([], "five minutes unless it is told"), (["--slurm", "-t 5"], "by their long names")):
        done = comity("sweep", *LONG, "--out", "sweep", "--submit", *more)
        assert done.returncode == 1
        assert line in done.stderr
    assert not list(jobs.iterdir())


def test_a_queue_that_refuses(tmp_path, jobs):
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")
    done = comity("sweep", *LONG, "--out", "sweep", "--submit", "--slurm", "--time=5")
    assert done.returncode == 1
    assert done.stderr.endswith("comity: error: sbatch refused the jobs: invalid partition\n")


def test_without_submitit_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main(["sweep", *LONG, "--out", "sweep", "--submit"]) == 1
    assert "submitit is not installed: pip install submitit" in capsys.readouterr().err
    assert main(["sweep", *LONG, "--submit", "--launch", "slurm"]) == 2


def test_a_worker_that_fails_fails_its_job(tmp_path):
    with pytest.raises(RuntimeError, match="ended with status 3"):
        submit.Job()(["-c", "raise SystemExit(3)"], str(tmp_path))


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("90:30", 91), ("2:00:00", 120), ("0:00:10", 1), ("1-12", 2160), ("1-0:30", 1470), ("1-0:0:30", 1441)],
)
def test_times_as_slurm_has_them(text, minutes):
    assert submit.minutes_of(text) == minutes


def test_what_is_no_time():
    with pytest.raises(ValueError, match="'soon' is no Slurm time"):
        submit.minutes_of("soon")
