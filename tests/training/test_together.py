"""Runs side by side: the same numbers as alone, files of their own, and no run waits for one that has ended."""

import contextlib
import dataclasses
import json
import os
import signal

import numpy as np
import pytest

import comity
from comity.recipes import from_objects
from comity.runs.lines import read_lines
from comity.sweeps import plan, worker
from comity.training import checkpoint, together
from comity.training.remembered import Programs
from comity.training.settings import Training
from comity.training.stopping import Interrupted

STUDY = {
    "tasks": ["matrix"], "algorithms": ["reinforce"], "seeds": 2, "iterations": 6, "chunk": 2, "envs": 4,
    "evaluations": 2, "evaluation_episodes": 2, "final_episodes": 2,
    "vary": {"learning_rate": [1e-3, 1e-2, 1e-1]},
}  # fmt: skip


@pytest.fixture(scope="module")
def programs():
    """What is compiled once for all tests here."""
    return Programs()


def trained(folder, batch, programs, **more):
    sweep = plan.planned(folder, {**STUDY, **more})
    said = []
    assert worker.work(sweep, say=said.append, batch=batch, programs=programs) == len(sweep.rows)
    assert (f"{len(sweep.rows)} rows side by side" in said) == (batch > 1)
    return sweep


def run_of(sweep, row):
    about = worker.done(sweep.of(row))
    assert about
    assert about["status"] == "finished", about
    return sweep.of(row) / about["run"]


def numbers(run):
    """All that a run wrote about what it learned: metrics, evaluations, the last state."""
    lines = [read_lines(run / name) for name in ("metrics.jsonl", "eval.jsonl")]
    path = sorted(run.glob("checkpoints/0*.npz"))[-1]
    with np.load(path) as arrays:
        found = {name: arrays[name] for name in arrays.files if isinstance(arrays[name], np.ndarray)}
    return lines, found, checkpoint.about(path)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, programs):
    return trained(tmp_path_factory.mktemp("alone") / "sweep", 1, programs)


def test_on_a_processor_side_by_side_gives_the_same_bits(tmp_path, alone, programs):
    sweep = trained(tmp_path / "sweep", 3, programs)
    for row in sweep.rows:
        mine, theirs = numbers(run_of(sweep, row)), numbers(run_of(alone, row))
        assert mine[0] == theirs[0]
        assert mine[1].keys() == theirs[1].keys()
        for name, x in mine[1].items():
            if x.dtype.kind in "fiub":
                np.testing.assert_array_equal(x, theirs[1][name], err_msg=name)
        assert mine[2]["seeds"] == [0, 1]
    states = [numbers(run_of(sweep, row))[0][0][-1] for row in sweep.rows]
    assert states[0] != states[1] != states[2]  # each has its own learning rate


def test_one_program_for_all_lanes_gives_the_same_numbers(tmp_path, alone, programs):
    sweep = trained(tmp_path / "sweep", 3, programs, mode="vmap")
    for row, other in zip(sweep.rows, alone.rows, strict=True):
        mine, theirs = numbers(run_of(sweep, row)), numbers(run_of(alone, other))
        for a, b in zip(mine[0][0], theirs[0][0], strict=True):
            assert a.keys() == b.keys()
            np.testing.assert_allclose([*map(float, a.values())], [*map(float, b.values())], rtol=1e-4, atol=1e-5)
        for name, x in mine[1].items():
            if x.dtype.kind == "f":
                np.testing.assert_allclose(x, theirs[1][name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_row_that_was_stopped_goes_on_alone_or_side_by_side(tmp_path, alone, programs):
    """From a checkpoint of the middle, as a kill leaves it, one row of three."""
    sweep = trained(tmp_path / "sweep", 3, programs)
    for count in (1, 2):
        for row in sweep.rows[:count]:
            run = run_of(sweep, row)
            (run / "checkpoints" / "00000006.npz").unlink()
            manifest = json.loads((run / "manifest.json").read_text())
            (run / "manifest.json").write_text(json.dumps({**manifest, "status": "running", "iterations_done": 4}))
            (sweep.of(row) / worker.DONE).unlink()
        assert worker.work(sweep, say=lambda text: None, batch=3, programs=programs) == count
    for row in sweep.rows:
        mine, theirs = numbers(run_of(sweep, row)), numbers(run_of(alone, row))
        assert mine[0] == theirs[0]
        for name, x in mine[1].items():
            if x.dtype.kind in "fiub":
                np.testing.assert_array_equal(x, theirs[1][name], err_msg=name)


def test_a_signal_saves_all_rows(tmp_path, alone, programs):
    sweep = plan.planned(tmp_path / "sweep", STUDY)
    sent = []

    @contextlib.contextmanager
    def signals(row):
        def listen(event, facts):
            if event == "chunk" and facts["iteration"] == 2 and row is sweep.rows[1]:
                sent.append(row)
                os.kill(os.getpid(), signal.SIGINT)

        yield listen

    with pytest.raises(Interrupted):
        worker.work(sweep, say=lambda text: None, batch=3, programs=programs, listeners=signals)
    assert len(sent) == 1
    for row in sweep.rows:
        assert not worker.done(sweep.of(row))
        (newest,) = {sorted(run.glob("checkpoints/0*.npz"))[-1].stem for run in sweep.of(row).glob("*/*/*")}
        assert 2 <= int(newest) < 6
    assert worker.work(sweep, say=lambda text: None, batch=3, programs=programs) == 3
    for row in sweep.rows:
        assert numbers(run_of(sweep, row))[0] == numbers(run_of(alone, row))[0]


@pytest.mark.parametrize("mode", ["loop", "vmap"])
def test_the_others_go_on_without_a_run_that_fails(tmp_path, monkeypatch, mode, programs):
    """One becomes infinite, one breaks after its first chunk; the third one is trained to the end."""
    from comity.training import saving

    sweep = plan.planned(tmp_path / "sweep", {**STUDY, "mode": mode, "vary": {"learning_rate": [1e-3, 1e-2, 1e38]}})
    metrics = saving.metrics

    def failing(session, history, count):
        if session.recipe.config.learning_rate == 1e-2:
            raise RuntimeError("the game broke")
        metrics(session, history, count)

    monkeypatch.setattr(saving, "metrics", failing)
    assert worker.work(sweep, say=lambda text: None, batch=3, programs=programs) == 3
    found = [worker.done(sweep.of(row)) for row in sweep.rows]
    assert [x and x["status"] for x in found] == ["finished", "failed", "not finite"]
    assert len(read_lines(run_of(sweep, sweep.rows[0]) / "metrics.jsonl")) == 6


def kind(**more):
    recipe = from_objects("matrix", comity.algorithm("reinforce", **{"learning_rate": 1e-3, **more}))
    training = Training(**TRAINING)
    config = {**recipe.describe(), "training": dataclasses.asdict(training)}
    return together.alike(recipe, training, config)


TRAINING: dict = {"seeds": 2}


def test_what_can_be_side_by_side(monkeypatch):
    assert kind() == kind(learning_rate=1e-2) == kind(gamma=0.5)
    assert kind() != kind(hidden=8)
    monkeypatch.setitem(TRAINING, "first_seed", 4)
    here = kind()
    monkeypatch.setitem(TRAINING, "first_seed", 0)
    assert kind() == here
    monkeypatch.setitem(TRAINING, "envs", 8)
    assert kind() != here
    monkeypatch.setitem(TRAINING, "minutes", 3.0)
    assert kind() is None  # a clock ends it: alone it would stop elsewhere
