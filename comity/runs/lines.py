"""The only reader of JSON lines. An incomplete last line is ignored: it is being written, or a kill cut it off."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from comity.runs.reading import odd_line


def read_lines(path: Path, needed: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Reads the lines of a file; none if there is no file.

    needed: keys that every line must have, for metrics and evaluations of a run, whose values are then checked, too;
    None: any JSON object is allowed. Raises ValueError, with the line's number, for any other line.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    return parsed_lines(text, path, needed)


def parsed_lines(text: bytes, path: Path, needed: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Does the same as `read_lines` with bytes that were read from the file `path`."""
    rows = text.split(b"\n")
    found = []
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        try:
            line = json.loads(row)
        except (ValueError, RecursionError) as error:  # also for bytes that are not UTF-8
            if number == len(rows):
                continue
            deep = "it is nested too deeply"
            reason = deep if isinstance(error, RecursionError) else getattr(error, "msg", "it is no UTF-8")
            raise ValueError(f"{path}, line {number}, is not JSON ({reason}): remove the line") from error
        problem = None if isinstance(line, dict) else "is no {...}"
        if needed is not None:
            problem = problem or odd_line(line, tuple(needed))
        if problem:
            raise ValueError(f"{path}, line {number}, {problem}: remove the line")
        found.append(line)
    return found
