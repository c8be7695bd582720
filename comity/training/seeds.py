"""Several seeds of one run. A program is written for one seed; how seeds run is decided here and nowhere else.

`loop` (CPU): one compiled program, called for each seed from as many threads as there are cores; XLA releases Python's
lock, so the cores stay busy. Seed i alone and seed i among ten are then the same program, hence the same bits.
`vmap` (accelerators): one program over a seed axis; equal to `loop` up to float rounding, because sums are ordered
differently. docs/performance.md has the measurements.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import jax
import jax.numpy as jnp

from comity.types import PyTree

Mode = Literal["loop", "vmap"]
PerSeed = Any  # loop: a list with one tree per seed; vmap: one tree with a leading seed axis


class Seeds:
    """Runs one-seed programs for all of `count` seeds."""

    def __init__(self, count: int, mode: Literal["auto", "loop", "vmap"] = "auto", workers: int | None = None):
        self.count = count
        self.mode: Mode = ("loop" if jax.default_backend() == "cpu" else "vmap") if mode == "auto" else mode
        self.workers = min(workers or visible_cores(), count) if self.mode == "loop" else 1
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="seed")

    def join(self, trees: Sequence[PyTree]) -> PerSeed:
        return list(trees) if self.mode == "loop" else jax.tree.map(lambda *xs: jnp.stack(xs), *trees)

    def of(self, data: PerSeed, index: int) -> PyTree:
        return data[index] if self.mode == "loop" else jax.tree.map(lambda x: x[index], data)

    def shapes(self, one: PyTree) -> PerSeed:
        """Shapes of all seeds' trees, from one seed's."""
        if self.mode == "loop":
            return [one] * self.count
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct((self.count, *x.shape), x.dtype), one)

    def part(self, f: Callable[[PyTree], PyTree], data: PerSeed) -> PerSeed:
        """The part f(tree) of every seed's tree, such as a field."""
        return [f(tree) for tree in data] if self.mode == "loop" else f(data)

    def lower(self, f: Callable, arguments: Sequence, per_seed: Sequence[bool], donate: Sequence[int] = ()):
        """Traces `f` for these arguments; those marked in `per_seed` have one value for each seed.

        Returns a lowered program: `.compile()` it and pass the result to `call`.
        """
        if self.mode == "loop":
            one = [self.of(x, 0) if each else x for x, each in zip(arguments, per_seed, strict=True)]
            return jax.jit(f, donate_argnums=tuple(donate)).lower(*one)
        axes = tuple(0 if each else None for each in per_seed)
        return jax.jit(jax.vmap(f, axes), donate_argnums=tuple(donate)).lower(*arguments)

    def call(self, compiled: Callable, arguments: Sequence, per_seed: Sequence[bool]) -> Any:
        """Runs a compiled program for all seeds and waits. A program that returns a tuple gives a tuple of PerSeed."""
        if self.mode == "vmap":
            return jax.block_until_ready(compiled(*arguments))

        def one(index: int):
            own = [x[index] if each else x for x, each in zip(arguments, per_seed, strict=True)]
            return jax.block_until_ready(compiled(*own))

        results = list(self._pool.map(one, range(self.count)))
        return tuple(map(list, zip(*results, strict=True))) if type(results[0]) is tuple else results

    def close(self) -> None:
        self._pool.shutdown(wait=False)  # nothing is under way, unless Ctrl-C came twice, which must not wait


def visible_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
