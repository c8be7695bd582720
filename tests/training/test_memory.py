"""The memory that a run needs is known before anything is compiled or written, and compared with what is available."""

import dataclasses
import re
import types
from pathlib import Path

import jax
import pytest

import comity
from comity.recipes import from_objects
from comity.training import memory
from comity.training.session import Session
from comity.training.settings import Training
from tiny import learner, signals
from tiny.runs import SMALL, recipe, trained

IQL = from_objects(signals.Signals(), comity.algorithm("iql", capacity=64, hidden=2))
SHORT = Training(**SMALL)  # pyright: ignore[reportArgumentType]
GIB = 2**30


@pytest.mark.parametrize("one", [recipe(learner.Config(hidden=3)), IQL], ids=["learner", "iql"])
def test_the_sum_is_that_of_the_arrays(monkeypatch, one):
    """Replay, parameters and games of two seeds have as many bytes as the arrays that `init` makes."""
    session = Session(one, SHORT)
    carry = jax.jit(session.programs.init)(session.floats, jax.random.key(0))
    parts = memory._of_a_seed(one, session.training, session.shape, 2)
    assert sum(part.size for part in parts) == 2 * (sum(x.nbytes for x in jax.tree.leaves(carry)) + memory.PER_SEED)
    replay = getattr(carry.state, "replay", ())
    assert parts[0].size == 2 * sum(x.nbytes for x in jax.tree.leaves(replay))


@pytest.mark.parametrize(
    ("one", "settings", "says"),
    [
        (recipe(), {"envs": 100_000_000}, r"\(rollout \S+, games \S+\), .*: lower envs \(100000000\) or"),
        (recipe(), {"envs": 200_000_000, "seeds": 1}, r"\(rollout \S+, games \S+\), .*: lower envs \(200000000\)"),
        (recipe(), {"seeds": 2**31 - 1}, r": lower seeds \(2147483647\) or"),
        (recipe(), {"chunk": 2**31 - 1, "iterations": 2**31 - 1}, r"\(metrics \S+\), .*: lower chunk \(2147483647\)"),
        (recipe(), {"evaluation_episodes": 2**31 - 1}, r"\(evaluation \S+\), .*: lower evaluation_episodes"),
        (IQL, {"seeds": 30_000_000}, r"\(replay .*: lower seeds \(30000000\) or algorithm.capacity \(64\)"),
    ],
)
def test_what_cannot_fit_is_refused_before_anything_is_compiled_or_written(tmp_path, monkeypatch, one, settings, says):
    monkeypatch.setattr(memory, "available", lambda: 16e9)
    with pytest.raises(
        ValueError, match=r"^the run takes at least \S+ GB of memory .*this machine has free 16"
    ) as told:
        trained(tmp_path, one, **settings)
    assert re.search(says, str(told.value))
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("times", "said"), [(1.01, True), (3.9, True), (4.1, False)])
def test_what_is_large_is_said(monkeypatch, times, said):
    needs: list[float] = []
    monkeypatch.setattr(memory, "_held", lambda parts, *_: needs.append(sum(part.size for part in parts)) or [])
    Session(recipe(), SHORT)
    monkeypatch.undo()
    monkeypatch.setattr(memory, "available", lambda: times * needs[0])
    found = Session(recipe(), SHORT).notices
    assert [line.startswith("the run takes at least") for line in found] == [True] * said


def folder(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MACHINE = {"proc/meminfo": "MemTotal: 99 kB\nMemAvailable:    2097152 kB\n"}  # 2 GiB
OLD = {
    "proc/self/cgroup": "9:cpu,memory:/job/step\n1:name=systemd:/\n",
    "sys/fs/cgroup/memory/job/memory.limit_in_bytes": str(GIB),
    "sys/fs/cgroup/memory/job/memory.usage_in_bytes": str(GIB // 2),
    "sys/fs/cgroup/memory/job/memory.stat": f"total_inactive_file {GIB // 4}\ncache 7\n",
}
NEW = {
    "proc/self/cgroup": "0::/slice/job\n",
    "sys/fs/cgroup/slice/job/memory.max": "max\n",
    "sys/fs/cgroup/slice/job/memory.current": "5\n",
    "sys/fs/cgroup/slice/memory.max": str(GIB),
    "sys/fs/cgroup/slice/memory.current": str(GIB // 4),
}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        (MACHINE, 2 * GIB),
        (MACHINE | OLD, 3 * GIB / 4),
        (MACHINE | NEW, 3 * GIB / 4),
        (MACHINE | NEW | {"sys/fs/cgroup/memory.max": str(8 * GIB), "sys/fs/cgroup/memory.current": "0"}, 3 * GIB / 4),
        (MACHINE | {"proc/self/cgroup": "nonsense"}, 2 * GIB),
        (NEW, 3 * GIB / 4),
    ],
)
def test_what_there_is(tmp_path, files, free):
    """The machine's free memory, or what a control group or one above it leaves, if that is less."""
    assert memory.available(folder(tmp_path, files)) == free


@pytest.mark.parametrize("has", [8e9, 80e9])
def test_a_device_says_what_it_has(monkeypatch, has):
    device = types.SimpleNamespace(memory_stats=lambda: {"bytes_limit": has})
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert memory.device_limit(SHORT) == (has, "the device has")
    assert memory.device_limit(dataclasses.replace(SHORT, memory=3.0)) == (3e9, "--memory allows")
    device.memory_stats = lambda: None
    monkeypatch.setattr(memory, "available", lambda: has / 2)
    assert memory.device_limit(SHORT) == (has / 2, "this machine has free")


def test_this_machine_has_some():
    assert 1e8 < (memory.available() or 0) < 1e14
