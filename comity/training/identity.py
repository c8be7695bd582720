"""What a run says of itself: how it was made, and whether what lies in its directory is its own."""

import contextlib
import datetime
import math
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comity.recipes import Recipe
from comity.runs.directory import RunDirectory
from comity.runs.reading import whole
from comity.training import best, checkpoint
from comity.training.best import Best
from comity.training.checkpoint import CorruptCheckpoint
from comity.training.machine import fingerprint, git_state, hardware, packages, versions
from comity.training.settings import Training, training_of
from comity.types import PyTree


def manifest(recipe: Recipe, training: Training, command: str, run: str | None = None) -> dict[str, Any]:
    """run: the name that its checkpoints know it by, None: a new one."""
    return {
        "run": run or secrets.token_hex(8),
        "command": command,
        "began": datetime.datetime.now().isoformat(timespec="seconds"),
        "git": git_state(),
        "versions": {**versions(), **packages(recipe.task.packages)},
        "hardware": hardware(),
        "bits": fingerprint(training.mode),  # what float bits depend on
        "step_unit": "joint actions",
        "task": f"{recipe.task.name}@{recipe.task.version}",
        "sources": [str(s.file.resolve()) for s in (recipe.task, recipe.algorithm) if s.file],
        "status": "running",
    }


def differences(then: Any, now: dict[str, Any]) -> list[str]:
    """What float bits depend on and has changed, in words. Until 28 November 2026 no option of the compiler was set."""
    then = {"compiler": {}, **then} if isinstance(then, dict) and then else {}
    return [f"{k} was {then[k]}, is {now.get(k)}" for k in then if then[k] != now.get(k)]


def other_packages(manifest: dict[str, Any], recipe: Recipe) -> list[str]:
    """What is said of installed packages that hold the game and are of another version than the run was made with."""
    then, now = manifest.get("versions"), packages(recipe.task.packages)
    then = then if isinstance(then, dict) else {}
    return [
        f"{name} was {then[name]}, is {x}: the rules of {recipe.task.name} may be others"
        for name, x in now.items() if name in then and then[name] != x
    ]  # fmt: skip


# ---------------------------------------------------------------------- what lies in the directory


def own(run: str | None, seeds: list[int]) -> Callable[[Path, dict[str, Any]], None]:
    """A check of checkpoints: raises CorruptCheckpoint if one is of another run, other seeds or another iteration.

    run: what the run's manifest calls it; None before there was such a name.
    """

    def check(path: Path, about: dict[str, Any]) -> None:
        if problem := _misfit(about, seeds):
            raise CorruptCheckpoint(f"{path} says nonsense of itself: {problem}")
        if run and about.get("run", run) != run:
            raise CorruptCheckpoint(f"{path} is of another run ({about['run']}, this one is {run})")
        if about.get("seeds", seeds) != seeds:
            raise CorruptCheckpoint(f"{path} is of seeds {about['seeds']}, the run has {seeds}")
        if path.stem.isdecimal() and about.get("iteration") != int(path.stem):
            raise CorruptCheckpoint(f"{path} is of iteration {about.get('iteration')}, not what its name says")

    return check


def _misfit(about: dict[str, Any], seeds: list[int]) -> str | None:
    """What a checkpoint of all seeds says that it cannot mean; None if there is nothing."""
    is_count = lambda x: whole(x, 0, 2**63) is not None  # noqa: E731
    per_seed = lambda x, fits: isinstance(x, dict) and all(k.isdecimal() and fits(v) for k, v in x.items())  # noqa: E731
    steps, wall, lines = about.get("env_steps"), about.get("wall_seconds"), about.get("lines", {})
    fits = {
        "iteration": is_count(about.get("iteration")),
        "env_steps": per_seed(steps, is_count) and {str(seed) for seed in seeds} <= set(steps or ()),
        "failed": per_seed(about.get("failed"), lambda x: isinstance(x, str)),
        "wall_seconds": isinstance(wall, (int, float)) and not isinstance(wall, bool) and 0 <= wall < math.inf,
        "lines": isinstance(lines, dict) and all(map(is_count, lines.values())),
    }
    wrong = next((name for name, right in fits.items() if not right), None)
    return wrong and f"{wrong} {str(about.get(wrong))[:60]!r}"


def lost(directory: RunDirectory, manifest: dict[str, Any]) -> list[str]:
    """What is said of a run that came to its end, and whose last checkpoint is not there."""
    done, saved = whole(manifest.get("iterations_done"), 0, 2**63), directory.saved()
    if manifest.get("status") != "finished" or done is None or not saved or int(saved[-1].stem) >= done:
        return []
    return [f"{directory.checkpoints / f'{done:08d}.npz'} is lost; what follows is from {saved[-1].name}"]


def best_problem(path: Path, seed: int, run: str | None, expected: Best | None = None, at: int = 0) -> str | None:
    """Why a file is not the seed's best checkpoint, None if it is. expected: what the evaluations up to iteration `at`
    say it is; a kill may have come after a later one, which is then made again."""
    if not path.is_file():
        return f"{path} is lost"
    try:
        about = checkpoint.about(path)
    except CorruptCheckpoint as error:
        return str(error)
    if about.get("seed") != seed:
        return f"{path} is of seed {about.get('seed')}"
    if any(whole(about.get(name), 0, 2**63) is None for name in ("iteration", "env_steps")):
        return f"{path} says no iteration and env_steps"
    if run and about.get("run", run) != run:
        return f"{path} is of another run ({about['run']}, this one is {run})"
    if expected and "run" in about and expected.iteration != about["iteration"] <= at:
        return f"{path} is of iteration {about['iteration']}, the best by eval.jsonl was at {expected.iteration}"
    return None


def bests(
    directory: RunDirectory, by: str, run: str | None, seeds: list[int], at: int
) -> tuple[dict[int, Best], list[str]]:
    """({seed: its best}, what is said of those that are lost or not the run's own). at: iteration of the checkpoint."""
    found, notes = {}, []
    for seed, expected in best.chosen(directory.lines("eval.jsonl"), by).items():
        path = directory.checkpoints / f"best-{seed}.npz"
        if seed not in seeds:
            continue
        if problem := best_problem(path, seed, run, expected, at):
            notes.append(f"{problem}; the next evaluation's policy takes its place")
        else:
            found[seed] = expected
    return found, notes


def given(run: Path, names: list[int], shape: PyTree) -> tuple[list[PyTree], dict[str, Any]]:
    """(the algorithm's states in another run's last checkpoint, repeated if it has fewer seeds; what to say of them).

    Raises ValueError, CorruptCheckpoint.
    """
    other = RunDirectory(run)
    saved = other.saved()
    if not saved:
        raise ValueError(f"--initialise {other.path}: there is no checkpoint in it; give a run that has one")
    theirs, states, about = training_of(other.config()), [], {}
    for index in range(len(names)):
        name = str(theirs.first_seed + index % theirs.seeds)
        # Read for each seed, because a state that two seeds share could not be donated.
        tree, about = checkpoint.load(saved[-1], {name: {"state": shape}}, part=True)
        states.append(tree[name]["state"])
    return states, {"run": str(other.path), "iteration": about["iteration"]}


class Lines:
    """How many lines of a run's files its checkpoints count: those of training, and of periodic evaluations."""

    def __init__(self) -> None:
        self.counts = {"metrics.jsonl": 0, "eval.jsonl": 0}

    def add(self, name: str, lines: list[dict[str, Any]]) -> None:
        self.counts[name] += sum(map(_counts, lines))

    def read(self, directory: RunDirectory, counted: dict[str, int] | None, seeds: list[int]) -> list[str]:
        """Counts what is there, removes what stands there twice, and tells of what is not as the checkpoint counted.

        counted: `counts` as the checkpoint has them; None: it has none, from before they were counted.
        """
        notes = []
        for name in self.counts:
            rows = directory.lines(name)
            places = [tuple(row.get(key) for key in KEY) for row in rows]
            doubled, foreign = len(rows) - len(set(places)), sum(row["seed"] not in seeds for row in rows)
            if doubled:
                seen: set[tuple[Any, ...]] = set()
                directory.keep(name, lambda row, seen=seen: not _repeated(row, seen))
                notes.append(f"{name} held {_lines(doubled)} twice; the second of each was dropped")
            if foreign:
                notes.append(f"{name} holds {_lines(foreign)} of seeds that this run has not")
            rows = directory.lines(name) if doubled else rows
            self.counts[name] = sum(map(_counts, rows))
            wanted = (counted or {}).get(name)
            if wanted is not None and self.counts[name] - foreign < wanted:
                lost = _lines(wanted - self.counts[name] + foreign)
                notes.append(f"{name} has lost {lost} of {wanted} that the checkpoint counts: curves have gaps there")
            elif wanted is not None and name == "metrics.jsonl" and self.counts[name] - foreign > wanted:
                notes.append(
                    f"{name} holds {_lines(self.counts[name] - foreign - wanted)} more than the checkpoint counts"
                )
        return notes


KEY = ("seed", "iteration", "policy", "which")  # of a line: no two have the same


def _counts(row: dict[str, Any]) -> bool:
    return row.get("which", "periodic") == "periodic"


def _repeated(row: dict[str, Any], seen: set[tuple[Any, ...]]) -> bool:
    place = tuple(row.get(key) for key in KEY)
    known = place in seen
    seen.add(place)
    return known


def _lines(count: int) -> str:
    return f"{count} line{'s' * (count != 1)}"


def failed_start(directory: RunDirectory, error: BaseException, begun: bool) -> None:
    """Takes away the directory of a run that failed before there was anything to save, so that it is no run for
    `latest`. Where nobody foresaw the error, the log stays, which tells of it."""
    if begun or isinstance(error, KeyboardInterrupt):
        return  # `resume` begins it again; `latest` passes it by
    if isinstance(error, (ValueError, OSError)):
        shutil.rmtree(directory.path, ignore_errors=True)
        error.comity_run = None  # pyright: ignore[reportAttributeAccessIssue]
        return
    with contextlib.suppress(OSError):
        (directory.path / "config.yaml").rename(directory.path / "config.yaml.failed")
