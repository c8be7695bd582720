"""Commands that are printed for a user to paste."""

import shlex
from pathlib import Path

from comity.runs.reading import printable


def command(*words: str | Path) -> str:
    """Joins words to a command line, quoted for a POSIX shell. Control characters are escaped."""
    return printable(shlex.join(str(word) for word in words))
