"""A run checks its files: lines that are lost, doubled or from another run are reported and not used as its own."""

import json
import shutil

import pytest

import comity
from comity.recipes import from_config
from comity.runs.directory import RunDirectory
from comity.runs.saved import find
from comity.training import checkpoint, identity
from comity.training.checkpoint import CorruptCheckpoint
from comity.training.seeds import Seeds
from tiny.runs import recipe, resumed, trained


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The same settings, another run."""
    return trained(tmp_path_factory.mktemp("other"))


@pytest.fixture
def copy(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def told(run: RunDirectory, iterations: int = 10) -> list[str]:
    """What is said when the run goes on."""
    notes: list[str] = []
    resumed(
        run, listen=lambda event, facts: notes.append(facts["text"]) if event == "note" else None, iterations=iterations
    )
    return notes


def lines(run: RunDirectory, name: str) -> list[str]:
    return (run.path / name).read_text().splitlines()


def write(run: RunDirectory, name: str, rows: list[str]) -> None:
    (run.path / name).write_text("".join(f"{row}\n" for row in rows))


def test_checkpoints_carry_the_runs_name_its_seeds_and_its_lines(whole, other):
    about = checkpoint.about(whole.saved()[-1])
    assert about["run"] == whole.manifest()["run"] != other.manifest()["run"]
    assert about["seeds"] == [0, 1]
    assert about["lines"] == {"metrics.jsonl": 8, "eval.jsonl": 12}  # 4 chunks; 3 evaluations of 2 policies
    assert checkpoint.about(whole.checkpoints / "best-1.npz")["run"] == about["run"]


@pytest.mark.parametrize("how", ["as it is", "after a kill", "its manifest lost", "its name lost"])
def test_nothing_is_said_of_a_run_that_is_whole(copy, how):
    name = copy.manifest()["run"]
    if how == "after a kill":  # lines after the newest checkpoint are made again
        copy.saved()[-1].unlink()
        copy.write_manifest({**copy.manifest(), "status": "running"})
    elif how == "its manifest lost":
        (copy.path / "manifest.json").unlink()
    elif how == "its name lost":  # as in a run of an earlier comity
        copy.write_manifest({key: value for key, value in copy.manifest().items() if key != "run"})
    notes = told(copy)
    if how == "after a kill":  # except that the best files have policies of an evaluation that is made again
        notes = [note for note in notes if "of iteration 8, the best by eval.jsonl was at 4; the next" not in note]
    assert notes == []
    assert copy.manifest().get("run") == (None if how == "its name lost" else name)
    assert checkpoint.about(copy.saved()[-1])["lines"] == {"metrics.jsonl": 10, "eval.jsonl": 16}


def test_the_last_checkpoint_of_a_finished_run_is_lost(copy, capsys):
    copy.saved()[-1].unlink()
    says = f"{copy.checkpoints / '00000008.npz'} is lost; what follows is from 00000006.npz"
    assert comity.load(copy.path, recipe=recipe()).iteration == 6
    assert says in capsys.readouterr().err
    assert says in told(copy)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("eval.jsonl", {"seed": 0, "iteration": 2, "policy": "greedy", "mean": {}}),
        ("eval.jsonl", {"seed": 0, "iteration": 2, "policy": "greedy", "which": "periodic", "mean": 2.5}),
        ("metrics.jsonl", {"seed": "0", "iteration": 2}),
        ("metrics.jsonl", {"seed": 0, "iteration": 2.0}),
        ("metrics.jsonl", [3]),
    ],
)
def test_what_is_refused_leaves_the_config(copy, name, line):
    """`--iterations +2` said again after the repair means the same."""
    write(copy, name, [json.dumps(line), *lines(copy, name)])
    before = (copy.path / "config.yaml").read_text()
    with pytest.raises(ValueError, match=rf"{name}, line 1, (has|is) .*: remove the line"):
        told(copy)
    assert (copy.path / "config.yaml").read_text() == before


@pytest.mark.parametrize(
    "wrong", [{"iteration": "8"}, {"env_steps": [1, 2]}, {"env_steps": {"0": 1}}, {"failed": "x"}, {"lines": {"x": []}}]
)
def test_a_checkpoint_that_says_nonsense_of_itself(whole, wrong):
    path, check = whole.saved()[-1], identity.own(None, [0, 1])
    check(path, checkpoint.about(path))
    with pytest.raises(CorruptCheckpoint, match=f"{path} has an impossible entry: {next(iter(wrong))} "):
        check(path, {**checkpoint.about(path), **wrong})


@pytest.mark.parametrize("kind", ["another run", "another iteration", "other seeds"])
def test_a_checkpoint_that_is_not_the_runs(copy, other, capsys, kind):
    path = copy.checkpoints / "00000008.npz"
    if kind == "another run":
        shutil.copy(other.checkpoints / "00000008.npz", path)
    elif kind == "another iteration":
        shutil.copy(copy.checkpoints / "00000006.npz", path)
    else:
        shape = {"seeds": [0, 1, 2]}
        tree = {name: x for name, x in checkpoint._open(path)[1].items()}
        checkpoint.save(path, tree, {**checkpoint.about(path), **shape})
        (copy.checkpoints / "00000006.npz").unlink()
        with pytest.raises(CorruptCheckpoint, match=r"00000008\.npz "):
            told(copy)
        return
    what = "of another run (" if kind == "another run" else "of iteration 6, not what its name says"
    assert comity.load(copy.path, recipe=recipe()).iteration == 6
    assert what in capsys.readouterr().err
    note, *bests = told(copy)  # the last evaluation is made again, whose policies the best files have
    assert all("of iteration 8, the best by eval.jsonl was at 4" in text for text in bests)
    assert f"{path} is {what}" in note
    assert note.endswith("; going on from the checkpoint before it")
    assert checkpoint.about(copy.saved()[-1])["run"] == copy.manifest()["run"]
    for old in copy.saved():
        shutil.copy(other.checkpoints / "00000008.npz", old)
    with pytest.raises(CorruptCheckpoint, match=r"is of (another run|iteration)"):
        comity.load(copy.path, recipe=recipe())


@pytest.mark.parametrize(("name", "wanted"), [("metrics.jsonl", 8), ("eval.jsonl", 12)])
@pytest.mark.parametrize("harm", ["one lost", "two lost", "file lost", "doubled", "foreign"])
def test_lines_are_counted(copy, name, wanted, harm):
    rows = lines(copy, name)
    if harm == "file lost":
        (copy.path / name).unlink()
    elif harm.endswith("lost"):
        write(copy, name, rows[1:] if harm == "one lost" else rows[2:])
    elif harm == "doubled":
        write(copy, name, [rows[0], *rows, rows[1]])
    else:
        write(copy, name, [*rows, json.dumps({**json.loads(rows[0]), "seed": 7})])
    lost = {"one lost": "1 line", "two lost": "2 lines", "file lost": f"{wanted} lines"}
    said = {
        "doubled": f"{name} held 2 lines twice; the second of each was dropped",
        "foreign": f"{name} holds 1 line of seeds that this run has not",
    }
    if harm in lost:
        said[harm] = f"{name} has lost {lost[harm]} of {wanted} that the checkpoint counts: curves have gaps there"
    notes = told(copy)
    assert said[harm] in notes
    assert len(notes) == 1 or (name, harm) == ("eval.jsonl", "file lost")
    if harm == "doubled":
        assert (
            lines(copy, name)[: len(rows) - 8 * (name == "eval.jsonl")]
            == rows[: len(rows) - 8 * (name == "eval.jsonl")]
        )


@pytest.mark.parametrize(
    "harm", ["lost", "of seed 1", "of another run", "of iteration 0", "of iteration 99", "is corrupt"]
)
def test_a_best_that_is_not_the_seeds_own(copy, other, harm):
    path = copy.checkpoints / "best-0.npz"
    was = checkpoint.about(path)
    if harm == "lost":
        path.unlink()
    elif harm == "of seed 1":
        shutil.copy(copy.checkpoints / "best-1.npz", path)
    elif harm == "of another run":
        shutil.copy(other.checkpoints / "best-0.npz", path)
    elif harm == "is corrupt":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        tree = checkpoint._open(path)[1]
        at = int(harm.split()[-1])  # 99: of an evaluation that a kill undid
        checkpoint.save(path, tree, {**was, "iteration": at})
    if not harm.startswith("of iteration"):
        with pytest.raises(CorruptCheckpoint, match=rf"best-0\.npz .*{harm}.*: play the last policy, or train on"):
            comity.load(copy.path, "best", recipe=recipe())
    (note,) = told(copy)
    assert f"{path} " in note
    assert harm in note
    assert note.endswith("the next evaluation's policy takes its place")
    about = checkpoint.about(path)
    assert (about["iteration"], about["seed"], about["run"]) == (10, 0, copy.manifest()["run"])


def test_a_lost_best_where_no_evaluation_follows(copy, other):
    """Its row in the final table is of the last policy, which is said; another run's file is not played for it."""
    shutil.copy(other.checkpoints / "best-0.npz", copy.checkpoints / "best-0.npz")
    copy.keep("eval.jsonl", lambda line: line["which"] == "periodic")  # stopped before the final evaluation
    notes = told(copy, iterations=8)
    assert len(notes) == 2
    assert "is of another run" in notes[0]
    assert notes[1] == "seed 0 has no best checkpoint: its row is of the last policy"


@pytest.mark.parametrize(("kind", "name"), [("algorithm", "pg@99"), ("algorithm", "qmix@2"), ("task", "matrix@7")])
def test_versions_of_task_and_algorithm(kind, name):
    config = {"task": {"name": "matrix@1"}, "algorithm": {"name": "pg@1"}}
    from_config(config)
    with pytest.raises(ValueError, match=rf"the run was made with {name}, here it is @1: its rules have changed"):
        from_config({**config, kind: {"name": name}})


# ---------------------------------------------------------------------- starts that fail


@pytest.mark.parametrize("error", [ValueError("too large"), OSError(28, "No space left"), RuntimeError("a bug")])
def test_a_failed_start_leaves_no_run(whole, tmp_path, monkeypatch, error):
    shutil.copytree(whole.path, tmp_path / "runs/Signals/learner" / whole.path.name)

    def fails(*_):
        raise error

    monkeypatch.setattr(Seeds, "lower", fails)
    with pytest.raises(type(error), match=str(error.args[-1])) as caught:
        trained(tmp_path / "runs")
    assert "resume" not in str(caught.value)
    assert [path.name for path in find("latest", tmp_path / "runs")] == [whole.path.name]
    folders = [path for path in (tmp_path / "runs/Signals/learner").iterdir() if path.name != whole.path.name]
    assert len(folders) == isinstance(error, RuntimeError)  # its log tells of what nobody foresaw
    assert all((path / "config.yaml.failed").exists() for path in folders)


def test_latest_passes_by_what_was_stopped_before_it_began(whole, tmp_path, monkeypatch):
    shutil.copytree(whole.path, tmp_path / "runs/Signals/learner" / whole.path.name)

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("comity.training.starting.compile_programs", stopped)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "runs")
    assert len(list((tmp_path / "runs").rglob("config.yaml"))) == 2
    assert find("latest", tmp_path / "runs")[0].name == whole.path.name
