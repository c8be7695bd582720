"""Reads the meaning of settings from the comments beside them, and writes the list of settings that `--help` prints."""

import ast
import dataclasses
import inspect
import io
import shutil
import textwrap
import tokenize
import typing
from collections.abc import Mapping
from typing import Any

from comity.runs.reading import printable
from comity.settings import nested

LEFT = 34  # width in characters of the column with flag and default
PRESETS = {  # what a preset's name means in every algorithm
    "sound": "settings that work",
    "paper": "settings of the paper",
    "released": "settings of the published code, with its defects",
}


def texts(settings: type) -> dict[str, str]:
    """Returns {field: its text} of a dataclass.

    The text is the comment on the field's line and on the comment lines that follow directly, or else the comment above
    it. A field that a class declares again without a text has the text of its base class.
    """
    found: dict[str, str] = {}
    for kind in settings.__mro__:
        if dataclasses.is_dataclass(kind):
            found = _own(kind) | found
    return found


def _own(kind: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):  # the class was typed into a console
        return {}
    body = ast.parse(source).body[0].body  # pyright: ignore[reportAttributeAccessIssue]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {x.start[0]: x.string.lstrip("# ").strip() for x in tokens if x.type == tokenize.COMMENT}
    found = {}
    for node in body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        lines, last = range(node.lineno, (node.end_lineno or node.lineno) + 1), node.end_lineno or node.lineno
        inside = [comments[line] for line in lines if line in comments]
        alone = {line for line in comments if source.splitlines()[line - 1].lstrip().startswith("#")}
        while last + 1 in alone:
            last += 1
            inside.append(comments[last])
        first = node.lineno
        while not inside and first - 1 in alone:
            first -= 1
        above = [comments[line] for line in range(first, node.lineno)] if not inside else []
        if text := " ".join(inside or above):
            found[node.target.id] = text
    return found


def listed(settings: Any, prefix: str = "", width: int | None = None) -> list[str]:
    """Returns every setting as lines: flag, value, text. settings: a dataclass; prefix: for instance `algorithm.`."""
    hints, comments = typing.get_type_hints(type(settings)), texts(type(settings))
    width, lines = width or max(60, min(shutil.get_terminal_size().columns, 120)), []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if nested(hints[field.name], value):
            lines += listed(value, f"{prefix}{field.name}.", width)
        elif field.init:
            lines += _setting(
                f"--{prefix}{field.name}".replace("_", "-"), hints[field.name], value, comments, field, width
            )
    return lines


def _setting(flag: str, hint: Any, value: Any, comments: dict[str, str], field: Any, width: int) -> list[str]:
    choices = _choices(hint)
    switch = f" (or {_no(flag)})" if hint is bool else ""
    text = " ".join(filter(None, (f"[{'|'.join(choices)}]" if choices else "", comments.get(field.name, ""))))
    head = f"  {flag} {text_of(value)}{switch}"
    right = textwrap.wrap(printable(text), width - LEFT - 1, break_long_words=False) or [""]
    if len(head) > LEFT - 1:
        return [head, *(f"{'':{LEFT}} {line}" for line in right if line)]
    return [f"{head:<{LEFT}} {right[0]}".rstrip(), *(f"{'':{LEFT}} {line}" for line in right[1:])]


def _no(flag: str) -> str:
    before, dot, name = flag.rpartition(".")
    return f"{before}{dot}no-{name}" if dot else f"--no-{flag[2:]}"


def _choices(hint: Any) -> list[str]:
    """Returns the words of a Literal, also of one that may be None."""
    found = [str(x) for x in typing.get_args(hint)] if typing.get_origin(hint) is typing.Literal else []
    for inner in () if found else typing.get_args(hint):
        found += _choices(inner)
    return found


def text_of(value: Any) -> str:
    """Returns a value as it is written on the command line."""
    if isinstance(value, tuple):
        return " ".join(map(text_of, value)) or "()"
    return str(value)


def presets(table: Mapping[str, Mapping[str, Any]], width: int | None = None) -> list[str]:
    """Returns a line for each preset or profile: its meaning and the settings that it sets. The first is
    the default.
    """
    width = width or max(60, min(shutil.get_terminal_size().columns, 120))
    lines, left = [], max(map(len, table), default=0)
    for number, (name, values) in enumerate(table.items()):
        sets = ", ".join(f"{x.replace('_', '-')}={text_of(value)}" for x, value in values.items())
        known = PRESETS.get(name, "")
        text = "; ".join(filter(None, (known, "the default" if not number else "", sets and f"sets {sets}")))
        line = printable(f"  {name:<{left}}  {text or 'the defaults of all settings'}")
        lines.append(line if len(line) <= width else f"{line[: width - 3].rstrip(' ,')}...")
    return lines
