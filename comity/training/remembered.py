"""Compiled programs that this process remembers, so that a second `comity.train` with the same settings compiles
nothing; and the command line's caches on disk, for use from Python.

The key of a program is everything that Python can compare: `make`, the game, the algorithm's choices and sizes, shapes,
jax's settings. Only frozen dataclasses of plain values can be compared. With any other object no program is remembered,
because the object may have changed. A class or a function that is defined again is a different one. Values that a
function reads besides its arguments are not seen, as with `jax.jit`: reload the module after changing them.
"""

import contextlib
import dataclasses
import os
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from jax.stages import Compiled

from comity.recipes import Recipe
from comity.runs.private import own_cache
from comity.settings import floats
from comity.training.program_cache import FOLDER
from comity.training.seeds import Seeds

MOST = 24  # programs; the least recently used is dropped first. Each holds memory maps, see ARCHITECTURE.md
JAX_FOLDER = "JAX_COMPILATION_CACHE_DIR"


class Programs:
    """The compiled programs of one process, by the facts that they are made from."""

    def __init__(self):
        self.known: OrderedDict[Hashable, Compiled] = OrderedDict()

    def clear(self) -> None:
        self.known.clear()

    def fetch(self, made_from: Hashable, name: str, arguments: Sequence[Any]) -> Compiled | None:
        """The program for arguments of these shapes; None if it is not known. made_from: see `made_from` below."""
        question = (made_from, name, _shapes(arguments))
        if made_from is None or question not in self.known:
            return None
        self.known.move_to_end(question)
        return self.known[question]

    def keep(self, made_from: Hashable, name: str, arguments: Sequence[Any], compiled: Compiled) -> None:
        if made_from is None:
            return
        self.known[(made_from, name, _shapes(arguments))] = compiled
        while len(self.known) > MOST:
            self.known.popitem(last=False)


def made_from(recipe: Recipe, seeds: Seeds, **sizes: int) -> Hashable:
    """Everything that a run's programs are made from, except shapes; None if a part of it cannot be compared."""
    if not (comparable(recipe.env) and comparable(recipe.config)):
        return None
    traced = floats(recipe.config)
    choices = tuple((name, x) for name, x in _settings(recipe.config) if name not in traced)
    surroundings = tuple(os.environ.get(name, "") for name in ("XLA_FLAGS", "COMITY_UNROLL"))
    settings = tuple((k, str(v)) for k, v in sorted(jax.config.values.items()) if "cache" not in k)
    game = (type(recipe.env), _told_apart(recipe.env))
    made = (recipe.make, type(recipe.config), _told_apart(choices), game)
    return made, seeds.mode, tuple(sorted(sizes.items())), surroundings, settings, tuple(jax.devices())


def comparable(x: Any) -> bool:
    """True if equality proves sameness: for plain values, and for frozen dataclasses and tuples of such values."""
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        frozen = x.__dataclass_params__.frozen and x.__dataclass_params__.eq  # pyright: ignore[reportAttributeAccessIssue]
        return frozen and all(comparable(value) for _, value in _fields(x))
    if isinstance(x, tuple):
        return all(map(comparable, x))
    return x is None or type(x) in (bool, int, float, str, bytes)


def _told_apart(x: Any) -> Hashable:
    """The value with its types. 1, 1.0 and True are equal, but they make different programs."""
    if dataclasses.is_dataclass(x):
        return type(x), tuple((name, _told_apart(value)) for name, value in _fields(x))
    return (type(x), tuple(map(_told_apart, x))) if isinstance(x, tuple) else (type(x), x)


def _fields(settings: Any) -> list[tuple[str, Any]]:
    if not dataclasses.is_dataclass(settings):
        return []
    return [(f.name, getattr(settings, f.name)) for f in dataclasses.fields(settings)]


def _settings(settings: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """(name, value) of all fields. Fields of settings inside settings have the names that `floats` gives them."""
    found = []
    for name, value in _fields(settings):
        inside = dataclasses.is_dataclass(value)
        found += _settings(value, f"{prefix}{name}.") if inside else [(prefix + name, value)]
    return found


def _shapes(arguments: Sequence[Any]) -> Hashable:
    leaves, structure = jax.tree.flatten(tuple(arguments))
    typed = [x if hasattr(x, "dtype") else jax.typeof(x) for x in leaves]
    return structure, tuple((str(x.dtype), x.shape, getattr(x, "weak_type", False)) for x in typed)


@contextlib.contextmanager
def caches_on_disk() -> Iterator[None]:
    """Uses the command line's caches while a training from Python runs. Caches that the user has set are kept."""
    programs = own_cache("programs") if FOLDER not in os.environ else None
    unset = jax.config.jax_compilation_cache_dir is None and JAX_FOLDER not in os.environ  # pyright: ignore[reportAttributeAccessIssue]
    jaxs = own_cache("jax") if unset else None
    slow = jax.config.jax_persistent_cache_min_compile_time_secs  # pyright: ignore[reportAttributeAccessIssue]
    if programs:
        os.environ[FOLDER] = str(programs)
    if jaxs:
        _use(str(jaxs), 0.3)
    try:
        yield
    finally:
        if programs:
            del os.environ[FOLDER]
        if jaxs:
            _use(None, slow)


def _use(folder: str | None, seconds: float) -> None:
    """Puts jax's cache into a folder, for programs that take more than `seconds` to compile."""
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)
    reset_cache()  # jax remembers which folder it used
