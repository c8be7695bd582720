"""Programs kept between processes: the same bits without tracing; anew whenever something they depend on differs."""

import dataclasses
import os

import jax
import pytest

import comity
from comity.recipes import from_objects
from comity.training import kept, loop
from comity.training.seeds import Seeds
from comity.training.settings import Training
from tiny.runs import assert_same_run
from tiny.runs import recipe as own_recipe

SMALL = Training(seeds=2, envs=4, iterations=4, chunk=2, evaluations=2, evaluation_episodes=4, final_episodes=8)
NAMES = ["chunk", "evaluate", "init"]


@pytest.fixture
def lowered(monkeypatch):
    """The names of the programs that are traced."""
    names, lower = [], Seeds.lower

    def noted(self, f, *rest):
        names.append(f.__name__)
        return lower(self, f, *rest)

    monkeypatch.setattr(Seeds, "lower", noted)
    return names


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Where programs are kept, by processes that began after the last change of comity's files."""
    monkeypatch.setenv(kept.FOLDER, str(tmp_path / "programs"))
    monkeypatch.setattr(kept, "BEGAN", float("inf"))
    return tmp_path / "programs"


def trained(tmp_path, training=SMALL, recipe=None, **settings):
    recipe = recipe or from_objects("matrix", "pg")
    recipe = dataclasses.replace(recipe, config=dataclasses.replace(recipe.config, hidden=8, **settings))
    return loop.train(recipe, training, tmp_path / "runs")


@pytest.fixture
def first(folder, tmp_path):
    """A run whose programs are kept."""
    return trained(tmp_path)


def test_a_second_process_traces_nothing_and_gets_the_same_bits(first, folder, lowered, monkeypatch, tmp_path):
    assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == NAMES
    second = trained(tmp_path)
    assert lowered == []
    assert_same_run(second, first)
    monkeypatch.setenv(kept.FOLDER, "")
    assert_same_run(trained(tmp_path), first)
    assert lowered == NAMES


def test_a_batch_of_seeds_too(folder, lowered, tmp_path):
    batch = dataclasses.replace(SMALL, mode="vmap")
    runs = [trained(tmp_path, batch) for _ in range(2)]
    assert lowered == NAMES
    assert_same_run(*runs)


def test_learning_rates_are_arguments_and_choices_are_not(first, lowered, tmp_path):
    slow = trained(tmp_path, learning_rate=1e-6)
    assert lowered == []
    assert slow.lines("metrics.jsonl") != first.lines("metrics.jsonl")
    trained(tmp_path, activation="gelu")
    assert lowered == NAMES


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"envs": 5}, NAMES),
        ({"chunk": 1}, NAMES),
        ({"evaluation_episodes": 2}, NAMES),
        ({"iterations": 6, "first_seed": 3, "seeds": 1, "final_episodes": 4}, []),
    ],
    ids=lambda x: " ".join(x),
)
def test_sizes(first, lowered, tmp_path, change, again):
    trained(tmp_path, dataclasses.replace(SMALL, **change))
    assert lowered == again


def test_another_game(first, lowered, tmp_path):
    other = from_objects(comity.make("matrix", payoff=(1.0, 0.0, 0.0, 2.0)), "pg")
    trained(tmp_path, recipe=other)
    assert lowered == NAMES


@pytest.mark.parametrize("what", ["a variable", "a setting of jax", "a file of comity"])
def test_what_else_programs_are_made_from(first, lowered, monkeypatch, tmp_path, what):
    if what == "a variable":
        monkeypatch.setenv("XLA_FLAGS", f"{os.environ['XLA_FLAGS']} ")
    elif what == "a setting of jax":
        jax.config.update("jax_default_matmul_precision", "highest")
    else:
        monkeypatch.setattr(kept, "_contents", lambda files: "other contents")
    try:
        trained(tmp_path)
    finally:
        jax.config.update("jax_default_matmul_precision", None)
    assert lowered == NAMES


def test_files_that_changed_since_the_process_began(first, folder, lowered, monkeypatch, tmp_path):
    """What was imported may be older or newer than what is read now: nothing is fetched, nothing kept."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    newest = max(path.stat().st_mtime for path in kept.files())
    monkeypatch.setattr(kept, "BEGAN", newest)
    trained(tmp_path)
    assert lowered == NAMES
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_a_damaged_file_is_compiled_and_written_anew(first, folder, lowered, tmp_path, harm):
    path = next(folder.glob("evaluate-*"))
    whole = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if harm == "cut" else whole[:-1] + bytes([whole[-1] ^ 1]))
    assert_same_run(trained(tmp_path), first)
    assert lowered == ["evaluate"]
    trained(tmp_path)
    assert lowered == ["evaluate"]


def test_evaluation_of_a_run(first, lowered):
    run = comity.load(first.path)
    lines = [run.play(6) for _ in range(2)]
    assert lines[0] == lines[1]
    assert lowered == ["evaluate"]


def test_a_users_own_files_are_never_kept(folder, tmp_path):
    trained(tmp_path, recipe=own_recipe())
    assert not folder.exists()


def test_a_folder_that_cannot_be_written(folder, tmp_path):
    folder.write_text("a file")
    assert trained(tmp_path).manifest()["status"] == "finished"


def test_the_oldest_make_room(first, folder, monkeypatch, tmp_path):
    old = sorted(folder.iterdir())
    size = sum(path.stat().st_size for path in old)
    for age, path in enumerate(old):
        os.utime(path, (age, age))  # chunk, evaluate, init: by age
    monkeypatch.setattr(kept, "LARGEST", size)
    trained(tmp_path, dataclasses.replace(SMALL, evaluation_episodes=3))
    assert sum(path.stat().st_size for path in folder.iterdir()) <= size
    assert not old[0].exists()
