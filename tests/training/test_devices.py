"""Seeds over several devices and in groups give the same runs."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from comity.training import memory, processes
from comity.training.seeds import Seeds
from tiny.runs import arrays, assert_same_arrays, of_seed, trained

TESTS = Path(__file__).parents[1]
TRAIN = """
import sys
from comity.training import processes
processes.meet()
from pathlib import Path
from tiny.runs import resumed, run_in, trained
folder, mode, iterations = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
trained(folder, seeds=3, mode=mode, iterations=iterations)
if iterations < 8:
    resumed(run_in(folder), iterations=8)
"""


def around(devices: int, **more: str) -> dict[str, str]:
    """The environment of a process with so many host devices, and four threads in its pool whatever those."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    return {**os.environ, "XLA_FLAGS": flags, "NPROC": "4", "PYTHONPATH": str(TESTS), **more}


def checkpoint_of(folder: Path, mode: str, *environments: dict[str, str], iterations: int = 8) -> Path:
    """Of three seeds trained for 8 iterations in one process for each environment, after so many with a break."""
    command = [sys.executable, "-c", TRAIN, str(folder), mode, str(iterations)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=environment, **pipes) for environment in environments]
    for process in processes:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors[-2000:]
    return max(folder.glob("**/checkpoints/0*.npz"))


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    return checkpoint_of(tmp_path_factory.mktemp("loop"), "loop", around(1))


@pytest.mark.parametrize("devices", [2, 4])
def test_sharded_seeds_have_the_bits_of_seeds_in_a_loop(one_device, tmp_path, devices):
    """Three seeds on two devices, two of which one plays in turn, and on four, one of which repeats a seed."""
    assert_same_arrays(arrays(one_device), arrays(checkpoint_of(tmp_path, "shard", around(devices))))


def two_processes(folder: Path) -> list[dict[str, str]]:
    """The environments of two processes with one device each that train one run."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        coordinator = f"localhost:{free.getsockname()[1]}"
    meeting = {"COMITY_COORDINATOR": coordinator, "COMITY_PROCESSES": "2", "TMPDIR": str(folder / "others")}
    (folder / "others").mkdir()
    return [around(1, COMITY_PROCESS=str(index), **meeting) for index in range(2)]


def test_two_processes_train_one_run(one_device, tmp_path):
    """With a break; the first one's files are the run, what the other wrote is not there."""
    run = checkpoint_of(tmp_path / "run", "shard", *two_processes(tmp_path), iterations=4)
    assert_same_arrays(arrays(one_device), arrays(run))
    assert len(list((tmp_path / "run").rglob("config.yaml"))) == 1


def close(one: Path, two: Path) -> None:
    """The same checkpoint up to the order of sums; what is no float is equal."""
    found, other = arrays(one), arrays(two)
    assert found.keys() == other.keys()
    for name, x in found.items():
        np.testing.assert_allclose(x, other[name], *((1e-4, 1e-6) if x.dtype.kind == "f" else (0, 0)), err_msg=name)


def test_games_of_each_seed_over_four_devices(one_device, tmp_path):
    """Sixteen games, in continuing play. Every device adds up its own, so the order of sums is another."""
    close(one_device, checkpoint_of(tmp_path, "games", around(4)))


def test_games_over_two_processes(one_device, tmp_path):
    close(one_device, checkpoint_of(tmp_path / "run", "games", *two_processes(tmp_path), iterations=4))
    assert len(list((tmp_path / "run").rglob("config.yaml"))) == 1


LEARNERS = """
import sys
from pathlib import Path
from comity.environments.matrix.n_step import NStep
from comity.recipes import find_algorithm, from_objects
from tiny.runs import trained
sizes = {
    "pg": {"hidden": 4},
    "vdn": {"hidden": 4, "batch": 4, "warmup": 4, "capacity": 16, "updates": 1},
}
for name, size in sizes.items():
    config = find_algorithm(name).thing.Config(**size)
    for mode in ("vmap", "games"):
        one = from_objects(NStep(), config)
        trained(Path(sys.argv[1]) / name / mode, one, seeds=1, envs=4, iterations=3, chunk=3, evaluations=0, mode=mode)
"""


def test_games_over_devices_with_a_recurrent_learner_and_one_with_a_replay(tmp_path):
    command = [sys.executable, "-c", LEARNERS, str(tmp_path)]
    done = subprocess.run(command, env=around(2), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("pg", "vdn"):
        close(*(max((tmp_path / name / mode).glob("**/checkpoints/0*.npz")) for mode in ("vmap", "games")))


def test_games_that_devices_do_not_divide_are_refused(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: [None] * 3)
    with pytest.raises(ValueError, match=r"^mode games: 32 envs cannot be spread evenly over 3 devices: give a mul"):
        Seeds(1, "games", games=32)


@pytest.mark.parametrize("index", ["", "2", "-1"])
def test_a_process_that_does_not_know_its_place_is_refused(index, monkeypatch):
    for name, value in (("COORDINATOR", "localhost:1"), ("PROCESSES", "2"), ("PROCESS", index)):
        monkeypatch.setenv(f"COMITY_{name}", value)
    with pytest.raises(ValueError, match=f"^COMITY_PROCESSES '2' must be .* COMITY_PROCESS '{index}' which one"):
        processes.meet()


@pytest.fixture(scope="module")
def least(tmp_path_factory):
    """GB that one seed takes, as a batch, which too tight a bound says in one line."""
    line = r"^memory 1e-06 GB is too little for this run, [^\n]*$"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(memory, "lines", lambda *_: [])  # which would say so before anything is compiled
        with pytest.raises(ValueError, match=line) as error:
            trained(tmp_path_factory.mktemp("least"), seeds=3, mode="vmap", memory=1e-6)
    (found,) = re.findall(r"about (\S+) GB", str(error.value))
    return float(found)


@pytest.mark.parametrize("at_once", [1, 2])
def test_groups_have_the_results_of_all_at_once(at_once, least, tmp_path):
    whole = trained(tmp_path / "whole", seeds=3, mode="vmap")
    heard = []
    listen = lambda event, facts: heard.append(facts.get("text"))  # noqa: E731
    run = trained(tmp_path / "groups", listen=listen, seeds=3, mode="vmap", memory=(at_once + 0.5) * least)
    assert [text for text in heard if text and text.startswith(f"{at_once} seed{'s' * (at_once > 1)} at a time fit")]
    for seed in range(3):
        one, two = of_seed(whole.saved()[-1], seed), of_seed(run.saved()[-1], seed)
        for name, x in one.items():
            np.testing.assert_allclose(x, two[name], *((1e-4, 1e-5) if x.dtype.kind == "f" else (0, 0)))


def test_too_little_memory_for_a_loop_is_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"^the run takes at least [^\n]*, --memory allows 1e-06: lower [^\n]*$"):
        trained(tmp_path, seeds=3, mode="loop", memory=1e-6)


@pytest.mark.parametrize(
    ("count", "at_once", "sizes"), [(5, None, [5]), (5, 2, [2, 2, 2]), (5, 3, [3, 3]), (1, 9, [1])]
)
def test_groups_hold_every_seed_once(count, at_once, sizes):
    seeds = Seeds(count, "vmap", at_once=at_once)
    data = seeds.join([{"x": np.full(2, i)} for i in range(count)])
    assert [len(group["x"]) for group in data] == sizes
    assert [int(seeds.of(data, i)["x"][0]) for i in range(count)] == list(range(count))
    double = lambda a, x: ({"x": a * x["x"]}, x["x"].sum())  # noqa: E731
    program = seeds.lower(double, (2, data), (False, True)).compile()
    found, sums = seeds.call(program, (2, data), (False, True))
    assert [int(seeds.of(found, i)["x"][0]) for i in range(count)] == [2 * i for i in range(count)]
    assert [int(seeds.of(sums, i)) for i in range(count)] == [2 * i for i in range(count)]
    assert jax.tree.map(lambda x: x.shape, seeds.shapes({"x": np.zeros(2)})) == [{"x": (n, 2)} for n in sizes]
    seeds.close()
