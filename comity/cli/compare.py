"""`comity compare`: shows several runs in one table and one picture. Imports no jax."""

from pathlib import Path

from comity.cli.main import Usage
from comity.cli.runs import flags

HELP = """  --metric NAME    what is compared (the task's headline)
  --out DIR        folder for table and picture (comparisons/DATE_HASH)
Runs that differ only in their seeds are pooled."""


def compare(arguments: list[str]) -> None:
    from rich.console import Console

    from comity.report.compare import compare as compare_runs

    words, values = flags(arguments, {"metric": str, "out": Path})
    if not words:
        raise Usage("compare needs one RUN or more: run directories, globs, or latest")
    compare_runs(words, values.get("metric"), values.get("out"), Console())
