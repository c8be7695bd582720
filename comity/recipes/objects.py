"""Makes recipes and sources from the objects of a Python user: names, games, settings, modules, algorithms."""

import dataclasses
import importlib
import inspect
import sys
from types import ModuleType
from typing import Any

from comity.algorithms import ALGORITHMS
from comity.algorithms.roles import label
from comity.environments import TASKS, WRAPPERS
from comity.names import members
from comity.recipes.hosted import HOSTED, with_source
from comity.recipes.naming import SHIPPED, find_algorithm, find_task, population_source, with_bonus, wrapped
from comity.recipes.recipe import Recipe
from comity.recipes.settings import settings_of
from comity.recipes.source import Source
from comity.recipes.user_files import files_of
from comity.runs import sources
from comity.types import Algorithm


def from_objects(env: Any, algorithm: Any) -> Recipe:
    """Makes a recipe. env: a name or a game; algorithm: a name, a Config, a module or an `Algorithm`."""
    if isinstance(env, str):
        task = find_task(env)
        profile = task.first
        env = settings_of(task, profile, "profile")
    else:
        profile, (task, env) = None, _task_of(env)
    if isinstance(algorithm, str):
        source = find_algorithm(algorithm)
        preset = source.first
        return Recipe(task, env, source, settings_of(source, preset, "preset"), profile, preset)
    if isinstance(algorithm, Algorithm):
        made = ModuleType("algorithm")
        made.make = lambda config, env: algorithm  # pyright: ignore[reportAttributeAccessIssue]
        return Recipe(task, env, Source("algorithm", made, "object", {}), None, profile)
    if inspect.ismodule(algorithm):
        source = _source_of(algorithm, ALGORITHMS)
        return Recipe(task, env, source, settings_of(source, None, "preset"), profile)
    if composition := getattr(type(algorithm), "composition", None):
        return Recipe(task, env, _source_of_composition(composition), algorithm, profile)
    if dataclasses.is_dataclass(algorithm) and hasattr(sys.modules[type(algorithm).__module__], "make"):
        return Recipe(task, env, _source_of(sys.modules[type(algorithm).__module__], ALGORITHMS), algorithm, profile)
    raise ValueError(
        f"algorithm {algorithm!r} is not a name, a Config of a module with make(config, env), "
        "such a module, or an Algorithm"
    )


def source_of_game(env: Any) -> Source:
    """The source of a game object."""
    return _task_of(env)[0]


def population(learners: dict[str, Any]) -> Any:
    """Makes a population's settings from {role: a name, or an algorithm's settings}. Raises ValueError, one line."""
    sources, values = [], {}
    for role, learner in learners.items():
        if isinstance(learner, str):
            sources.append((role, find_algorithm(learner)))
        elif dataclasses.is_dataclass(learner):
            sources.append((role, from_objects("matrix", learner).algorithm))
            values[label(role)] = learner
        else:
            raise ValueError(f"{role}: {learner!r} is neither a name nor an algorithm's settings: give one of them")
    name = ",".join(f"{role}:{source.name}" for role, source in sources)
    if not members(name):
        raise ValueError(
            f"{', '.join(learners) or 'nothing'}: give a learner for each role, a word, or numbers of agents"
        )
    return settings_of(population_source(name, tuple(sources)), None, "preset", values)


def source_of_hosted(host: str, make: Any) -> Source:
    """The source of a game that Python steps. make: the user's function or class that makes its environments.

    If no file defines `make` by its name, only this process knows the game.
    """
    hosted, name = importlib.import_module(HOSTED), getattr(make, "__qualname__", "")
    module = sys.modules.get(getattr(make, "__module__", None) or "")
    if module is None or getattr(module, "__file__", None) is None or getattr(module, name, None) is not make:
        word = name if name.isidentifier() else "environment"
        game = hosted.of_function(word, host, make)
        return with_source(game, Source(word, game, "object", {}))
    if sources.installed(module.__name__):
        return find_task(f"{host}:{module.__name__}:{name}")
    files = files_of(module)
    task = f"{host}:{files.path.name}:{name}"
    game = hosted.of_module(task, host, module, name, files)
    return with_source(game, Source(task, game, files.version, {}, files))


def _source_of(thing: Any, table: dict[str, tuple[str, str]]) -> Source:
    """The source of a class or module that a Python user gives. table: the shipped ones by name."""
    module = thing if inspect.ismodule(thing) else sys.modules[thing.__module__]
    path = module.__name__ + ("" if inspect.ismodule(thing) else f":{thing.__name__}")
    presets, version = getattr(module, "PRESETS", {}), str(getattr(module, "VERSION", 1))
    for name, (target, _) in table.items():
        if target == path:
            return Source(name, thing, version, presets)
    if path in SHIPPED:
        return Source(path, thing, version, presets)
    if getattr(module, "__file__", None) is None:  # it was typed into an interpreter, so only this process knows it
        return Source(thing.__name__, thing, "object", {})
    files = files_of(module)
    attribute = "" if inspect.ismodule(thing) else f":{thing.__name__}"
    return Source(f"{files.path.name}{attribute}", thing, files.version, presets, files)


def _source_of_composition(thing: Any) -> Source:
    """The source of an algorithm's module, or of a composition of several."""
    if not hasattr(thing, "parts"):
        return _source_of(thing, ALGORITHMS)
    sources = tuple((role, _source_of_composition(part)) for role, part in thing.parts)
    if thing.bonus:
        return with_bonus(sources[0][1], thing.bonus)
    return population_source(",".join(f"{role}:{source.name}" for role, source in sources), sources)


def _task_of(env: Any) -> tuple[Source, Any]:
    """Returns (source, game) of a game object. A wrapped game becomes the same game with a name, `ipd+rusp`."""
    kind = type(env)
    for suffix, (target, _) in WRAPPERS.items():
        if target == f"{kind.__module__}:{kind.__name__}" and dataclasses.is_dataclass(env.game):
            inner, game = _task_of(env.game)
            source = wrapped(inner, suffix)
            values = {f.name: getattr(env, f.name) for f in dataclasses.fields(env)[1:]}
            renamed = getattr(kind, "RENAMED", {})
            values |= {renamed.get(f.name, f.name): getattr(game, f.name) for f in dataclasses.fields(game) if f.init}
            return source, source.thing(**values)
    return _source_of_class(kind), env


def _source_of_class(kind: type) -> Source:
    """The source of a game's class, which may itself be wrapped."""
    if isinstance(own := getattr(kind, "source", None), Source):
        return own
    if not hasattr(kind, "parts"):
        return _source_of(kind, TASKS)
    game, wrapper = kind.parts  # pyright: ignore[reportAttributeAccessIssue]
    path = f"{wrapper.__module__}:{wrapper.__name__}"
    return wrapped(_source_of_class(game), next(name for name, (target, _) in WRAPPERS.items() if target == path))
