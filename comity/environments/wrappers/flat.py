"""A wrapper and its game as one dataclass of plain settings, so that a task's name and flags can say both."""

from collections.abc import Callable
from dataclasses import fields
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
