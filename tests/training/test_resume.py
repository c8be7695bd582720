"""A run that is killed at any moment and resumed equals an undisturbed run: all arrays and lines, in every bit."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tiny.runs import NAMES, assert_same_run, flags, run_in

KILLS = 8  # on all cores; on one, where nothing is done in another way, fewer
# Large enough that bits depend on the number of threads of XLA's pool (they do from about 512 games on).
TRAINING = dict(seeds=2, envs=512, iterations=200, chunk=2, evaluations=20, evaluation_episodes=4, final_episodes=40)
COMMAND = [*NAMES, *flags(**TRAINING), "--algorithm.hidden", "32"]
CORES = sorted(os.sched_getaffinity(0))[:2]


class Lives:
    """Speaks with lives.py."""

    def __init__(self, folder: Path):
        self.said = folder / "said.txt"
        script = Path(__file__).parents[1] / "tiny" / "lives.py"
        self.process = subprocess.Popen([sys.executable, str(script)], stdin=-1, stdout=-1, text=True, cwd=folder)

    def live(self, *arguments: str, cores: list[int], death: dict | None = None) -> dict:
        order = {"arguments": arguments, "cores": cores, "death": death, "said": str(self.said)}
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    lives = Lives(tmp_path_factory.mktemp("lives"))
    yield lives
    lives.process.communicate()


@pytest.fixture(scope="module")
def unbroken(lives, tmp_path_factory):
    """Runs that nobody broke, by number of cores."""
    runs = {}

    def get(cores: list[int]):
        if len(cores) not in runs:
            out = tmp_path_factory.mktemp(f"unbroken{len(cores)}")
            assert lives.live("train", *COMMAND, "--out", str(out), cores=cores) == {"exit": 0}, lives.said.read_text()
            runs[len(cores)] = run_in(out)
        return runs[len(cores)]

    return get


@pytest.mark.parametrize(
    "cores",
    [pytest.param(CORES, id="all cores"), pytest.param(CORES[:1], id="one core", marks=pytest.mark.slow)],
)
def test_many_kills_of_one_run(lives, unbroken, tmp_path, cores):
    """Half of them at random times from outside, half at a random disk operation: inside the writing of checkpoints,
    metrics, evaluations, the manifest."""
    draw, whole, kills, runs = random.Random(len(cores)), unbroken(cores), 0, 1
    seconds = whole.manifest()["wall_seconds"] - whole.manifest()["compile_seconds"]
    while kills < (KILLS if len(cores) > 1 else 4):
        out = tmp_path / str(runs)
        begun = list(out.glob("*/*/*/config.yaml"))
        command = ["resume", str(begun[0].parent)] if begun else ["train", *COMMAND, "--out", str(out)]
        death = {"after": draw.uniform(0, seconds / 8)}
        if kills % 2:
            death = {"operation": draw.randint(1, 60), "how": draw.choice(["before", "after", "torn"])}
        ended = lives.live(*command, cores=cores, death=death)
        assert ended in ({"signal": 9}, {"exit": 0}), lives.said.read_text()
        kills += ended == {"signal": 9}
        if ended == {"exit": 0}:  # on a fast machine it may finish before the last: then another one is killed
            assert_same_run(run_in(out), whole)
            runs += 1
    if begun:
        assert lives.live("resume", str(begun[0].parent), cores=cores) == {"exit": 0}, lives.said.read_text()
        assert_same_run(run_in(out), whole)


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores")
@pytest.mark.parametrize(("first", "then"), [(CORES, CORES[:1]), (CORES[:1], CORES)], ids=["2 then 1", "1 then 2"])
def test_resume_on_another_number_of_cores(lives, unbroken, tmp_path, first, then):
    """Bits depend on how many threads XLA's pool has; `comity resume` gives it as many as the run began with."""
    death = {"operation": 80, "how": "before"}
    assert lives.live("train", *COMMAND, "--out", str(tmp_path), cores=first, death=death) == {"signal": 9}
    run = run_in(tmp_path)
    assert 0 < int(run.saved()[-1].stem) < TRAINING["iterations"]
    assert lives.live("resume", "--minutes", "5", str(run.path), cores=then) == {"exit": 0}, lives.said.read_text()
    assert "bits may differ" not in lives.said.read_text()
    assert_same_run(run, unbroken(first))
