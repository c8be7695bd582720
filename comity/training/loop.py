"""The training loop: compiled chunks of iterations, and between them the host's work, in this order: metrics,
evaluation, best, checkpoint. It names no algorithm.

A kill at any moment loses at most the chunk under way: what was written after the last checkpoint is dropped on resume
and made again, bit for bit on a CPU.
"""

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from comity import checking
from comity.recipes import Recipe, from_config, settled
from comity.runs import sources
from comity.runs.commands import command
from comity.runs.modules import refuse_while_imported
from comity.runs.trust import NOTHING, Trust
from comity.settings import floats
from comity.spec import functions
from comity.training import best, checkpoint, compile, evaluation, identity, memory, notices, processes, remembered
from comity.training.directory import RunDirectory
from comity.training.machine import fingerprint, refuse_fork, versions
from comity.training.programs import BEST, EVALUATE, FINAL, begun
from comity.training.programs import finite as all_finite
from comity.training.settings import Training, training_of
from comity.training.stopping import Interrupted, Stop

# (event, facts): header, notice, compiled, chunk, evaluation, finals, note, done
Listen = Callable[[str, dict[str, Any]], None]


class NotFinite(RuntimeError):
    """A seed's state became NaN or infinite. The others were trained to the end."""

    def __init__(self, text: str, directory: RunDirectory):
        super().__init__(text)
        self.directory = directory


def silent(event: str, facts: dict[str, Any]) -> None:
    """Listens to a run and keeps quiet."""


def train(
    recipe: Recipe,
    training: Training,
    out: Path | str = "runs",
    initialise: Path | None = None,
    listen: Listen = silent,
    command: str = "",
    programs: remembered.Programs | None = None,
) -> RunDirectory:
    """Trains a new run to its end and returns its directory.

    initialise: a run directory whose last checkpoint gives the first state of each seed. programs: what this process
    has compiled already, and will remember. Raises ValueError, OSError for
    bad input, Interrupted, NotFinite.
    """
    refuse_while_imported()
    listen, recipe = listen if processes.first() else silent, settled(recipe)
    session = _Session(recipe, training, programs)  # traces: refuses what does not fit before anything is written
    training = session.training
    config = {"comity": versions()["comity"], **recipe.describe(), "training": dataclasses.asdict(training)}
    if initialise:
        config["initialise"] = str(initialise.resolve())
    place = processes.own_folder(Path(out).expanduser())
    directory = RunDirectory.create(place, recipe.task.stem, recipe.algorithm.stem, config)
    directory.write_manifest(identity.manifest(recipe, training, command))
    own = {"task": recipe.task.files, "algorithm": recipe.algorithm.files}
    sources.copy(directory.path / "source", own, checkpoint.write_bytes)
    with directory.lock():
        try:
            session.run(directory, listen, initialise)
        except BaseException as error:
            identity.failed_start(directory, error, session.stop.begun)
            raise
    return directory


def resume(
    directory: RunDirectory,
    iterations: int | None = None,
    minutes: float | None = None,
    listen: Listen = silent,
    recipe: Recipe | None = None,
    trust: Trust = NOTHING,
    programs: remembered.Programs | None = None,
) -> RunDirectory:
    """Goes on from the newest whole checkpoint, to `iterations` in all (None: as planned).

    Raises as `train`; InUse if another process trains the run.
    """
    directory, listen = RunDirectory(processes.own_copy(directory.path)), listen if processes.first() else silent
    directory.refuse_links()
    with directory.lock():
        config = directory.config()
        training = training_of(config, minutes=minutes)
        recipe, planned = recipe or from_config(config, directory.path, trust), None
        if iterations is not None and iterations != training.iterations:
            saved = directory.saved()
            if saved and iterations < int(saved[-1].stem):
                raise ValueError(
                    f"{directory.path} has {int(saved[-1].stem)} iterations already, more than {iterations}: "
                    "give a larger number, or +N for N more than planned"
                )
            # The grid of evaluations stays as it was, so a longer run repeats the shorter one.
            training = dataclasses.replace(training, iterations=iterations, evaluate_every=training.every)
            settings = {**dataclasses.asdict(training), "minutes": config["training"].get("minutes")}
            planned = {**config, "training": settings}
        if not directory.manifest():
            run = checkpoint.about(directory.saved()[-1]).get("run") if directory.saved() else None
            directory.write_manifest(identity.manifest(recipe, training, "", run))
        for line in identity.differences(directory.manifest().get("bits", {}), fingerprint(training.mode)):
            listen("note", {"text": f"bits may differ from an unbroken run: {line}"})
        for line in identity.other_packages(directory.manifest(), recipe):
            listen("note", {"text": line})
        initialise = config.get("initialise")
        session = _Session(recipe, training, programs)
        session.run(directory, listen, initialise and Path(initialise), resuming=True, planned=planned)
    return directory


class _Session:
    """One process's work on one run: the compiled programs and the state of all seeds."""

    def __init__(self, recipe: Recipe, training: Training, programs: remembered.Programs | None = None):
        refuse_fork()
        if not (recipe.task.shipped and recipe.algorithm.shipped):
            checking.refuse(recipe.make, recipe.config, recipe.env)  # a user's own; tests check what is shipped
        elif functions(recipe.env).host:
            checking.refuse_game(recipe.env)
        rollout = recipe.make(recipe.config, recipe.env).steps or recipe.env.spec.length
        training = training.settled(rollout, recipe.env.spec.length)
        self.recipe, self.training, self.episodes = recipe, training, training.evaluation_episodes or 1
        self.seeds = compile.seeds_of(recipe, training)
        self.floats = floats(recipe.config)
        self.remembered = programs or remembered.Programs()
        self.sizes = {"games": training.envs, "chunk": training.chunk, "episodes": self.episodes}
        self.programs = compile.built(recipe, training.envs, training.chunk, self.episodes, self.seeds.spread)
        self.shape = self.programs.shape  # of one seed
        self.notices = [*checking.empty_sizes(recipe.env), *memory.lines(recipe, training, self.seeds, self.shape)]
        self.names = [training.first_seed + i for i in range(training.seeds)]
        self.keys = self.seeds.join([jax.random.key(seed) for seed in self.names])
        self.failed: dict[int, str] = {}  # seed: what is not finite
        self.iteration, self.env_steps, self.wall_before = 0, dict.fromkeys(self.names, 0), 0.0
        self.final_episodes = training.finals(rollout, recipe.env.spec.length)
        self.evaluation_seconds = 0.0  # of one batch of episodes
        self.evaluated = 0.0  # seconds of all evaluations so far
        self.best: dict[int, best.Best] = {}
        self.lines = identity.Lines()
        self.stop = Stop()

    # ------------------------------------------------------------------ the run, from top to bottom

    def run(
        self, directory: RunDirectory, listen: Listen, initialise: Path | None, resuming: bool = False,
        planned: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """planned: a config that takes the place of the run's once its files are known to be its own."""
        self.directory, self.listen = directory, listen
        began = time.monotonic()
        self.manifest = directory.manifest()
        listen("header", self._header(resuming))
        for line in () if resuming else self.notices:
            listen("notice", {"text": line})
        with self.stop.listening(lambda text: listen("note", {"text": text})):
            try:
                self._read(resuming, initialise)
                left = not self._complete()
                if left:
                    self._compile()
                    self._begin(resuming)
                if planned:
                    directory.write_config(planned)
                if left:
                    self._save_manifest("running")
                    self._train(began)
                else:
                    listen("note", {"text": "nothing is left to do: --iterations +N trains N more"})
                if not (self._stopped() or self._complete()):
                    self._finals()
                interrupted = self._stopped() and not self._complete()
            except BaseException as error:
                status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
                error.comity_run = directory.path  # pyright: ignore[reportAttributeAccessIssue]  # whose log tells of it
                self._save_manifest(status, quietly=True)
                if isinstance(error, OSError) and self.stop.begun:
                    raise OSError(
                        f"{error}; all that was saved before is whole: make room, then go on with: "
                        f"{command('comity', 'resume', directory.path)}"
                    ) from error
                raise
            finally:
                self.seeds.close()
                self.programs.close()
        status = "interrupted" if interrupted else "failed" if self.failed else "finished"
        self._save_manifest(status, wall=self.wall_before + time.monotonic() - began)
        listen("done", {"directory": directory.path, "status": status, "iteration": self.iteration})
        if interrupted:
            again = command("comity", "resume", directory.path)
            raise Interrupted(f"stopped at iteration {self.iteration}, saved; go on with: {again}", self.stop.number)
        if self.failed:
            what = ", ".join(f"{name} of seed {seed}" for seed, name in self.failed.items())
            others = "the other seeds were trained on" if self._alive() else "no other seed is left"
            raise NotFinite(
                f"not finite: {what}; saved in {directory.checkpoints}/not-finite-*.npz, {others}: "
                "lower the learning rate, or look for NaN in the game's rewards",
                directory,
            )

    def _read(self, resuming: bool, initialise: Path | None) -> None:
        """What training goes on from, before anything is compiled: the newest whole checkpoint, if there is one, or
        the states of another run, or neither."""
        self.directory.sweep()
        self.saved = self._saved() if resuming else None
        for name in self.lines.counts:  # refused before anything is compiled
            self.directory.lines(name)
        self.given = None
        if initialise and not self.saved:
            self.given, self.manifest["initialised"] = identity.given(initialise, self.names, self.shape.state)
        if self.saved:
            about = self.saved[1]
            self.iteration, self.wall_before = about["iteration"], about["wall_seconds"]
            self.env_steps = {int(seed): steps for seed, steps in about["env_steps"].items()}
            self.failed = {int(seed): what for seed, what in about["failed"].items()}

    def _compile(self) -> None:
        began = time.monotonic()
        self.ready = compile.compiled(
            self.programs, self.recipe, self.seeds, self.sizes, known=self.remembered, heed=self.stop.heed
        )
        if self._too_large():
            return self._compile()
        self.compile_seconds = time.monotonic() - began
        self.listen("compiled", {"seconds": self.compile_seconds})

    def _too_large(self) -> bool:
        """Whether fewer seeds than planned fit into the memory at once, and other programs are needed for that."""
        memory = self.training.memory and 1e9 * self.training.memory
        memory = memory or (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
        if not memory:
            return False
        state = sum(float(np.prod(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(self.shape))
        fits = self.seeds.fitting(memory, self.ready.largest, state)
        if fits >= self.seeds.at_once:
            return False
        self.seeds.close()
        self.seeds = compile.seeds_of(self.recipe, self.training, fits)
        self.keys = self.seeds.join([jax.random.key(seed) for seed in self.names])
        at_once = f"{fits} seed{'s' * (fits > 1)} at a time fit into {memory / 1e9:.3g} GB"
        self.listen("note", {"text": at_once})
        return self.seeds.mode != "loop"

    def _begin(self, resuming: bool) -> None:
        """The state of all seeds, and files that hold what led to it and no more."""
        if self.saved:
            self.carry = self.seeds.join([self.saved[0][str(seed)] for seed in self.names])
        else:
            self.carry = self.ready.call(self.seeds, "init", self.floats, self.keys)
        if self.given:
            carries = [self.seeds.of(self.carry, index) for index in range(len(self.names))]
            self.carry = self.seeds.join([c._replace(state=s) for c, s in zip(carries, self.given, strict=True)])
        if resuming:  # what came after the checkpoint is made again
            at = self.iteration if self.saved else -1
            self.directory.keep("metrics.jsonl", lambda line: line["iteration"] <= at)
            self.directory.keep("eval.jsonl", lambda line: line["iteration"] <= at)
            self._recognise()
        if self.saved and self.programs.begins_anew:
            self.listen("note", {"text": "where the games stood is in no checkpoint: they begin new episodes"})
            self.manifest["episodes_begun_anew"] = [*self.manifest.get("episodes_begun_anew", ()), self.iteration]
        if not self.saved:
            self._evaluate()
            self._checkpoint()
        self.stop.begun = True

    def _recognise(self) -> None:
        """Tells of what in the directory is lost, stands there twice or is of another run, and goes on without it."""
        counted, run = self.saved[1].get("lines") if self.saved else None, self.manifest.get("run")
        told = identity.lost(self.directory, self.manifest)
        told += self.lines.read(self.directory, counted, self.names)
        self.best, lost = identity.bests(self.directory, self.aim, run, self.names, self.iteration)
        for text in told + lost:
            self.listen("note", {"text": text})

    def _saved(self) -> tuple[Any, dict[str, Any]] | None:
        """(tree, about) of the newest whole checkpoint; None if there is none yet. Raises CorruptCheckpoint."""
        like = {str(seed): self.shape for seed in self.names}

        def skipped(error: checkpoint.CorruptCheckpoint) -> None:
            self.listen("note", {"text": f"{error}; going on from the checkpoint before it"})

        try:
            own = identity.own(self.manifest.get("run"), self.names)
            return checkpoint.newest(self.directory.saved(), like, skipped=skipped, check=own)
        except checkpoint.CorruptCheckpoint as error:
            raise checkpoint.CorruptCheckpoint(
                f"{error}; {self.directory.path} has no other: train it again with "
                f"{command('comity', 'train', '--config', self.directory.path / 'config.yaml')}"
            ) from error

    def _train(self, began: float) -> None:
        limit = self.training.minutes and 60 * self.training.minutes
        slowest = 0.0  # seconds of a chunk with all that follows it
        while self.iteration < self.training.iterations and self._alive() and not self._stopped():
            start, evaluated = time.monotonic(), self.evaluated
            late = limit and slowest and start - began + slowest + self._finals_seconds() > limit
            if processes.agreed(bool(late)):
                self.listen("note", {"text": f"stopped by --minutes {self.training.minutes:g}"})
                break
            # Chunks end on whole multiples, so a run that was stopped elsewhere finds back to the grid.
            count = min(
                self.training.chunk - self.iteration % self.training.chunk, self.training.iterations - self.iteration
            )
            arguments = self.floats, self.keys, np.int32(self.iteration), np.int32(count), self.carry
            self.carry, history, finite = self.ready.call(self.seeds, "chunk", *arguments)
            history, finite = self.seeds.each(history), self.seeds.each(finite)
            seconds = time.monotonic() - start
            self.iteration += count
            self._record(history, count)
            self._check_finite(finite)
            if self._planned():
                self._evaluate()
            self._checkpoint(self.wall_before + time.monotonic() - began)
            slowest = max(slowest, time.monotonic() - start)
            progress = self._progress(history, count, seconds)
            times = {"elapsed": time.monotonic() - began, "evaluating": self.evaluated - evaluated}
            self.listen("chunk", {**progress, **times, "left": self._evaluations_left()})

    def _stopped(self) -> bool:
        """Whether a signal asked to stop; of several processes, the first one's."""
        stopped = processes.agreed(self.stop.asked.is_set())
        if stopped:
            self.stop.asked.set()
        elif not processes.first():
            self.stop.asked.clear()
        return stopped

    def _complete(self) -> bool:
        """Whether training is over and every line of the final tables is there."""
        over = self.iteration >= self.training.iterations or not self._alive()
        finals = sum(map(self._is_final, self.directory.lines("eval.jsonl"))) if over else 0
        return over and finals == 2 * len(evaluation.POLICIES) * len(self._alive())

    def _is_final(self, line: dict[str, Any]) -> bool:
        return line["which"] != "periodic" and line["iteration"] == self.iteration

    def _finals(self) -> None:
        """The headline: the last policy, and each seed's best checkpoint, on new episodes. A signal cuts it short; it
        is then made again on resume."""
        if self._planned():  # a kill may have left some of these lines
            self.directory.keep("eval.jsonl", lambda line: not self._is_final(line))
        else:  # stopped by the clock
            self.directory.keep("eval.jsonl", lambda line: line["iteration"] < self.iteration)
            chosen = best.chosen(self.directory.lines("eval.jsonl"), self.aim)
            self.best = {seed: one for seed, one in chosen.items() if seed in self.best}  # not what was lost
            self._evaluate()
        self.listen("finals", {"episodes": self.final_episodes, "seconds": self._finals_seconds()})
        last, bests, at = self._states(self.carry), [], {}
        for index, seed in enumerate(self.names):
            path = self.directory.checkpoints / f"best-{seed}.npz"
            state, about = checkpoint.load(path, self.shape.state) if seed in self.best else (None, {})
            if state is None and seed not in self.failed:
                self.listen("note", {"text": f"seed {seed} has no best checkpoint: its row is of the last policy"})
            at[seed] = about.get("iteration", self.iteration)
            bests.append(self.seeds.of(last, index) if state is None else state)
        try:
            lines = self._evaluation("last", last, FINAL, self.final_episodes)
            lines += self._evaluation("best", self.seeds.join(bests), BEST, self.final_episodes, at)
        except evaluation.Stopped:
            return
        self.directory.append("eval.jsonl", lines)
        self.listen("evaluation", {"which": "last", "lines": lines})

    # ------------------------------------------------------------------ the host's work after a chunk

    def _record(self, history: Any, count: int) -> None:
        lines = []
        for index, seed in self._alive():
            values = {name: np.asarray(x)[:count] for name, x in history[index].items()}
            self.env_steps[seed] += int(values.pop("env_steps").astype(np.float64).sum())
            line = {"seed": seed, "iteration": self.iteration, "env_steps": self.env_steps[seed]}
            lines.append({**line, **{name: evaluation.known_mean(x) for name, x in values.items()}})
        self.lines.add("metrics.jsonl", lines)
        self.directory.append("metrics.jsonl", lines)

    def _check_finite(self, finite: Any) -> None:
        for index, seed in self._alive():
            if bool(finite[index]):
                continue
            state = self.seeds.of(self.carry, index).state
            self.failed[seed] = next(name for name, x in checkpoint.named(state) if not all_finite(x))
            path = self.directory.checkpoints / f"not-finite-{seed}.npz"
            checkpoint.save(path, state, {"iteration": self.iteration, "seed": seed, "not_finite": self.failed[seed]})
            self.listen(
                "note", {"text": f"seed {seed}: {self.failed[seed]} is not finite; saved in {path}, the others go on"}
            )

    def _evaluate(self) -> None:
        lines = self._evaluation("periodic", self._states(self.carry), EVALUATE, self.episodes)
        self.lines.add("eval.jsonl", lines)
        self.directory.append("eval.jsonl", lines)
        for seed, new in best.chosen(lines, self.aim).items():
            if best.better(self.best.get(seed), new):
                self.best[seed] = new
                state = self.seeds.of(self.carry, self.names.index(seed)).state
                about = {"seed": seed, "env_steps": self.env_steps[seed], "by": self.aim, **new._asdict()}
                about["run"] = self.manifest.get("run")
                checkpoint.save(self.directory.checkpoints / f"best-{seed}.npz", state, about)
        self.listen("evaluation", {"which": "periodic", "lines": lines})

    def _evaluation(
        self, which: str, states: Any, stream: int, episodes: int, at: dict[int, int] | None = None
    ) -> list[dict[str, Any]]:
        """Lines of eval.jsonl. at: {seed: iteration of its policy}, where that is not the present one. Raises
        evaluation.Stopped if a signal comes before the last of several batches of episodes."""
        start, batch = time.monotonic(), self.episodes
        count = begun(self.programs.algorithm, self.recipe.env, self.iteration)
        values = evaluation.evaluate(
            self.seeds, self.ready, self.floats, self.names, states, stream, self.iteration, count, episodes, batch,
            self._stopped,
        )  # fmt: skip
        seconds = time.monotonic() - start
        self.evaluation_seconds, self.evaluated = seconds / -(-episodes // batch), self.evaluated + seconds
        at = at or dict.fromkeys(self.names, self.iteration)
        for line in notices.of_play([x["faults"] for x in values], self.recipe.env) if self.iteration == 0 else ():
            self.listen("notice", {"text": line})
        return [
            evaluation.line(seed, self.iteration, self.env_steps[seed], policy, which, values[index][policy], at[seed])
            for index, seed in self._alive()
            for policy in evaluation.POLICIES
        ]

    def _checkpoint(self, wall: float = 0.0) -> None:
        tree = {str(seed): carry for seed, carry in zip(self.names, self.seeds.each(self.carry), strict=True)}
        about = {"iteration": self.iteration, "env_steps": self.env_steps, "failed": self.failed, "wall_seconds": wall}
        about |= {"run": self.manifest.get("run"), "seeds": self.names, "lines": self.lines.counts}
        checkpoint.save(self.directory.checkpoints / f"{self.iteration:08d}.npz", tree, about)
        for old in self.directory.saved()[:-2]:
            old.unlink()

    # ------------------------------------------------------------------ small things

    @property
    def headline(self) -> str:
        return self.recipe.env.spec.headline

    @property
    def aim(self) -> str:
        return best.aim(self.recipe.env)

    def _planned(self) -> bool:
        """Whether this iteration is one of those that are evaluated."""
        on_grid = self.training.evaluations and self.iteration % self.training.every == 0
        return bool(on_grid) or self.iteration >= self.training.iterations

    def _alive(self) -> list[tuple[int, int]]:
        """(index, seed) of the seeds whose state is finite."""
        return [(index, seed) for index, seed in enumerate(self.names) if seed not in self.failed]

    def _states(self, carry: Any) -> Any:
        return self.seeds.part(lambda one: one.state, carry)

    def _finals_seconds(self) -> float:
        rounds = 2 * -(-self.final_episodes // self.episodes) + 1
        return 1.2 * rounds * self.evaluation_seconds

    def _evaluations_left(self) -> float:
        """Seconds that the evaluations to come will take, the final one included."""
        ahead = self.training.iterations // self.training.every - self.iteration // self.training.every
        return (ahead if self.training.evaluations else 0) * self.evaluation_seconds + self._finals_seconds()

    def _header(self, resuming: bool) -> dict[str, Any]:
        state = jax.tree.leaves(self.shape.state)
        per_iteration = self.training.envs * (self.programs.algorithm.steps or self.recipe.env.spec.length)
        return {
            "directory": self.directory.path,
            "resuming": resuming,
            "recipe": self.recipe,
            "training": self.training,
            "numbers": sum(int(np.prod(x.shape)) for x in state),
            "env_steps": per_iteration * self.training.iterations * self.training.seeds,
            "mode": self.seeds.mode,
            "workers": self.seeds.workers,
            "headline": self.headline,
        }

    def _progress(self, history: Any, count: int, seconds: float) -> dict[str, Any]:
        values = [history[index] for index, _ in self._alive()]
        names = (self.headline, "return") if self.headline != "return" else ("return",)
        return {
            "iteration": self.iteration,
            "iterations": self.training.iterations,
            "count": count,
            "seconds": seconds,
            "env_steps": float(sum(np.asarray(v["env_steps"])[:count].sum() for v in values)),
            "metrics": {
                name: [evaluation.known_mean(np.asarray(v[name])[:count]) for v in values]
                for name in names
                if name in values[0]
            }
            if values
            else {},
        }

    def _save_manifest(self, status: str, wall: float | None = None, quietly: bool = False) -> None:
        update = {"status": status, "iterations_done": self.iteration, "headline": self.headline, "aim": self.aim}
        update["env_steps"] = self.env_steps
        update["compile_seconds"] = getattr(self, "compile_seconds", None)
        if wall is not None:
            update["wall_seconds"] = round(wall, 3)
            update["env_steps_per_second"] = round(sum(self.env_steps.values()) / max(wall, 1e-9))
        if self.failed:
            update["not_finite"] = self.failed
        self.manifest = {**self.manifest, **update, "changed": datetime.datetime.now().isoformat(timespec="seconds")}
        with contextlib.suppress(OSError) if quietly else contextlib.nullcontext():
            self.directory.write_manifest(self.manifest)
