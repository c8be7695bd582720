"""Reads RUN and flags from the command line. RUN is a run directory, a glob, or latest. Imports no jax."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comity.cli.main import Usage
from comity.runs.commands import command
from comity.runs.reading import printable, read_json
from comity.runs.saved import find
from comity.settings import LARGEST_WHOLE

RESUME = {"iterations": str, "minutes": float}, ("trust",)  # flags of `comity resume`


def one_run(text: str, root: str = "runs") -> Path:
    """Returns the one run that `text` means. Raises Usage if it means several, FileNotFoundError if none."""
    found = find(text, root=root)
    if len(found) > 1:
        raise Usage(f"{text} means {len(found)} runs: give one, such as {found[-1]}")
    return Path(found[0])


def manifest_of(text: str) -> dict[str, Any]:
    """Returns the run's manifest; {} if it cannot be read."""
    path = one_run(text)
    try:
        return read_json(path / "manifest.json")
    except (FileNotFoundError, ValueError):
        return {}


def task_flags(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Splits the arguments into (all others, those that begin with --task. and their values)."""
    others, found, rest = [], [], list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--task."):
            others.append(word)
            continue
        found.append(word)
        if "=" not in word and rest and not rest[0].startswith("--"):
            found.append(rest.pop(0))
    return others, found


def on_task(run: Any, words: list[str]) -> Any:
    """Returns the loaded run on its game with other settings (of `task_flags`), with a note. Raises Usage."""
    from comity.cli.setting_flags import parse

    if not words:
        return run
    names = run.recipe.task.name, run.recipe.algorithm.name
    if not dataclasses.is_dataclass(run.env):
        raise Usage(f"{names[0]} is no dataclass, so it has no flags: give its settings in Python, run.on(game)")
    env = parse(words, command("comity", "train", *names), task=run.env)["task"]
    print(printable(f"the game differs from the one trained on: {' '.join(words)}"))
    return run.on(env)


def flags(
    arguments: list[str], known: dict[str, Callable[[str], Any]], switches: tuple[str, ...] = ()
) -> tuple[list[str], dict[str, Any]]:
    """Splits arguments into (positional words, values of --flags). known: name -> function from a text to the value.
    Raises Usage with one line.
    """
    from comity.settings import did_you_mean

    words, values, rest = [], {}, list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            words.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        name = name.replace("_", "-")
        if name in switches and not equals:
            values[name.replace("-", "_")] = True
            continue
        if name not in known:
            allowed = ", ".join(f"--{n}" for n in (*known, *switches))
            raise Usage(f"unknown flag --{name}{did_you_mean(name, (*known, *switches))}; known: {allowed}")
        value = value_of(f"--{name}", value if equals else None, rest)
        try:
            values[name.replace("-", "_")] = known[name](value)
        except ValueError:
            raise Usage(f"--{name} {value!r} is not {_described(known[name])}") from None
        if known[name] is int and abs(values[name.replace("-", "_")]) > LARGEST_WHOLE:
            raise Usage(f"--{name} {value} is beyond {LARGEST_WHOLE}, the largest whole number of 32 bits")
    return words, values


def value_of(flag: str, given: str | None, rest: list[str], about: str = "") -> str:
    """Returns a flag's value: the text after =, or the next word, taken from `rest`. about: for the error. Raises
    Usage.
    """
    if given is None and rest and rest[0].startswith("--"):  # `--out lr=0.1` reads as two flags
        raise Usage(f"{flag} needs a value, but {rest[0]} follows: with -- before it or = in it, write {flag}=VALUE")
    if given == "" or (given is None and not rest):
        raise Usage(f"{flag} needs a value{about}")
    return rest.pop(0) if given is None else given


def to_write(text: str) -> Path:
    """Returns the path of a file that can be written, so that a wrong path is found before there is anything to write.

    Raises ValueError if it is a folder, or if its folder is a file or cannot be written to; OSError.
    """
    path = Path(text)
    folder = next(place for place in (path.parent, *path.parents) if place.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise ValueError
    return path


KINDS = {int: "a whole number", float: "a number", to_write: "a file that can be written"}


def _described(kind: Callable[[str], Any]) -> str:
    return KINDS.get(kind, f"a {kind.__name__}")
