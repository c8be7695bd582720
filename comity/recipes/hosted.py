"""Games that Python steps, as tasks: `pettingzoo:mpe2.simple_spread_v3`."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from comity.names import Named, parsed
from comity.recipes.source import Source
from comity.runs import sources
from comity.runs.sources import Files

Find = Callable[[Named], tuple[ModuleType, Files]]  # finds and imports the module of a name; raises ValueError
# Called before code of an installed package is run, with the package or module, and with the name of its function;
# None: the name is in gymnasium's registry. Raises ValueError.
Allow = Callable[[str, str | None], None]

HOSTED = "comity.interop.hosted"  # the module of such games, which is imported only if one is used


def hosted_source(name: str, host: str, find: Find, allow: Allow, engine: bool = True) -> Source:
    """Makes the source of a game that Python steps, HOST:WHAT. WHAT is a body, a name in gymnasium's registry, an
    installed module or a user's file."""
    hosted, what = importlib.import_module(HOSTED), name.partition(":")[2]
    if packages := hosted.engine_of(host):
        game = hosted.of_body(name, host, parsed(name).attribute, engine)
        return with_source(game, Source(name, game, "1", {}, packages=_tops("gymnasium", *packages)))
    if hosted.in_registry(host, what):
        game, package = hosted.of_registry(name, what), hosted.package_of(what)
        allow(package, None)
        return with_source(game, Source(name, game, "1", {}, packages=_tops("gymnasium", package)))
    named = parsed(what)
    if not named.is_file and sources.installed(named.target):
        allow(named.target, named.attribute or hosted.USUAL)
        try:
            module = importlib.import_module(named.target)
        except ImportError as error:
            raise ValueError(f"task {name}: cannot import {named.target}: {error}") from error
        game = hosted.of_module(name, host, module, named.attribute)
        return with_source(game, Source(name, game, "1", {}, packages=_tops(host, named.target)))
    module, files = find(named._replace(attribute=named.attribute or hosted.USUAL))
    game = hosted.of_module(name, host, module, named.attribute, files)
    return with_source(game, Source(name, game, files.version, {}, files))


def _tops(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.partition(".")[0] for name in names))


def with_source(game: Any, source: Source) -> Source:
    """Stores the source in the game's class and returns it."""
    game.source = source  # so that the source of an instance can be found
    return source
