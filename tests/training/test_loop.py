"""The training loop: what a run writes, what it survives, what it refuses."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

import comity
from comity.runs.directory import InUse, RunDirectory
from comity.training import checkpoint, identity, schelling
from comity.training.checkpoint import CorruptCheckpoint
from comity.training.crossplay import cross_play
from comity.training.loop import Interrupted, NotFinite
from comity.training.settings import Training
from tiny import learner, signals
from tiny.runs import SMALL, arrays, assert_same_arrays, assert_same_run, of_seed, recipe, resumed, run_in, trained


def listener():
    """(what a run says in words, the function that listens to it)."""
    notes = []
    return notes, lambda event, facts: notes.append(facts["text"]) if event == "note" else None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody broke."""
    return trained(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it, to break."""
    shutil.copytree(whole.path, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def cut_back(run: RunDirectory, iteration: int) -> None:
    """As if a kill had come before the checkpoint after `iteration`: the files hold more than the checkpoints."""
    for path in run.saved():
        if int(path.stem) > iteration:
            path.unlink()


# ---------------------------------------------------------------------- what a run writes


def test_a_run_directory_holds_what_it_should(whole):
    assert whole.path.parent.parts[-2:] == ("Signals", "learner")
    names = {path.name for path in whole.path.iterdir()} - {".lock"}
    assert names == {"config.yaml", "manifest.json", "metrics.jsonl", "eval.jsonl", "checkpoints", "figures", "source"}
    files = {path.name for path in whole.checkpoints.iterdir()}
    assert files == {"00000006.npz", "00000008.npz", "best-0.npz", "best-1.npz"}  # the newest two and the best
    config = whole.config()
    assert config["task"]["name"].startswith("signals.py:Signals@")
    assert config["algorithm"]["learning_rate"] == 0.01
    assert config["training"] | SMALL == config["training"]
    manifest = whole.manifest()
    assert manifest["status"] == "finished"
    names = {"command", "git", "versions", "hardware", "bits", "compile_seconds", "wall_seconds", "env_steps"}
    assert names <= manifest.keys()
    assert manifest["bits"]["pool"] >= 1


def test_metrics_hold_every_chunk_of_every_seed_once(whole):
    lines = whole.lines("metrics.jsonl")
    assert [(x["iteration"], x["seed"]) for x in lines] == [(i, s) for i in (2, 4, 6, 8) for s in (0, 1)]
    assert [x["env_steps"] for x in lines if x["seed"] == 0] == [160, 320, 480, 640]  # 2 x 16 games x 5 steps
    assert {"loss", "return", "return.0", "return.1", "right", "length"} <= lines[0].keys()


def test_evaluations_are_on_the_grid_and_at_the_end(whole):
    lines = whole.lines("eval.jsonl")
    points = {
        which: sorted({x["iteration"] for x in lines if x["which"] == which}) for which in ("periodic", "last", "best")
    }
    assert points == {"periodic": [0, 4, 8], "last": [8], "best": [8]}
    assert len(lines) == 2 * 2 * (3 + 1 + 1)  # seeds, policies, points
    assert all(len(x["values"]["return"]) == x["episodes"] == (4 if x["which"] == "periodic" else 8) for x in lines)
    assert all(len(x["values"]["return"][0]) == 2 for x in lines)  # of each agent


def test_runs_are_never_overwritten(whole, tmp_path):
    one = RunDirectory.create(tmp_path, "task", "algorithm", {"a": 1})
    two = RunDirectory.create(tmp_path, "task", "algorithm", {"a": 1})
    assert one.path != two.path
    assert one.path.exists()
    assert two.path.exists()


def test_the_best_is_the_best_of_the_evaluations(whole):
    for seed in (0, 1):
        about = checkpoint.about(whole.checkpoints / f"best-{seed}.npz")
        lines = [
            x
            for x in whole.lines("eval.jsonl")
            if (x["seed"], x["which"], x["policy"]) == (seed, "periodic", "sampled")
        ]
        trained_ones = [x for x in lines if x["iteration"]][::-1]  # of equals the later
        best = max(trained_ones, key=lambda x: x["mean"]["return"])
        assert about["iteration"] == best["iteration"]
        if about["iteration"] == 8:
            last = {name.removeprefix(f"{seed}.state."): x for name, x in of_seed(whole.saved()[-1], seed).items()}
            best = arrays(whole.checkpoints / f"best-{seed}.npz")
            assert_same_arrays(best, {name: last[name] for name in best})


# ---------------------------------------------------------------------- going on


def test_a_finished_run_is_left_alone(whole, copy):
    notes, listen = listener()
    resumed(copy, listen=listen)
    assert_same_run(copy, whole)
    assert notes == ["nothing is left to do: --iterations +N trains N more"]


@pytest.mark.parametrize("kept", [0, 1, 5, 7])
def test_final_tables_that_a_kill_left_in_part_are_made_again(whole, copy, kept):
    """8 lines at the end; the kill came after `kept` of them and in the middle of the next."""
    lines = (whole.path / "eval.jsonl").read_text().splitlines(keepends=True)
    count = len(lines) - 8 + kept
    (copy.path / "eval.jsonl").write_text("".join(lines[:count]) + lines[count][:50])
    resumed(copy)
    assert_same_run(copy, whole)


def test_lines_past_the_checkpoint_are_made_again(whole, copy):
    cut_back(copy, 6)
    resumed(copy)
    assert_same_run(copy, whole)


@pytest.mark.parametrize("left", ["nothing", "no manifest", "no checkpoint"])
def test_a_run_killed_as_it_began(whole, copy, left):
    """Without a checkpoint it begins again; without a manifest it gets one."""
    cut_back(copy, -1)
    if left != "no checkpoint":
        (copy.path / "manifest.json").unlink()
    if left == "nothing":
        for path in (*copy.checkpoints.iterdir(), copy.path / "metrics.jsonl", copy.path / "eval.jsonl"):
            path.unlink()
    (copy.checkpoints / ".00000002.npz.77.part").write_bytes(b"half")
    resumed(copy)
    assert_same_run(copy, whole)
    assert copy.manifest()["bits"] == whole.manifest()["bits"]
    assert copy.manifest()["status"] == "finished"


def test_the_newest_checkpoint_is_damaged(whole, copy):
    """The one before it is used, and a note says so. Others say which best policies are newer than it."""
    (notes, listen), newest = listener(), copy.saved()[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    resumed(copy, listen=listen)
    assert_same_run(copy, whole)
    assert all("best-" in note for note in notes[1:])
    assert str(newest) in notes[0]
    assert "is corrupt" in notes[0]
    assert notes[0].endswith("going on from the checkpoint before it")


def test_every_checkpoint_is_damaged(whole, copy):
    for path in copy.saved():
        path.write_bytes(path.read_bytes()[:300])
    before = {path: path.read_bytes() for path in copy.path.rglob("*.*") if path.name != "manifest.json"}
    with pytest.raises(
        CorruptCheckpoint, match=r"00000006\.npz is corrupt .* has no other: train it again with comity"
    ):
        resumed(copy)
    assert {path: path.read_bytes() for path in before} == before
    assert copy.manifest()["status"] == "failed"


def test_other_settings_do_not_fit(copy):
    """A changed width is named, with the array it does not fit."""
    config = copy.config()
    config["algorithm"]["hidden"] = 9
    copy.write_config(config)
    with pytest.raises(CorruptCheckpoint, match=r"holds 0\.state\.params\.in as float32\[8, 8\], not float32\[8, 9\]"):
        resumed(copy, recipe(learner.Config(hidden=9)))


class Others(signals.Signals):
    """The same rules under another name."""


def test_another_game_than_the_runs_is_not_trained(whole):
    run = comity.load(whole.path, recipe=recipe())
    for game, says in (
        (signals.Signals(bonus=2.0), r"the run's task has bonus 1\.0, the one given 2\.0"),
        (Others(), r"the run's task is signals\.py:Signals@\w+, not test_loop\.py:Others@\w+: give the one it was"),
    ):
        with pytest.raises(ValueError, match=says):
            comity.resume(run.on(game), progress=False)
    assert comity.resume(run.on(signals.Signals()), progress=False).iteration == 8  # the same game


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (
            lambda run: comity.load(run.path, cast(Any, "bset"), recipe=recipe()),
            "which 'bset' is not last, best or the iteration",
        ),
        (lambda run: run.play(0), "episodes 0 must be 1 or more"),
        (lambda run: run.play(-3), "episodes -3 must be 1 or more"),
        (lambda run: run.curve(policy="gready"), r"policy 'gready' is not one of sampled, greedy; did you mean greedy"),
        (lambda run: run.film(policy="gready"), "policy 'gready'"),
        (lambda run: cross_play([run], [], policy="gready"), "policy 'gready'"),
    ],
)
def test_what_a_loaded_run_refuses(whole, ask, says):
    with pytest.raises(ValueError, match=says):
        ask(comity.load(whole.path, recipe=recipe()))


def test_fewer_iterations_than_it_has_are_refused(copy):
    with pytest.raises(ValueError, match="has 8 iterations already, more than 6: give a larger number"):
        resumed(copy, iterations=6)


@pytest.mark.parametrize("more", [11, 15])
def test_the_grid_of_evaluations_stays(copy, more):
    """However long the run becomes, and when it is resumed again."""
    assert Training(**copy.config()["training"]).every == 4
    resumed(copy, iterations=more)
    assert Training(**copy.config()["training"]).every == 4
    periodic = sorted({x["iteration"] for x in copy.lines("eval.jsonl") if x["which"] == "periodic"})
    assert periodic == [*range(0, more, 4), more]


def test_two_processes_on_one_run(copy):
    """The second is refused in one line, before it changes anything."""
    with copy.lock():
        before = copy.config()
        with pytest.raises(InUse, match="is being trained by another process: wait for it, or stop it"):
            resumed(copy, iterations=20)
        assert copy.config() == before
        command = [sys.executable, "-m", "comity", "resume", str(copy.path), "--iterations", "+5"]
        second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 1
    assert (
        second.stderr.strip().splitlines()[-1].endswith("is being trained by another process: wait for it, or stop it")
    )
    assert "Traceback" not in second.stderr


def test_minutes(tmp_path):
    """It stops in time, with the final tables, and goes on later."""
    (notes, listen), began = listener(), time.monotonic()
    run = trained(tmp_path, iterations=1_000_000, minutes=0.06, listen=listen)
    assert time.monotonic() - began < 20  # 3.6 s; a busy machine may need longer for the compilation alone
    done = run.manifest()["iterations_done"]
    assert 0 < done < 1_000_000
    assert notes == ["stopped by --minutes 0.06"]
    assert run.manifest()["status"] == "finished"
    finals = [x for x in run.lines("eval.jsonl") if x["which"] in ("last", "best")]
    assert {x["iteration"] for x in finals} == {done}
    assert len(finals) == 8
    resumed(run, iterations=done + 2)
    assert int(run.saved()[-1].stem) == done + 2
    assert run.config()["training"]["minutes"] == 0.06  # what was asked at first


class LosesCtrlC:
    """Dies of Ctrl-C in a place where Python lets no exception out, like a callback of the garbage collector."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("where", "ends"), [("before it compiles", KeyboardInterrupt), ("after", Interrupted)])
def test_ctrl_c_stops_even_if_its_exception_is_lost(tmp_path, monkeypatch, where, ends):
    lost = lambda *_: LosesCtrlC() and None  # noqa: E731
    if ends is KeyboardInterrupt:
        monkeypatch.setattr(RunDirectory, "sweep", lost)
    with pytest.raises(ends):
        trained(tmp_path, listen=lambda event, facts: lost() if where == "after" and event == "compiled" else None)
    run = run_in(tmp_path)
    assert run.manifest()["status"] == "interrupted"
    assert run.lines("metrics.jsonl") == []
    assert len(run.saved()) == (ends is Interrupted)


# ---------------------------------------------------------------------- starting from another run


@pytest.mark.parametrize(("first", "theirs_of"), [(5, [0]), (1, [1, 1, 0])])
def test_initialise(whole, tmp_path, first, theirs_of):
    """From the seed of the same number; seeds that the other run lacks by position, and each goes its own way."""
    notes, listen = listener()
    given = {"seeds": len(theirs_of), "iterations": 2, "first_seed": first}
    run = trained(tmp_path, **given, initialise=whole.path, listen=listen)
    there = dict(enumerate(theirs_of, first))
    assert run.config()["initialise"] == str(whole.path.resolve())
    about = {"run": str(whole.path.resolve()), "iteration": 8, "seeds": {str(x): y for x, y in there.items()}}
    assert run.manifest()["initialised"] == about
    moved = ", ".join(f"{x} from its seed {y}" for x, y in there.items() if x != y)
    assert notes[0].endswith(f"so states go by position: seed {moved}")
    assert run.saved()[0].stem == "00000000"
    begun, theirs = arrays(run.saved()[0]), arrays(whole.saved()[-1])
    for here, seed in there.items():
        state = {name: x for name, x in begun.items() if name.startswith(f"{here}.state.")}
        assert_same_arrays(
            {name.partition(".")[2]: x for name, x in state.items()},
            {name.partition(".")[2]: x for name, x in theirs.items() if name.startswith(f"{seed}.state.")},
        )


def test_initialised_runs_killed_before_their_first_checkpoint(whole, tmp_path):
    one = trained(tmp_path / "a", iterations=2, initialise=whole.path)
    shutil.copytree(one.path, tmp_path / "b")
    two = RunDirectory(tmp_path / "b")
    cut_back(two, -1)
    resumed(two)
    assert_same_run(one, two)


def test_initialise_from_what_does_not_fit(whole, tmp_path):
    with pytest.raises(CorruptCheckpoint, match=r"holds 0\.state\.params\.in as .* other settings"):
        trained(tmp_path, recipe(learner.Config(hidden=9)), initialise=whole.path)


# ---------------------------------------------------------------------- what goes wrong


def test_a_seed_that_is_not_finite(tmp_path, capsys):
    """It stops, its state is kept with the name of the tensor; the others are trained to the end and evaluated."""
    broken, (notes, listen) = recipe(env=signals.Signals(nan_chance=0.0015)), listener()
    with pytest.raises(NotFinite, match=r"not finite: params\.in of seed 2; saved in .*not-finite-\*\.npz, the other"):
        trained(tmp_path, broken, seeds=3, listen=listen)
    run = run_in(tmp_path)
    assert run.manifest()["status"] == "failed"
    assert run.manifest()["not_finite"] == {"2": "params.in"}
    file = run.checkpoints / "not-finite-2.npz"
    stopped = checkpoint.about(file)["iteration"]
    assert checkpoint.about(file)["not_finite"] == "params.in"
    assert np.isnan(arrays(file)["params.in"]).any()
    assert len(notes) == 1
    assert "seed 2: params.in is not finite" in notes[0]
    by_seed = {seed: [x["iteration"] for x in run.lines("metrics.jsonl") if x["seed"] == seed] for seed in range(3)}
    assert by_seed == {0: [2, 4, 6, 8], 1: [2, 4, 6, 8], 2: list(range(2, stopped + 1, 2))}
    assert {x["seed"] for x in run.lines("eval.jsonl") if x["which"] in ("last", "best")} == {0, 1}
    text = (run.path / "metrics.jsonl").read_text()
    assert "NaN" not in text  # which is no JSON
    with pytest.raises(NotFinite):  # it stays so
        resumed(run, broken, iterations=10)
    assert [x["iteration"] for x in run.lines("metrics.jsonl") if x["seed"] == 0] == [2, 4, 6, 8, 10]
    # Nobody plays with it; its best policy is finite.
    loaded = comity.load(run.path, recipe=broken)
    steps, returns = loaded.curve()  # of the others to the end
    assert steps.tolist() == [0, 320, 640, 800][: len(steps)]
    assert np.isfinite(returns[:2]).all() and np.isnan(returns[2, -1])  # noqa: PT018
    assert "left out: seed 2 (params.in became NaN or infinite); " in capsys.readouterr().err
    assert {line["seed"] for line in loaded.play(1)} == {0, 1}
    labels = ("learner:0", "learner:1")
    assert cross_play([loaded], [], 1).labels == tuple(team.label for team in schelling.trained(loaded)) == labels
    with pytest.raises(ValueError, match=r"no policy: seed 2 \(params\.in became NaN or infinite\); "):
        loaded.film(2)
    assert np.isfinite(comity.load(run.path, "best", recipe=broken).params["params.in"]).all()
    shape = jax.eval_shape(loaded.algorithm.init, jax.random.key(0))
    states, about = identity.given(run.path, [2, 1], shape)
    assert [x.updates for x in states] == [x.updates for x in (loaded.state(0), loaded.state(1))]
    np.testing.assert_array_equal(states[0].params["in"], loaded.state(0).params["in"])
    assert about["seeds"] == {2: 0, 1: 1}
    # The others are what they are without it.
    alone = trained(tmp_path / "alone", broken, seeds=1, iterations=10, evaluate_every=4)
    assert_same_arrays(of_seed(run.saved()[-1], 0), of_seed(alone.saved()[-1], 0))


def test_stopped_beside_a_seed_that_is_not_finite(tmp_path):
    """What is told is that there is more to train."""

    def listen(event, facts):
        if event == "note" and "not finite" in facts["text"]:
            signal.raise_signal(signal.SIGINT)

    broken = recipe(env=signals.Signals(nan_chance=0.0015))
    with pytest.raises(Interrupted, match="go on with: comity resume"):
        trained(tmp_path, broken, seeds=3, listen=listen)
    run = run_in(tmp_path)
    assert run.manifest()["status"] == "interrupted"
    assert run.manifest()["not_finite"] == {"2": "params.in"}
    assert 0 < run.manifest()["iterations_done"] < 8
    with pytest.raises(NotFinite, match="of seed 2"):
        resumed(run, broken)
    assert run.manifest()["iterations_done"] == 8


def test_all_seeds_are_not_finite(tmp_path):
    with pytest.raises(NotFinite, match=r"of seed 0, .* of seed 1; .* no other seed is left"):
        trained(tmp_path, recipe(env=signals.Signals(nan_chance=0.3)))
    run = run_in(tmp_path)
    assert run.manifest()["iterations_done"] == 2
    loaded = comity.load(run.path, recipe=recipe(env=signals.Signals(nan_chance=0.3)))
    for play in (loaded.play, loaded.film, lambda: cross_play([loaded], []), lambda: schelling.trained(loaded)):
        with pytest.raises(ValueError, match=r"no seed has a policy: seed 0 \(params.* seed 1 \("):
            play()
    with pytest.raises(ValueError, match="the state of no seed is finite"):
        trained(tmp_path, initialise=run.path)


def test_too_high_a_learning_rate(tmp_path):
    with pytest.raises(NotFinite, match="lower the learning rate"):
        trained(tmp_path, recipe(learner.Config(learning_rate=3e38)))


@pytest.mark.parametrize("leaf", ["average", "params.in"])
def test_any_float_that_is_not_finite_is_found(leaf):
    """bfloat16 as well; whole numbers and keys are no floats."""
    from comity.training.programs import finite

    state = {"average": jnp.bfloat16(1), "params.in": jnp.ones(2), "count": jnp.int32(1)}
    assert finite(state)
    assert not finite({**state, leaf: state[leaf] * jnp.inf})


@pytest.mark.parametrize("when", ["metrics.jsonl", "eval.jsonl", "00000004.npz", "manifest.json"])
def test_a_full_disk(whole, tmp_path, monkeypatch, when):
    """One line, and nothing earlier is lost: with room again the run goes on to the same bits."""
    real, count = os.fsync, 0

    def fsync(handle):
        nonlocal count
        name = os.readlink(f"/proc/self/fd/{handle}")
        count += when in name
        if when in name and (when.endswith("npz") or count >= 2):
            os.ftruncate(handle, max(0, os.fstat(handle).st_size - 40))  # what no longer fitted
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match=f"cannot write .*{when} .No space left on device.") as error:
            trained(tmp_path)
    assert "\n" not in str(error.value)
    if when != "manifest.json":
        assert "make room, then go on with: comity resume" in str(error.value)
    run = run_in(tmp_path)
    resumed(run)
    assert_same_run(run, whole)


def test_a_full_disk_in_earnest(tmp_path):
    """A file system of 96 kB, where one may be made."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no right to mount a small file system")
    try:
        with pytest.raises(OSError, match="No space left on device"):
            trained(disk, iterations=200)
        run = run_in(disk)
        newest = checkpoint.about(run.saved()[-1])["iteration"]
        assert not list(run.path.rglob("*.part"))
        shutil.copytree(run.path, tmp_path / "run")
    finally:
        subprocess.run(["umount", disk], check=True)
    run = resumed(RunDirectory(tmp_path / "run"), iterations=newest + 2)
    assert int(run.saved()[-1].stem) == newest + 2


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OSError, match=r"cannot make a run directory in .*file/Signals/learner \(Not a directory\): give another"
    ):
        trained(tmp_path / "file")


def test_lines_of_a_damaged_file_are_named(copy):
    lines = (copy.path / "metrics.jsonl").read_text().splitlines()
    (copy.path / "metrics.jsonl").write_text("\n".join([lines[0], lines[1][:30], *lines[2:]]) + "\n")
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2, is not JSON .*: remove the line"):
        resumed(copy, iterations=10)


@pytest.mark.parametrize("text", ["", "- 1", "task: {", "task: {name: x}"])
def test_a_damaged_config_is_named(copy, text):
    (copy.path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml is not a run's config .*: put it back as it was"):
        resumed(copy)


def test_a_config_is_plain(whole):
    """config.yaml is plain YAML: text, numbers, lists."""
    assert yaml.safe_load(yaml.safe_dump(whole.config())) == whole.config()
    json.dumps(whole.config())
