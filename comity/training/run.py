"""A trained team, loaded from a run: it acts, plays episodes, makes films and exports arrays.

run = comity.load("runs/manitokan/pg/...")
action, memory, notes = run.act(key, run.memory, observation)
"""

import copy
import dataclasses
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from comity.extras import needed
from comity.recipes import Recipe, from_config, given, source_of_game
from comity.runs.directory import RunDirectory
from comity.runs.saved import REFERENCE
from comity.runs.trust import Trust, trusting
from comity.settings import floats
from comity.training import checkpoint, compile, evaluation, identity, references
from comity.training.checkpoint import CorruptCheckpoint
from comity.training.films import plain, record
from comity.training.machine import refuse_fork
from comity.training.programs import FILM, FRESH, begun
from comity.training.settings import training_of
from comity.types import Environment, Key, Observation, PyTree

Which = Literal["last", "best"] | int  # an iteration


def load(
    run: Path | str = "latest", which: Which = "last", root: Path | str = "runs",
    recipe: Recipe | None = None, env: Any = None, algorithm: Any = None, trust: bool | Trust = False,
) -> "Run":  # fmt: skip
    """Loads the trained team of a run directory.

    which: "last": the last policy; "best": the best by evaluation; or the iteration of a checkpoint that was kept
    (`comity train --keep-every`).

    env, algorithm: as for `comity.train`. They are needed if only this Python process knows the run's game or
    algorithm, such as a class typed into a notebook. trust: run code that came with the run (docs/trust.md).
    Raises FileNotFoundError, CorruptCheckpoint, ValueError (another version of task or algorithm; code not trusted).
    """
    directory = RunDirectory(locate(run, root))
    if recipe is None and (env is not None or algorithm is not None):
        recipe = given(directory.config(), env, algorithm, directory.path, trusting(trust))
    return Run(directory, which, recipe, trust)


def locate(run: Path | str, root: Path | str = "runs") -> Path:
    """Finds one run directory: a path, also relative to `root`, a glob with one match, or `latest` under `root`.

    Raises FileNotFoundError if there is none, ValueError if there are several.
    """
    from comity.runs.saved import find

    found = find(str(run), root=str(root))
    if len(found) != 1:
        raise ValueError(f"{run} names {len(found)} runs: give one of them, such as {found[-1]}")
    return Path(found[0])


class Run:
    """The policies of one run, one for each seed."""

    def __init__(
        self, directory: RunDirectory, which: Which = "last", recipe: Recipe | None = None,
        trust: bool | Trust = False,
    ):  # fmt: skip
        refuse_fork()
        if isinstance(which, str) and which not in ("last", "best"):
            raise ValueError(f"which {which!r} is not last, best or the iteration of a checkpoint, such as 500")
        self.directory, self.path, self.which = directory, directory.path, which
        config = directory.config()
        training = training_of(config)
        self.recipe = recipe or from_config(config, directory.path, trusting(trust))
        self.env, self.training = self.recipe.env, training
        self.identity = directory.manifest().get("run")
        self.seeds = [self.training.first_seed + i for i in range(self.training.seeds)]
        self.algorithm = self.recipe.make(self.recipe.config, self.env)
        self.memory = self.algorithm.memory
        self.failed: dict[int, str] = {}  # seeds without a policy: {seed: name of the array that is not finite}
        shape = jax.eval_shape(self.algorithm.init, jax.random.key(0))
        self.is_reference = (self.path / REFERENCE).is_file()
        if self.is_reference:
            self._as_reference(shape)
            return
        if which == "best":
            files = [directory.checkpoints / f"best-{seed}.npz" for seed in self.seeds]
            for seed, file in zip(self.seeds, files, strict=True):
                if problem := identity.best_problem(file, seed, self.identity):
                    raise CorruptCheckpoint(f"{problem}: play the last policy, or train on, which makes a new one")
            pairs = [checkpoint.load(file, shape) for file in files]
            self._states = {seed: state for seed, (state, _) in zip(self.seeds, pairs, strict=True)}
            self.iterations = {seed: about["iteration"] for seed, (_, about) in zip(self.seeds, pairs, strict=True)}
            self.iteration = max(self.iterations.values())
            self.env_steps = {seed: about["env_steps"] for seed, (_, about) in zip(self.seeds, pairs, strict=True)}
            return
        like = {str(seed): {"state": shape} for seed in self.seeds}
        own, say = identity.own(self.identity, self.seeds), trusting(trust).say
        skipped = lambda error: say(f"{error}; playing the checkpoint before it")  # noqa: E731
        newest = checkpoint.newest(self._checkpoints(), like, part=True, skipped=skipped, check=own)
        if newest is None:
            raise FileNotFoundError(f"{self.path} has no checkpoint yet: wait for its first chunk, or train again")
        tree, about = newest
        manifest = directory.manifest()
        for text in (*identity.lost(directory, manifest), *identity.other_packages(manifest, self.recipe)):
            say(text)
        self.iteration = about["iteration"]
        self.iterations = {seed: about["iteration"] for seed in self.seeds}  # the iteration of each seed's policy
        self.env_steps = {int(seed): steps for seed, steps in about["env_steps"].items()}
        self._states = {seed: tree[str(seed)]["state"] for seed in self.seeds}
        self.failed = {int(seed): what for seed, what in about["failed"].items() if int(seed) in self.seeds}
        if self.failed:
            say(f"left out: {self._without_policy(*self.failed)}")

    @property
    def alive(self) -> list[int]:
        """The seeds that have a policy: their state is finite."""
        return [seed for seed in self.seeds if seed not in self.failed]

    def _without_policy(self, *seeds: int) -> str:
        found = ", ".join(f"seed {seed} ({self.failed[seed]} became NaN or infinite)" for seed in seeds)
        return f"{found}; evaluate --best, watch --best and comity.load(RUN, 'best') have the best policy before that"

    def _checkpoints(self) -> list[Path]:
        """All checkpoints, or the one of the iteration in `which`; ValueError if there is none."""
        saved = self.directory.saved()
        if self.which == "last":
            return saved
        found = [path for path in saved if int(path.stem) == self.which]
        if not found:
            there = ", ".join(str(int(path.stem)) for path in saved)
            raise ValueError(
                f"{self.path} has no checkpoint of iteration {self.which}: there are {there or 'none'}; comity train "
                "--keep-every N keeps more"
            )
        return found

    def _as_reference(self, shape: PyTree) -> None:
        """Loads a team that comes with the package: one policy, without the state that only learning needs."""
        if self.which != "last":
            raise ValueError(f"{self.path.name}: a reference has one policy: leave --best or --checkpoint out")
        (seed,) = self.seeds
        state, about = references.filled(self.directory.saved()[-1], shape)
        self.iteration, self.iterations = about["iteration"], {seed: about["iteration"]}
        self.env_steps, self._states = {seed: about["env_steps"][str(seed)]}, {seed: state}

    def __repr__(self) -> str:
        task, algorithm = self.recipe.task.name, self.recipe.algorithm.name
        return f"Run({task}, {algorithm}, seeds {self.seeds}, {self.which} of iteration {self.iteration}, {self.path})"

    def _repr_html_(self) -> str:
        """The run as a notebook shows it: facts, its learning curve, a film of its first seed."""
        from comity.report.inline import run_html

        facts = {"seeds": ", ".join(map(str, self.seeds)), "policy": f"{self.which} of iteration {self.iteration:,}"}
        facts["directory"] = str(self.path)
        try:
            self._shown = getattr(self, "_shown", None) or self.film()
            film: Any = self._shown
        except ValueError as error:  # a game that cannot be filmed
            film = f"no film: {error}"
        return run_html(f"{self.recipe.algorithm.name} on {self.recipe.task.name}", facts, self.path, film)

    def on(self, env: Environment) -> "Run":
        """The same policies in another game, such as this one with other settings: `dataclasses.replace(run.env, ...)`.

        Raises ValueError if the policies do not fit that game.
        """
        other = copy.copy(self)
        for kept in ("_act", "_shown"):
            other.__dict__.pop(kept, None)
        task = self.recipe.task if type(env) is type(self.env) else source_of_game(env)
        other.recipe, other.env = dataclasses.replace(self.recipe, task=task, env=env), env
        other.algorithm = self.recipe.make(self.recipe.config, env)
        other.memory = other.algorithm.memory
        shape = lambda algorithm: jax.eval_shape(algorithm.init, jax.random.key(0))  # noqa: E731
        if shape(self.algorithm) != shape(other.algorithm):
            raise ValueError(
                f"{self.path} was trained on {self.env}; its policies do not fit {env}: keep settings of sizes"
            )
        return other

    def state(self, seed: int | None = None) -> PyTree:
        """The algorithm's state of a seed (None: the first that is finite), in the structure that its `init` gives.

        Raises ValueError for a seed that is not in the run or whose state is not finite.
        """
        return self._states[self._seed(seed)]

    def _seed(self, seed: int | None) -> int:
        """The seed itself if it has a policy, the first one that has for None. Raises ValueError."""
        if not self.alive:
            raise ValueError(f"no seed has a policy: {self._without_policy(*self.seeds)}")
        seed = self.alive[0] if seed is None else seed
        if seed not in self._states:
            raise ValueError(f"seed {seed} is not in this run: it has {', '.join(map(str, self.seeds))}")
        if seed in self.failed:
            raise ValueError(f"no policy: {self._without_policy(seed)}")
        return seed

    @property
    def short(self) -> str:
        """The end of the folder's name, which distinguishes the run from others of its task and algorithm."""
        return "reference" if self.is_reference else self.path.name[-6:]

    @property
    def params(self) -> dict[str, np.ndarray]:
        """All arrays of the state of the first seed that is finite, by name: actor.encoder.weight, ..."""
        return self.arrays()

    def arrays(self, seed: int | None = None) -> dict[str, np.ndarray]:
        """All arrays of a seed's state (None: the first) by name, in the algorithm's own shapes. Optimizer, counters
        and replay are included; random keys are given as numbers. Raises ValueError for a seed that is not in the
        run."""
        return {name: plain(x) for name, x in checkpoint.named(self.state(seed))}

    @cached_property
    def _act(self) -> Callable:
        return jax.jit(self.algorithm.act, static_argnames="explore")

    def act(self, key: Key, memory: PyTree, observation: Observation, seed: int | None = None, explore: bool = True):
        """Returns (action, memory, notes) for an observation of one game or of a batch [..., N]."""
        return self._act(key, self.state(seed), memory, observation, explore=explore)

    def play(self, episodes: int = 320, draw: int = 0) -> list[dict[str, Any]]:
        """Plays fresh episodes of every seed that has a policy, sampled and greedy; returns lines as in eval.jsonl.

        draw: the number of the draw; another number plays other episodes. Raises ValueError for fewer than one episode,
        a negative draw, and a run in which no seed is finite.
        """
        if episodes < 1 or draw < 0:
            raise ValueError(f"episodes {episodes} must be 1 or more, draw {draw} 0 or more")
        self._seed(None)
        batch = min(episodes, 32)
        one = compile.built(self.recipe, batch, 1, batch)
        seeds = compile.seeds_of(self.recipe, self.training)
        values, states = floats(self.recipe.config), seeds.join([self._states[seed] for seed in self.seeds])
        sizes, count = {"games": batch, "chunk": 1, "episodes": batch}, begun(self.algorithm, self.env, self.iteration)
        try:
            ready = compile.compiled(one, self.recipe, seeds, sizes, names=("evaluate", "judge"))
            of_run = seeds, ready, values, self.seeds, states
            results = evaluation.evaluate(*of_run, FRESH + draw, 0, count, episodes, batch)
        finally:
            seeds.close()
            one.close()
        which = self.which if isinstance(self.which, str) else "kept"
        return [
            evaluation.line(
                seed, self.iteration, self.env_steps[seed], policy, which, result[policy], self.iterations[seed]
            )
            for seed, result in zip(self.seeds, results, strict=True)
            if seed not in self.failed
            for policy in evaluation.POLICIES
        ]

    def film(
        self, seed: int | None = None, policy: Literal["sampled", "greedy"] = "sampled", episode: int | None = None,
        games: int = 32,
    ):  # fmt: skip
        """Records one episode, for `comity.report.film`.

        episode: its number among `games` fresh ones; None chooses the first with the best headline, and the caption
        says so. seed: None: the first that has a policy. Raises ValueError for a seed that is not in the run or has no
        policy, an unknown `policy`, and an episode number that is not below `games`.
        """
        return self.films(seed, policy, episode, 1, games)[0]

    def films(
        self, seed: int | None = None, policy: Literal["sampled", "greedy"] = "sampled", episode: int | None = None,
        most: int = 3, games: int = 32,
    ):  # fmt: skip
        """Does the same as `film` for up to `most` equally good episodes, to be shown one after the other.

        There are several only if their headline is above 0, if `episode` is None, and if together they are not long.
        """
        seed, policy = self._seed(seed), evaluation.known(policy)
        state = self.state(seed)

        def act(key, memory, observation):
            return self.algorithm.act(key, state, memory, observation, explore=policy == "sampled")

        key = jax.random.fold_in(jax.random.key(seed), FILM)
        title = f"{self.recipe.algorithm.stem} on {self.recipe.task.stem}"
        names = {"task": self.recipe.task.name, "algorithm": self.recipe.algorithm.name}
        return record(
            key, self.env, act, self.memory, games, episode, most, title=title, seed=seed, policy=policy, **names
        )

    def curve(self, metric: str | None = None, policy: str = "sampled") -> tuple[np.ndarray, np.ndarray]:
        """Returns (env steps [P], metric [seeds, P]) at the P periodic evaluations of the seed that has most.

        metric: a name in `mean` of eval.jsonl, in its units, NaN if undefined (None: the headline) and after a
        seed became not finite. policy: sampled or greedy. Env steps are joint actions, means over the seeds that have
        the point. Raises ValueError for an unknown metric or policy.
        """
        metric, policy = metric or self.env.spec.headline, evaluation.known(policy)
        lines = [x for x in self.directory.lines("eval.jsonl") if x["which"] == "periodic" and x["policy"] == policy]
        if lines and metric not in lines[0]["mean"]:
            raise ValueError(f"no metric {metric!r}: there are {', '.join(lines[0]['mean'])}")
        of = [[x for x in lines if x["seed"] == seed] for seed in self.seeds]
        points = max(map(len, of))
        long = lambda some: [*some, *[None] * (points - len(some))]  # noqa: E731  # None is NaN
        steps = np.array([long([x["env_steps"] for x in xs]) for xs in of], float)
        values = np.array([long([x["mean"][metric] for x in xs]) for xs in of], float)
        return np.nanmean(steps, 0) if points else steps[0], values

    def export(self, path: Path | str, seed: int | None = None) -> Path:
        """Writes the arrays of a seed (None: the first) by name, see `arrays`, and returns `path`.

        path: ends in .npz or .safetensors (extra `export`). Raises ValueError for another ending, a missing extra or a
        seed that is not in the run; OSError.
        """
        path, arrays = Path(path), self.arrays(seed)
        if path.suffix == ".npz":
            np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
        elif path.suffix == ".safetensors":
            try:
                save_file = needed("safetensors.numpy", "give .npz").save_file
            except ImportError as error:
                raise ValueError(str(error)) from error
            save_file({name: np.ascontiguousarray(x) for name, x in arrays.items()}, path)
        else:
            raise ValueError(f"{path} ends in neither .safetensors nor .npz: give one of them")
        return path
