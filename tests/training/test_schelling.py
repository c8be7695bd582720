"""Schelling diagrams: by hand, for the prisoner's dilemma, for every game with a dilemma, and from the command line."""

import csv
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from comity.api import train
from comity.cli.main import Usage
from comity.cli.play import of_runs, play
from comity.environments import TASKS
from comity.environments.dilemmas.cleanup import Cleanup
from comity.environments.indirect_reciprocity import IndirectReciprocity
from comity.environments.matrix.ipd import IPD
from comity.environments.matrix.n_player_ipd import NPlayerIPD
from comity.environments.matrix.repeated_matrix import RepeatedMatrix
from comity.recipes import find_task, from_objects
from comity.report.schelling import Diagram
from comity.training.crossplay import Team
from comity.training.schelling import between, diagram
from comity.types import Algorithm


def test_points_by_hand():
    """Two agents; two episodes of each number of cooperators."""
    returns = np.array([[[0, 0], [2, 4]], [[-1, 3], [-3, 5]], [[2, 2], [2, 2]]], np.float32)
    points = Diagram("task", ("c", "d"), returns).points()
    assert [p["cooperators"] for p in points] == [0, 1, 2]
    np.testing.assert_allclose([p["cooperator"] for p in points], [np.nan, -2, 2])
    np.testing.assert_allclose([p["defector"] for p in points], [1.5, 4, np.nan])
    np.testing.assert_allclose([p["sum"] for p in points], [3, 2, 4])
    np.testing.assert_allclose(points[1]["cooperator_error"], np.sqrt(2) / np.sqrt(2))
    assert "defection pays beside 0, 1 of 1" in Diagram("task", ("c", "d"), returns).reading()


def test_the_prisoners_dilemma_is_its_table():
    """Ten steps of coala's payoffs: 1, -1, 2, 0."""
    found = diagram("ipd", IPD(length=10), episodes=2)
    points = found.points()
    np.testing.assert_allclose([p["cooperator"] for p in points], [np.nan, -10, 10])
    np.testing.assert_allclose([p["defector"] for p in points], [0, 20, np.nan])
    assert found.reading().startswith(
        "defection pays beside 0, 1 of 1 cooperating others; all cooperators together earn more"
    )


def test_in_a_stag_hunt_defection_pays_only_beside_defectors():
    env = RepeatedMatrix(payoffs=(4.0, 0.0, 3.0, 3.0), length=5)
    assert diagram("stag hunt", env, episodes=2).reading().startswith("defection pays beside 0 of 1")


def test_each_agent_plays_its_part():
    """Of three who play in pairs: the first cooperates alone and pays for it, then the second one with it."""
    returns = diagram("indirect-reciprocity", IndirectReciprocity(), episodes=8).returns
    assert returns.shape == (4, 8, 3)
    np.testing.assert_array_equal(returns[0], 0)
    assert returns[1, :, 0].max() <= 0 <= returns[1, :, 1:].min()
    assert returns[2, :, 2].min() >= 0
    assert returns[2, :, :2].mean() < returns[3].mean()


def test_every_task_says_which_scripts_make_its_dilemma():
    """All with scripts and unlike rewards; of each the two are among its scripts."""
    dilemmas = {}
    for name in TASKS:
        spec = find_task(name).thing().spec
        dilemmas[name] = spec.dilemma
        assert set(spec.dilemma) <= set(spec.scripts), name
        assert not (spec.mixed_motive and spec.scripts) or spec.dilemma, name
    assert {name for name, pair in dilemmas.items() if pair} == {
        *(
            "n-ipd",
            "ipd",
            "repeated-matrix",
            "indirect-reciprocity",
            "harvest",
            "cleanup",
            "cleanup-lite",
            "coin-game",
            "oasis",
        )
    }


def test_a_game_without_a_dilemma_is_refused():
    with pytest.raises(ValueError, match="push-box has no scripted cooperator and defector"):
        diagram("push-box", find_task("push-box").thing())
    with pytest.raises(ValueError, match="no scripted cooperator"):
        diagram("cleanup", Cleanup(rotation="released"))


def test_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "new" / "ipd.csv"
    play(["ipd", "--schelling", "--episodes", "2", "--task.length", "3", "--out", str(out)])
    assert "all-c earns" in capsys.readouterr().out
    with open(out, encoding="utf-8") as file:
        assert [float(row["sum"]) for row in csv.DictReader(file)] == [0, 3, 6]
    assert "| 1 | -3 ± 0 | 6 ± 0 | 3 |" in out.with_suffix(".md").read_text(encoding="utf-8")
    with Image.open(out.with_suffix(".png")) as picture:
        assert picture.size == (552, 384)


def always(action: int, state: int) -> Team:
    """Plays `action` if its state is 1, else 1 - action: what it does hangs on its state."""

    def act(key, state, memory, observation, explore=True):
        done = jnp.where(state == 1, action, 1 - action)
        return jnp.full(observation.available.shape[:-1], done, jnp.int32), memory, {}

    learner = Algorithm(lambda key: state, act, lambda key, state, steps: (state, {}), ())
    return Team("always", learner, jnp.int32(state), "always")


def test_trained_teams_play_by_their_own_states():
    """Two seeds of cooperators, of whom one defects, against one defector: episodes of both pairs, in that order."""
    env = NPlayerIPD(agents=3, length=4)
    cooperators, defectors = [always(0, 1), always(0, 0)], [always(1, 1)]
    found = between("n-ipd", env, cooperators, defectors, ("a", "b"), episodes=2)
    assert found.returns.shape == (4, 4, 3)
    np.testing.assert_allclose(found.returns[:, :2, 0].mean(1), [0, -4, 0, 4])  # one defects, two, three cooperate
    np.testing.assert_array_equal(found.returns[:, 2:], 0)  # all defect


def test_a_run_beside_a_script(tmp_path, capsys, monkeypatch):
    """Random play in the first seats, and who always defects in the others."""
    monkeypatch.chdir(tmp_path)
    run = train("ipd", "random", out=tmp_path, iterations=1, seeds=1, envs=1, progress=False)
    out = tmp_path / "pair.csv"
    play([str(run.path), "scripted:all-d", "--schelling", "--episodes", "64", "--out", str(out)])
    assert "scripted:all-d earns" in capsys.readouterr().out
    with open(out, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["sum"]) == 0
    assert 8 < float(rows[1]["defector"]) < 12  # ten steps, half of them beside cooperation
    assert -6 < float(rows[1]["cooperator"]) < -4


def test_runs_of_different_games_are_refused(monkeypatch):
    """The games have different settings, so one diagram cannot show both runs."""
    runs = {name: SimpleNamespace(recipe=from_objects(IPD(length=k), "random")) for name, k in {"b": 2, "c": 3}.items()}
    for run in runs.values():
        run.env = run.recipe.env
    monkeypatch.setattr("comity.cli.play.one_run", str)
    monkeypatch.setattr("comity.training.run.load", lambda word, trust: runs[word])
    with pytest.raises(Usage, match="these runs play other games"):
        of_runs(["b", "c"], {}, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--schelling"], "needs one TASK"),
        (["ipd", "harvest", "--schelling"], "needs one TASK"),
        (["ipd", "--schelling", "--episodes", "0"], "must be 1 or more"),
        (["ipd", "--schelling", "--metric", "return"], "--metric has no meaning"),
        (["ipd", "--schelling", "--policy", "greedy"], "--policy has no meaning"),
        (["scripted:all-c", "scripted:all-d", "--schelling"], "needs a trained RUN"),
        (["ipd", "--schelling", "--out", "tab.md"], r"--out tab\.md does not end in \.csv"),
        (["a", "b", "--schelling", "--policy", "best"], "is not one of sampled, greedy"),
    ],
)
def test_bad_words(words, said):
    with pytest.raises(Usage, match=said):
        play(words)
