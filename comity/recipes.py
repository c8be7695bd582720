"""What a name means: a task, an algorithm, a user's own file; and how a run's config names what made it."""

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from comity.algorithms import ALGORITHMS
from comity.algorithms.bonuses import BONUSES
from comity.algorithms.roles import label
from comity.environments import TASKS, VARIANTS, WRAPPERS
from comity.names import ENGINES, Named, host_of, members, parsed, unknown, versioned
from comity.runs import modules, sources
from comity.runs.reading import dump_yaml, parse_yaml
from comity.runs.renamed import as_now
from comity.runs.sources import Files
from comity.runs.trust import NOTHING, Trust, allowed, chosen, find_module
from comity.runs.values import checked, over, plain_fields, plain_scalars, same
from comity.settings import did_you_mean
from comity.types import Algorithm, Environment

SHIPPED = {"comity.interop.jaxmarl_game:FromJaxMARL"}  # games that have no name of their own
ANY = {"name": "matrix"}, {"name": "random"}  # a task, an algorithm, where the other of the two is asked for
SECTIONS = ("comity", "task", "algorithm", "training", "initialise")  # of a config.yaml


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a task or algorithm comes from, before any of its settings."""

    name: str  # as the user gave it: manitokan, my_game.py:MyGame, package.module
    thing: Any  # task: the class; algorithm: the module (Config, make)
    version: str  # of a shipped task its VERSION, of a user's file its content hash
    presets: dict[str, dict[str, Any]]
    files: Files | None = None  # a user's own
    members: tuple[tuple[str, "Source"], ...] = ()  # of a population: (role, its algorithm)
    packages: tuple[str, ...] = ()  # installed ones beside comity that hold it

    @property
    def shipped(self) -> bool:
        """Whether all of it came with comity."""
        return self.files is None and self.version != "object" and not self.name.startswith("comity.")

    @property
    def file(self) -> Path | None:
        return self.files.path if self.files else None

    @property
    def stem(self) -> str:
        """Name as a folder: MyGame of my_game.py:MyGame, my_algorithm of my_algorithm.py or package.my_algorithm."""
        if self.members:
            return ",".join(f"{role}-{source.stem}" for role, source in self.members)
        named = parsed(self.name)
        own = Path(named.target).stem if named.is_file else named.target.rpartition(".")[2]
        own = self.name.partition("+")[0] if named.target in ENGINES else named.attribute or own
        variant = host_of(self.name) or named.target in VARIANTS
        return "+".join([re.sub("[/:]", "-", own) if variant else own, *named.wrappers])


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
        task = {"name": f"{self.task.name}@{self.task.version}", "profile": self.profile}
        algorithm = {"name": f"{self.algorithm.name}@{self.algorithm.version}", "preset": self.preset}
        env, config = plain_fields(self.env, ("name", "profile")), plain_fields(self.config, ("name", "preset"))
        return {"task": {**task, **env}, "algorithm": {**algorithm, **config}}

    def changed(self) -> list[str]:
        """Settings that differ from the profile and preset, `observe=last-action`; where none is named, from the one
        that they are nearest to."""
        return [
            *_changed(self.task, self.env, self.profile, "profile"),
            *_changed(self.algorithm, self.config, self.preset, "preset"),
        ]


HOSTED = "comity.interop.hosted"  # games that Python steps, `pettingzoo:mpe2.simple_spread_v3`


def find_task(name: str, engine: bool = True) -> Source:
    """A shipped task, `file.py:Class` or `package.module:Class`, and wrappers around it: `ipd+rusp`.

    The name is the user's word: code in a file that it names is run. engine: that of a body must be installed. Raises
    ValueError with the nearest names.
    """
    return _task(name, lambda named: _own(named, "task"), lambda package: None, engine)


def find_algorithm(name: str) -> Source:
    """A shipped algorithm, `file.py` or `package.module` with `make(config, env)`; bonuses beside it, `ippo+counts`;
    or a population, `good:maddpg,adversary:ddpg`. Raises ValueError."""
    return _algorithm(name, lambda named: _own(named, "algorithm"))


def _task(
    name: str, find: Callable[[Named], tuple[ModuleType, Files]], allow: Callable[[str], None], engine: bool = True
) -> Source:
    """allow: called with an installed package before its code is run for a game that Python steps; raises
    ValueError."""
    if complaint := unknown("task", name):
        raise ValueError(complaint)
    named = parsed(name)
    host = host_of(name)
    if host and named.wrappers:
        raise ValueError(f"task {name}: wrappers go around compiled games, and Python steps this one: leave them out")
    source = _hosted(name, host, find, allow, engine) if host else _game(named, find)
    for suffix in named.wrappers:
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


def _hosted(
    name: str, host: str, find: Callable[[Named], tuple[ModuleType, Files]], allow: Callable[[str], None],
    engine: bool = True,
) -> Source:  # fmt: skip
    """A game that Python steps, HOST:WHAT: a name in gymnasium's registry, an installed module, a user's file."""
    hosted, what = importlib.import_module(HOSTED), name.partition(":")[2]
    if packages := hosted.engine_of(host):
        game = hosted.of_body(name, host, parsed(name).attribute, engine)
        return _of_hosted(game, Source(name, game, "1", {}, packages=_tops("gymnasium", *packages)))
    if hosted.in_registry(host, what):
        game, package = hosted.of_registry(name, what), hosted.package_of(what)
        allow(package)
        return _of_hosted(game, Source(name, game, "1", {}, packages=_tops("gymnasium", package)))
    named = parsed(what)
    if not named.is_file and sources.installed(named.target):
        allow(named.target)
        try:
            module = importlib.import_module(named.target)
        except ImportError as error:
            raise ValueError(f"task {name}: cannot import {named.target}: {error}") from error
        game = hosted.of_module(name, host, module, named.attribute)
        return _of_hosted(game, Source(name, game, "1", {}, packages=_tops(host, named.target)))
    module, files = find(named._replace(attribute=named.attribute or hosted.USUAL))
    game = hosted.of_module(name, host, module, named.attribute, files)
    return _of_hosted(game, Source(name, game, files.version, {}, files))


def _tops(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.partition(".")[0] for name in names))


def _of_hosted(game: Any, source: Source) -> Source:
    game.source = source  # so that an instance of it tells what it is
    return source


def source_of_hosted(host: str, make: Any) -> Source:
    """The source of a game that Python steps, from what makes its environments: a function or class that a user
    holds. One that no file defines by its name is known to this process alone."""
    hosted, name = importlib.import_module(HOSTED), getattr(make, "__qualname__", "")
    module = sys.modules.get(getattr(make, "__module__", None) or "")
    if module is None or getattr(module, "__file__", None) is None or getattr(module, name, None) is not make:
        word = name if name.isidentifier() else "environment"
        game = hosted.of_function(word, host, make)
        return _of_hosted(game, Source(word, game, "object", {}))
    if sources.installed(module.__name__):
        return find_task(f"{host}:{module.__name__}:{name}")
    files = _files_of(module)
    task = f"{host}:{files.path.name}:{name}"
    game = hosted.of_module(task, host, module, name, files)
    return _of_hosted(game, Source(task, game, files.version, {}, files))


def _game(named: Named, find: Callable[[Named], tuple[ModuleType, Files]]) -> Source:
    """A task without wrappers."""
    target, attribute = named.target, named.attribute
    if target in VARIANTS:
        return _variant(target, find)
    if target in TASKS:
        module, files, (_, _, attribute) = (
            importlib.import_module(_module(TASKS, target)),
            None,
            TASKS[target][0].partition(":"),
        )
    elif f"{target}:{attribute}" in SHIPPED:
        module, files = importlib.import_module(target), None
    else:
        module, files = find(named)
    name = target if target in TASKS else f"{target}:{attribute}" if attribute else target
    if not attribute:
        games = [n for n, x in vars(module).items() if _is_game(x) and x.__module__ == module.__name__]
        if len(games) != 1:
            raise ValueError(f"task {name}: which class? give {name}:CLASS, one of {', '.join(games) or 'none found'}")
        attribute = games[0]
        name = f"{name}:{attribute}"
    if not hasattr(module, attribute):
        games = [n for n, x in vars(module).items() if _is_game(x) and x.__module__ == module.__name__]
        where = files.path.name if files else module.__name__
        has = f"its games: {', '.join(games)}" if games else "it has no class with reset and step"
        raise ValueError(f"task {name}: {where} has no {attribute}{did_you_mean(attribute, games)}; {has}")
    thing = getattr(module, attribute)
    if not _is_game(thing):
        raise ValueError(
            f"task {name}: {attribute} is no class with reset and step: nothing was called; name a game's class"
        )
    version = files.version if files else str(getattr(module, "VERSION", 1))
    return Source(name, thing, version, getattr(module, "PROFILES", {}), files)


def _variant(name: str, find: Callable[[Named], tuple[ModuleType, Files]]) -> Source:
    """A task of which a name fixes settings: `smac/3m`."""
    from comity.environments.wrappers.flat import fixed

    task, settings, _ = VARIANTS[name]
    whole = _game(parsed(task), find)
    presets = {key: {k: x for k, x in values.items() if k not in settings} for key, values in whole.presets.items()}
    source = dataclasses.replace(whole, name=name, thing=fixed(whole.thing, tuple(settings.items())), presets=presets)
    source.thing.source = source  # so that an instance of it tells what it is
    return source


def _algorithm(
    name: str, find: Callable[[Named], tuple[ModuleType, Files]], allow: Callable[[str], None] = lambda package: None
) -> Source:
    if complaint := unknown("algorithm", name):
        raise ValueError(complaint)
    if pairs := members(name):
        return _population(name, tuple((role, _algorithm(algorithm, find)) for role, algorithm in pairs))
    named = parsed(name)
    if named.target in ALGORITHMS:
        module, files = importlib.import_module(_module(ALGORITHMS, named.target)), None
    else:
        module, files = find(named)
    if not callable(getattr(module, "make", None)) or inspect.isclass(module.make):
        where = files.path.name if files else module.__name__
        raise ValueError(f"algorithm {name}: {where} has no make(config, env): docs/your_own.md shows one")
    version = files.version if files else str(getattr(module, "VERSION", 1))
    plain = name.removesuffix("".join(f"+{suffix}" for suffix in named.wrappers))
    source = Source(plain, module, version, getattr(module, "PRESETS", {}), files)
    for suffix in named.wrappers:
        source = _rewarded(source, suffix)
    return source


def _population(name: str, sources: tuple[tuple[str, Source], ...]) -> Source:
    """Different learners in one game, of which none is a user's own file."""
    from comity.algorithms import composition

    version = "+".join(source.version for _, source in sources)
    if any(source.files or source.version == "object" for _, source in sources):
        version = "object"  # a run holds copies of one algorithm's files, not of several
    thing = composition.population(tuple((role, source.thing) for role, source in sources))
    return Source(name, thing, version, {}, members=sources)


def _rewarded(source: Source, name: str) -> Source:
    """The algorithm with one of `BONUSES`."""
    from comity.algorithms import composition

    bonus, setting = importlib.import_module(BONUSES[name][0]), label(name)
    if hasattr(getattr(source.thing, "Config", None), setting):
        raise ValueError(f"{source.name} has a setting {setting} of its own, so it cannot have the bonus of that name")
    version = source.version if source.version == "object" else f"{source.version}+{getattr(bonus, 'VERSION', 1)}"
    thing = composition.rewarded(source.thing, name, bonus)
    presets = {preset: dict(values) for preset, values in source.presets.items()}
    for preset, values in bonus.PRESETS.items():  # a preset is that of both; who has none of its name is as by default
        presets[preset] = {**presets.get(preset, {}), **({setting: values} if values else {})}
    return dataclasses.replace(source, name=f"{source.name}+{name}", thing=thing, version=version, presets=presets)


def _changed(source: Source, thing: Any, preset: str | None, kind: str) -> list[str]:
    if not dataclasses.is_dataclass(thing):
        return []
    now, nearest = _flat(plain_fields(thing, ())), None
    for name in [preset] if preset else [*source.presets, None]:
        try:
            then = _flat(plain_fields(settings_of(source, name, kind), ()))
        except (TypeError, ValueError):  # a class that cannot be made without settings
            continue
        found = [f"{x.replace('_', '-')}={_written(value)}" for x, value in now.items() if then.get(x) != value]
        nearest = found if nearest is None or len(found) < len(nearest) else nearest
    return nearest or []


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for name, value in fields.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _is_game(thing: Any) -> bool:
    return inspect.isclass(thing) and all(hasattr(thing, name) for name in ("reset", "step"))


def _module(table: dict[str, tuple[str, str]], name: str) -> str:
    return table[name][0].partition(":")[0]


def settled(recipe: Recipe) -> Recipe:
    """The recipe as it will be read from its config.yaml: numpy's scalars are numbers then.

    Raises ValueError, one line, for a setting that would not come back as it is.
    """
    text = dump_yaml(recipe.describe())
    again = parse_yaml(text, "config.yaml")

    def settled_part(source: Source, kind: str, part: str, now: Any) -> Any:
        values = {k: v for k, v in again[part].items() if k not in ("name", kind)}
        then = settings_of(source, None, kind, values)
        if not dataclasses.is_dataclass(now):
            return now
        for f in dataclasses.fields(now):
            one, two = getattr(now, f.name), getattr(then, f.name, None)
            if f.init and not same(plain_scalars(one), two):
                raise ValueError(
                    f"{type(now).__name__}'s {f.name} is {one!r}, and comes back from config.yaml as {two!r}: declare "
                    "its type, or give a number, a text or a list"
                )
        return then

    env = settled_part(recipe.task, "profile", "task", recipe.env)
    return dataclasses.replace(
        recipe, env=env, config=settled_part(recipe.algorithm, "preset", "algorithm", recipe.config)
    )


def settings_of(source: Source, preset: str | None, kind: str, values: dict[str, Any] | None = None) -> Any:
    """Settings of a task or algorithm: the preset, then `values` over it. Raises ValueError, one line.

    The preset of a population names one for each role that it likes: `good:paper,adversary:released`.
    """
    if source.members:
        return source.thing.Config(**_of_members(source, preset, values or {}))
    if preset is not None and preset not in source.presets:
        known = list(source.presets)
        raise ValueError(
            f"{kind} {preset!r} of {source.name} is not one of {', '.join(known) or '(it has none)'}"
            f"{did_you_mean(preset, known)}"
        )
    factory = source.thing if kind == "profile" else getattr(source.thing, "Config", None)
    if factory is None:
        if values:
            raise ValueError(f"{source.name} has no setting {next(iter(values))}: it has none at all")
        return None
    chosen = over(source.presets.get(preset or "", {}), values or {})
    plain: Any = factory
    known = {f.name for f in dataclasses.fields(plain)} if dataclasses.is_dataclass(plain) else set(chosen)
    chosen = as_now(chosen, known)
    return factory(**checked(factory, chosen, source.name))


def _of_members(source: Source, preset: str | None, values: dict[str, Any]) -> dict[str, Any]:
    """{member: its settings}, from its own preset, and `values`: {member: {setting: value}, or its settings}."""
    entries = [entry.partition(":") for entry in preset.split(",")] if preset else []
    asked = {role: name for role, _, name in entries}
    roles = {role: label(role) for role, _ in source.members}
    for role in asked.keys() - roles.keys():
        raise ValueError(f"preset {preset!r}: no {role} is in {source.name}; give {next(iter(roles))}:PRESET")
    known = [roles[role] for role, one in source.members if hasattr(one.thing, "Config")]
    for name in values.keys() - set(known):
        raise ValueError(f"{source.name} has no setting {name}{did_you_mean(name, known)}; known: {', '.join(known)}")
    found = {}
    for role, one in source.members:
        if (name := roles[role]) not in known:
            continue
        given = values.get(name, {})
        if isinstance(given, one.thing.Config):
            found[name] = given
        elif isinstance(given, dict):
            found[name] = settings_of(one, asked.get(role) or next(iter(one.presets), None), "preset", given)
        else:
            raise ValueError(f"{source.name}: {name} {given!r} are no settings: give them by name")
    return found


def from_config(config: dict[str, Any], folder: Path | None = None, trust: Trust = NOTHING) -> Recipe:
    """The recipe that a config.yaml describes. folder: the run directory, which holds copies of a user's own files.

    The config may be a stranger's: names are shipped ones or a user's files, which `comity.runs.trust` chooses.
    Raises ValueError if the task or algorithm is another version now, or if code came with the run and is not trusted.
    """
    for name in config.keys() - set(SECTIONS):
        raise ValueError(
            f"the config has no section {name!r}{did_you_mean(name, SECTIONS)}; known: {', '.join(SECTIONS)}"
        )

    if not isinstance(start := config.get("initialise"), str | None):
        raise ValueError(f"initialise {start!r} is no run: give the path of one, in quotes, or leave it out")

    def split(kind: str, preset: str) -> tuple[str, str, str | None, dict[str, Any]]:
        entry = dict(config[kind])
        name, version = versioned(str(entry.pop("name")))
        chosen_preset = entry.pop(preset, None)
        return name, version, None if chosen_preset is None else str(chosen_preset), entry

    def found(kind: str, name: str, version: str, look: Callable[..., Source]) -> Source:
        if version == "object":
            raise ValueError(
                f"{kind} {name} was typed into an interpreter or a notebook, so no file holds it: define it again and "
                "give it, comity.load(RUN, env=..., algorithm=...)"
            )
        own = lambda named: _of_config(chosen(kind, name, named, version, folder, trust), named)  # noqa: E731
        source = look(name, own, lambda package: allowed(kind, name, package, trust))
        part = (lambda text: text.partition("+")[2]) if source.files else str  # those of files were compared
        if version and part(source.version) != part(version):
            raise ValueError(
                f"the run was made with {name}@{version}, here it is @{source.version}: its rules have changed, "
                "so results would not compare; install the version the run was made with"
            )
        return dataclasses.replace(source, name=name)

    task_name, task_version, profile, task_values = split("task", "profile")
    name, version, preset, values = split("algorithm", "preset")
    task = found("task", task_name, task_version, _task)
    algorithm = found("algorithm", name, version, _algorithm)
    # A run's config says every setting; one written by hand, without versions, means the presets that it names.
    env = settings_of(task, None if task_version else profile, "profile", task_values)
    settings = settings_of(algorithm, None if version else preset, "preset", values)
    return Recipe(task, env, algorithm, settings, profile, preset)


def given(config: dict[str, Any], env: Any, algorithm: Any, folder: Path, trust: Trust) -> Recipe:
    """The recipe of a run whose game or algorithm a Python user gives; what is None is as the config says.

    Raises ValueError if what is given is of another class or has other settings than the run's.
    """
    left = (
        from_objects(env, "random") if env is not None else from_config({**config, "algorithm": ANY[1]}, folder, trust)
    )
    right = (
        from_config({**config, "task": ANY[0]}, folder, trust)
        if algorithm is None
        else from_objects("matrix", algorithm)
    )
    recipe = Recipe(left.task, left.env, right.algorithm, right.config, left.profile, right.preset)
    for kind, described in recipe.describe().items():
        mine = dict(described)
        theirs = as_now(config[kind], mine)
        names = [parsed(versioned(str(entry.pop("name")))[0]) for entry in (theirs, mine)]
        if names[0][1:] != names[1][1:]:
            raise ValueError(
                f"the run's {kind} is {config[kind]['name']}, not {described['name']}: give the one it was trained with"
            )
        for name in mine.keys() & theirs.keys() - {"profile", "preset"}:
            if not same(mine[name], theirs[name]):
                raise ValueError(
                    f"the run's {kind} has {name} {theirs[name]!r}, the one given {mine[name]!r}: give it as it was "
                    "trained; run.on(game) plays another"
                )
    return recipe


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
    if composition := getattr(type(algorithm), "composition", None):
        return Recipe(task, env, _source_of_algorithm(composition), algorithm, profile)
    if dataclasses.is_dataclass(algorithm) and hasattr(sys.modules[type(algorithm).__module__], "make"):
        return Recipe(task, env, _source_of(sys.modules[type(algorithm).__module__], ALGORITHMS), algorithm, profile)
    raise ValueError(
        f"algorithm {algorithm!r} is not a name, a Config of a module with make(config, env), "
        "such a module, or an Algorithm"
    )


def _own(named: Named, kind: str) -> tuple[ModuleType, Files]:
    """The module that a user named, run now."""
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


def _of_config(files: Files, named: Named) -> tuple[ModuleType, Files]:
    """The module in files that a config names and that were chosen."""
    if not named.is_file and find_module(named.target) == files:
        return _imported(named.target, files), files
    return modules.imported(files), files


def _imported(name: str, files: Files) -> ModuleType:
    """`package.module`, as `python -m` finds it: in the current folder first."""
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


def _source_of(thing: Any, table: dict[str, tuple[str, str]]) -> Source:
    """The source of a class or module that a Python user holds."""
    module = thing if inspect.ismodule(thing) else sys.modules[thing.__module__]
    path = module.__name__ + ("" if inspect.ismodule(thing) else f":{thing.__name__}")
    presets, version = getattr(module, "PRESETS", {}), str(getattr(module, "VERSION", 1))
    for name, (target, _) in table.items():
        if target == path:
            return Source(name, thing, version, presets)
    if path in SHIPPED:
        return Source(path, thing, version, presets)
    if getattr(module, "__file__", None) is None:  # typed into an interpreter: only this process can load it again
        return Source(thing.__name__, thing, "object", {})
    files = _files_of(module)
    attribute = "" if inspect.ismodule(thing) else f":{thing.__name__}"
    return Source(f"{files.path.name}{attribute}", thing, files.version, presets, files)


def _files_of(module: ModuleType) -> Files:
    """A user's module and what it imports from its folder."""
    file = Path(module.__file__ or "")
    depth = 0 if module.__name__ == "__main__" else module.__name__.count(".") + (file.name == "__init__.py")
    if module.__name__.startswith(modules.PREFIX):
        depth -= 1  # below the package of its own
    root = file.parents[min(depth, len(file.parents) - 1)]
    return sources.of_module(root, file.relative_to(root).as_posix())


def _source_of_algorithm(thing: Any) -> Source:
    """The source of an algorithm's module, or of a composition of such."""
    if not hasattr(thing, "parts"):
        return _source_of(thing, ALGORITHMS)
    sources = tuple((role, _source_of_algorithm(part)) for role, part in thing.parts)
    if thing.bonus:
        return _rewarded(sources[0][1], thing.bonus)
    return _population(",".join(f"{role}:{source.name}" for role, source in sources), sources)


def population(learners: dict[str, Any]) -> Any:
    """The settings of a population: {role: a name, or an algorithm's settings}. Raises ValueError, one line."""
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
    return settings_of(_population(name, tuple(sources)), None, "preset", values)


def _task_of(env: Any) -> tuple[Source, Any]:
    """(source, the game) of a game object; a wrapped one becomes the same with a name, `ipd+rusp`."""
    kind = type(env)
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
    if isinstance(own := getattr(kind, "source", None), Source):
        return own
    if not hasattr(kind, "parts"):
        return _source_of(kind, TASKS)
    game, wrapper = kind.parts  # pyright: ignore[reportAttributeAccessIssue]
    path = f"{wrapper.__module__}:{wrapper.__name__}"
    return _wrapped(_source_of_class(game), next(name for name, (target, _) in WRAPPERS.items() if target == path))
