"""The memory that a run takes at least, estimated before anything is compiled, and the memory that is available.

The estimate adds what is certainly in memory at once: replay, state and games of all seeds, one rollout, one
evaluation. The memory that compiled programs need in addition is known only after compiling (`Seeds.fitting`).
"""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from comity.recipes import Recipe
from comity.training import checkpoint
from comity.training.programs import Carry, one_key
from comity.training.seeds import Seeds
from comity.training.settings import Training
from comity.types import PyTree

LARGE = 0.25  # share of the available memory above which a line is returned
METRICS = 32  # approximate number of metrics per iteration
PER_SEED = 1000  # bytes of keys, names and counters


class Part(NamedTuple):
    """One use of memory, its size, and the setting that changes it."""

    name: str
    size: float  # bytes
    setting: str


def lines(recipe: Recipe, training: Training, seeds: Seeds, shape: Carry) -> list[str]:
    """Returns lines about a run that takes much of the available memory, else none. shape: of one seed's carry.

    Raises ValueError, one line, if it cannot fit.
    """
    steps = rollout_length(recipe)
    if seeds.mode == "loop":
        each, once = training.seeds, 1
    else:  # seeds may run in groups, down to one on each device
        each = once = 1
    of_seeds = _of_a_seed(recipe, training, shape, each)
    apart = len(jax.devices()) if seeds.mode == "games" else 1
    here = [*of_seeds, *_of_a_rollout(recipe, training, shape, steps, once / apart)]
    found = _held(here, *device_limit(training))
    if seeds.mode != "loop":  # the seeds that wait for their turn
        found += _held(_of_a_seed(recipe, training, shape, training.seeds), available(), "this machine has")
    return found


def size(tree: PyTree) -> float:
    """Number of bytes of a tree of shapes or arrays."""
    return float(sum(np.prod(x.shape, dtype=float) * getattr(x.dtype, "itemsize", 8) for x in jax.tree.leaves(tree)))


def of_programs(training: Training) -> float | None:
    """Bytes of a device that compiled programs may take; None: unknown."""
    limit = training.memory and 1e9 * training.memory
    return limit or (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def device_limit(training: Training) -> tuple[float | None, str]:
    """Returns (bytes that training may take on its device, None: unknown; the source of this number, in words)."""
    if training.memory:
        return 1e9 * training.memory, "--memory allows"
    of_device = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return (of_device, "the device has") if of_device else (available(), "this machine has free")


def available(root: Path = Path("/")) -> float | None:
    """Bytes of free memory for this process, within the limits of its control groups; None: unknown."""
    free = [*_free_of_machine(root), *_free_of_groups(root)]
    if not free and hasattr(os, "sysconf"):
        free = [float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")]
    return min(free, default=None)


def rollout_length(recipe: Recipe) -> int:
    """Number of steps of a rollout. `make` is traced, so that no memory is allocated before its size is known."""
    found: list[int] = []
    jax.eval_shape(lambda: found.append(recipe.make(recipe.config, recipe.env).steps or recipe.env.spec.length))
    return found[0]


def _observation(recipe: Recipe) -> PyTree:
    """The observation of one game, as shapes."""
    return jax.eval_shape(recipe.env.reset, one_key())[1]


def _of_a_seed(recipe: Recipe, training: Training, shape: Carry, seeds: int) -> list[Part]:
    """The memory that `seeds` seeds take between two iterations."""
    leaves = checkpoint.named(shape.state)
    replay = size([x for name, x in leaves if "replay" in name])
    given = [f"algorithm.{name} ({x})" for name, x in _capacities(recipe.config)]
    capacity = " or ".join(given) or "the replay's size"
    of_seeds = f"seeds ({training.seeds}) or " if training.seeds > 1 else ""
    return [
        Part("replay", seeds * replay, of_seeds + capacity),
        Part("parameters", seeds * (size(shape.state) - replay + PER_SEED), of_seeds + "the sizes of networks"),
        Part("games", seeds * size((shape.play, shape.totals)), f"{of_seeds}envs ({training.envs})"),
    ]


def _capacities(settings: Any, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yields (name, value) of the settings for replay sizes, including those of a population's members."""
    for field in dataclasses.fields(settings) if dataclasses.is_dataclass(settings) else ():
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            yield from _capacities(value, f"{prefix}{field.name}.")
        elif field.name == "capacity":
            yield prefix + field.name, value


def _of_a_rollout(recipe: Recipe, training: Training, shape: Carry, steps: int, share: float) -> list[Part]:
    """The memory that is taken only for a time. share: the part of one rollout that is on one device."""
    games, episodes = training.envs, 2 * (training.evaluation_episodes or 1)
    seen = size(shape.play.observation) / games if shape.play else size(_observation(recipe))
    step = games * (seen + recipe.env.spec.agents * 8)  # with action and reward
    played = size(shape.play) / games * episodes + 8 * episodes * recipe.env.spec.length * recipe.env.spec.agents
    return [
        Part("rollout", share * steps * step, f"envs ({games}) or the {steps} steps of a rollout"),
        Part("evaluation", played, f"evaluation_episodes ({training.evaluation_episodes})"),
        Part("metrics", 4.0 * METRICS * training.chunk, f"chunk ({training.chunk})"),
    ]


def _held(parts: list[Part], limit: float | None, who: str) -> list[str]:
    """Compares the sum of the parts with the limit. Returns a line if the sum is large; raises ValueError if it does
    not fit."""
    total = sum(part.size for part in parts)
    if limit is None or total <= LARGE * limit:
        return []
    largest = sorted((part for part in parts if part.size > 0.05 * total), key=lambda part: -part.size)
    shares = ", ".join(f"{part.name} {_gb(part.size)}" for part in largest)
    text = f"the run takes at least {_gb(total)} GB of memory ({shares}), {who} {_gb(limit)}"
    if total > limit:
        raise ValueError(f"{text}: lower {largest[0].setting}")
    return [f"{text}; {largest[0].setting} would lower it"]


def _gb(size: float) -> str:
    return f"{size / 1e9:,.3g}" if size < 1e12 else f"{size / 1e9:,.0f}"


def _free_of_machine(root: Path) -> Iterator[float]:
    try:
        for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                yield 1024.0 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        return


def _free_of_groups(root: Path) -> Iterator[float]:
    """Yields the free bytes of this process's control groups and their parents, in version 1 or 2 of control groups:
    the limit minus the bytes that cannot be freed."""
    try:
        entries = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for entry in entries:
        _, kinds, path = [*entry.split(":", 2), "", ""][:3]
        if kinds and "memory" not in kinds.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if kinds else "")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if kinds else ("memory.max", "memory.current")
        folder = top / path.lstrip("/")
        for group in (folder, *folder.parents):
            if group != top and top not in group.parents:
                break
            limit, used = (_number(group / name) for name in names)
            if limit is not None and used is not None:
                yield max(limit - used + _reclaimable(group), 0.0)


def _number(file: Path) -> float | None:
    try:
        return float(int(file.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such file; "max"
        return None


def _reclaimable(group: Path) -> float:
    """Bytes of cached files that the system can free at once."""
    try:
        words = [line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines()]
    except OSError:
        return 0.0
    found: dict[str, Any] = {word[0]: word[1] for word in words if len(word) == 2}
    return float(found.get("total_inactive_file", found.get("inactive_file", 0)))
