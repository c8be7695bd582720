"""The start of a run: from a checkpoint, from the states of another run, or from first states. Lines in the run's files
that came after that point are removed."""

import time
from pathlib import Path
from typing import Any

from comity.runs.commands import command
from comity.training import checkpoint, compile, evaluations, events, identity, memory, saving
from comity.training.events import Listen
from comity.training.seed_keys import key_of
from comity.training.session import Session


class Start:
    """The saved states that a run begins with, read before anything is compiled."""

    def __init__(self, session: Session, resuming: bool, initialise: Path | None, listen: Listen):
        """initialise: a run whose last checkpoint gives the first states. Raises CorruptCheckpoint, ValueError."""
        self.resuming, directory = resuming, session.directory
        directory.sweep()
        self.saved = _newest(session, listen) if resuming else None
        for name in session.lines.counts:  # raises ValueError for damaged lines before anything is compiled
            directory.lines(name)
        self.given = None
        if initialise and not self.saved:
            self.given, about = identity.given(initialise, session.names, session.shape.state)
            session.manifest["initialised"] = about
            if note := identity.other_seeds(about):
                listen("note", {"text": note})
        if self.saved:
            about = self.saved[1]
            session.iteration, session.wall_before = about["iteration"], about["wall_seconds"]
            session.cpu_seconds = float(about.get("cpu_seconds", 0.0))
            session.env_steps = {int(seed): steps for seed, steps in about["env_steps"].items()}
            session.failed = {int(seed): what for seed, what in about["failed"].items()}


def compile_programs(session: Session, listen: Listen) -> None:
    """Compiles the programs for all seeds, or for as many seeds as fit into the memory at once."""
    began = time.monotonic()
    listen("compiling", events.compiling(session))
    made = session.programs, session.recipe, session.seeds
    how = {"known": session.known, "heed": session.stop.heed}
    if session.member:
        session.ready = session.member.compiled(*made, session.training, session.sizes, **how)
    else:
        session.ready = compile.compiled(*made, session.sizes, **how)
    if _fewer_at_once(session, listen):
        return compile_programs(session, listen)
    session.compile_seconds = time.monotonic() - began
    listen("compiled", {"seconds": session.compile_seconds})


def _fewer_at_once(session: Session, listen: Listen) -> bool:
    """Lets fewer seeds run at once if not all fit into the memory. Returns True if new programs are needed for that."""
    training = session.training
    limit = None if session.member else memory.of_programs(training)  # for several runs `together` takes care of it
    if not limit:
        return False
    fits = session.seeds.fitting(limit, session.ready.largest, memory.size(session.shape))
    if fits >= session.seeds.at_once:
        return False
    session.seeds.close()
    session.seeds = compile.seeds_of(session.recipe, training, fits)
    session.keys = session.seeds.join([key_of(seed) for seed in session.names])
    listen("note", {"text": f"{fits} seed{'s' * (fits > 1)} at a time fit into {limit / 1e9:.3g} GB"})
    return session.seeds.mode != "loop"


def begin(session: Session, start: Start, listen: Listen) -> None:
    """Sets the state of all seeds and brings the files to the same iteration. The programs must be compiled."""
    seeds = session.seeds
    if start.saved:
        session.carry = seeds.join([start.saved[0][str(seed)] for seed in session.names])
    else:
        session.carry = session.ready.call(seeds, "init", session.floats, session.keys)
    if start.given:
        carries = [seeds.of(session.carry, index) for index in range(len(session.names))]
        session.carry = seeds.join([c._replace(state=s) for c, s in zip(carries, start.given, strict=True)])
    if start.resuming:  # lines after the checkpoint are made again
        at = session.iteration if start.saved else -1
        session.directory.keep("metrics.jsonl", lambda line: line["iteration"] <= at)
        session.directory.keep("eval.jsonl", lambda line: line["iteration"] <= at)
        _recognise(session, start, listen)
    ahead = session.iteration < session.training.iterations
    if start.saved and ahead and session.programs.begins_anew:
        listen("note", {"text": "where the games stood is in no checkpoint: they begin new episodes"})
        before = session.manifest.get("episodes_begun_anew", ())
        session.manifest["episodes_begun_anew"] = [*before, session.iteration]
    if not start.saved:
        evaluations.periodic(session, listen)
        saving.checkpoint_now(session)
    session.stop.begun = True


def _recognise(session: Session, start: Start, listen: Listen) -> None:
    """Sends notes about files and lines that are lost, repeated or of another run. The run goes on without them."""
    directory, run = session.directory, session.manifest.get("run")
    counted = start.saved[1].get("lines") if start.saved else None
    notes = identity.lost(directory, session.manifest)
    notes += session.lines.read(directory, counted, session.names)
    session.best, lost = identity.bests(directory, session.aim, run, session.names)
    for text in notes + lost:
        listen("note", {"text": text})


def _newest(session: Session, listen: Listen) -> tuple[Any, dict[str, Any]] | None:
    """Loads (tree, about) of the newest whole checkpoint; None if there is none yet. Raises CorruptCheckpoint."""
    like, directory = {str(seed): session.shape for seed in session.names}, session.directory

    def skipped(error: checkpoint.CorruptCheckpoint) -> None:
        listen("note", {"text": f"{error}; going on from the checkpoint before it"})

    try:
        own = identity.own(session.manifest.get("run"), session.names)
        return checkpoint.newest(directory.saved(), like, skipped=skipped, check=own)
    except checkpoint.CorruptCheckpoint as error:
        raise checkpoint.CorruptCheckpoint(
            f"{error}; {directory.path} has no other: train it again with "
            f"{command('comity', 'train', '--config', directory.path / 'config.yaml')}"
        ) from error
