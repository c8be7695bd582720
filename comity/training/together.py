"""Trains several runs side by side by the same programs, if the runs differ only in floats and seeds.

Each run has its own loop, in a thread of its own, and so its own files: metrics, evaluations, checkpoints, log. The
loops' calls of programs are gathered. When every run that still trains has made its call, all calls are computed at
once, with one lane for each seed of each run. A run that ends, fails or is stopped leaves, and the others go on.

`loop`: the lanes are distributed over the cores, each with the program that the run would call alone, so bits are
equal. `vmap`: all lanes are one program, with the floats along the lanes; equal to a run alone up to float rounding.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from comity.recipes import Recipe
from comity.settings import floats
from comity.spec import functions
from comity.training import compile, memory
from comity.training.programs import PER_SEED, Program, Programs
from comity.training.seeds import Seeds, visible_cores
from comity.training.settings import Training
from comity.training.stopping import Stop

LANES = {name: (True, *each[1:]) for name, each in PER_SEED.items()}  # one value per lane; also of floats


def fits(recipe: Recipe, training: Training) -> bool:
    """True if the run can train together with others: it runs on one device, is not ended by a limit of wall or
    processor time, and Python does not step its game."""
    here = Seeds(1, training.mode, games=training.envs)
    here.close()
    by_clock = training.minutes or training.cpu_seconds
    return here.mode in ("loop", "vmap") and not by_clock and functions(recipe.env).host is None


class Call:
    """A run's call of a program, and its result."""

    def __init__(self, member: "Member", seeds: Seeds, name: str, arguments: tuple[Any, ...]):
        self.member, self.seeds, self.name, self.arguments = member, seeds, name, arguments
        self.result: Any = None
        self.error: BaseException | None = None
        self.over = False

    @property
    def alike(self) -> Any:
        """Calls with equal values of this are computed at once: the program's name, and arguments that lanes share."""
        shared = [x for x, each in zip(self.arguments, LANES[self.name], strict=True) if not each]
        return self.name, tuple(int(x) for x in shared)


class Together:
    """Runs that train side by side. They must differ only in floats and seeds."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.compiling = threading.Lock()
        self.stop = Stop()
        self.stop.begun = True  # the first signal asks all runs to save, a second one ends the process
        self.under_way, self.lanes = 0, 0
        self.asked: list[Call] = []
        self.wide: Wide | None = None  # vmap: the programs for all lanes
        self._pool = ThreadPoolExecutor(visible_cores(), thread_name_prefix="lane")

    def join(self, seeds: int) -> "Member":
        """Adds a run and returns its place. All runs are added before the first one begins."""
        self.under_way += 1
        self.lanes += seeds
        return Member(self)

    @contextlib.contextmanager
    def heeding(self, say: Callable[[str], Any]) -> Iterator[None]:
        """Handles signals inside, in the main thread: they ask all runs to save and stop."""
        with self.stop.listening(say):
            yield

    def call(self, call: Call) -> Any:
        with self.changed:
            self.asked.append(call)
            self._compute_if_all_have_asked()
            while not call.over:
                self.changed.wait()
        if call.error:
            raise call.error
        return call.result

    def leave(self) -> None:
        with self.changed:
            self.under_way -= 1
            self._compute_if_all_have_asked()

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def _compute_if_all_have_asked(self) -> None:
        if not self.asked or len(self.asked) < self.under_way:
            return
        groups: dict[Any, list[Call]] = {}
        for call in self.asked:
            groups.setdefault(call.alike, []).append(call)
        self.asked = []
        for calls in groups.values():
            try:
                results = self._at_once(calls) if self.wide else self._each(calls)
                for call, result in zip(calls, results, strict=True):
                    call.result = result
            except BaseException as error:
                for call in calls:
                    call.error = error
            for call in calls:
                call.over = True
        self.changed.notify_all()

    def _each(self, calls: Sequence[Call]) -> list[Any]:
        """Computes calls in mode `loop`: every seed's program by itself, over all cores."""

        def run(lane: tuple[Call, int]) -> Any:
            call, index = lane
            return jax.block_until_ready(call.member.by_name[call.name](*_of_seed(call, index)))

        lanes = [(call, index) for call in calls for index in range(call.seeds.count)]
        return _dealt(calls, list(self._pool.map(run, lanes)))

    def _at_once(self, calls: Sequence[Call]) -> list[Any]:
        """Computes calls in mode `vmap`: one program, in as many rounds as the memory needs."""
        assert self.wide
        name, counts = calls[0].name, [call.seeds.count for call in calls]
        given = []
        for position, lanes in enumerate(LANES[name]):
            own = [call.arguments[position] for call in calls]
            if not lanes:
                given.append(own[0])
            elif PER_SEED[name][position]:
                given.append(_concatenated([x for groups in own for x in groups]))
            else:  # floats: those of each run, repeated along its lanes
                given.append({k: np.repeat(np.asarray([x[k] for x in own], np.float32), counts) for k in own[0]})
        result, ends = self.wide.call(name, given, sum(counts)), np.cumsum(counts)
        parts = [_cut(result, end - count, end) for count, end in zip(counts, ends.tolist(), strict=True)]
        return [tuple([x] for x in part) if type(part) is tuple else [part] for part in parts]


def _concatenated(trees: Sequence[Any]) -> Any:
    return trees[0] if len(trees) == 1 else jax.tree.map(lambda *xs: jnp.concatenate(xs), *trees)


def _cut(tree: Any, first: int, end: int) -> Any:
    return jax.tree.map(lambda x: x[first:end], tree)


def _of_seed(call: Call, index: int) -> list[Any]:
    """The arguments of a call's program for one seed."""
    each = PER_SEED[call.name]
    return [call.seeds.of(x, index) if own else x for x, own in zip(call.arguments, each, strict=True)]


def _dealt(calls: Sequence[Call], results: list[Any]) -> list[Any]:
    """Splits the results of lanes by call, in the form that `Seeds.call` returns in mode `loop`."""
    found, rest = [], iter(results)
    for call in calls:
        mine = [next(rest) for _ in range(call.seeds.count)]
        found.append(tuple(map(list, zip(*mine, strict=True))) if type(mine[0]) is tuple else mine)
    return found


class Wide:
    """Programs over lanes, compiled for `seeds.count` lanes."""

    def __init__(self, seeds: Seeds, ready: compile.Ready):
        self.seeds, self.ready = seeds, ready

    def call(self, name: str, arguments: Sequence[Any], count: int) -> Any:
        """Returns the result for `count` lanes. If fewer are left than the programs have, the last lane is repeated."""
        width, each, rounds = self.seeds.count, LANES[name], []
        for first in range(0, count, width):
            end = min(first + width, count)
            own = [_filled(x, first, end, width) if lanes else x for x, lanes in zip(arguments, each, strict=True)]
            given = [[x] if lanes else x for x, lanes in zip(own, each, strict=True)]
            result = self.seeds.call(self.ready.by_name[name], given, each)
            whole = tuple(x[0] for x in result) if type(result) is tuple else result[0]
            rounds.append(_cut(whole, 0, end - first))
        return _concatenated(rounds)


def _filled(tree: Any, first: int, end: int, width: int) -> Any:
    """The lanes from `first` to `end`, filled up to `width` lanes with copies of the last one."""
    at = np.minimum(np.arange(first, first + width), end - 1)
    whole = first == 0 and all(x.shape[0] == width for x in jax.tree.leaves(tree))
    return tree if whole else jax.tree.map(lambda x: x[at], tree)


class Member:
    """The place of one run. Its loop calls this object instead of programs of its own."""

    by_name: Any
    largest: Any

    def __init__(self, together: Together):
        self.together = together
        self.left = False

    @property
    def stop(self) -> Stop:
        """The `Stop` of the run, which follows the signals for all runs."""
        return Stop(self.together.stop)

    def compiled(
        self, one: Programs, recipe: Recipe, seeds: Seeds, training: Training, sizes: dict[str, int], **known: Any
    ) -> "Member":
        """Compiles the programs in the first run that calls this; the other runs share them."""
        with self.together.compiling:
            if seeds.mode == "loop":
                ready = compile.compiled(one, recipe, seeds, sizes, **known)
                self.by_name, self.largest = ready.by_name, ready.largest
            elif self.together.wide is None:
                self.together.wide = _wide(one, recipe, training, sizes, self.together.lanes, known)
        return self

    def call(self, seeds: Seeds, name: str, *arguments: Any) -> Any:
        """Does the same as `compile.Ready.call`."""
        return self.together.call(Call(self, seeds, name, arguments))

    def leave(self) -> None:
        """Removes the run, so that the others do not wait for it."""
        if not self.left:
            self.left = True
            self.together.leave()


def _wide(
    one: Programs, recipe: Recipe, training: Training, sizes: dict[str, int], lanes: int, known: dict[str, Any]
) -> Wide:
    """Compiles the programs for all lanes, or for as many as fit into the memory."""
    numbers = {name: jax.ShapeDtypeStruct((), np.float32) for name in floats(recipe.config)}

    def parts_of(shape: Any) -> dict[str, Program]:
        parts = one.parts_of(shape)
        return {
            name: part._replace(arguments=(numbers, *part.arguments[1:]), per_seed=LANES[name])
            for name, part in parts.items()
        }

    programs = Programs(one.init, one.chunk, one.evaluate, one.made, one.floats, parts_of, one.join)
    limit = memory.of_programs(training)
    while True:
        seeds = Seeds(lanes, "vmap", games=training.envs)
        ready = compile.compiled(programs, recipe, seeds, sizes, **known)
        fitting = seeds.fitting(limit, ready.largest, memory.size(programs.shape)) if limit else lanes
        if fitting >= lanes:
            return Wide(seeds, ready)
        seeds.close()
        lanes = fitting


def alike(recipe: Recipe, training: Training, config: dict[str, Any]) -> Any:
    """Runs with equal values of this can train together; None if the run cannot train together with others.

    config: the run's config.
    """
    if not fits(recipe, training):
        return None
    traced = floats(recipe.config)
    settings = {name: x for name, x in _flat(config["algorithm"]) if name not in traced}
    own = {name: x for name, x in config["training"].items() if name not in ("first_seed", "seeds", "track")}
    return repr((config["task"], sorted(settings.items(), key=str), sorted(own.items())))


def _flat(section: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """(name, value) of all settings, by the names that `floats` gives them."""
    found = []
    for name, value in section.items():
        found += _flat(value, f"{before}{name}.") if isinstance(value, dict) else [(before + name, value)]
    return found
