"""Trackers get the numbers of the run's files once, also after a resume. Whatever they do, the run goes on."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from comity.runs.directory import RunDirectory
from comity.trackers import TRACKERS, following
from comity.training.loop import resume, train
from comity.training.remembered import Programs
from comity.training.settings import Training
from comity.training.stopping import Interrupted
from tiny import trackers
from tiny.runs import SMALL, recipe

PROGRAMS = Programs()  # compiled once for all tests here
ALL = ("tensorboard", "wandb", "trackio", "mlflow")


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(following, "EVERY", 0.02)


def trained(out, track=ALL, listen=lambda event, facts: None, **settings):
    training = Training(**{**SMALL, "iterations": 6, "track": track, **settings})
    return train(recipe(), training, out, None, listen, "", PROGRAMS)


def resumed(run, listen=lambda event, facts: None):
    return resume(run, None, None, listen, recipe(), programs=PROGRAMS)


def points(run: RunDirectory):
    lines = [*run.lines("metrics.jsonl"), *run.lines("eval.jsonl")]
    return [following.of_line(line) for line in lines]


def assert_all_told(told: trackers.Told, run: RunDirectory) -> None:
    """Every number of metrics.jsonl and eval.jsonl, and no other, once, in one record of each package."""
    mine = points(run)
    assert len(mine) == len({(p.kind, p.seed, p.iteration) for p in mine})
    curves = sorted((f"seed-{p.seed}", f"{p.kind}/{n}", x, p.env_steps) for p in mine for n, x in p.values.items())
    found = told.values["tensorboardX"]
    assert {Path(folder).parent for folder in found} == {run.path / "tensorboard"}
    assert sorted((Path(folder).name, *point) for folder, some in found.items() for point in some) == curves
    flat = sorted((f"{p.kind}/{n}/seed-{p.seed}", x, p.iteration) for p in mine for n, x in p.values.items())
    for package in ("wandb", "trackio"):
        ((name, rows),) = told.values[package].items()
        assert name == run.path.name
        got = [(key, x, row["iteration"]) for row, _ in rows for key, x in row.items() if "/" in key]
        assert sorted(got) == flat
        assert all(step in (None, row["iteration"]) for row, step in rows)
    ((name, metrics),) = told.values["mlflow"].items()
    assert name == f"id-{run.path.name}"
    assert sorted(metric for metric in metrics if "/" in metric[0]) == flat


def test_all_at_once_are_told_what_the_files_hold(tmp_path, monkeypatch):
    told = trackers.install(monkeypatch)
    run = trained(tmp_path)
    assert_all_told(told, run)
    assert told.settings["wandb"]["mode"] == "offline"
    assert told.settings["wandb"]["training.iterations"] == 6
    assert told.settings["mlflow"]["training.iterations"] == "6"
    ends = {(package, end) for package, _, end in told.ends}
    assert ends == {("tensorboardX", None), ("wandb", 0), ("trackio", None), ("mlflow", "FINISHED")}
    alone = trained(tmp_path / "alone", track=())
    for name in ("metrics.jsonl", "eval.jsonl"):
        assert (run.path / name).read_text() == (alone.path / name).read_text()


class Stops:
    """Sends the process what a user's Ctrl-C sends it, after a chunk."""

    def __init__(self, after: int):
        self.after = after

    def __call__(self, event, facts):
        if event == "chunk" and facts["iteration"] == self.after:
            import os
            import signal

            time.sleep(0.2)  # trackers have read what there is
            os.kill(os.getpid(), signal.SIGINT)


def test_a_resumed_run_goes_on_in_the_same_record(tmp_path, monkeypatch):
    told = trackers.install(monkeypatch)
    with pytest.raises(Interrupted):
        trained(tmp_path, listen=Stops(4))
    (config,) = tmp_path.rglob("config.yaml")
    run = RunDirectory(config.parent)
    before = len(told.values["wandb"][run.path.name])
    assert before
    assert ("mlflow", f"id-{run.path.name}", "KILLED") in told.ends
    resumed(run)
    assert_all_told(told, run)
    assert len(told.values["wandb"][run.path.name]) > before
    assert told.begun.count(("wandb", run.path.name)) == 2
    assert ("mlflow", f"again id-{run.path.name}") in told.begun


def test_what_was_told_and_lost_with_a_kill_is_not_told_again(tmp_path, monkeypatch):
    told = trackers.install(monkeypatch)
    run = trained(tmp_path, track=("trackio",))
    lines = run.lines("metrics.jsonl")
    last = max(run.saved())
    last.unlink()  # as if the kill had come before the last checkpoint was written
    resumed(run)
    assert run.lines("metrics.jsonl") == lines
    got = [key for row, _ in told.values["trackio"][run.path.name] for key in row if "/" in key]
    assert len(got) == sum(len(p.values) for p in points(run))


class Broken:
    """A tracker that does something bad at one of its calls."""

    record = "x"

    def __init__(self, run, config, record):
        self.at("init")

    def add(self, points):
        self.at("add")

    def close(self, status):
        self.at("close")

    def at(self, place):
        if place == WHERE:
            BAD()


WHERE, BAD = "", lambda: None
GATE = threading.Event()


def no_disk():
    raise OSError(28, "No space left on device")


def raises():
    raise RuntimeError("the service\nis away")


def exits():
    sys.exit(3)


def hangs():
    GATE.wait(60)


@pytest.mark.parametrize("where", ["init", "add", "close"])
@pytest.mark.parametrize(
    ("bad", "words"),
    [(raises, "RuntimeError: the service is away"), (no_disk, "No space left"), (exits, "SystemExit: 3"),
     (hangs, "did not finish")],
)  # fmt: skip
def test_a_tracker_that_fails_harms_no_run(tmp_path, monkeypatch, where, bad, words):
    told, notes = trackers.install(monkeypatch), []
    monkeypatch.setitem(TRACKERS, "wandb", (f"{__name__}:Broken", "wandb", ""))
    monkeypatch.setattr(sys.modules[__name__], "WHERE", where)
    monkeypatch.setattr(sys.modules[__name__], "BAD", bad)
    monkeypatch.setattr(following, "PATIENCE", 0.3 if bad is hangs else 20.0)
    GATE.clear()
    began = time.monotonic()
    run = trained(
        tmp_path, track=("wandb", "trackio"), listen=lambda event, facts: notes.append((event, facts.get("text")))
    )
    assert time.monotonic() - began < 30
    GATE.set()
    assert run.manifest()["status"] == "finished"
    told_of = [text for event, text in notes if event == "note" and text.startswith("wandb: ")]
    assert len(told_of) == 1
    assert words in told_of[0]
    assert "the run goes on without it" in told_of[0]
    got = [key for row, _ in told.values["trackio"][run.path.name] for key in row if "/" in key]
    assert len(got) == sum(len(p.values) for p in points(run))  # the other one was told all


def test_a_folder_that_takes_no_state(tmp_path, monkeypatch):
    trackers.install(monkeypatch)
    notes = []

    def full(path, text):
        raise OSError(f"cannot write {path}")

    monkeypatch.setattr(following, "write_text", full)
    run = trained(tmp_path, track=("trackio",), listen=lambda event, facts: notes.append(facts.get("text", "")))
    assert run.manifest()["status"] == "finished"
    assert any("cannot write" in note for note in notes)


def test_a_tracker_that_is_not_installed(tmp_path, monkeypatch):
    trackers.install(monkeypatch)
    run = trained(tmp_path, track=("trackio",))
    monkeypatch.setitem(TRACKERS, "trackio", (TRACKERS["trackio"][0], "no_such_package", ""))
    monkeypatch.setitem(following.needed.__globals__["EXTRAS"], "no_such_package", ("trackio", "trackio"))
    with pytest.raises(ValueError, match="--track trackio: no_such_package is not installed: pip install trackio"):
        trained(tmp_path / "other", track=("trackio",))
    assert not (tmp_path / "other").exists()
    notes = []
    resumed(run, lambda event, facts: notes.append(facts.get("text", "")))
    assert any("not installed" in note and "goes on without it" in note for note in notes)
    assert run.config()["training"]["track"] == ["trackio"]


def test_files_of_tensorboard_read_back(tmp_path):
    """With the package itself, where it is installed; without TensorBoard, by the records' own format."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    run = trained(tmp_path, track=("tensorboard",))
    found = []
    for file in (run.path / "tensorboard").rglob("*tfevents*"):
        data, place = file.read_bytes(), 0
        while place < len(data):
            size = int.from_bytes(data[place : place + 8], "little")
            event = event_pb2.Event.FromString(data[place + 12 : place + 12 + size])
            found += [(file.parent.name, v.tag, event.step, v.simple_value) for v in event.summary.value]
            place += 16 + size
    mine = sorted((f"seed-{p.seed}", f"{p.kind}/{n}", p.env_steps, x) for p in points(run) for n, x in p.values.items())
    assert [row[:3] for row in sorted(found)] == [row[:3] for row in mine]
    assert [row[3] for row in sorted(found)] == pytest.approx([row[3] for row in mine], rel=1e-6)


def test_lines_that_are_written_anew_are_read_anew(tmp_path):
    run = tmp_path
    (run / "metrics.jsonl").write_text('{"seed": 0, "iteration": 2, "env_steps": 8, "x": [1, null]}\n{"seed": 0, "it')
    follower = object.__new__(following.Follower)
    follower.run, follower.sent, follower.places = run, {}, {}
    (point,) = follower._new()
    assert point == ("train", 0, 2, 8, {"x.0": 1.0})  # what is undefined is left out; half a line waits
    (run / "new").write_text(
        '{"seed": 0, "iteration": 2, "env_steps": 8, "x": 1}\n{"seed": 0, "iteration": 4, "env_steps": 16, "x": 2}\n'
    )
    (run / "new").replace(run / "metrics.jsonl")
    assert [p.iteration for p in follower._new()] == [4]
    assert follower._new() == []


def test_training_imports_no_tracker():
    code = "import sys, comity; print(sorted({'tensorboardX', 'wandb', 'trackio', 'mlflow'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_a_function_of_the_user_hears_of_every_chunk(tmp_path):
    import comity
    from tiny import learner, signals

    heard = []
    settings = {**SMALL, "iterations": 6, "out": tmp_path, "progress": False}
    run = comity.train(signals.Signals(), learner.Config(), on_chunk=heard.append, **settings)
    assert [facts["iteration"] for facts in heard] == [2, 4, 6]
    assert {facts["directory"] for facts in heard} == {run.path}
    lines = RunDirectory(run.path).lines("metrics.jsonl")
    for facts in heard:
        of_chunk = [line["right"] for line in lines if line["iteration"] == facts["iteration"]]
        mean = [sum(x) / len(x) if isinstance(x, list) else x for x in of_chunk]
        assert facts["metrics"]["right"] == pytest.approx(mean)

    def stop(facts):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        comity.train(signals.Signals(), learner.Config(), on_chunk=stop, **settings)
    stopped = max(tmp_path.rglob("config.yaml"), key=lambda path: path.stat().st_mtime).parent
    again = comity.resume(stopped, progress=False, trust=True)
    assert again.iteration == 6
