"""Flags of settings: sets the fields of dataclasses from the command line."""

import contextlib
import dataclasses
import io
import os
import re
import typing
from typing import Any

import tyro

from comity.cli.main import Usage
from comity.settings import did_you_mean, nested

OWN = {
    "preset": "settings of the algorithm to start from",
    "profile": "settings of the task to start from",
    "config": "a config.yaml to start from",
}
OWN |= {"initialise": "each seed starts from its last state in this run", "out": "folder for run directories (runs)"}


def parse(arguments: list[str], program: str, **parts: Any) -> dict[str, Any]:
    """Reads flags over the defaults in `parts` (dataclasses), by tyro; `training` has no prefix. Returns these parts.

    Unknown flags and bad values raise Usage with one line.
    """
    known = {}
    for name, value in parts.items():
        known |= _flags_of(value, "" if name == "training" else f"{name}.")
    for word in arguments:
        flag = word.partition("=")[0].replace("_", "-")
        flag = flag.replace(".no-", ".", 1) if flag not in known else flag
        if flag.startswith("--") and flag not in known and flag != "--help":
            near = did_you_mean(flag, [*known, *(f"--{name}" for name in OWN)])
            raise Usage(f"unknown flag {word.partition('=')[0]}{near}; `{program} --help` lists all")
    types = [
        (name, tyro.conf.OmitArgPrefixes[type(value)] if name == "training" else type(value), value)
        for name, value in parts.items()
    ]
    flagged = dataclasses.make_dataclass("Settings", types, frozen=True)
    words, captured = _switches(arguments, known), io.StringIO()
    wide = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "1000"  # so that tyro's message stays one line
    try:
        with contextlib.redirect_stderr(captured), contextlib.redirect_stdout(captured):
            result = tyro.cli(flagged, prog=program, args=words)
    except SystemExit:
        raise Usage(_first_complaint(captured.getvalue(), program)) from None
    finally:
        os.environ.pop("COLUMNS") if wide is None else os.environ.update(COLUMNS=wide)
    return {name: getattr(result, name) for name in parts}


def _flags_of(settings: Any, prefix: str) -> dict[str, Any]:
    """Returns {--flag: its field}, also for settings inside settings: --algorithm.good.gamma."""
    hints, found = typing.get_type_hints(type(settings)), {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if nested(hints[field.name], value):
            found |= _flags_of(value, f"{prefix}{field.name}.")
        elif field.init:
            found[f"--{prefix}{field.name}".replace("_", "-")] = field
    return found


def _switches(arguments: list[str], known: dict[str, Any]) -> list[str]:
    """Turns `--task.x true` and `--task.x=true` into --task.x, and false into --task.no-x, for NAME=VALUE."""
    words, rest = [], list(arguments)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        field = known.get(flag.replace("_", "-"))
        if field and field.type in (bool, "bool"):
            value = value if equals else rest[0] if rest else ""
            if value.lower() in ("true", "false"):
                del rest[: 0 if equals else 1]
                prefix, dot, name = flag.removeprefix("--").rpartition(".")
                words.append(f"--{prefix}{dot}{'' if value.lower() == 'true' else 'no-'}{name}")
                continue
            value = value if equals else ""
        words.append(flag + equals + value)
    return words


COMPLAINTS = (  # patterns of tyro's messages, and our words for them
    (r"Error parsing (?:task|algorithm|training): (.*)", r"\1"),
    (r"Error parsing algorithm\.(\S+): (.*)", r"\1: \2"),
    (r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)", r"\1 \2 is not a whole number: give one"),
    (r"Error parsing (\S+): could not convert string to float: (.*)", r"\1 \2 is not a number: give one"),
    (r"Error parsing (\S+): no type matching (.*) could be instantiated from \[(.*)\]\.", r"\1 \3 is not \2: give one"),
    (r"Missing value for argument '(\S+)'.*", r"\1 needs a value"),
    (r"Unrecognized options: (.*)", r"\1: settings are --NAME VALUE or NAME=VALUE"),
)


def _first_complaint(text: str, program: str) -> str:
    """Returns the line of tyro's message that says what is wrong: the first below its title."""
    lines = [line.strip("│╭╮╰╯─ \t") for line in text.splitlines()]
    lines = [line for line in lines if any(c.isalnum() for c in line)][1:2] or ["cannot read the flags"]
    complaint = lines[0]
    for pattern, ours in COMPLAINTS:
        complaint = re.sub(f"^{pattern}$", ours, complaint)
    return f"{complaint}; `{program} --help` lists all"
