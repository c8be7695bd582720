"""The training loop: compiled chunks of iterations. After each chunk the host works in this order: metrics, check for
NaN, evaluation, best policy, checkpoint. The loop does not depend on any particular algorithm.

If the process is killed, at most the current chunk is lost: resume drops the lines that were written after the last
checkpoint and computes them again, bit for bit on a CPU.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from comity.recipes import Recipe, from_config, settled
from comity.runs import sources, writing
from comity.runs.commands import command as worded
from comity.runs.directory import RunDirectory
from comity.runs.modules import refuse_while_imported
from comity.runs.saved import REFERENCE
from comity.runs.trust import NOTHING, Trust
from comity.trackers import following as trackers
from comity.trackers.following import Following
from comity.training import checkpoint, evaluations, events, identity, processes, remembered, saving, starting
from comity.training.events import Listen, silent
from comity.training.machine import fingerprint, versions
from comity.training.session import Session
from comity.training.settings import Training, training_of
from comity.training.stopping import Interrupted
from comity.training.together import Member


class NotFinite(RuntimeError):
    """Raised if a seed's state became NaN or infinite. The other seeds were trained to the end."""

    def __init__(self, text: str, directory: RunDirectory):
        super().__init__(text)
        self.directory = directory


def train(
    recipe: Recipe,
    training: Training,
    out: Path | str = "runs",
    initialise: Path | None = None,
    listen: Listen = silent,
    command: str = "",
    programs: remembered.Programs | None = None,
    member: Member | None = None,
) -> RunDirectory:
    """Trains a new run to its end and returns its directory.

    initialise: a run directory whose last checkpoint gives the first state of each seed. programs: programs that this
    process has compiled before; new ones are added. member: the run's place among several runs that train side by side.
    Raises ValueError, OSError for bad input, Interrupted, NotFinite.
    """
    refuse_while_imported()
    trackers.refuse(training.track)
    listen, recipe = listen if processes.first() else silent, settled(recipe)
    listen("preparing", {"recipe": recipe})
    session = Session(recipe, training, programs, member)  # it refuses bad input before anything is written
    training = session.training
    config = {"comity": versions()["comity"], **recipe.describe(), "training": dataclasses.asdict(training)}
    if initialise:
        config["initialise"] = str(initialise.resolve())
    place = processes.own_folder(Path(out).expanduser())
    directory = RunDirectory.create(place, recipe.task.stem, recipe.algorithm.stem, config)
    directory.write_manifest(identity.manifest(recipe, training, command))
    own = {"task": recipe.task.files, "algorithm": recipe.algorithm.files}
    sources.copy(directory.path / "source", own, writing.write_bytes)
    with directory.lock():
        try:
            run(session, directory, listen, initialise)
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
    member: Member | None = None,
) -> RunDirectory:
    """Continues a run from its newest whole checkpoint until it has `iterations` in all (None: as planned).

    Raises the same exceptions as `train`; InUse if another process trains the run.
    """
    if (directory.path / REFERENCE).is_file():
        raise ValueError(f"{directory.path.name}: a reference has only its policy; comity verify trains it again")
    directory, listen = RunDirectory(processes.own_copy(directory.path)), listen if processes.first() else silent
    directory.refuse_links()
    with directory.lock():
        config = directory.config()
        training = training_of(config, minutes=minutes)
        training = dataclasses.replace(training, track=_trackers_here(training.track, listen))
        recipe, planned = recipe or from_config(config, directory.path, trust), None
        if iterations is not None and iterations != training.iterations:
            saved = directory.saved()
            if saved and iterations < int(saved[-1].stem):
                raise ValueError(
                    f"{directory.path} has {int(saved[-1].stem)} iterations already, more than {iterations}: "
                    "give a larger number, or +N for N more than planned"
                )
            # Evaluations stay at the same iterations, so a longer run repeats the shorter one.
            training = dataclasses.replace(training, iterations=iterations, evaluate_every=training.every)
            kept = {"minutes": config["training"].get("minutes"), "track": config["training"].get("track", [])}
            settings = {**dataclasses.asdict(training), **kept}
            planned = {**config, "training": settings}
        if not directory.manifest():
            name = checkpoint.about(directory.saved()[-1]).get("run") if directory.saved() else None
            directory.write_manifest(identity.manifest(recipe, training, "", name))
        for line in identity.differences(directory.manifest().get("bits", {}), fingerprint(training.mode)):
            listen("note", {"text": f"bits may differ from an unbroken run: {line}"})
        for line in identity.other_packages(directory.manifest(), recipe):
            listen("note", {"text": line})
        initialise = config.get("initialise")
        listen("preparing", {"recipe": recipe})
        session = Session(recipe, training, programs, member)
        run(session, directory, listen, initialise and Path(initialise), resuming=True, planned=planned)
    return directory


def _trackers_here(names: tuple[Any, ...], listen: Listen) -> tuple[Any, ...]:
    """The trackers of a run whose packages are installed. Notes name the missing ones."""
    here = []
    for name in names:
        try:
            trackers.refuse([name])
        except ValueError as error:
            listen("note", {"text": f"{error}; the run goes on without it"})
        else:
            here.append(name)
    return tuple(here)


def run(
    session: Session, directory: RunDirectory, listen: Listen, initialise: Path | None = None, resuming: bool = False,
    planned: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Runs a session from start to end, followed by its trackers.

    planned: a config that replaces the run's, once the start has found that the files belong to the run.
    """
    followed = Following(session.training.track if processes.first() else (), listen)
    try:
        _run(session, directory, followed, initialise, resuming, planned)
    finally:
        followed.close(str(session.manifest.get("status")))


def _run(
    session: Session, directory: RunDirectory, listen: Listen, initialise: Path | None, resuming: bool,
    planned: dict[str, Any] | None,
) -> None:  # fmt: skip
    """Runs a session from start to end. The arguments are those of `run`."""
    began = time.monotonic()
    session.directory, session.manifest = directory, directory.manifest()
    listen("header", events.header(session, resuming))
    for line in () if resuming else session.notices:
        listen("notice", {"text": line})
    with session.stop.listening(lambda text: listen("note", {"text": text})):
        try:
            start = starting.Start(session, resuming, initialise, listen)
            left = not evaluations.complete(session)
            if left:
                starting.compile_programs(session, listen)
                starting.begin(session, start, listen)
            if planned:
                directory.write_config(planned)
            if left:
                saving.manifest(session, "running")
                _train(session, began, listen)
            else:
                listen("note", {"text": "nothing is left to do: --iterations +N trains N more"})
            if not (session.stopped() or evaluations.complete(session)):
                evaluations.final(session, listen)
            interrupted = session.stopped() and not evaluations.complete(session)
        except BaseException as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            error.comity_run = directory.path  # pyright: ignore[reportAttributeAccessIssue]  # the run whose log has the error
            saving.manifest(session, status, quietly=True)
            if isinstance(error, OSError) and session.stop.begun:
                raise OSError(
                    f"{error}; all that was saved before is whole: make room, then go on with: "
                    f"{worded('comity', 'resume', directory.path)}"
                ) from error
            raise
        finally:
            session.close()
    status = "interrupted" if interrupted else "failed" if session.failed else "finished"
    saving.manifest(session, status, wall=session.wall_before + time.monotonic() - began)
    listen("done", {"directory": directory.path, "status": status, "iteration": session.iteration})
    if interrupted:
        again = worded("comity", "resume", directory.path)
        raise Interrupted(f"stopped at iteration {session.iteration}, saved; go on with: {again}", session.stop.number)
    if session.failed:
        what = ", ".join(f"{name} of seed {seed}" for seed, name in session.failed.items())
        others = "the other seeds were trained on" if session.alive else "no other seed is left"
        raise NotFinite(
            f"not finite: {what}; saved in {directory.checkpoints}/not-finite-*.npz, {others}: "
            "lower the learning rate, or look for NaN in the game's rewards",
            directory,
        )


def _train(session: Session, began: float, listen: Listen) -> None:
    """Trains chunk by chunk, with the host's work after each, until the planned iterations are done, the time is used
    up or a signal arrives. began: start of the run by `time.monotonic`."""
    training, seeds = session.training, session.seeds
    limit, slowest = training.minutes and 60 * training.minutes, 0.0  # seconds of a chunk and the host's work after it
    dearest = 0.0  # the largest processor time of these
    while session.iteration < training.iterations and session.alive and not session.stopped():
        start, spent, evaluated = time.monotonic(), time.process_time(), session.evaluated
        final = evaluations.final_seconds(session)
        late = limit and slowest and start - began + slowest + final > limit
        if processes.agreed(bool(late)):
            listen("note", {"text": f"stopped by --minutes {training.minutes:g}"})
            break
        if processes.agreed(bool(training.cpu_seconds and session.cpu_seconds + dearest > training.cpu_seconds)):
            listen("note", {"text": f"stopped by --cpu-seconds {training.cpu_seconds:g}"})
            break
        # Chunks end at multiples of `training.chunk`, also after a resume from an iteration in between.
        count = min(training.chunk - session.iteration % training.chunk, training.iterations - session.iteration)
        given = session.floats, session.keys, np.int32(session.iteration), np.int32(count), session.carry
        session.carry, history, sound = session.ready.call(seeds, "chunk", *given)
        history, sound = [x.by_name() for x in seeds.each(history)], seeds.each(sound)
        seconds = time.monotonic() - start
        session.iteration += count
        saving.metrics(session, history, count)
        saving.what_is_not_finite(session, sound, listen)
        if session.planned:
            evaluations.periodic(session, listen)
        took = time.process_time() - spent
        session.cpu_seconds, dearest = session.cpu_seconds + took, max(dearest, took)
        saving.checkpoint_now(session, session.wall_before + time.monotonic() - began)
        slowest = max(slowest, time.monotonic() - start)
        times = {"elapsed": time.monotonic() - began, "evaluating": session.evaluated - evaluated}
        left = {"left": evaluations.seconds_left(session), "limit": limit}
        listen("chunk", {**events.progress(session, history, count, seconds), **times, **left})
