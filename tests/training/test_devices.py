"""Seeds over several devices and in groups: the same runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from comity.training.seeds import Seeds
from tiny.runs import arrays, assert_same_arrays, of_seed, trained

TESTS = Path(__file__).parents[1]
TRAIN = "import sys; from tiny.runs import trained; trained(sys.argv[1], seeds=3, mode=sys.argv[2])"


def checkpoint_of(folder: Path, mode: str, devices: int) -> Path:
    """Of three seeds trained in a process with so many host devices, and four threads in its pool whatever those."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    around = {**os.environ, "XLA_FLAGS": flags, "NPROC": "4", "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", TRAIN, str(folder), mode], env=around, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return max(folder.glob("**/checkpoints/0*.npz"))


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    return checkpoint_of(tmp_path_factory.mktemp("loop"), "loop", 1)


@pytest.mark.parametrize("devices", [2, 4])
def test_sharded_seeds_have_the_bits_of_seeds_in_a_loop(one_device, tmp_path, devices):
    """Three seeds on two devices, two of which one plays in turn, and on four, one of which repeats a seed."""
    assert_same_arrays(arrays(one_device), arrays(checkpoint_of(tmp_path, "shard", devices)))


@pytest.fixture(scope="module")
def least(tmp_path_factory):
    """GB that one seed takes, as a batch, which too tight a bound says in one line."""
    with pytest.raises(ValueError, match=r"^memory 1e-06 GB is too little for this run, [^\n]*$") as error:
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
    with pytest.raises(ValueError, match=r"^memory 1e-06 GB is too little for this run, which takes about [^\n]*$"):
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
