"""Reports an unexpected error in one line: what happened, and which file has the traceback."""

import datetime
import os
import shlex
import tempfile
import traceback
from pathlib import Path


def message(error: BaseException, arguments: list[str]) -> str:
    """Describes an unexpected error in one line. The traceback is appended to the log of the run in which it happened,
    or written to a new file in the temporary folder. arguments: of the command.
    """
    text = " ".join(str(error).split())
    kind = type(error).__name__ + (f": {text if len(text) <= 200 else text[:197] + '...'}" if text else "")
    when = datetime.datetime.now().isoformat(timespec="seconds")
    lines = "".join(traceback.format_exception(error))
    where = _log_file(f"{when} comity {shlex.join(arguments)}\n{lines}", _run_of(error, arguments))
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        least = "lower --envs, --seeds, --evaluation-episodes, or sizes of the algorithm"
        return f"not enough memory ({kind}): {least}; the traceback is in {where or 'no file, as there is no room'}"
    if where is None:
        return f"unexpected {kind}; its traceback could not be written: COMITY_TRACEBACK=1 shows it"
    return f"unexpected {kind}; the traceback is in {where}: please report it with that file"


def _run_of(error: BaseException, arguments: list[str]) -> Path | None:
    """Returns the run directory in which the error arose: the training's, or else the one that the command names."""
    from comity.runs.saved import REFERENCES, find

    if (path := getattr(error, "comity_run", None)) is not None:
        return Path(path)
    if arguments[0] not in ("resume", "evaluate", "watch", "play", "compare", "report"):
        return None
    for word in arguments[1:]:
        try:
            found = [] if word.startswith("-") else find(word)
        except Exception:
            continue
        if len(found) == 1:  # teams that come with the package get no log
            return Path(found[0]) if REFERENCES not in Path(found[0]).parents else None
    return None


def _log_file(text: str, run: Path | None) -> Path | None:
    """Writes the text to a log and returns the file; None if there is no place for it."""
    log = run / "log.txt" if run else None
    if log and run and run.is_dir() and not log.is_symlink():
        try:
            with open(log, "a", encoding="utf-8") as file:
                file.write(text)
            return log
        except OSError:
            pass
    try:
        number, path = tempfile.mkstemp(prefix="comity-", suffix=".log")
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        return Path(path)
    except OSError:
        return None
