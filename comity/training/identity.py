"""The identity of a run: its manifest, which says how it was made, and checks that its files belong to it."""

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
    """The first manifest of a run. run: the run's name, which its checkpoints also contain; None: a new name."""
    return {
        "run": run or secrets.token_hex(8),
        "command": command,
        "began": datetime.datetime.now().isoformat(timespec="seconds"),
        "git": git_state(),
        "versions": {**versions(), **packages(recipe.task.packages)},
        "hardware": hardware(),
        "bits": fingerprint(training.mode),  # the facts that float bits depend on
        "step_unit": "joint actions",
        "task": f"{recipe.task.name}@{recipe.task.version}",
        "sources": [str(s.file.resolve()) for s in (recipe.task, recipe.algorithm) if s.file],
        "status": "running",
    }


def differences(then: Any, now: dict[str, Any]) -> list[str]:
    """Describes which of the facts that float bits depend on have changed.

    Manifests from before 28 November 2026 have no compiler options, because none were set.
    """
    then = {"compiler": {}, **then} if isinstance(then, dict) and then else {}
    return [f"{k} was {then[k]}, is {now.get(k)}" for k in then if then[k] != now.get(k)]


def other_packages(manifest: dict[str, Any], recipe: Recipe) -> list[str]:
    """Notes about installed packages that contain the game and have another version than when the run was made."""
    then, now = manifest.get("versions"), packages(recipe.task.packages)
    then = then if isinstance(then, dict) else {}
    return [
        f"{name} was {then[name]}, is {x}: the rules of {recipe.task.name} may be others"
        for name, x in now.items() if name in then and then[name] != x
    ]  # fmt: skip


# ---------------------------------------------------------------------- the files of the directory


def own(run: str | None, seeds: list[int]) -> Callable[[Path, dict[str, Any]], None]:
    """Returns a check that raises CorruptCheckpoint for a checkpoint of another run, other seeds or another iteration.

    run: the run's name in its manifest; None for old runs, which have no name.
    """

    def check(path: Path, about: dict[str, Any]) -> None:
        if problem := _misfit(about, seeds):
            raise CorruptCheckpoint(f"{path} has an impossible entry: {problem}")
        if run and about.get("run", run) != run:
            raise CorruptCheckpoint(f"{path} is of another run ({about['run']}, this one is {run})")
        if about.get("seeds", seeds) != seeds:
            raise CorruptCheckpoint(f"{path} is of seeds {about['seeds']}, the run has {seeds}")
        if path.stem.isdecimal() and about.get("iteration") != int(path.stem):
            raise CorruptCheckpoint(f"{path} is of iteration {about.get('iteration')}, not what its name says")

    return check


def _misfit(about: dict[str, Any], seeds: list[int]) -> str | None:
    """The first value in a checkpoint's `about` that is missing or impossible; None if there is none."""
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
    """A note if the run has finished but its last checkpoint is missing."""
    done, saved = whole(manifest.get("iterations_done"), 0, 2**63), directory.saved()
    if manifest.get("status") != "finished" or done is None or not saved or int(saved[-1].stem) >= done:
        return []
    return [f"{directory.checkpoints / f'{done:08d}.npz'} is lost; what follows is from {saved[-1].name}"]


def best_problem(path: Path, seed: int, run: str | None, expected: Best | None = None) -> str | None:
    """The reason why a file is not the seed's best checkpoint; None if it is.

    expected: the best by the evaluations that count. If a kill came after a later evaluation, the file has that policy,
    and the expected one is gone: the run may end before that evaluation is made again, or its result may differ.
    """
    if not path.is_file():
        return f"{path} is lost"
    try:
        about = checkpoint.about(path)
    except CorruptCheckpoint as error:
        return str(error)
    if about.get("seed") != seed:
        return f"{path} is of seed {about.get('seed')}"
    if any(whole(about.get(name), 0, 2**63) is None for name in ("iteration", "env_steps")):
        return f"{path} has no valid iteration and env_steps"
    if run and about.get("run", run) != run:
        return f"{path} is of another run ({about['run']}, this one is {run})"
    if expected and "run" in about and expected.iteration != about["iteration"]:
        return f"{path} is of iteration {about['iteration']}, the best by eval.jsonl was at {expected.iteration}"
    return None


def bests(directory: RunDirectory, by: str, run: str | None, seeds: list[int]) -> tuple[dict[int, Best], list[str]]:
    """Returns ({seed: its best}, notes about best checkpoints that are lost or do not belong to the run)."""
    found, notes = {}, []
    for seed, expected in best.chosen(directory.lines("eval.jsonl"), by).items():
        path = directory.checkpoints / f"best-{seed}.npz"
        if seed not in seeds:
            continue
        if problem := best_problem(path, seed, run, expected):
            notes.append(f"{problem}; the next evaluation's policy takes its place")
        else:
            found[seed] = expected
    return found, notes


def given(run: Path, names: list[int], shape: PyTree) -> tuple[list[PyTree], dict[str, Any]]:
    """Returns (the algorithm's states in another run's last checkpoint, {"run": path, "iteration": number, "seeds":
    {seed here: its seed there}}).

    A seed starts from the seed of the same number. One that the other run does not have, or whose state there is not
    finite, takes a state by its position, and states are repeated if the other run has fewer. Raises ValueError if no
    state is finite, CorruptCheckpoint.
    """
    other = RunDirectory(run)
    saved = other.saved()
    if not saved:
        raise ValueError(f"--initialise {other.path}: there is no checkpoint in it; give a run that has one")
    theirs, states, about = training_of(other.config()), [], checkpoint.about(saved[-1])
    failed = about.get("failed") or {}
    has = [seed for seed in range(theirs.first_seed, theirs.first_seed + theirs.seeds) if str(seed) not in failed]
    if not has:
        raise ValueError(f"--initialise {other.path}: the state of no seed is finite; give a run that has one")
    there = {seed: seed if seed in has else has[index % len(has)] for index, seed in enumerate(names)}
    for seed in there.values():
        name = str(seed)
        # Read for each seed, because a state that two seeds share could not be donated.
        tree, about = checkpoint.load(saved[-1], {name: {"state": shape}}, part=True)
        states.append(tree[name]["state"])
    return states, {"run": str(other.path), "iteration": about["iteration"], "seeds": there}


def other_seeds(initialised: dict[str, Any]) -> str | None:
    """Returns a note about seeds that start from a seed of another number; None if there are none."""
    moved = [f"{seed} from its seed {there}" for seed, there in initialised["seeds"].items() if seed != there]
    if not moved:
        return None
    return (
        f"{initialised['run']} does not have finite states of all seeds of this run, so states go by position: seed "
        f"{', '.join(moved)}"
    )


class Lines:
    """Counts the lines of a run's files that checkpoints record: those of training and of periodic evaluations."""

    def __init__(self) -> None:
        self.counts = {"metrics.jsonl": 0, "eval.jsonl": 0}

    def add(self, name: str, lines: list[dict[str, Any]]) -> None:
        self.counts[name] += sum(map(_counts, lines))

    def read(self, directory: RunDirectory, counted: dict[str, int] | None, seeds: list[int]) -> list[str]:
        """Counts the lines, removes repeated ones, and returns notes about differences from the checkpoint's counts.

        counted: the counts in the checkpoint; None: it is old and has none.
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


KEY = ("seed", "iteration", "policy", "which")  # no two lines have the same values of these


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
    """Removes the directory of a run that failed before there was anything to save, so that `latest` does not find it.

    After an unexpected error only config.yaml is renamed, so that the log stays.
    """
    if begun or isinstance(error, KeyboardInterrupt):
        return  # `resume` begins it again; `latest` ignores it
    if isinstance(error, (ValueError, OSError)):
        shutil.rmtree(directory.path, ignore_errors=True)
        error.comity_run = None  # pyright: ignore[reportAttributeAccessIssue]
        return
    with contextlib.suppress(OSError):
        (directory.path / "config.yaml").rename(directory.path / "config.yaml.failed")
