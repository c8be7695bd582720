"""Finds saved runs and reads their files.

A run directory holds `config.yaml`, `manifest.json`, `metrics.jsonl` (training, one line per chunk and seed) and
`eval.jsonl` (one line per evaluation, seed and policy). The functions here only read, also while a run goes on: an
incomplete last line is still being written and is left out.
"""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from comity.runs.lines import read_lines
from comity.runs.reading import Unreadable, read_json, read_yaml
from comity.settings import did_you_mean

REFERENCES = Path(__file__).parents[1] / "references"  # trained teams that come with the package
REFERENCE = "reference.json"  # the file that marks such a team
SWEEP, ROWS, DONE = "sweep.json", "rows", "done.json"  # a sweep's file, its folder of rows, the end of a row
RunsLike = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class SavedRun(NamedTuple):
    """One run directory: the config that it was started with, and the manifest of its results."""

    path: Path
    config: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def task(self) -> str:
        """The task with its version, such as `manitokan@1`."""
        return str(self.config["task"]["name"])

    @property
    def algorithm(self) -> str:
        return str(self.config["algorithm"]["name"])

    @property
    def status(self) -> str:
        return str(self.manifest.get("status", "unknown"))

    @property
    def lost(self) -> list[str]:
        """Seeds whose state became NaN or infinite."""
        found = self.manifest.get("not_finite")
        return [seed for seed in found if seed.isdecimal()] if isinstance(found, dict) else []

    @property
    def step_unit(self) -> str:
        return str(self.manifest.get("step_unit", "joint actions"))

    @property
    def headline(self) -> str:
        """The metric a user looks at first."""
        return str(self.manifest.get("headline", "return"))

    @property
    def aim(self) -> str | None:
        """The metric that the best checkpoints were chosen by; None for a run from before 30 November 2026."""
        return self.manifest.get("aim")


def find(run: RunsLike, root: str | os.PathLike[str] = "runs") -> list[Path]:
    """Finds the run directories that `run` names, in order and without repetition.

    run: a run directory, a directory with runs underneath (also relative to `root`), a glob, `latest` (the run of
    `root` that started last), `reference:TASK` (the trained team that comes with the package; TASK alone if no run has
    that name), or a list of these. Raises FileNotFoundError if there is no such run.
    """
    if not isinstance(run, (str, os.PathLike)):
        paths = [path for one in run for path in find(one, root)]
        if not paths:
            raise FileNotFoundError("no run given: give a run directory, a glob or latest")
        return list(dict.fromkeys(paths))
    text, root = os.fspath(run), Path(root)
    if text.startswith("reference:"):
        if found := reference(text.removeprefix("reference:")):
            return [found]
        near = did_you_mean(text.removeprefix("reference:"), references())
        raise FileNotFoundError(f"no {text}{near}; there are references of {', '.join(references())}")
    if text == "latest":
        runs = underneath(root)
        if not runs:
            raise FileNotFoundError(f"no run under {root}: train one first, comity train TASK ALGORITHM")
        begun = [run for run in runs if not never_began(run)]
        return [max(begun or runs, key=started)]
    candidates = [Path(text)] if Path(text).is_absolute() else [Path(text), root / text]
    if glob.has_magic(text) and not any(path.exists() for path in candidates):
        for pattern in candidates:
            matches = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
            runs = [found for match in matches for found in underneath(Path(match))]
            if runs:
                return list(dict.fromkeys(runs))
        raise FileNotFoundError(f"no run matches {text!r}{known(text, root)}")
    for path in candidates:
        path = path.expanduser()
        if path.is_file() and (path.parent / "config.yaml").is_file():
            return [path.parent]  # a file of a run means the run, because shells complete to config.yaml
        runs = underneath(path)
        if runs:
            return runs
        if path.is_dir():
            raise FileNotFoundError(f"{path} holds no run (no config.yaml in it or underneath){known(text, root)}")
    if found := reference(text):
        return [found]
    raise FileNotFoundError(f"no run {text!r}{known(text, root)}")


def references() -> list[str]:
    """Tasks for which a trained team comes with the package."""
    return sorted(path.parent.name for path in REFERENCES.glob(f"*/{REFERENCE}"))


def reference(task: str) -> Path | None:
    """The run directory of the trained team for a task that comes with the package; None if there is none."""
    return REFERENCES / task if task in references() else None


def underneath(directory: Path) -> list[Path]:
    """Run directories at or below `directory`, sorted. Of a sweep, the runs of its rows."""
    found = []
    for folder, folders, files in os.walk(directory):
        if "config.yaml" in files:
            found.append(Path(folder))
            folders.clear()
        elif SWEEP in files and ROWS in folders and (rows := _rows(Path(folder))) is not None:
            found += rows
            folders.remove(ROWS)
        folders.sort()
    return sorted(found)


def _rows(sweep: Path) -> list[Path] | None:
    """The runs of a sweep's rows; None if the folder is no sweep.

    A row's folder stays when the study changes, and a search keeps the runs of values that failed, so there may be
    other runs beside these. A row that is not over has its newest run.
    """
    try:
        names = [row["name"] for row in read_json(sweep / SWEEP)["rows"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    found = []
    for folder in (sweep / ROWS / name for name in names if isinstance(name, str) and Path(name).name == name):
        runs = underneath(folder)
        try:
            ended = read_json(folder / DONE).get("run")
        except (OSError, ValueError):
            found += [max(runs, key=started)] if runs else []
        else:
            found += [run for run in runs if run.relative_to(folder).as_posix() == ended]
    return found


def never_began(path: Path) -> bool:
    """True if a run was stopped or failed before there was anything to save. `latest` ignores such runs."""
    if any((path / "checkpoints").glob("*.npz")):
        return False
    try:
        return read_json(path / "manifest.json").get("status") in ("interrupted", "failed")
    except (OSError, ValueError):
        return False


def started(path: Path) -> tuple[str, float]:
    """Key to sort runs by their start: DATE_HASH; for a directory that the user renamed the time of its config."""
    return (path.name if path.name[:1].isdigit() else "", (path / "config.yaml").stat().st_mtime)


def known(text: str, root: Path) -> str:
    """The end of an error message: the runs with names near `text`, or else the number of runs and the last one."""
    runs = [path.relative_to(root) for path in underneath(root)]
    if not runs:
        return f"; there is no run under {root} either: train one with comity train TASK ALGORITHM"
    names = {str(part) for path in runs for part in (path, *path.parents) if str(part) != "."}
    asked = text.removeprefix(f"{root}/").strip("/")
    close = difflib.get_close_matches(asked, names, n=3, cutoff=0.5)
    if not close:  # perhaps only its last part is known
        by_name = {name.rsplit("/", 1)[-1]: name for name in sorted(names)}
        close = [by_name[n] for n in difflib.get_close_matches(asked.rsplit("/", 1)[-1], by_name, n=3, cutoff=0.5)]
    if close:
        return f"; nearest: {', '.join(str(root / name) for name in close)}"
    return f"; {root} holds {len(runs)}, the last is {max((root / path for path in runs), key=started)}"


def open_run(path: str | os.PathLike[str]) -> SavedRun:
    """Reads config and manifest of one run directory. Raises ValueError if the config is not a run's, FileNotFoundError
    if there is none.

    The manifest is empty if it is missing or damaged, such as after a kill at the start.
    """
    path = Path(path)
    try:
        config = read_yaml(path / "config.yaml")
        _ = config["task"]["name"], config["algorithm"]["name"]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is no run directory: it has no config.yaml") from None
    except (Unreadable, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path / 'config.yaml'} names no task and algorithm ({reason}): it may not be of a run"
        ) from None
    try:
        manifest = read_json(path / "manifest.json")
    except (OSError, ValueError):
        manifest = {}
    return SavedRun(path, config, manifest)


def records(path: Path) -> list[dict[str, Any]]:
    """Reads the lines of a run's metrics or evaluations, see `read_lines`."""
    return read_lines(path, ("seed", "iteration", "env_steps"))


def section(run: SavedRun, name: str) -> dict[str, Any]:
    """One section of a run's config, with flat names (`critic.hidden`), without the entry `name`."""
    flat: dict[str, Any] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            flat[prefix] = tuple(value) if isinstance(value, list) else value

    add("", run.config.get(name) or {})
    flat.pop("name", None)
    return flat
