"""The evaluations of a run: at fixed points of training, and at the end, of the last policy and the best."""

import time
from typing import Any

from comity.training import best, checkpoint, evaluation, notices
from comity.training.events import Listen
from comity.training.programs import BEST, EVALUATE, FINAL, begun
from comity.training.session import Session


def periodic(session: Session, listen: Listen) -> None:
    """Evaluates the current policies and saves those that are the best of their seed so far."""
    lines = _lines(session, listen, "periodic", session.states, EVALUATE, session.episodes)
    session.lines.add("eval.jsonl", lines)
    session.directory.append("eval.jsonl", lines)
    for seed, new in best.chosen(lines, session.aim).items():
        if best.better(session.best.get(seed), new):
            session.best[seed] = new
            state = session.seeds.of(session.carry, session.names.index(seed)).state
            about = {"seed": seed, "env_steps": session.env_steps[seed], "by": session.aim, **new._asdict()}
            about["run"] = session.manifest.get("run")
            checkpoint.save(session.best_file(seed), state, about)
    listen("evaluation", {"which": "periodic", "lines": lines})


def final(session: Session, listen: Listen) -> None:
    """Evaluates the last policy and each seed's best checkpoint on new episodes.

    A signal cuts the evaluation short; resume then makes it again.
    """
    directory = session.directory
    if session.planned:  # a kill may have left some of these lines
        directory.keep("eval.jsonl", lambda line: not _is_final(session, line))
    else:  # stopped by a time limit
        directory.keep("eval.jsonl", lambda line: line["iteration"] < session.iteration)
        chosen = best.chosen(directory.lines("eval.jsonl"), session.aim)
        session.best = {seed: one for seed, one in chosen.items() if seed in session.best}  # without lost ones
        periodic(session, listen)
    listen("finals", {"episodes": session.final_episodes, "seconds": final_seconds(session)})
    last, bests, at = session.states, [], {}
    for index, seed in enumerate(session.names):
        found = seed in session.best
        state, about = checkpoint.load(session.best_file(seed), session.shape.state) if found else (None, {})
        if state is None and seed not in session.failed:
            listen("note", {"text": f"seed {seed} has no best checkpoint: its row is of the last policy"})
        at[seed] = about.get("iteration", session.iteration)
        bests.append(session.seeds.of(last, index) if state is None else state)
    try:
        lines = _lines(session, listen, "last", last, FINAL, session.final_episodes)
        lines += _lines(session, listen, "best", session.seeds.join(bests), BEST, session.final_episodes, at)
    except evaluation.Stopped:
        return
    directory.append("eval.jsonl", lines)
    listen("evaluation", {"which": "last", "lines": lines})


def complete(session: Session) -> bool:
    """True if training is over and eval.jsonl has every line of the final evaluation."""
    over = session.iteration >= session.training.iterations or not session.alive
    finals = sum(_is_final(session, line) for line in session.directory.lines("eval.jsonl")) if over else 0
    return over and finals == 2 * len(evaluation.POLICIES) * len(session.alive)


def seconds_left(session: Session) -> float:
    """Seconds that the remaining evaluations will take, the final one included."""
    every, training = session.training.every, session.training
    ahead = training.iterations // every - session.iteration // every if training.evaluations else 0
    return ahead * session.evaluation_seconds + final_seconds(session)


def final_seconds(session: Session) -> float:
    rounds = 2 * -(-session.final_episodes // session.episodes) + 1
    return 1.2 * rounds * session.evaluation_seconds


def _is_final(session: Session, line: dict[str, Any]) -> bool:
    return line["which"] != "periodic" and line["iteration"] == session.iteration


def _lines(
    session: Session, listen: Listen, which: str, states: Any, stream: int, episodes: int,
    at: dict[int, int] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Evaluates `states` and returns lines of eval.jsonl.

    at: {seed: iteration of its policy}; None: the current iteration. Raises evaluation.Stopped if a signal comes before
    the last of several batches of episodes.
    """
    start, batch, env, now = time.monotonic(), session.episodes, session.env, session.iteration
    count = begun(session.programs.outline, env, now)
    values = evaluation.evaluate(
        session.seeds, session.ready, session.floats, session.names, states, stream, now, count, episodes, batch,
        session.stopped,
    )  # fmt: skip
    seconds = time.monotonic() - start
    session.evaluation_seconds, session.evaluated = seconds / -(-episodes // batch), session.evaluated + seconds
    at = at or dict.fromkeys(session.names, now)
    for line in notices.of_play([x["faults"] for x in values], env) if now == 0 else ():
        listen("notice", {"text": line})
    return [
        evaluation.line(seed, now, session.env_steps[seed], policy, which, values[index][policy], at[seed])
        for index, seed in session.alive
        for policy in evaluation.POLICIES
    ]
