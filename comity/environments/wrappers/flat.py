"""Turns a game and a wrapper into one dataclass of settings, so that a name and flags select both: `ipd+rusp`."""

import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import MISSING, field, fields, make_dataclass
from functools import lru_cache
from typing import Any, TypeVar

from comity.settings import check

T = TypeVar("T", bound=type)


def plays_as(wrapper: type, game: type, renamed: dict[str, str] | None = None) -> Callable[[T], T]:
    """Class decorator for a dataclass whose fields are those of `game` and those of `wrapper`.

    Apart from its fields, an instance behaves like `wrapper(game(...), ...)`. A wrapper is a dataclass whose first
    field is the game. renamed: {field of the game: its name here}.
    """
    settings = {f.name: (renamed or {}).get(f.name, f.name) for f in fields(game) if f.init}  # pyright: ignore
    more = [f.name for f in fields(wrapper)[1:]]  # pyright: ignore[reportArgumentType]

    @lru_cache
    def wrapped(flat: Any) -> Any:
        inner = game(**{name: getattr(flat, here) for name, here in settings.items()})
        return wrapper(inner, **{name: getattr(flat, name) for name in more})

    def attribute(self: Any, name: str) -> Any:
        if name in own or name.startswith("__"):
            return object.__getattribute__(self, name)
        return getattr(wrapped(self), name)

    own = {*settings.values(), *more}

    def decorate(cls: T) -> T:
        cls.__getattribute__ = attribute  # pyright: ignore[reportAttributeAccessIssue]

        def post_init(self: Any) -> None:
            check(self)  # before `wrapped`, whose cache cannot tell True from 1
            wrapped(self)  # so that game and wrapper check their settings

        cls.__post_init__ = post_init
        return cls

    return decorate


@lru_cache
def flattened(wrapper: type, game: type, name: str) -> type:
    """Makes such a class from a game and a wrapper. name: name of the class, `IPD+rusp`.

    A wrapper may have `RENAMED`: {setting of a game: its name here}, for names that the wrapper uses itself. Raises
    ValueError if game and wrapper have settings of the same name, or if a setting has no default.
    """
    renamed = getattr(wrapper, "RENAMED", {})
    texts = {renamed.get(name, name): words for name, words in comments(game).items()} | comments(wrapper)
    inner, outer = (typing.get_type_hints(kind, include_extras=True) for kind in (game, wrapper))
    listed = [(renamed.get(f.name, f.name), inner[f.name], f) for f in fields(game) if f.init]  # pyright: ignore
    names = {name for name, *_ in listed}
    for f in fields(wrapper)[1:]:  # pyright: ignore[reportArgumentType]
        if f.name in names:
            raise ValueError(f"{name}: game and wrapper both have a setting {f.name}; wrap it in Python instead")
        listed.append((f.name, outer[f.name], f))
    for setting, _, f in listed:
        if f.default is MISSING:
            raise ValueError(f"{name}: {setting} has no default, so the name alone cannot make it; wrap it in Python")
    settings = [(setting, hint, field(default=f.default)) for setting, hint, f in listed]
    checked = {"__post_init__": lambda self: None}  # must exist when the dataclass is made
    made = make_dataclass(name, settings, namespace=checked, frozen=True)
    made.__module__, made.parts = wrapper.__module__, (game, wrapper)  # pyright: ignore[reportAttributeAccessIssue]
    lines = [f"        {setting}: {texts.get(setting, '')}" for setting, *_ in listed]  # where tyro looks for help
    made.__doc__ = "\n".join([f"{game.__name__}, and {wrapper.__name__} around it.", "", "    Args:", *lines])
    return plays_as(wrapper, game, renamed)(made)


@lru_cache
def fixed(game: type, settings: tuple[tuple[str, Any], ...]) -> type:
    """Returns the class `game` with these settings fixed: they can be read, but not set."""
    hints = typing.get_type_hints(game, include_extras=True)
    known = {f.name for f in fields(game)}  # pyright: ignore[reportArgumentType]
    chosen = [(name, hints[name], field(default=value, init=False)) for name, value in settings if name in known]
    made = make_dataclass(game.__name__, chosen, bases=(game,), frozen=True)
    made.__module__, made.plain = game.__module__, game  # pyright: ignore[reportAttributeAccessIssue]
    texts, free = comments(game), [f.name for f in fields(made) if f.init]  # pyright: ignore[reportArgumentType]
    lines = [f"        {name}: {texts.get(name, '')}" for name in free]  # where tyro looks for help
    made.__doc__ = "\n".join([game.__doc__ or "", "", "    Args:", *lines])
    return made


def comments(cls: type) -> dict[str, str]:
    """Returns {setting: its comment in the source, on its line and on the lines below}."""
    cls = getattr(cls, "plain", cls)  # a class from `fixed` has no source
    if hasattr(cls, "parts"):
        game, wrapper = cls.parts  # pyright: ignore[reportAttributeAccessIssue]
        renamed = getattr(wrapper, "RENAMED", {})
        return {renamed.get(name, name): words for name, words in comments(game).items()} | comments(wrapper)
    found: dict[str, str] = {}
    for one in (c for c in reversed(cls.__mro__) if c is not object):
        name = None
        for line in inspect.getsource(one).splitlines():
            if declared := re.match(r"    (\w+): [^#]*(?:#\s*(.*))?$", line):
                name = declared[1]
                found[name] = declared[2] or ""
            elif name and (below := re.match(r"    # (.*)$", line)):
                found[name] = f"{found[name]} {below[1]}".strip()
            else:
                name = None
    return found
