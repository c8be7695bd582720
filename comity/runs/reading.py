"""Reads files that may come from a stranger: their size, depth and kind are checked before they are used."""

import json
import re
import stat
from pathlib import Path
from typing import Any

LARGEST_CONFIG = 1 << 20  # bytes of config.yaml
LARGEST_MANIFEST = 1 << 24  # bytes of manifest.json, source/files.json
DEEPEST = 32  # largest number of nested sections
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Unreadable(ValueError):
    """Raised for a file with content that no file of a run has."""


def text_of(path: Path, largest: int) -> str:
    """Reads the text of a plain file of at most `largest` bytes. Raises OSError, Unreadable."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise Unreadable(f"{path} is not a plain file")
    if about.st_size > largest:
        raise Unreadable(f"{path} has {about.st_size:,} bytes, at most {largest:,} are read")
    try:
        return path.read_bytes()[:largest].decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path} is no text ({error.reason} at byte {error.start})") from None


def read_yaml(path: Path) -> Any:
    """Reads the plain values of a YAML file. Raises OSError, Unreadable with one line.

    Unreadable are aliases, more than `DEEPEST` nested sections, control characters, and repeated keys of a section.
    """
    return parse_yaml(text_of(path, LARGEST_CONFIG), path)


def dump_yaml(values: Any) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(values, Dumper=Dumper, sort_keys=False, allow_unicode=True)


def parse_yaml(text: str, path: Path | str) -> Any:
    """Does the same as `read_yaml` with the text of the file `path`."""
    import yaml

    if len(text) > LARGEST_CONFIG:
        raise Unreadable(f"{path} has {len(text):,} bytes, at most {LARGEST_CONFIG:,} are read: give fewer settings")
    loader, depth = getattr(yaml, "CSafeLoader", yaml.SafeLoader), 0
    try:
        for event in yaml.parse(text, loader):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise Unreadable(f"{path}, line {line}: anchors and aliases (& and *) are not read; write it out")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise Unreadable(f"{path}, line {line}: more than {DEEPEST} levels of sections")
        if twice := _twice(yaml.compose(text, loader)):
            raise Unreadable(f"{path}, line {twice.start_mark.line + 1}: {twice.value} occurs twice; keep one of them")
        value = yaml.load(text, loader)
    except Unreadable:
        raise
    except Exception as error:  # such as for a date that does not exist: yaml's readers may raise anything
        raise Unreadable(f"{path} is not YAML ({' '.join(str(error).split())})") from None
    for word in texts(value):
        if CONTROL.search(word):
            raise Unreadable(f"{path} holds control characters, in {printable(word)[:60]!r}: take them out")
    return value


def _twice(node: Any) -> Any:
    """The first key, as a node, that occurs a second time in its section; None if there is none."""
    if not isinstance(getattr(node, "value", None), list):
        return None
    seen = set()
    for part in node.value:
        key, *inner = part if isinstance(part, tuple) else (None, part)
        if key and (place := (key.tag, str(key.value))) in seen:
            return key
        elif key:
            seen.add(place)
        if found := next(filter(None, map(_twice, inner)), None):
            return found
    return None


def texts(value: Any) -> list[str]:
    """All texts in plain values, keys included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [word for pair in value.items() for part in pair for word in texts(part)]
    return [word for part in value for word in texts(part)] if isinstance(value, (list, tuple)) else []


def read_json(path: Path) -> dict[str, Any]:
    """Reads the object in a JSON file. Raises OSError, Unreadable."""
    try:
        value = json.loads(text_of(path, LARGEST_MANIFEST))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path} is not JSON ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(value, dict):
        raise Unreadable(f"{path} holds no {{...}}")
    return value


def printable(text: str) -> str:
    """Escapes control characters, and characters that change the direction of writing."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def whole(value: Any, least: int, most: int) -> int | None:
    """`value` if it is a whole number from `least` to `most`, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most else None


LARGEST_WHOLE = 2**63 - 1
WHOLE = ("seed", "iteration", "env_steps", "episodes", "policy_iteration")  # in lines of metrics.jsonl and eval.jsonl


def odd_line(line: Any, needed: tuple[str, ...] = ()) -> str | None:
    """The fault of a line of metrics.jsonl or eval.jsonl, as the end of a sentence; None if there is none.

    A fault is a missing key of `needed`, or a value that is not possible.
    """
    if not isinstance(line, dict):
        return "is no {...}"
    if lacking := next((key for key in needed if key not in line), None):
        return f"has no {lacking!r}"
    for key, value in line.items():
        fits = whole(value, -LARGEST_WHOLE, LARGEST_WHOLE) is not None if key in WHOLE else True
        fits = isinstance(value, {"policy": str, "which": str, "mean": dict}.get(key, object)) and fits
        values = value.values() if key == "mean" and fits else [value]
        lists = (x for x in values if isinstance(x, list))
        if not fits or any(x is not None and not isinstance(x, (int, float)) for some in lists for x in some):
            return f"has {key} {str(value)[:40]!r}"
    return None
