"""Gets a run's programs ready: they are remembered by this process, fetched from disk, or compiled in parallel."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from jax.stages import Compiled, Lowered

from comity import rollout
from comity.recipes import Recipe
from comity.spec import functions
from comity.training import program_cache, programs, remembered, stepping
from comity.training.programs import PER_SEED, Programs
from comity.training.seeds import Seeds, executable, visible_cores
from comity.training.settings import Training


class Ready(NamedTuple):
    """Programs that can be called for all seeds."""

    by_name: Mapping[str, Callable[..., Any]]  # init, chunk, evaluate
    largest: Any  # the program whose memory decides how many seeds fit

    def call(self, seeds: Seeds, name: str, *arguments: Any) -> Any:
        """Runs a program for all seeds. arguments: those in `programs.Programs`; PerSeed if `PER_SEED` is True."""
        return seeds.call(self.by_name[name], arguments, PER_SEED[name])


def seeds_of(recipe: Recipe, training: Training, at_once: int | None = None) -> Seeds:
    """Makes the `Seeds` of a run: seeds run one after the other if Python steps the game, else as `training` says.

    Raises ValueError for a mode that is not possible with the game.
    """
    if functions(recipe.env).host is None:
        return Seeds(training.seeds, training.mode, at_once=at_once, games=training.envs)
    if training.mode not in ("auto", "loop"):
        raise ValueError(
            f"mode {training.mode}: Python steps {recipe.task.name}, one seed after the other: leave mode out"
        )
    return Seeds(training.seeds, "loop", workers=1, at_once=at_once, games=training.envs)


def built(
    recipe: Recipe, games: int, capacity: int, episodes: int, spread: rollout.Spread = rollout.unsharded
) -> Programs:
    """Builds the programs of a recipe, without compiling them. The arguments are those of `programs.programs`."""
    made = recipe.make, recipe.config, recipe.env, games, capacity, episodes
    return stepping.programs(*made) if functions(recipe.env).host else programs.programs(*made, spread)


def compiled(
    one: Programs, recipe: Recipe, seeds: Seeds, sizes: dict[str, int], names: Sequence[str] = (),
    known: remembered.Programs | None = None, heed: Callable[[], None] = lambda: None,
) -> Ready:  # fmt: skip
    """Compiles the programs `one`, or fetches them from this process's memory or from the disk.

    sizes: the sizes that `one` was built with, by name; names: the parts that are needed, empty: all; known: programs
    that this process remembers; heed: is called again and again while the function waits.
    """
    parts = {name: part for name, part in one.parts.items() if not names or name in names}
    known, pool = known or remembered.Programs(), ThreadPoolExecutor(visible_cores())
    made_from, shelf = remembered.made_from(recipe, seeds, **sizes), program_cache.shelf(recipe, seeds, **sizes)
    arguments = {name: seeds.arguments(part.arguments, part.per_seed) for name, part in parts.items()}
    first = {name: seeds.first(arguments[name], part.per_seed) for name, part in parts.items()}

    def finish(name: str, lowered: Lowered) -> Compiled:
        program = executable(lowered, often=parts[name].often)
        if shelf:
            shelf.keep(name, first[name], one.shape, program)
        return program

    try:
        ready = {name: x for name in parts if (x := known.fetch(made_from, name, first[name]))}
        wanted = [name for name in parts if shelf and name not in ready]
        fetched = {name: pool.submit(shelf.fetch, name, first[name], one.shape) for name in wanted if shelf}
        ready |= {name: found for name, future in fetched.items() if (found := future.result())}
        with program_cache.compiled_anew() if shelf else contextlib.nullcontext():
            compiling = {}  # outside of Python's lock: the slowest first, while the others are traced
            for name, part in parts.items():
                heed()
                if name not in ready:
                    lowered = seeds.lower(part.f, arguments[name], part.per_seed, part.donated)
                    compiling[name] = pool.submit(finish, name, lowered)
            while wait(compiling.values(), timeout=0.2).not_done:
                heed()
        ready |= {name: program.result() for name, program in compiling.items()}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # so that Ctrl-C does not wait
    for name, program in ready.items():
        known.keep(made_from, name, first[name], program)
    return Ready(one.join(ready), ready.get(one.largest))
