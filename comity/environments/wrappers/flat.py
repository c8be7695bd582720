"""A wrapper and its game as one dataclass of plain settings: a task's name and flags say both, `ipd+rusp`."""

import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import MISSING, field, fields, make_dataclass
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T", bound=type)


def plays_as(wrapper: type, game: type) -> Callable[[T], T]:
    """Class decorator for a dataclass whose fields are those of `game`, which it inherits, and those of `wrapper`.

    Its fields are its own; in all else it is `wrapper(game(...), ...)`. A wrapper is a dataclass whose first field is
    the game.
    """
    settings = [f.name for f in fields(game) if f.init]  # pyright: ignore[reportArgumentType]
    more = [f.name for f in fields(wrapper)[1:]]  # pyright: ignore[reportArgumentType]

    @lru_cache
    def wrapped(flat: Any) -> Any:
        inner = game(**{name: getattr(flat, name) for name in settings})
        return wrapper(inner, **{name: getattr(flat, name) for name in more})

    def attribute(self: Any, name: str) -> Any:
        if name in own or name.startswith("__"):
            return object.__getattribute__(self, name)
        return getattr(wrapped(self), name)

    own = {*settings, *more}

    def decorate(cls: T) -> T:
        cls.__getattribute__ = attribute  # pyright: ignore[reportAttributeAccessIssue]
        cls.__post_init__ = lambda self: wrapped(self) and None  # refuses what game or wrapper refuse
        return cls

    return decorate


@lru_cache
def flattened(wrapper: type, game: type, name: str) -> type:
    """The same without a class written by hand; name: what it is called, `IPD+rusp`.

    Raises ValueError if game and wrapper have a setting of one name.
    """
    settings = {f.name for f in fields(game)}  # pyright: ignore[reportArgumentType]
    hints, said = typing.get_type_hints(wrapper), {**comments(game), **comments(wrapper)}
    added = fields(wrapper)[1:]  # pyright: ignore[reportArgumentType]
    for f in added:
        if f.name in settings:
            raise ValueError(f"{name}: game and wrapper both have a setting {f.name}; wrap it in Python instead")
        if f.default is MISSING:
            raise ValueError(f"{name}: {wrapper.__name__} has no default for {f.name}, so that it cannot be named")
    made = make_dataclass(
        name, [(f.name, hints[f.name], field(default=f.default)) for f in added], bases=(game,), frozen=True
    )
    made.__module__, made.parts = wrapper.__module__, (game, wrapper)  # pyright: ignore[reportAttributeAccessIssue]
    lines = [f"        {f.name}: {said.get(f.name, '')}" for f in fields(made)]  # where tyro looks for help
    made.__doc__ = "\n".join([f"{game.__name__}, and {wrapper.__name__} around it.", "", "    Args:", *lines])
    return plays_as(wrapper, game)(made)


def comments(cls: type) -> dict[str, str]:
    """{setting: what stands behind it in the source, and in the lines of comment below it}."""
    if hasattr(cls, "parts"):
        game, wrapper = cls.parts  # pyright: ignore[reportAttributeAccessIssue]
        return {**comments(game), **comments(wrapper)}
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
