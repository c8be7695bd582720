"""The directory that a run writes to. Its files stay whole whatever happens to the process."""

import contextlib
import datetime
import hashlib
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from comity.runs import writing
from comity.runs.lines import read_lines
from comity.runs.reading import Unreadable, dump_yaml, read_json, read_yaml
from comity.runs.writing import write_text

try:
    import fcntl
except ImportError:  # Windows has none: there two processes can train one run at the same time
    fcntl = None


LINE = {  # the keys that every line of these files has
    "metrics.jsonl": ("seed", "iteration"),
    "eval.jsonl": ("seed", "iteration", "policy", "which", "mean"),
}


class InUse(RuntimeError):
    """Raised if another process trains this run."""


class RunDirectory:
    """`runs/TASK/ALGORITHM/DATE_HASH/` with config.yaml, manifest.json, metrics.jsonl, eval.jsonl, checkpoints/ ..."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.figures = self.path / "figures"

    @classmethod
    def create(cls, root: Path | str, task: str, algorithm: str, config: dict[str, Any]) -> "RunDirectory":
        """Makes a new directory under `root` with its config, never an existing one. Raises OSError, one line."""
        digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:6]
        stem = f"{datetime.datetime.now():%Y%m%d-%H%M%S}_{digest}"
        parent = Path(root) / task / algorithm
        try:
            parent.mkdir(parents=True, exist_ok=True)
            for suffix in ("", *(f"-{n}" for n in range(2, 1000))):
                with contextlib.suppress(FileExistsError):
                    (parent / (stem + suffix)).mkdir()
                    break
            run = cls(parent / (stem + suffix))
            run.checkpoints.mkdir()
            run.figures.mkdir()
            write_text(run.path / "config.yaml", dump_yaml(config))
        except OSError as error:
            raise OSError(
                f"cannot make a run directory in {parent} ({error.strerror or error}): give another with --out"
            ) from error
        return run

    def config(self) -> dict[str, Any]:
        """Reads config.yaml. Raises ValueError, one line, if it is missing or is not a run's config."""
        path = self.path / "config.yaml"
        try:
            config = read_yaml(path)
            _ = config["task"]["name"], config["algorithm"]["name"], config["training"]["iterations"]
        except FileNotFoundError:
            raise ValueError(f"{self.path} has no config.yaml: it is no run, or was killed before it began") from None
        except (Unreadable, KeyError, TypeError) as error:
            reason = str(error) if isinstance(error, Unreadable) else f"{type(error).__name__}: {error}"
            raise ValueError(f"{path} is not a run's config ({reason}): put it back as it was") from None
        return config

    def write_config(self, config: dict[str, Any]) -> None:
        write_text(self.path / "config.yaml", dump_yaml(config))

    def manifest(self) -> dict[str, Any]:
        """Reads the manifest; {} if it is damaged, or missing because a kill came before it was written."""
        try:
            return read_json(self.path / "manifest.json")
        except (FileNotFoundError, ValueError):
            return {}

    def refuse_links(self) -> None:
        """Raises ValueError if a file or folder that a run writes to is a link, because it may lead anywhere."""
        writing.refuse_links(self.path)

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        write_text(self.path / "manifest.json", json.dumps(manifest, indent=2, default=str) + "\n")

    def append(self, name: str, lines: Iterable[dict[str, Any]]) -> None:
        """Adds JSON lines to `name` and waits until they are on the disk. NaN is written as null. Raises OSError."""
        text = "".join(json.dumps(_null_for_nan(line), separators=(",", ":")) + "\n" for line in lines)
        try:
            with open(self.path / name, "a", encoding="utf-8", opener=writing.not_through_links) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(f"cannot write {self.path / name} ({error.strerror})") from error

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Reads the JSON lines of `name`. Raises ValueError, one line."""
        return read_lines(self.path / name, LINE.get(name))

    def keep(self, name: str, keep) -> None:
        """Rewrites `name` with only the lines for which keep(line) is True, whole or not at all."""
        lines = [line for line in self.lines(name) if keep(line)]
        if (self.path / name).exists():
            write_text(self.path / name, "".join(json.dumps(x, separators=(",", ":")) + "\n" for x in lines))

    def saved(self) -> list[Path]:
        """Checkpoints of all seeds together, oldest first."""
        return sorted(p for p in self.checkpoints.glob("*.npz") if p.stem.isdecimal())

    def sweep(self) -> None:
        """Removes files that a kill left half-written."""
        for folder in (self.path, self.checkpoints, self.path / "source"):
            for part in folder.glob(".*.part"):
                part.unlink()

    @contextlib.contextmanager
    def lock(self):
        """Keeps a second process from training the same run. Raises InUse."""
        with open(self.path / ".lock", "w", opener=writing.not_through_links) as file:
            if fcntl:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise InUse(f"{self.path} is being trained by another process: wait for it, or stop it") from None
            yield


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _null_for_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_null_for_nan(v) for v in value]
    return value
