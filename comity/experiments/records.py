"""Records of finished seeds: what was trained, with which settings, and its numbers.

New records are JSON lines, one file for each arm; those that come with the code are packed, one file for each paper.

A record belongs to an arm if its settings are the arm's. Settings that were added to the code after the record was
written count as their defaults, which keep the earlier behaviour.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from comity.experiments import packed
from comity.experiments.figure import Arm, Budget, recipe_of
from comity.names import host_of
from comity.recipes import Recipe
from comity.runs.lines import read_lines
from comity.runs.renamed import as_now

Record = packed.Record
GREEDY = "greedy:"  # prefix of a metric of an evaluation without noise
BEST_ALONE = f"{GREEDY}best_alone"
DEVIATION = "success_deviation"
EXTREMES = {"largest": np.fmax, "smallest": np.fmin}  # prefix of a metric -> what is taken of its batches
UNREAD_OF_HOSTED = frozenset({"processes"})  # named here, since reading records must not need the engine
POINTS = 100  # maximum number of points of a curve
LOST = ".lost"  # ending of an arm's file of seeds that became not finite, beside that of its records


def settings(recipe: Recipe, budget: Budget) -> dict[str, Any]:
    """Returns the settings that identify an experiment, apart from the seed, as plain values."""
    return identity(recipe.describe(), budget.envs, budget.iterations)


def identity(described: dict[str, Any], envs: int, iterations: int) -> dict[str, Any]:
    """Does the same as `settings` for a described recipe, as in a run's config.yaml, without profile and preset."""
    task = {name: value for name, value in described["task"].items() if name != "profile"}
    algorithm = {name: value for name, value in described["algorithm"].items() if name != "preset"}
    return {"task": task, "algorithm": algorithm, "envs": envs, "iterations": iterations}


def config_hash(described: dict[str, Any]) -> str:
    """Returns a name of `settings`, in 16 hex digits. `same` decides equality, since the code may gain settings."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]


def defaults(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Returns the default of every setting of game and algorithm that has one."""

    def of(thing: Any) -> dict[str, Any]:
        fields = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
        return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}

    return {"task": of(recipe.env), "algorithm": of(recipe.config)}


def unread(recipe: Recipe) -> frozenset[str]:
    """Returns settings of the game that have no effect on it, and so on no experiment."""
    return UNREAD_OF_HOSTED if host_of(recipe.task.name) else recipe.env.spec.unread


def same(
    found: dict[str, Any],
    wanted: dict[str, Any],
    given: dict[str, dict[str, Any]],
    unread: frozenset[str] = frozenset(),
) -> bool:
    """True if a record's settings `found` are those `wanted`. given: defaults of settings that it may lack.

    unread: settings of the game that may differ.
    """
    if any(found.get(key) != wanted[key] for key in ("envs", "iterations")):
        return False
    for kind in ("task", "algorithm"):
        known = as_now(found[kind], wanted[kind])
        if known.keys() - wanted[kind].keys():
            return False
        for name, value in wanted[kind].items():
            old = known.get(name, given[kind].get(name))
            if isinstance(old, dict) and isinstance(value, dict):
                old = completed(old, value, given[kind].get(name))
            plain = list(old) if isinstance(old, tuple) else old
            if plain != value and not (kind == "task" and name in unread):
                return False
    return True


def completed(found: dict[str, Any], wanted: dict[str, Any], default: Any) -> dict[str, Any]:
    """Returns the settings of a part, such as a bonus, with the defaults of those that a record lacks.

    default: the part's settings as the code has them, a dataclass; nothing is added if it is none.
    """
    if not dataclasses.is_dataclass(default):
        return found
    added = {name: getattr(default, name, None) for name in wanted.keys() - found.keys()}
    return found | {name: list(x) if isinstance(x, tuple) else x for name, x in added.items()}


def read(places: Sequence[Path], arm: Arm, budget: Budget) -> dict[int, Record]:
    """Returns {seed: record} of an arm, from the first place with the seed: a packed file, or a folder of
    JSON lines.
    """
    recipe = recipe_of(arm)
    wanted, given = settings(recipe, budget), defaults(recipe)
    found: dict[int, Record] = {}
    for place in places:
        is_packed = place.suffix == packed.SUFFIX
        file = place if is_packed else place / f"{arm.name}.jsonl"
        for record in packed.unpack(file).of_arm(arm.name) if is_packed else lines(file):
            if same(record["settings"], wanted, given, unread(recipe)):
                found.setdefault(record["seed"], {**record, "file": str(file)})
    return dict(sorted(found.items()))


def lost(places: Sequence[Path], arm: Arm, budget: Budget) -> list[int]:
    """Returns the seeds of an arm that became NaN or infinite, so that they have no record. `read` has the others."""
    recipe = recipe_of(arm)
    wanted, given = settings(recipe, budget), defaults(recipe)
    found: set[int] = set()
    for place in places:
        is_packed = place.suffix == packed.SUFFIX
        known = packed.unpack(place).lost.get(arm.name, ()) if is_packed else lines(place / f"{arm.name}{LOST}")
        found |= {x["seed"] for x in known if same(x["settings"], wanted, given, unread(recipe))}
    return sorted(found)


def lose(folder: Path, arm: Arm, recipe: Recipe, budget: Budget, seeds: Sequence[int]) -> None:
    """Notes seeds of an arm that became NaN or infinite, each once. Raises OSError with one line."""
    described = settings(recipe, budget)
    known = {"settings": described, "config_hash": config_hash(described)}
    there = lines(folder / f"{arm.name}{LOST}")
    new = [one for seed in seeds if (one := {"seed": seed, **known}) not in there]
    if new:
        write(folder, arm, new, LOST)


def lines(path: Path) -> list[Record]:
    """Returns the records of a file of JSON lines; none if there is no file."""
    return read_lines(path)


def write(folder: Path, arm: Arm, records: Iterable[Record], suffix: str = ".jsonl") -> Path:
    """Adds records to an arm's file: all of them or none. Raises OSError with one line."""
    import os

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{arm.name}{suffix}"
    text = "".join(json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n" for record in records)
    tail = path.read_bytes().rpartition(b"\n")[2] if path.exists() else b""
    if tail:  # the last line was cut off, or only lacks its line end
        try:
            json.loads(tail)
            text = "\n" + text
        except ValueError:
            os.truncate(path, path.stat().st_size - len(tail))
    data = text.encode()
    with path.open("ab", buffering=0) as file:  # in one write, since another process may add to the file
        before = file.seek(0, os.SEEK_END)
        if (done := file.write(data)) != len(data):
            os.truncate(path, before)
            raise OSError(f"cannot write {path}: {done} of {len(data)} bytes fit on the disk; make room")
        os.fsync(file.fileno())
    return path


def of_run(run: Path, recipe: Recipe, budget: Budget, kept: Sequence[str]) -> list[Record]:
    """Returns the records of a finished run directory, one for each seed that was trained to the end."""
    from comity.runs.directory import RunDirectory

    directory = RunDirectory(run)
    manifest, metrics = directory.manifest(), directory.lines("metrics.jsonl")
    evaluations, tried = directory.lines("eval.jsonl"), directory.lines("trials.jsonl")
    last = [line for line in evaluations if line["which"] == "last" and line["iteration"] == budget.iterations]
    periodic = [line for line in evaluations if line["which"] == "periodic"]
    sampled, greedy = ([x for x in periodic if x["policy"] == which] for which in ("sampled", "greedy"))
    seeds = sorted({line["seed"] for line in last})
    wall = manifest.get("wall_seconds", math.nan) / max(len(seeds), 1)
    if on_cpu(manifest):
        wall *= min(manifest["hardware"]["cores"], len(seeds))
    described = settings(recipe, budget)
    return [
        {
            "settings": described,
            "config_hash": config_hash(described),
            "seed": seed,
            "commit": (manifest.get("git") or {}).get("commit"),
            "dirty": (manifest.get("git") or {}).get("dirty"),
            "versions": manifest["versions"],
            "bits": manifest["bits"],
            "core_seconds": round(wall, 1),  # on an accelerator: its own seconds, divided by the seeds of a batch
            "curve": with_trials(
                thinned(of_seed(metrics, seed), of_seed(sampled, seed), kept, of_seed(greedy, seed)),
                of_seed(tried, seed),
                kept,
            ),
            "last": {
                line["policy"]: rounded(line["mean"]) | at_last(of_seed(tried, seed), line["policy"], kept)
                for line in last
                if line["seed"] == seed
            },
            "episodes": max((line["episodes"] for line in last if line["seed"] == seed), default=0),
        }
        for seed in seeds
    ]


def on_cpu(about: dict[str, Any]) -> bool:
    """True if a record, or the run of a manifest, was trained on a CPU."""
    return about["bits"]["pool"] is not None


def of_seed(lines: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    return [line for line in lines if line["seed"] == seed]


def thinned(
    lines: Sequence[dict[str, Any]],
    evaluations: Sequence[dict[str, Any]],
    kept: Sequence[str],
    greedy: Sequence[dict[str, Any]] = (),
) -> dict[str, list[float | None]]:
    """Thins a curve to at most `POINTS` points: means over chunks of equal number, at the iteration where they end.

    If every point has an evaluation, its values are used instead: continuing play knows only sums over its episodes,
    and a distance is no sum. greedy: evaluations without noise, which are kept as greedy:NAME. `largest_NAME` and
    `smallest_NAME` are the extremes of training's own values between two points, which no mean shows.
    """
    groups = np.array_split(np.arange(len(lines)), min(POINTS, len(lines)))
    ends = [int(group[-1]) for group in groups]
    curve: dict[str, list[Any]] = {name: [lines[i][name] for i in ends] for name in ("iteration", "env_steps")}
    means: dict[int, dict[str, Any]] = {line["iteration"]: dict(line["mean"]) for line in evaluations}
    for line in greedy:
        without_noise = {f"{GREEDY}{name}": value for name, value in line["mean"].items()}
        means.setdefault(line["iteration"], {}).update(without_noise)
    for name in kept:
        if all(name in means.get(i, ()) for i in curve["iteration"]):
            curve[name] = [None if means[i][name] is None else short(means[i][name]) for i in curve["iteration"]]
        elif name in lines[0]:
            values = of_lines(lines, name)
            curve[name] = [short(_mean(values[group])) for group in groups]
        elif (extreme := name.partition("_"))[0] in EXTREMES and (values := of_lines(lines, extreme[2])).size:
            most = EXTREMES[extreme[0]]
            curve[name] = [short(most.reduce(values[group])) for group in groups]
    return curve


def of_lines(lines: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    """Returns a metric of every line of training, or `success_deviation` of its games; empty if lines lack it."""
    if name == DEVIATION:
        return _deviation(of_lines(lines, "success"))
    if name not in lines[0]:
        return np.array([])
    return np.array([math.nan if x[name] is None else x[name] for x in lines], float)


def with_trials(
    curve: dict[str, list[float | None]], lines: Sequence[dict[str, Any]], kept: Sequence[str]
) -> dict[str, list[float | None]]:
    """Adds TRIAL:METRIC for each trial's metrics to a curve, at its points; null where there was no trial."""
    played = {(x["trial"], x["iteration"]): x["mean"] for x in lines if x["which"] == "point"}
    for trial in dict.fromkeys(trial for trial, _ in played):
        means = [played.get((trial, i), {}) for i in curve["iteration"]]
        for name in kept:
            values = [mean.get(name) for mean in means]
            if any(value is not None for value in values):
                curve[f"{trial}:{name}"] = [None if x is None else short(x) for x in values]
    return curve


def at_last(lines: Sequence[dict[str, Any]], policy: str, kept: Sequence[str]) -> dict[str, float | None]:
    """Returns TRIAL:METRIC of the last policy. Greedy trials, too, are kept with the sampled numbers."""
    chosen = [x for x in lines if x["which"] == "last" and policy == "sampled"]
    return {f"{x['trial']}:{name}": value for x in chosen for name, value in rounded(x["mean"]).items() if name in kept}


def curve(record: Record, name: str) -> np.ndarray:
    """Returns a metric of training at the record's points, [P], or TRIAL:METRIC; NaN where undefined.

    In addition to the recorded metrics: `residual.K`, the collective success residual (R_c - R_K) R_K of agent K
    (figure 9); `success_deviation`, the standard deviation of success over the games of a batch, computed
    from the mean success of a point, so that spikes shorter than the batches of a point cannot be seen;
    `absolute_NAME`, |NAME|; `greedy:best_alone`, the largest return of policies that take turns (of a single policy,
    its return);
    `success_error`, the distance of success measured by agent 0's rewards from success by the doors; `A - B`, the
    difference of two; `A / B`, the quotient of two means; `root_NAME`, the square root, of a negative value 0. An
    `absolute_` or `root_` at the beginning is of the whole quotient.
    """
    if " - " in name:
        first, _, second = name.rpartition(" - ")
        return curve(record, first) - curve(record, second)
    if name.startswith("root_"):
        return np.sqrt(np.maximum(curve(record, name.removeprefix("root_")), 0))
    if name == BEST_ALONE:
        return np.fmax.reduce([curve(record, x) for x in alone(record["curve"], GREEDY)])
    if name == "success_error":
        return np.abs(curve(record, "released_success") - curve(record, "success"))
    if name.startswith("absolute_"):
        return np.abs(curve(record, name.removeprefix("absolute_")))
    if " / " in name:
        above, below = (curve(record, x) for x in name.split(" / ", 1))
        return np.divide(above, below, out=np.full(len(above), math.nan), where=below != 0)
    stem, _, agent = name.partition(".")
    if stem == "residual":
        success, share = curve(record, "success"), curve(record, f"reward_share.{agent}")
        return (success - share) * share
    if name == DEVIATION:
        return _deviation(curve(record, "success"))
    if name not in record["curve"]:
        return np.full(len(record["curve"]["iteration"]), math.nan)
    return np.array([math.nan if x is None else x for x in record["curve"][name]], float)


def at_end(record: Record, name: str) -> float:
    """Returns a metric of the last policy, sampled; greedy:METRIC without noise; `A - B` of two. NaN if undefined."""
    if " - " in name:
        first, _, second = name.rpartition(" - ")
        return at_end(record, first) - at_end(record, second)
    policy = "greedy" if name.startswith(GREEDY) else "sampled"
    means = record["last"].get(policy, {})
    if name == BEST_ALONE:
        return float(np.fmax.reduce([math.nan if means[x] is None else means[x] for x in alone(means)]))
    value = means.get(name.removeprefix(GREEDY))
    return math.nan if value is None else float(value)


def alone(metrics: Iterable[str], prefix: str = "") -> list[str]:
    """Returns the metrics `alone.K`, the returns of single policies; without them, the return."""
    return [x for x in metrics if x.startswith(f"{prefix}alone.")] or [f"{prefix}return"]


def rounded(means: dict[str, Any]) -> dict[str, float | None]:
    return {name: None if value is None else short(value) for name, value in means.items()}


def short(value: float) -> float | None:
    """Rounds to four significant digits; None if not finite."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _deviation(success: np.ndarray) -> np.ndarray:
    """Returns the standard deviation over games of which so many succeed."""
    share = np.clip(success, 0, 1)
    return np.sqrt(share * (1 - share))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan
