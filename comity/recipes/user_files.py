"""Finds and imports modules in the user's own files."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

from comity.names import Named
from comity.runs import modules, sources
from comity.runs.sources import Files
from comity.runs.trust import find_module


def own_module(named: Named, kind: str) -> tuple[ModuleType, Files]:
    """Imports the module that a user named. Raises ValueError, one line."""
    if named.is_file:
        file = Path(named.target)
        if not file.is_file():
            name = f"{named.target}:{named.attribute}" if named.attribute else named.target
            raise ValueError(f"{kind} {name}: there is no file {named.target} here; give a path to one")
        files = sources.of_file(file)
        _importable(files.root)
        return modules.imported(files), files
    files = find_module(named.target)
    if files is None:
        name = f"{named.target}:{named.attribute}" if named.attribute else named.target
        raise ValueError(
            f"{kind} {name}: cannot import {named.target}: there is no such module here, nor is one installed"
        )
    return _imported(named.target, files), files


def module_of_config(files: Files, named: Named) -> tuple[ModuleType, Files]:
    """Imports the module in files that a config names and that `comity.runs.trust` chose."""
    if not named.is_file and find_module(named.target) == files:
        return _imported(named.target, files), files
    return modules.imported(files), files


def _imported(name: str, files: Files) -> ModuleType:
    """Imports `package.module` as `python -m` does, from the current folder first. Raises ValueError, one line."""
    _importable(files.root, first=files.root == Path())
    try:
        module = importlib.import_module(name)
    except modules.TrainsWhenImported:
        raise
    except Exception as error:
        raise ValueError(f"{files.path} cannot be imported: {type(error).__name__}: {error}") from error
    if Path(module.__file__ or "").resolve() != files.path.resolve():
        raise ValueError(f"{files.path} cannot be imported: Python has another module {name}, {module.__file__}")
    return module


def _importable(folder: Path, first: bool = False) -> None:
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.insert(0 if first else len(sys.path), place)


def files_of(module: ModuleType) -> Files:
    """The files of a user's module: its own and those that it imports from its folder."""
    file = Path(module.__file__ or "")
    depth = 0 if module.__name__ == "__main__" else module.__name__.count(".") + (file.name == "__init__.py")
    if module.__name__.startswith(modules.PREFIX):
        depth -= 1  # its name begins with a package that comity made for it
    root = file.parents[min(depth, len(file.parents) - 1)]
    return sources.of_module(root, file.relative_to(root).as_posix())
