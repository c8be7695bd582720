"""Trained teams that come with the package: one small policy for a task, and the score that a new training must reach.

A reference is a run directory of one seed under `comity/references/TASK`. Its checkpoint holds the arrays that `act`
reads and nothing else, in half precision where that is wide enough; `reference.json` says how it was trained and what
all its seeds scored.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

from comity.recipes import Recipe, from_config
from comity.runs.directory import RunDirectory
from comity.runs.reading import read_json
from comity.runs.saved import REFERENCE, records
from comity.runs.writing import write_text
from comity.training import checkpoint
from comity.training.settings import Training, training_of
from comity.types import Algorithm, Environment, PyTree, begin

SHARE = 0.1  # share of the way from an untrained team to the reference: a score that is less by this always passes
ERRORS = 3.0  # standard errors of the difference of two means: a score that is less by this passes, too
MOST = 0.5  # share of that way: a score that is less by more than this never passes, however much seeds differ


@dataclasses.dataclass(frozen=True)
class Reference:
    """The facts about a reference, from the last policies of all its seeds."""

    metric: str
    policy: str  # sampled or greedy: the better of the two
    scores: tuple[float, ...]  # one for each seed
    untrained: float  # the score before the first update, mean over seeds
    seconds: float  # wall time of its training, all seeds
    episodes: int  # number of episodes for each score

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    def least(self, seeds: int) -> float:
        """The score that the mean of `seeds` new seeds must reach.

        It is below the reference by a tenth of the way from the untrained team to the reference, or by three standard
        errors of the difference of both means if that is more, but at most by half of the way.
        """
        way = self.mean - self.untrained
        deviation = float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else 0.0
        spread = ERRORS * deviation * math.sqrt(1 / len(self.scores) + 1 / seeds)
        return self.mean - min(max(SHARE * way, spread), MOST * way)


def reference_of(path: Path) -> Reference:
    """Reads the facts about the reference at `path`. Raises ValueError, OSError."""
    said = read_json(path / REFERENCE)
    return Reference(**{**said, "scores": tuple(said["scores"])})


def read_by_act(algorithm: Algorithm, env: Environment) -> set[str]:
    """Names of the arrays of a state that affect the results of `act`, its notes included."""
    key = jax.random.key(0)
    state = jax.eval_shape(algorithm.init, key)
    _, observation = jax.eval_shape(lambda key: begin(env, key, 0), key)
    leaves, structure = jax.tree.flatten(state)

    def act(leaves: list, key: Any, memory: PyTree, observation: PyTree):
        state = jax.tree.unflatten(structure, leaves)
        return [algorithm.act(key, state, memory, observation, explore=explore) for explore in (True, False)]

    jaxpr = jax.make_jaxpr(act)(leaves, key, algorithm.memory, observation).jaxpr
    read = {x for x in jaxpr.outvars if isinstance(x, jex.Var)}
    for equation in reversed(jaxpr.eqns):
        if read.intersection(equation.outvars):
            read.update(x for x in equation.invars if isinstance(x, jex.Var))
    return {name for (name, _), x in zip(checkpoint.named(state), jaxpr.invars, strict=False) if x in read}


def filled(path: Path, shape: PyTree) -> tuple[PyTree, dict[str, Any]]:
    """Returns (a state with the arrays saved at `path` and zeros for all others, the checkpoint's `about`).

    Raises CorruptCheckpoint.
    """
    about, saved = checkpoint.arrays(path)

    def value(name: str, leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.split(jax.random.key(0), leaf.shape)
        if name not in saved:
            return jnp.zeros(leaf.shape, leaf.dtype)
        if saved[name].shape != leaf.shape:
            raise checkpoint.CorruptCheckpoint(f"{path}: array {name} has another shape: it is of another version")
        return jnp.asarray(saved[name], leaf.dtype)

    named = checkpoint.named(shape)
    leaves = [value(name, leaf) for name, leaf in named]
    if unknown := saved.keys() - {name for name, _ in named}:
        raise checkpoint.CorruptCheckpoint(f"{path} has an unknown array {min(unknown)}: it is of another version")
    return jax.tree.unflatten(jax.tree.structure(shape), leaves), about


def halved(x: Any) -> np.ndarray:
    """float32 as float16, if its values lie in that range: counts and moments of views may not."""
    x = np.asarray(x)
    small = x.dtype == np.float32 and (np.abs(x) <= np.finfo(np.float16).max).all()
    return x.astype(np.float16) if small else x


def ship(run: Any, to: Path, metric: str | None = None, episodes: int = 320) -> Path:
    """Makes a reference at `to` from the best seed of a finished run (`comity.load`), and returns `to`.

    metric: chooses the seed; None: the headline. Raises ValueError if the run learned nothing.
    """
    metric = str(metric or run.env.spec.headline)
    means: dict[str, dict[int, float]] = {"sampled": {}, "greedy": {}}
    for line in run.play(episodes):
        means[line["policy"]][line["seed"]] = float(line["mean"][metric])
    policy = max(means, key=lambda policy: sum(means[policy].values()))
    scores = means[policy]
    seed = max(scores, key=lambda seed: scores[seed])
    curve = records(run.path / "eval.jsonl")
    start = [x["mean"][metric] for x in curve if x["iteration"] == 0 and x["policy"] == policy]
    untrained = float(np.mean(start))
    if np.mean(list(scores.values())) <= untrained:
        raise ValueError(f"{run.path} learned nothing: {metric} {list(scores.values())}, untrained {untrained:.4g}")
    manifest, config = run.directory.manifest(), run.directory.config()
    config["training"] |= {"seeds": 1, "first_seed": seed}
    kept = read_by_act(run.algorithm, run.env)
    arrays = {name: halved(x) for name, x in run.arrays(seed).items() if name in kept}
    shutil.rmtree(to, ignore_errors=True)
    (to / "checkpoints").mkdir(parents=True)
    about: dict[str, Any] = {"iteration": run.iteration, "env_steps": {str(seed): run.env_steps[seed]}, "seeds": [seed]}
    checkpoint.save(to / "checkpoints" / f"{run.iteration:08d}.npz", arrays, about | {"run": run.identity})
    RunDirectory(to).write_config(config)
    names = "run", "command", "versions", "step_unit", "task", "headline", "aim"
    said = {name: manifest[name] for name in names if name in manifest}
    said |= {"status": "finished", "iterations_done": run.iteration, "sources": []}
    write_text(to / "manifest.json", json.dumps(said, indent=1) + "\n")
    seconds = round(manifest.get("wall_seconds", 0.0), 1)
    reference = Reference(metric, policy, tuple(scores.values()), untrained, seconds, episodes)
    write_text(to / REFERENCE, json.dumps(dataclasses.asdict(reference), indent=1) + "\n")
    wanted = {metric, "return"}
    rows = [{**x, "mean": {k: v for k, v in x["mean"].items() if k in wanted}} for x in curve if x["seed"] == seed]
    text = "".join(json.dumps({k: v for k, v in row.items() if k in LINE}) + "\n" for row in rows)
    write_text(to / "eval.jsonl", text)
    return to


LINE = ("seed", "iteration", "env_steps", "policy", "which", "policy_iteration", "episodes", "mean")  # of eval.jsonl


def again(path: Path, seeds: int, first: int) -> tuple[Recipe, Training]:
    """Returns (recipe, training) to train the reference at `path` again, on `seeds` seeds from `first` on."""
    config = RunDirectory(path).config()
    return from_config(config, path), training_of(config, seeds=seeds, first_seed=first, minutes=None)
