"""Names a user may give, taken apart and checked without importing anything heavy."""

import re
from typing import NamedTuple

from comity.algorithms import ALGORITHMS
from comity.environments import TASKS, WRAPPERS
from comity.settings import did_you_mean

FILE = re.compile(r"(?s)(?P<target>.*\.py)(?::(?P<attribute>[^:+/]*))?(?P<around>(?:\+[^+/]*)*)")
VERSION = re.compile(r"(?s)(?P<name>.*)@(?P<version>[0-9a-f]{8}|object|\d+)(?P<around>(?:\+\d+)*)")


class Named(NamedTuple):
    """A name's parts: `ipd+rusp`, `games/my_game.py:MyGame+rusp`, `package.module:Class`."""

    target: str  # ipd, games/my_game.py, package.module
    attribute: str  # MyGame; "": not said
    wrappers: tuple[str, ...]

    @property
    def is_file(self) -> bool:
        return self.target.endswith(".py")


def parsed(name: str) -> Named:
    """The parts of a name. The name of a file may hold any character, as long as it ends in .py."""
    if found := FILE.fullmatch(name):
        return Named(found["target"], found["attribute"] or "", tuple(found["around"].split("+")[1:]))
    whole, *around = name.split("+")
    target, _, attribute = whole.partition(":")
    return Named(target, attribute, tuple(around))


def versioned(text: str) -> tuple[str, str]:
    """(name, version) of `manitokan@1`, `ipd+rusp@1+1`, `my_game.py:MyGame@135c2d0d`; version "" where none stands."""
    if found := VERSION.fullmatch(text):
        return found["name"], found["version"] + found["around"]
    return text, ""


def unknown(kind: str, name: str) -> str | None:
    """One line if `name` is neither a shipped task or algorithm nor can be a user's own; else None.

    A task may wear wrappers: `ipd+rusp`.
    """
    named = parsed(name)
    if kind == "task" and named.target:
        for suffix in named.wrappers:
            if suffix not in WRAPPERS:
                return f"unknown wrapper {suffix!r}{did_you_mean(suffix, WRAPPERS)}; known: {', '.join(WRAPPERS)}"
    table, form = (TASKS, "my_game.py:MyGame") if kind == "task" else (ALGORITHMS, "my_algorithm.py")
    plain = kind == "task" or not named.wrappers
    if plain and ((named.target in table and not named.attribute) or named.is_file):
        return None
    if plain and named.target not in table and ("." in named.target or named.attribute):
        return None
    name = named.target if kind == "task" and named.target else name
    return f"unknown {kind} {name!r}{did_you_mean(name, table)}; known: {', '.join(table)}, or your own {form}"
