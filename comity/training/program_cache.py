"""A cache of compiled programs on disk. A program of an earlier process is neither traced nor compiled again.

The key of jax's own cache is the lowered program, which takes seconds to trace and lower. Here the key is everything
that a program is made from: every file of comity, the game, the algorithm's choices and sizes, shapes, versions, the
machine and jax's settings. A user's own file may import files that are not seen here, and code may change while it
runs. So programs are kept only for games and algorithms that are shipped with comity, only if comity's files have not
changed since this process began, and only if the variable COMITY_PROGRAMS names a folder, as the command line does.

Reading a program runs code, by pickle and as machine code. So the folder must belong to the user, with mode 0700, and
every file has a MAC over its name and content with a key of the user's (`comity.runs.private`). Somebody who can write
to the folder, or persuades the user to unpack files there, does not have that key. Without a key nothing is read or
kept.
"""

import contextlib
import dataclasses
import functools
import hashlib
import hmac
import json
import os
import pickle
import platform
import re
import stat
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from jax.stages import Compiled

import comity
from comity.recipes import Recipe
from comity.runs import private, writing
from comity.settings import floats
from comity.training.machine import features, fingerprint, hardware, versions
from comity.training.seeds import Seeds, executable
from comity.types import PyTree

FOLDER = "COMITY_PROGRAMS"  # environment variable; empty: nothing is kept
LARGEST = 1 << 30  # bytes of all files; the least recently used file is removed first
BEGAN = time.time()
KNOWN = "known"
MAGIC, MAC_BYTES = b"comity program 2\n", 32  # the start of a file: a mark, then the MAC of the rest
NAME = re.compile(r"[a-z]+-[0-9a-f]{32}")


class Shelf(NamedTuple):
    """The place of one run's programs in the cache."""

    folder: Path
    made_from: str  # digest of everything that the programs are made from, except the shapes of their arguments

    def fetch(self, name: str, arguments: Sequence[Any], known: PyTree) -> Compiled | None:
        """Reads the program `name` for arguments of these shapes; None if there is none that can be read.

        known: a tree with the structure of the outputs or of parts of them; other parts are tuples and dictionaries.
        """
        path = self._path(name, arguments)
        try:
            raw = path.read_bytes()
            start = len(MAGIC) + MAC_BYTES
            content = raw[start:]
            if not hmac.compare_digest(raw[:start], MAGIC + _mac(path.name, content)):
                return None
            from jax.experimental.serialize_executable import deserialize_and_load

            program, outputs = pickle.loads(content)
            given, returned = jax.tree.structure((tuple(arguments), {})), _structure(outputs, known)
            compiled = deserialize_and_load(program, given, returned)
            os.utime(path)
        except Exception:  # a file of another jax, half a file, no such file: the program is compiled instead
            return None
        return compiled

    def keep(self, name: str, arguments: Sequence[Any], known: PyTree, compiled: Compiled) -> None:
        """Keeps a program if that is possible; if not, training goes on without."""
        try:
            from jax.experimental.serialize_executable import serialize

            program, _, returned = serialize(compiled)
            outputs = jax.tree.unflatten(returned, [0] * returned.num_leaves)
            content = pickle.dumps((program, _described(outputs, known)))
            path = self._path(name, arguments)
            writing.write_bytes(path, MAGIC + _mac(path.name, content) + content)
            _make_room(self.folder)
        except Exception:  # a full disk, a program that holds constants: the next process compiles it
            return

    def _path(self, name: str, arguments: Sequence[Any]) -> Path:
        leaves, structure = jax.tree.flatten(tuple(arguments))
        shapes = [(str(x.dtype), x.shape, getattr(x, "weak_type", False)) for x in map(_shaped, leaves)]
        return self.folder / f"{name}-{_digest([self.made_from, str(structure), shapes])}"


def shelf(recipe: Recipe, seeds: Seeds, **sizes: int) -> Shelf | None:
    """The `Shelf` of a run's programs; None if they are not kept. sizes: further sizes that they are built with."""
    folder = os.environ.get(FOLDER)
    if (
        not folder
        or not (recipe.task.shipped and recipe.algorithm.shipped)
        or len(jax.devices()) > 1
        or not (sources := _sources())
    ):  # devices of other hosts count, too
        return None
    if not private.usable(Path(folder).expanduser()) or private.key() is None:
        return None
    made = recipe.describe()
    for name in floats(recipe.config):
        *inside, setting = name.split(".")
        functools.reduce(lambda section, name: section[name], inside, made["algorithm"])[setting] = "an argument"
    surroundings = {name: os.environ.get(name, "") for name in ("XLA_FLAGS", "COMITY_UNROLL")}
    settings = {k: str(v) for k, v in jax.config.values.items() if "cache" not in k}
    machine = [*_machine(seeds), sys.version, versions()]
    # A set prints in another order in every process. These names do not change a program, so they are left out.
    spec = repr(dataclasses.replace(recipe.env.spec, unread=frozenset()))
    facts = [sources, made, spec, seeds.mode, sizes, surroundings, settings, machine]
    return Shelf(Path(folder).expanduser(), _digest(facts))


def _machine(seeds: Seeds) -> list[Any]:
    """The facts about the machine that a program depends on; for a CPU its instruction sets, not its name."""
    bits, about = fingerprint(seeds.mode), hardware()
    if jax.default_backend() == "cpu":
        bits["device"], about = features(), {"cores": about["cores"]}
    return [bits, about, platform.machine(), platform.system()]


def _mac(name: str, content: bytes) -> bytes:
    key = private.key()
    if key is None:
        raise ValueError("there is no key")
    return hmac.digest(key, name.encode() + b"\0" + content, "sha256")


def program(shelf: Shelf | None, name: str, seeds: Seeds, f: Callable, arguments: Sequence, per_seed: Sequence[bool]):
    """Fetches `f` from the shelf or compiles it for all seeds. `f` runs seldom and returns numbers by name."""
    first = seeds.first(arguments, per_seed)
    if shelf and (found := shelf.fetch(name, first, ())):
        return found
    with compiled_anew() if shelf else contextlib.nullcontext():
        compiled = executable(seeds.lower(f, arguments, per_seed), often=False)
    if shelf:
        shelf.keep(name, first, (), compiled)
    return compiled


@contextlib.contextmanager
def compiled_anew():
    """Turns jax's cache off inside. On a CPU a program that is loaded from it would be kept without its kernels."""
    used = jax.config.jax_enable_compilation_cache  # pyright: ignore[reportAttributeAccessIssue]
    try:
        _ask_the_cache(False)
        yield
    finally:
        _ask_the_cache(used)


def _ask_the_cache(used: bool) -> None:
    jax.config.update("jax_enable_compilation_cache", used)
    reset_cache()  # jax remembers whether the cache is used


def files() -> tuple[Path, ...]:
    """All Python files of comity, since programs may depend on any of them."""
    return tuple(sorted(Path(comity.__file__).parent.rglob("*.py")))


def _sources() -> str | None:
    """Digest of comity's files; None if one has changed since this process began, because the imported code may then
    differ from the file."""
    here = files()
    newest = max((file.stat().st_mtime for file in here), default=BEGAN)
    return _contents(here) if newest < BEGAN - 1 else None


@functools.cache
def _contents(files: tuple[Path, ...]) -> str:
    return _digest([(str(file), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files])


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _shaped(leaf: Any) -> Any:
    return leaf if hasattr(leaf, "dtype") else jax.typeof(leaf)


def _described(outputs: PyTree, known: PyTree) -> PyTree:
    """Replaces the parts of `outputs` that have the structure of `known` by a word, because pickling changes classes.

    Raises ValueError if other parts change by pickling, too.
    """
    structure = jax.tree.structure(known)
    same = lambda part: jax.tree.structure(part) == structure  # noqa: E731
    described = jax.tree.map(lambda part: KNOWN if same(part) else 0, outputs, is_leaf=same)
    if jax.tree.structure(pickle.loads(pickle.dumps(described))) != jax.tree.structure(described):
        raise ValueError("these outputs cannot be described")
    return described


def _structure(described: PyTree, known: PyTree) -> Any:
    """The structure of the outputs that `_described` describes."""
    return jax.tree.structure(jax.tree.map(lambda part: known if part == KNOWN else part, described))


def _make_room(folder: Path) -> None:
    """Removes the least recently used programs until the rest fit. Other files in the folder are not touched."""
    found = []
    for path in folder.iterdir():
        about = path.lstat()
        if NAME.fullmatch(path.name) and stat.S_ISREG(about.st_mode) and _is_program(path):
            found.append((about.st_mtime, about.st_size, path))
    room = LARGEST - sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if room >= 0:
            return
        path.unlink(missing_ok=True)
        room += size


def _is_program(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC
