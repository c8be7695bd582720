"""Finds the source of a name: a task with its wrappers, an algorithm with its bonuses, a population, a user's file."""

import dataclasses
import importlib
import inspect
from typing import Any

from comity.algorithms import ALGORITHMS
from comity.algorithms.bonuses import BONUSES
from comity.algorithms.roles import label
from comity.environments import TASKS, VARIANTS, WRAPPERS
from comity.names import Named, host_of, members, parsed, unknown
from comity.recipes.hosted import Allow, Find, hosted_source, with_source
from comity.recipes.source import Source
from comity.recipes.user_files import own_module
from comity.settings import did_you_mean

SHIPPED = {"comity.interop.jaxmarl_game:FromJaxMARL"}  # games of comity that have no short name


def find_task(name: str, engine: bool = True) -> Source:
    """Finds a shipped task, `file.py:Class` or `package.module:Class`, with wrappers around it: `ipd+rusp`.

    The user gave the name, so code in a file that it names is run. engine: True if the physics engine of a body must be
    installed. Raises ValueError with the nearest names.
    """
    return task_source(name, lambda named: own_module(named, "task"), lambda package, function: None, engine)


def find_algorithm(name: str) -> Source:
    """Finds a shipped algorithm, `file.py` or `package.module` with `make(config, env)`, each with bonuses or not,
    `ippo+counts`; or a population, `good:maddpg,adversary:ddpg`. Raises ValueError."""
    return algorithm_source(name, lambda named: own_module(named, "algorithm"))


def task_source(name: str, find: Find, allow: Allow, engine: bool = True) -> Source:
    """The source of a task. allow: is called with the packages of games that Python steps."""
    if complaint := unknown("task", name):
        raise ValueError(complaint)
    named = parsed(name)
    host = host_of(name)
    if host and named.wrappers:
        raise ValueError(f"task {name}: wrappers go around compiled games, and Python steps this one: leave them out")
    source = hosted_source(name, host, find, allow, engine) if host else _game(named, find)
    for suffix in named.wrappers:
        source = wrapped(source, suffix)
    return source


def wrapped(source: Source, suffix: str) -> Source:
    """Puts the task inside one of `WRAPPERS`."""
    from comity.environments.wrappers.flat import flattened

    target, _, attribute = WRAPPERS[suffix][0].partition(":")
    module = importlib.import_module(target)
    wrapper = getattr(module, attribute)
    game = flattened(wrapper, source.thing, f"{source.thing.__name__}+{suffix}")
    here = lambda values: {getattr(wrapper, "RENAMED", {}).get(name, name): x for name, x in values.items()}  # noqa: E731
    presets = {name: here(values) for name, values in source.presets.items()}
    version = f"{source.version}+{getattr(module, 'VERSION', 1)}"
    return dataclasses.replace(source, name=f"{source.name}+{suffix}", thing=game, version=version, presets=presets)


def _game(named: Named, find: Find) -> Source:
    """The source of a task without wrappers."""
    target, attribute = named.target, named.attribute
    if target in VARIANTS:
        return _variant(target, find)
    name, files = f"{target}:{attribute}" if attribute else target, None
    if target in TASKS:
        place, _, attribute = TASKS[target][0].partition(":")
        name, module = target, importlib.import_module(place)
    elif name in SHIPPED:
        module = importlib.import_module(target)
    else:
        module, files = find(named)
    games = [n for n, x in vars(module).items() if _is_game(x) and x.__module__ == module.__name__]
    if not attribute:
        if len(games) != 1:
            raise ValueError(f"task {name}: which class? give {name}:CLASS, one of {', '.join(games) or 'none found'}")
        attribute = games[0]
        name = f"{name}:{attribute}"
    if not hasattr(module, attribute):
        where = files.path.name if files else module.__name__
        has = f"its games: {', '.join(games)}" if games else "it has no class with reset and step"
        raise ValueError(f"task {name}: {where} has no {attribute}{did_you_mean(attribute, games)}; {has}")
    thing = getattr(module, attribute)
    if not _is_game(thing):
        raise ValueError(
            f"task {name}: {attribute} is no class with reset and step, so it was not called; name a game's class"
        )
    version = files.version if files else str(getattr(module, "VERSION", 1))
    return Source(name, thing, version, getattr(module, "PROFILES", {}), files)


def _variant(name: str, find: Find) -> Source:
    """The source of a task whose name fixes settings, such as `smac/3m`."""
    from comity.environments.wrappers.flat import fixed

    task, settings, _ = VARIANTS[name]
    whole = _game(parsed(task), find)
    presets = {key: {k: x for k, x in values.items() if k not in settings} for key, values in whole.presets.items()}
    source = dataclasses.replace(whole, name=name, thing=fixed(whole.thing, tuple(settings.items())), presets=presets)
    return with_source(source.thing, source)


def algorithm_source(name: str, find: Find, allow: Allow | None = None) -> Source:
    """The source of an algorithm. allow: as in `task_source`, but not called, because algorithms have no packages."""
    if complaint := unknown("algorithm", name):
        raise ValueError(complaint)
    if pairs := members(name):
        return population_source(name, tuple((role, algorithm_source(algorithm, find)) for role, algorithm in pairs))
    named = parsed(name)
    if named.target in ALGORITHMS:
        module, files = importlib.import_module(ALGORITHMS[named.target][0]), None
    else:
        module, files = find(named)
    if not callable(getattr(module, "make", None)) or inspect.isclass(module.make):
        where = files.path.name if files else module.__name__
        raise ValueError(f"algorithm {name}: {where} has no make(config, env): docs/your_own.md shows one")
    version = files.version if files else str(getattr(module, "VERSION", 1))
    plain = name.removesuffix("".join(f"+{suffix}" for suffix in named.wrappers))
    source = Source(plain, module, version, getattr(module, "PRESETS", {}), files)
    for suffix in named.wrappers:
        source = with_bonus(source, suffix)
    return source


def population_source(name: str, sources: tuple[tuple[str, Source], ...]) -> Source:
    """The source of a population: different learners in one game.

    Its version is "object" if a member is a user's own file.
    """
    from comity.algorithms import composition

    version = "+".join(source.version for _, source in sources)
    if any(source.files or source.version == "object" for _, source in sources):
        version = "object"  # a run has copies of one algorithm's files, not of several
    thing = composition.population(tuple((role, source.thing) for role, source in sources))
    return Source(name, thing, version, {}, members=sources)


def with_bonus(source: Source, name: str) -> Source:
    """Adds one of `BONUSES` to the algorithm."""
    from comity.algorithms import composition

    bonus, setting = importlib.import_module(BONUSES[name][0]), label(name)
    if hasattr(getattr(source.thing, "Config", None), setting):
        raise ValueError(f"{source.name} has a setting {setting} of its own, so it cannot have the bonus of that name")
    version = source.version if source.version == "object" else f"{source.version}+{getattr(bonus, 'VERSION', 1)}"
    thing = composition.rewarded(source.thing, name, bonus)
    presets = {preset: dict(values) for preset, values in source.presets.items()}
    for preset, values in bonus.PRESETS.items():  # a preset sets both; one that lacks it keeps its defaults
        presets[preset] = {**presets.get(preset, {}), **({setting: values} if values else {})}
    return dataclasses.replace(source, name=f"{source.name}+{name}", thing=thing, version=version, presets=presets)


def _is_game(thing: Any) -> bool:
    return inspect.isclass(thing) and all(hasattr(thing, name) for name in ("reset", "step"))
