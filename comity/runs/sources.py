"""A user's own Python files: those that a game or an algorithm is made of, their hashes, and their copies in a run."""

import ast
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from comity.runs.reading import Unreadable, read_json

MOST_FILES, MOST_BYTES = 500, 1 << 24
TABLE = "files.json"  # lies in a run's source/


class Files(NamedTuple):
    """A user's file and all files that it imports from its own folder."""

    root: Path  # the folder in which modules are searched
    main: str  # the file itself, relative to it: my_game.py, package/my_game.py
    content: Mapping[str, bytes]  # by path relative to `root`

    @property
    def path(self) -> Path:
        return self.root / self.main

    @property
    def version(self) -> str:
        """Eight digits: the hash of the file, or of all files if it imports others from its folder."""
        if len(self.content) == 1:
            return content_hash(self.content[self.main])
        listed = [[name, hashlib.sha256(data).hexdigest()] for name, data in sorted(self.content.items())]
        return content_hash(json.dumps([self.main, listed]).encode())

    @property
    def digest(self) -> str:
        """Hash of the place and of every byte."""
        listed = [(name, hashlib.sha256(data).hexdigest()) for name, data in sorted(self.content.items())]
        return hashlib.sha256(repr((str(self.root.absolute()), self.main, listed)).encode()).hexdigest()[:16]

    def binds(self, name: str) -> bool:
        """True if the file's own text defines, assigns or imports `name`. Nothing is run."""
        return any(bound in (name, "*") for bound in _bound(_parsed(self.content[self.main], self.main)))


def content_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]


def of_file(file: Path) -> Files:
    """Collects a file and all files that it imports from its folder. Raises ValueError, OSError."""
    return of_module(file.parent, file.name)


def of_module(root: Path, main: str, only: str | None = None) -> Files:
    """Collects the file `main` below `root` and all files that it imports from there. Nothing is run.

    only: the package to which imports are limited. Raises ValueError if there are too many files or bytes, OSError.
    """
    content: dict[str, bytes] = {}
    waiting, size = [main, *_packages(main)], 0
    while waiting:
        name = waiting.pop()
        if name in content or not (root / name).is_file():
            continue
        content[name] = (root / name).read_bytes()
        size += len(content[name])
        if len(content) > MOST_FILES or size > MOST_BYTES:
            raise ValueError(
                f"{root / main} imports more than {MOST_FILES} files or {MOST_BYTES >> 20} MiB from {root}: a run "
                "keeps a copy of them; put the game into a folder with what it needs"
            )
        for module in _imported(_parsed(content[name], str(root / name)), name):
            if not only or module.partition(".")[0] == only:
                waiting += _files_run(root, module, main)
    return Files(root, main, content)


def _parsed(data: bytes, name: str) -> ast.Module:
    """Parses a file; an empty module if it is not Python, because importing it later reports the error and its line."""
    try:
        return ast.parse(data, name)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _imported(tree: ast.Module, name: str) -> Iterator[str]:
    """Dotted names of modules that a file may import anywhere. Some may be names inside a module instead."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = list(PurePosixPath(name).parts[: -node.level]) if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names if node.level or base)


def _files_run(root: Path, module: str, main: str) -> list[str]:
    """Files below `root` that importing `module` runs: the module's file and those of the packages around it."""
    parts = module.split(".")
    top = root / parts[0]
    if parts[0] == "comity" or main == f"{parts[0]}.py":
        return []
    regular = top.with_suffix(".py").is_file() or (top / "__init__.py").is_file()
    # A folder without __init__.py counts only if nothing else has this name, as in Python.
    if not regular and (not top.is_dir() or parts[0] in sys.modules or _installed(parts[0], root)):
        return []
    found = []
    for depth in range(1, len(parts) + 1):
        path = "/".join(parts[:depth])
        found += [name for name in (f"{path}/__init__.py", f"{path}.py") if (root / name).is_file()][:1]
    return found


def _installed(top: str, root: Path) -> bool:
    try:
        spec = importlib.util.find_spec(top)  # a name without dots, so nothing is imported
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None and not Path(spec.origin).is_relative_to(root.absolute())


def installed(module: str) -> bool:
    """True if the module's package is an installed one and the current folder has none of that name."""
    top = module.partition(".")[0]
    if not top.isidentifier() or Path(top).is_dir() or Path(f"{top}.py").is_file():
        return False
    try:
        spec = importlib.util.find_spec(top)  # a name without dots, so nothing is imported
    except (ImportError, ValueError):
        return False
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    return any(part in ("site-packages", "dist-packages") for place in places if place for part in Path(place).parts)


def _packages(main: str) -> list[str]:
    """__init__.py of the packages that `main` lies in."""
    return [f"{parent}/__init__.py" for parent in PurePosixPath(main).parents if str(parent) != "."]


def _bound(tree: ast.Module) -> Iterator[str]:
    """Names that are bound at a module's top level, also inside `if` and `try`."""
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        else:
            waiting += ast.iter_child_nodes(node)


# ---------------------------------------------------------------------- copies in a run


def copy(folder: Path, sources: Mapping[str, Files | None], write: Callable[[Path, bytes], None]) -> None:
    """Copies the files of task and algorithm into a run's `source/`, with a table of their places and hashes.

    The algorithm's files go to source/algorithm/ if they come from another folder. write(path, data): writes a file.
    """
    table: dict[str, Any] = {}
    first: Path | None = None
    for kind, files in sources.items():
        if files is None:
            continue
        root = files.root.absolute()
        below = "" if first in (None, root) else f"{kind}/"
        first = first or root
        for name, data in files.content.items():
            path = folder / f"{below}{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, data)
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.content.items())}
        table[kind] = {"place": str(root), "main": files.main, "copy": below, "sha256": hashes}
    if table:
        write(folder / TABLE, (json.dumps(table, indent=2) + "\n").encode())


def described(folder: Path, kind: str) -> dict[str, Any] | None:
    """The entry of `source/files.json` for the task or the algorithm; None if there is none, as in old runs.

    Raises ValueError if the table is damaged.
    """
    table = folder / "source" / TABLE
    if not table.exists():
        return None
    if table.is_symlink():
        raise Unreadable(f"{table} is a link")
    entry = read_json(table).get(kind)
    if entry is None:
        return None
    try:
        names = {str(name): str(value) for name, value in entry["sha256"].items()}
        found = {"place": str(entry["place"]), "main": str(entry["main"]), "copy": str(entry["copy"]), "sha256": names}
    except (TypeError, KeyError, AttributeError):
        raise Unreadable(f"{table} does not say which files the {kind} is made of") from None
    inside = [found["main"], *names, *([found["copy"] + "x.py"] if found["copy"] else [])]
    if found["main"] not in names or len(names) > MOST_FILES or not all(map(_stays_inside, inside)):
        raise Unreadable(f"{table} names files that cannot be this run's copies")
    return found


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return name.endswith(".py") and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def copies(folder: Path, kind: str, file: str) -> Files | None:
    """The run's copies of the task's or algorithm's files; None if there are none. file: its name in the config.

    The bytes are compared with the hashes in `source/files.json`. Raises ValueError if they differ.
    """
    entry, source = described(folder, kind), folder / "source"
    if entry is None:  # a run of an earlier comity, which copied only the file itself
        name = Path(file).name
        path = source / name
        return Files(source, name, {name: _plain(path)}) if path.is_symlink() or path.exists() else None
    root, content = source / entry["copy"], {}
    for name, wanted in entry["sha256"].items():
        content[name] = _plain(root / name)
        if hashlib.sha256(content[name]).hexdigest() != wanted:
            raise ValueError(f"{root / name} is not what the run was made with: its hash is another; nothing was run")
    return Files(root, entry["main"], content)


def _plain(path: Path) -> bytes:
    for part in (path, *path.parents):
        if part.is_symlink():
            raise ValueError(f"{path} is or lies behind a link: a run's copies are plain files; nothing was run")
        if part.name == "source":
            break
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} is no file that can be read: the run is damaged; nothing was run")
    return path.read_bytes()


def in_a_run(path: Path) -> bool:
    """True if a file lies inside a run directory. Then it came with the run."""
    return any(
        (folder / "config.yaml").exists() and (folder / "checkpoints").exists() for folder in path.resolve().parents
    )


def belongs_to_user(path: Path) -> bool:
    """True if nobody but the user or root can have written the file."""
    if not hasattr(os, "getuid"):
        return True
    about = path.stat()
    return about.st_uid in (os.getuid(), 0) and not about.st_mode & 0o002
