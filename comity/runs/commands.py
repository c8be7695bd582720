"""Commands that are printed for a user to paste."""

import shlex
from pathlib import Path

from comity.runs.reading import printable


def command(*words: str | Path) -> str:
    """A command line of these words, quoted for a POSIX shell; control characters are not printed."""
    return printable(shlex.join(str(word) for word in words))
