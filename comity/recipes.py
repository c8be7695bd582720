"""What a name means: a task, an algorithm, a user's own file; and how a run's config names what made it."""

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from comity.algorithms import ALGORITHMS
from comity.environments import TASKS, WRAPPERS
from comity.names import unknown
from comity.settings import did_you_mean
from comity.types import Algorithm, Environment


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a task or algorithm comes from, before any of its settings."""

    name: str  # as the user gave it: manitokan, my_game.py:MyGame, package.module
    thing: Any  # task: the class; algorithm: the module (Config, make)
    version: str  # of a shipped task its VERSION, of a user's file its content hash
    presets: dict[str, dict[str, Any]]
    file: Path | None = None  # a user's own file

    @property
    def stem(self) -> str:
        """Name as a folder: MyGame of my_game.py:MyGame, my_algorithm of my_algorithm.py or package.my_algorithm."""
        return re.split(r"[:./\\]", self.name.removesuffix(".py"))[-1]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All of what is trained: a game, an algorithm's settings, and the function that joins them."""

    task: Source
    env: Environment
    algorithm: Source
    config: Any
    profile: str | None = None  # the task's preset it started from
    preset: str | None = None  # the algorithm's

    @property
    def make(self) -> Callable[[Any, Environment], Algorithm]:
        return self.algorithm.thing.make

    def describe(self) -> dict[str, Any]:
        """Plain values, for config.yaml."""
        task = {"name": f"{self.task.name}@{self.task.version}", "profile": self.profile, **plain_fields(self.env)}
        algorithm = {"name": f"{self.algorithm.name}@{self.algorithm.version}", "preset": self.preset}
        return {"task": task, "algorithm": {**algorithm, **plain_fields(self.config)}}


def find_task(name: str) -> Source:
    """A shipped task, `file.py:Class` or `package.module:Class`, and wrappers around it: `ipd+rusp`.

    Raises ValueError with the nearest names.
    """
    if complaint := unknown("task", name):
        raise ValueError(complaint)
    name, *around = name.split("+")
    source = _find_game(name)
    for suffix in around:
        source = _wrapped(source, suffix)
    return source


def _wrapped(source: Source, suffix: str) -> Source:
    """The task inside one of `WRAPPERS`."""
    from comity.environments.wrappers.flat import flattened

    target, _, attribute = WRAPPERS[suffix][0].partition(":")
    module = importlib.import_module(target)
    wrapper = getattr(module, attribute)
    game = flattened(wrapper, source.thing, f"{source.thing.__name__}+{suffix}")
    here = lambda values: {getattr(wrapper, "RENAMED", {}).get(name, name): x for name, x in values.items()}  # noqa: E731
    presets = {name: here(values) for name, values in source.presets.items()}
    version = f"{source.version}+{getattr(module, 'VERSION', 1)}"
    return dataclasses.replace(source, name=f"{source.name}+{suffix}", thing=game, version=version, presets=presets)


def _find_game(name: str) -> Source:
    """A task without wrappers."""
    module, own = _find(name, TASKS, "task")
    attribute = (TASKS[name][0] if name in TASKS else name).rpartition(":")[2] if ":" in name or name in TASKS else None
    if attribute is None:
        games = [n for n, x in vars(module).items() if inspect.isclass(x) and x.__module__ == module.__name__]
        games = [n for n in games if hasattr(getattr(module, n), "reset") and hasattr(getattr(module, n), "step")]
        if len(games) != 1:
            raise ValueError(f"task {name}: which class? give {name}:CLASS, one of {', '.join(games) or 'none found'}")
        attribute = games[0]
    if not hasattr(module, attribute):
        names = [n for n in vars(module) if not n.startswith("_")]
        raise ValueError(f"task {name}: {module.__name__} has no {attribute}{did_you_mean(attribute, names)}")
    version = _content_hash(own) if own else str(getattr(module, "VERSION", 1))
    if own and ":" not in name:
        name = f"{name}:{attribute}"
    return Source(name, getattr(module, attribute), version, getattr(module, "PROFILES", {}), own)


def find_algorithm(name: str) -> Source:
    """A shipped algorithm, `file.py` or `package.module` with `make(config, env)`. Raises ValueError."""
    module, own = _find(name, ALGORITHMS, "algorithm")
    if not hasattr(module, "make"):
        raise ValueError(f"algorithm {name}: {module.__name__} has no make(config, env): docs/your_own.md shows one")
    version = _content_hash(own) if own else str(getattr(module, "VERSION", 1))
    return Source(name, module, version, getattr(module, "PRESETS", {}), own)


def settings_of(source: Source, preset: str | None, kind: str, values: dict[str, Any] | None = None) -> Any:
    """Settings of a task or algorithm: the preset, then `values` over it. Raises ValueError, one line."""
    if preset is not None and preset not in source.presets:
        known = list(source.presets)
        raise ValueError(
            f"{kind} {preset!r} of {source.name} is not one of {', '.join(known) or '(it has none)'}"
            f"{did_you_mean(preset, known)}"
        )
    factory = source.thing if kind == "profile" else getattr(source.thing, "Config", None)
    if factory is None:
        return None
    values = {**source.presets.get(preset or "", {}), **(values or {})}
    if dataclasses.is_dataclass(factory):
        hints = typing.get_type_hints(factory)
        known = [f.name for f in dataclasses.fields(factory) if f.init]
        for name in values.keys() - set(known):
            raise ValueError(f"{source.name} has no setting {name}{did_you_mean(name, known)}")
        values = {k: tuple(v) if isinstance(v, list) and "tuple" in str(hints[k]) else v for k, v in values.items()}
        return factory(**values)  # pyright: ignore[reportCallIssue]
    return factory(**values)


def from_config(config: dict[str, Any], folder: Path | None = None) -> Recipe:
    """The recipe that a config.yaml describes. folder: the run directory, which holds a copy of a user's own files.

    Raises ValueError if the task is another version now.
    """

    def split(entry: dict[str, Any], preset: str) -> tuple[str, str, str | None, dict[str, Any]]:
        entry = dict(entry)
        name, _, version = str(entry.pop("name")).partition("@")
        return name, version, entry.pop(preset, None), entry

    def located(name: str, version: str) -> str:
        """The user's file where it was, beside what it imports, if it is still the same; else the run's copy."""
        file, colon, attribute = name.partition(":")
        copy = (folder or Path()) / "source" / Path(file).name
        if not (file.endswith(".py") and folder and copy.exists()):
            return name
        same = Path(file).is_file() and _content_hash(Path(file)) == version
        return name if same else f"{copy}{colon}{attribute}"

    task_name, task_version, profile, task_values = split(config["task"], "profile")
    name, version, preset, values = split(config["algorithm"], "preset")
    task = dataclasses.replace(find_task(located(task_name, task_version)), name=task_name)
    algorithm = dataclasses.replace(find_algorithm(located(name, version)), name=name)
    if task_version and task.version != task_version:
        raise ValueError(
            f"the run was made with {task_name}@{task_version}, here it is @{task.version}: its rules have changed, "
            "so results would not compare; install the version the run was made with"
        )
    env = settings_of(task, None, "profile", task_values)
    return Recipe(task, env, algorithm, settings_of(algorithm, None, "preset", values), profile, preset)


def from_objects(env: Any, algorithm: Any) -> Recipe:
    """A recipe from what a Python user passes: names, a game object; a Config, a module, or an Algorithm."""
    if isinstance(env, str):
        task = find_task(env)
        profile = next(iter(task.presets), None)
        env = settings_of(task, profile, "profile")
    else:
        profile, (task, env) = None, _task_of(env)
    if isinstance(algorithm, str):
        source = find_algorithm(algorithm)
        preset = next(iter(source.presets), None)
        return Recipe(task, env, source, settings_of(source, preset, "preset"), profile, preset)
    if isinstance(algorithm, Algorithm):
        made = ModuleType("algorithm")
        made.make = lambda config, env: algorithm  # pyright: ignore[reportAttributeAccessIssue]
        return Recipe(task, env, Source("algorithm", made, "object", {}), None, profile)
    if inspect.ismodule(algorithm):
        source = _source_of(algorithm, ALGORITHMS)
        return Recipe(task, env, source, settings_of(source, None, "preset"), profile)
    if dataclasses.is_dataclass(algorithm) and hasattr(sys.modules[type(algorithm).__module__], "make"):
        return Recipe(task, env, _source_of(sys.modules[type(algorithm).__module__], ALGORITHMS), algorithm, profile)
    raise ValueError(
        f"algorithm {algorithm!r} is not a name, a Config of a module with make(config, env), "
        "such a module, or an Algorithm"
    )


def plain_fields(settings: Any) -> dict[str, Any]:
    """A dataclass's fields as YAML values, what YAML has no word for as Python prints it; of anything else, none."""
    if not dataclasses.is_dataclass(settings):
        return {}

    def plain(x: Any) -> Any:
        if isinstance(x, tuple):
            return list(x)
        return x if x is None or isinstance(x, (str, int, float, list, dict)) else repr(x)

    return {f.name: plain(getattr(settings, f.name)) for f in dataclasses.fields(settings) if f.init}


def _find(name: str, table: dict[str, tuple[str, str]], kind: str) -> tuple[ModuleType, Path | None]:
    """(module, file if it is a user's own)."""
    if name in table:
        return importlib.import_module(table[name][0].partition(":")[0]), None
    target = name.partition(":")[0]
    if target.endswith(".py"):
        file = Path(target)
        if not file.is_file():
            raise ValueError(f"{kind} {name}: there is no file {target} here; give a path to one")
        return _import_file(file), file
    if "." in target or ":" in name:
        try:
            module = importlib.import_module(target)
        except ModuleNotFoundError as error:
            raise ValueError(f"{kind} {name}: cannot import {target} ({error})") from error
        return module, Path(module.__file__) if module.__file__ else None
    raise ValueError(unknown(kind, name))


def _import_file(file: Path) -> ModuleType:
    """Runs a user's file once as a module; its folder can be imported from, as when Python runs it."""
    name = f"comity_user_{file.stem}_{_content_hash(file)}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(file.parent.resolve()) not in sys.path:
        sys.path.append(str(file.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _source_of(thing: Any, table: dict[str, tuple[str, str]]) -> Source:
    """The source of a class or module that a Python user holds."""
    module = thing if inspect.ismodule(thing) else sys.modules[thing.__module__]
    path = module.__name__ + ("" if inspect.ismodule(thing) else f":{thing.__name__}")
    for name, (target, _) in table.items():
        if target == path:
            return Source(name, thing, str(getattr(module, "VERSION", 1)), getattr(module, "PRESETS", {}))
    path = getattr(module, "__file__", None)
    attribute = "" if inspect.ismodule(thing) else f":{thing.__name__}"
    if path is None:  # typed into an interpreter: it trains, but only this process can load it again
        return Source(thing.__name__, thing, "object", {})
    file = Path(path)
    return Source(f"{file.name}{attribute}", thing, _content_hash(file), getattr(module, "PRESETS", {}), file)


def _task_of(env: Any) -> tuple[Source, Any]:
    """(source, the game) of a game object; a wrapped one becomes the same with a name, `ipd+rusp`."""
    kind = type(env)
    if trainer := getattr(env, "trained_by", None):
        raise ValueError(f"{kind.__name__} is stepped by Python, so no program can play it: train it with {trainer}")
    for suffix, (target, _) in WRAPPERS.items():
        if target == f"{kind.__module__}:{kind.__name__}" and dataclasses.is_dataclass(env.game):
            inner, game = _task_of(env.game)
            source = _wrapped(inner, suffix)
            values = {f.name: getattr(env, f.name) for f in dataclasses.fields(env)[1:]}
            renamed = getattr(kind, "RENAMED", {})
            values |= {renamed.get(f.name, f.name): getattr(game, f.name) for f in dataclasses.fields(game) if f.init}
            return source, source.thing(**values)
    return _source_of_class(kind), env


def _source_of_class(kind: type) -> Source:
    """The source of a game's class, which may itself be wrapped."""
    if not hasattr(kind, "parts"):
        return _source_of(kind, TASKS)
    game, wrapper = kind.parts  # pyright: ignore[reportAttributeAccessIssue]
    path = f"{wrapper.__module__}:{wrapper.__name__}"
    return _wrapped(_source_of_class(game), next(name for name, (target, _) in WRAPPERS.items() if target == path))


def _content_hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:8]
