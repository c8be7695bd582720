"""Runs several seeds of one run. A program is written for one seed; only this module decides how seeds run.

`loop` (CPU): one compiled program, called for each seed from as many threads as there are cores; XLA releases Python's
lock, so the cores stay busy. Seed i alone and seed i among ten run the same program, so their bits are equal.
`vmap` (an accelerator): one program over a seed axis; equal to `loop` up to float rounding, because sums are ordered
differently. `shard` (several devices): the seed axis is cut into one piece for each device, and a device runs its seeds
as an accelerator or a CPU does; nothing is sent between devices. `games` (several devices, few seeds): `vmap` with the
games of every seed sharded over the devices; XLA adds up the devices' results. docs/performance.md has the
measurements.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.stages import Compiled, Lowered

from comity.training import processes
from comity.types import PyTree

Mode = Literal["loop", "vmap", "shard", "games"]
PerSeed = list[Any]  # loop: one tree for each seed; else: one tree for each group, with a leading seed axis


class Seeds:
    """Runs one-seed programs for all of `count` seeds, at most `at_once` of them at a time.

    In `vmap` and `shard` all groups have the same size, in `shard` a multiple of the number of devices; the last seed
    is repeated to fill the last group. Groups that wait while another one runs are kept in the host's memory.
    """

    def __init__(
        self,
        count: int,
        mode: Literal["auto", "loop", "vmap", "shard", "games"] = "auto",
        workers: int | None = None,
        at_once: int | None = None,
        games: int = 1,
    ):
        """games: number of games of each seed; mode `games` needs a multiple of the number of devices. Raises
        ValueError."""
        self.count, devices = count, jax.devices()
        if mode == "games" and games % len(devices):
            raise ValueError(
                f"mode games: {games} envs cannot be spread evenly over {len(devices)} devices: give a multiple, or "
                "mode shard"
            )
        here = "loop" if jax.default_backend() == "cpu" else "vmap" if len(devices) == 1 else "shard"
        self.mode: Mode = here if mode == "auto" else mode
        self.at_once = min(at_once or count, count)
        self.workers = min(workers or visible_cores(), self.at_once) if self.mode == "loop" else 1
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="seed")
        self.devices = len(devices) if self.mode == "shard" else 1
        groups = -(-count // self.at_once)
        self.size = -(-count // groups // self.devices) * self.devices  # seeds of a group
        self.groups = range(-(-count // self.size))
        self._mesh = Mesh(np.array(devices), (self._axis,)) if self.mode in ("shard", "games") else None

    @property
    def _axis(self) -> str:
        """The name of the axis that is sharded over devices."""
        return "seeds" if self.mode == "shard" else "games"

    @property
    def spread(self) -> Callable[[PyTree], PyTree]:
        """The function that shards the games of one seed over the devices, for a tree with leaves [B, ...]. It is
        traced as a part of programs."""
        if self.mode != "games":
            return lambda tree: tree
        over = NamedSharding(self._mesh, PartitionSpec(self._axis))  # pyright: ignore[reportArgumentType]
        return lambda tree: jax.tree.map(lambda x: lax.with_sharding_constraint(x, over), tree)

    def join(self, trees: Sequence[PyTree]) -> PerSeed:
        if self.mode == "loop":
            return list(trees)
        wanted = [[min(g * self.size + i, self.count - 1) for i in range(self.size)] for g in self.groups]
        return [jax.tree.map(lambda *xs: jnp.stack(xs), *(trees[i] for i in group)) for group in wanted]

    def of(self, data: PerSeed, index: int) -> PyTree:
        if self.mode == "loop":
            return data[index]
        return jax.tree.map(lambda x: x[index % self.size], data[index // self.size])

    def each(self, data: PerSeed) -> list[PyTree]:
        """The tree of every seed, on the host. A group is fetched as a whole, not array by array for each seed."""
        if self.mode == "loop":
            return list(data)
        here = [jax.device_get(group) for group in data]
        return [self.of(here, index) for index in range(self.count)]

    def shapes(self, one: PyTree) -> PerSeed:
        """The shapes of all seeds' trees, from those of one seed."""
        if self.mode == "loop":
            return [one] * self.count
        group = jax.tree.map(lambda x: jax.ShapeDtypeStruct((self.size, *x.shape), x.dtype), one)
        return [group for _ in self.groups]

    def part(self, f: Callable[[PyTree], PyTree], data: PerSeed) -> PerSeed:
        """The part f(tree) of every seed's tree, such as a field."""
        return [f(tree) for tree in data]

    def arguments(self, of_one: Sequence, per_seed: Sequence[bool]) -> list[Any]:
        """The arguments with which a program for all seeds is lowered, from the shapes of one seed's arguments."""
        return [self.shapes(x) if each else x for x, each in zip(of_one, per_seed, strict=True)]

    def first(self, arguments: Sequence, per_seed: Sequence[bool]) -> list[Any]:
        """The arguments of the first call of a program."""
        return [x[0] if each else x for x, each in zip(arguments, per_seed, strict=True)]

    def lower(self, f: Callable, arguments: Sequence, per_seed: Sequence[bool], donate: Sequence[int] = ()):
        """Traces `f` for these arguments; those marked in `per_seed` have one value for each seed.

        Returns a lowered program. `executable` compiles it, and `call` runs the result.
        """
        first = self.first(arguments, per_seed)
        if self.mode == "loop":
            return jax.jit(f, donate_argnums=tuple(donate)).lower(*first)
        together = jax.vmap(f, tuple(0 if each else None for each in per_seed))
        if self._mesh is None:
            return jax.jit(together, donate_argnums=tuple(donate)).lower(*first)
        if self.mode == "games":
            lies, donated = self._lying, tuple(donate)
            return jax.jit(together, in_shardings=lies, out_shardings=lies, donate_argnums=donated).lower(*first)
        specs = tuple(PartitionSpec("seeds") if each else PartitionSpec() for each in per_seed)
        inside = _in_turn(f, per_seed) if jax.default_backend() == "cpu" else together
        out = PartitionSpec("seeds")
        mapped = jax.shard_map(inside, mesh=self._mesh, in_specs=specs, out_specs=out, check_vma=False)
        placed = lambda spec: NamedSharding(self._mesh, spec)  # noqa: E731  # pyright: ignore[reportArgumentType]
        shardings = {"in_shardings": tuple(map(placed, specs)), "out_shardings": placed(out)}
        return jax.jit(mapped, **shardings, donate_argnums=tuple(donate)).lower(*first)

    def call(self, compiled: Callable, arguments: Sequence, per_seed: Sequence[bool]) -> Any:
        """Runs a compiled program for all seeds and waits. For a program that returns a tuple, a tuple of PerSeed."""

        def run(index: int):
            own = [x[index] if each else x for x, each in zip(arguments, per_seed, strict=True)]
            if self.mode == "loop":
                return jax.block_until_ready(compiled(*own))
            own = [self._placed(x) if each else x for x, each in zip(own, per_seed, strict=True)]
            return self._gathered(jax.block_until_ready(compiled(*own)))

        results = list(self._pool.map(run, range(self.count) if self.mode == "loop" else self.groups))
        return tuple(map(list, zip(*results, strict=True))) if type(results[0]) is tuple else results

    def fitting(self, memory: float, compiled: Any, state: float) -> int:
        """Number of seeds that can run at once within `memory` bytes of a device.

        compiled: the training program; state: bytes of one seed's carry. Raises ValueError if not one seed fits.
        """
        about = compiled.memory_analysis()
        if about is None:  # this backend has no memory analysis
            return self.at_once
        needs = about.argument_size_in_bytes + about.output_size_in_bytes + about.temp_size_in_bytes
        needs -= about.alias_size_in_bytes
        if self.mode == "loop":  # the states of all seeds stay in memory
            fit = int((memory - self.count * state) // max(needs - state, 1))
            least = self.count * state + needs - state
        else:
            fit = int(memory * self.size // max(needs, 1) // self.devices) * self.devices
            least = needs / self.size * self.devices
        if fit < 1:
            raise ValueError(
                f"memory {memory / 1e9:g} GB is too little for this run, which takes about {least / 1e9:.2g} GB at "
                "least: give more, or fewer seeds or envs, or a smaller replay (capacity)"
            )
        return min(fit, self.at_once)

    def close(self) -> None:
        self._pool.shutdown(wait=False)  # nothing runs, unless Ctrl-C came twice, and then nothing must wait

    def _placed(self, tree: PyTree) -> PyTree:
        """Puts a group's tree on the devices that run it."""
        if self._mesh is None:
            return jax.device_put(tree, jax.local_devices()[0])
        return processes.spread(tree, self._lying)

    @property
    def _lying(self) -> NamedSharding:
        """The sharding of a group's tree between two programs: one piece on each device, or a copy on each device."""
        spec = PartitionSpec("seeds") if self.mode == "shard" else PartitionSpec()
        return NamedSharding(self._mesh, spec)  # pyright: ignore[reportArgumentType]

    def _gathered(self, tree: PyTree) -> PyTree:
        """Gathers a group's results in every process. If there are several groups, moves them to the host's memory."""
        tree = processes.gathered(tree)
        return tree if len(self.groups) == 1 else jax.device_put(tree, jax.local_devices(backend="cpu")[0])


def _in_turn(f: Callable, per_seed: Sequence[bool]) -> Callable:
    """Maps `f` over leading seed axes, one seed after the other."""

    def mapped(*arguments):
        def one(own):
            rest = iter(own)
            return f(*(next(rest) if each else x for x, each in zip(arguments, per_seed, strict=True)))

        return lax.map(one, [x for x, each in zip(arguments, per_seed, strict=True) if each])

    return mapped


def executable(lowered: Lowered, often: bool = True) -> Compiled:
    """Compiles a lowered program, for `Seeds.call`. often: it runs many times, so its speed counts for more than its
    compile time."""
    return lowered.compile(compiler_options=compiler_options(often))


def compiler_options(often: bool = True) -> dict[str, Any]:
    """Options of XLA's compiler for CPUs, except those that the variable XLA_FLAGS sets; none for other backends.

    At LLVM's level 1 programs of small kernels run and compile faster than at level 3. Without the newer emitters of
    fused loops they compile faster still, but learning is slower (docs/performance.md).
    """
    if jax.default_backend() != "cpu":
        return {}
    options = {"xla_backend_optimization_level": 1, **({} if often else {"xla_cpu_use_fusion_emitters": False})}
    return {name: value for name, value in options.items() if name not in os.environ.get("XLA_FLAGS", "")}


def visible_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
