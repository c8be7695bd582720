"""Imports a user's own files from the bytes that were hashed, under names of their own.

So two versions of one file, or two files of the same name, can be imported in one process. Modules that a file imports
from its own folder are found among the hashed files first, as Python finds them beside a script. Compiled files (.pyc)
are never read.
"""

import builtins
import importlib
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from pathlib import PurePosixPath
from types import CodeType, ModuleType
from typing import Any

from comity.runs.sources import Files

PREFIX = "comity_user_"


class TrainsWhenImported(ValueError):
    """Raised if a user's file trains while it is imported."""


def imported(files: Files) -> ModuleType:
    """Imports a user's file. It is run only once for the same bytes at the same place. Raises ValueError, one line."""
    package = f"{PREFIX}{files.digest}"
    name = f"{package}.{_dotted(files.main)}"
    if name in sys.modules:
        return sys.modules[name]
    if package not in sys.modules:
        parent = ModuleType(package)
        parent.__path__ = []
        sys.modules[package] = parent
        sys.meta_path.insert(0, _Finder(package, files))
    try:
        return importlib.import_module(name)
    except TrainsWhenImported:
        raise
    except Exception as error:
        for known in [n for n in sys.modules if n.startswith(f"{package}.")]:
            del sys.modules[known]
        raise ValueError(f"{files.path} cannot be imported: {type(error).__name__}: {error}") from error


def refuse_while_imported() -> None:
    """Raises TrainsWhenImported if this is called by a user's file that comity is importing."""
    frame = sys._getframe(1)
    while frame:
        name = str(frame.f_globals.get("__name__", ""))
        if frame.f_code.co_name == "<module>" and name.startswith(PREFIX):
            raise TrainsWhenImported(
                f"{frame.f_code.co_filename}, line {frame.f_lineno}, trains whenever the file is imported, as comity "
                "does to find the game in it: put that line under if __name__ == '__main__':"
            )
        frame = frame.f_back


def _dotted(path: str) -> str:
    """Turns a file's name into a module's name. Characters that module names cannot have become _."""
    parts = PurePosixPath(path).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(re.sub(r"\W", "_", part) for part in parts)


class _Finder:
    """The import finder for the modules of one `Files`, below the package of its own."""

    def __init__(self, package: str, files: Files):
        self.package, self.files = package, files
        self.paths = {f"{package}.{_dotted(name)}": name for name in files.content}
        itself = files.main if "/" not in files.main else ""
        self.tops = {name.removesuffix(".py").partition("/")[0] for name in files.content if name != itself}

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if not fullname.startswith(f"{self.package}."):
            return None
        found = self.paths.get(fullname)
        if found is None:
            inside = any(name.startswith(f"{fullname}.") for name in self.paths)
            return ModuleSpec(fullname, None, is_package=True) if inside else None
        place = self.files.root / found
        spec = ModuleSpec(fullname, _Loader(self, found), origin=str(place), is_package=place.name == "__init__.py")
        spec.has_location = True
        return spec

    def import_(
        self, name: str, globals: Mapping[str, Any] | None = None, locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (), level: int = 0,
    ) -> ModuleType:  # fmt: skip
        """The `__import__` that the user's files call."""
        top = name.partition(".")[0]
        if level or top not in self.tops:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        if fromlist:
            return builtins.__import__(f"{self.package}.{name}", globals, locals, fromlist, 0)
        importlib.import_module(f"{self.package}.{name}")
        return sys.modules[f"{self.package}.{top}"]


class _Loader(Loader):
    """A loader that runs the bytes that were hashed."""

    def __init__(self, finder: _Finder, name: str):
        self.finder, self.name = finder, name

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self.finder.import_}
        exec(self.code(), module.__dict__)

    def code(self) -> CodeType:
        files = self.finder.files
        return compile(files.content[self.name], str(files.root / self.name), "exec", dont_inherit=True)
