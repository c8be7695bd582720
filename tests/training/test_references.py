"""Teams that come with the package: they load and play, and training them again is judged."""

import json
from typing import Any

import jax
import numpy as np
import pytest

import comity
from comity.cli.main import main
from comity.environments import TASKS
from comity.runs import saved
from comity.runs.saved import REFERENCES, find, references
from comity.training import checkpoint
from comity.training.references import Reference, filled, halved, read_by_act, reference_of, ship
from studies.references import PAGE, TEAMS, WITHOUT, page

KEY = jax.random.key(0)


@pytest.mark.parametrize("task", references())
def test_shipped_teams_load_and_fit_their_games(task):
    """Traced; a version of a task or an algorithm that is no longer this one is refused by `load`."""
    run = comity.load(f"reference:{task}")
    said = reference_of(REFERENCES / task)
    assert task in TASKS
    assert said.mean > said.untrained
    _, observation = jax.eval_shape(run.env.reset, KEY)
    act = lambda key, memory, observation: run.algorithm.act(key, run.state(), memory, observation, explore=False)  # noqa: E731
    jax.eval_shape(act, KEY, run.memory, observation)
    assert all(np.isfinite(x).all() for x in run.params.values() if x.dtype.kind == "f")


def test_they_are_small():
    sizes = {
        task: sum(x.stat().st_size for x in (REFERENCES / task).rglob("*") if x.is_file()) for task in references()
    }
    assert sizes
    assert max(sizes.values()) < 150_000
    assert sum(sizes.values()) < 850_000


def test_every_task_has_one_or_the_page_says_why_not():
    assert set(TASKS) == set(references()) | set(WITHOUT)
    assert not set(references()) & set(WITHOUT)
    assert set(references()) == set(TEAMS)  # each can be trained anew
    assert PAGE.read_text(encoding="utf-8") == page()  # else: python -m studies.references --page


def test_a_shipped_team_plays_as_well_as_it_says():
    run = comity.load("reference:two-step")
    said = reference_of(REFERENCES / "two-step")
    line = next(x for x in run.play(64) if x["policy"] == said.policy)
    assert line["mean"][said.metric] >= said.least(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny run of two seeds."""
    learner = comity.algorithm("vdn", hidden=8, explore_steps=100.0)
    out = tmp_path_factory.mktemp("runs")
    settings: Any = {"iterations": 200, "chunk": 50, "evaluations": 3, "final_episodes": 16}
    return comity.train("two-step", learner, out=out, seeds=2, progress=False, **settings)


def test_only_what_act_reads_is_kept(trained, tmp_path):
    kept = read_by_act(trained.algorithm, trained.env)
    assert any(name.startswith("params.agents.") for name in kept)
    assert not [name for name in kept if "target" in name or "opt_state" in name or "replay" in name or "mixer" in name]
    folder = ship(trained, tmp_path / "two-step", "return", 32)
    file = next(folder.glob("checkpoints/*.npz"))
    assert set(checkpoint.arrays(file)[1]) == kept
    run = comity.load(folder)
    (seed,) = run.seeds
    full, half = trained.state(seed), run.state()
    for (name, x), (_, y) in zip(checkpoint.named(full), checkpoint.named(half), strict=True):
        if name in kept:
            np.testing.assert_allclose(x, y, rtol=2e-3, atol=1e-4)
        else:
            assert not np.asarray(y).any(), name
    _, observation = run.env.reset(KEY)
    ours, theirs = (x.act(KEY, x.memory, observation, seed, explore=False)[2]["values"] for x in (trained, run))
    np.testing.assert_allclose(ours, theirs, rtol=1e-2, atol=1e-2)


def test_half_precision_is_left_where_it_is_too_narrow():
    assert halved(np.array([1, -60_000], np.float32)).dtype == np.float16
    assert halved(np.array([1, 70_000], np.float32)).dtype == np.float32
    assert halved(np.array([1], np.int32)).dtype == np.int32


def test_a_team_that_learned_nothing_is_not_shipped(trained, tmp_path):
    with pytest.raises(ValueError, match="learned nothing"):
        ship(trained, tmp_path / "two-step", metric="length", episodes=8)


def test_another_versions_arrays_are_refused(trained, tmp_path):
    folder = ship(trained, tmp_path / "two-step", "return", 8)
    file = next(folder.glob("checkpoints/*.npz"))
    about, arrays = checkpoint.arrays(file)
    shape = jax.eval_shape(trained.algorithm.init, KEY)
    checkpoint.save(file, {**arrays, "other": np.zeros(2)}, about)
    with pytest.raises(checkpoint.CorruptCheckpoint, match="unknown array other"):
        filled(file, shape)
    name = next(iter(arrays))
    checkpoint.save(file, {**arrays, name: np.zeros((1, 2, 3, 4))}, about)
    with pytest.raises(checkpoint.CorruptCheckpoint, match="another shape"):
        filled(file, shape)


def test_what_must_be_reached():
    """By hand: way 8; a tenth of it, three standard errors, or at most half of it, below the mean."""
    exact = Reference("x", "greedy", (9.0, 9.0), 1.0, 0.0, 32)
    assert exact.least(3) == pytest.approx(9 - 0.8)
    spread = Reference("x", "greedy", (8.5, 9.5), 1.0, 0.0, 32)  # deviation 0.7071, of 2 and of 2 seeds: error 0.7071
    assert spread.least(2) == pytest.approx(9 - 3 * 0.7071, abs=1e-3)
    wild = Reference("x", "greedy", (5.0, 13.0), 1.0, 0.0, 32)
    assert wild.least(2) == pytest.approx(9 - 4)


@pytest.mark.parametrize("broken", [False, True], ids=["sound", "broken"])
def test_verify_judges(trained, tmp_path, monkeypatch, capsys, broken):
    """A learner that never ceases to play at random does not pass."""
    folder = ship(trained, tmp_path / "two-step", "return", 64)
    said = json.loads((folder / "reference.json").read_text())
    said |= {"policy": "sampled", "scores": [7.0, 7.0], "untrained": 3.0}
    (folder / "reference.json").write_text(json.dumps(said))
    if broken:
        text = (folder / "config.yaml").read_text()
        assert "explore_end: 0.05" in text
        (folder / "config.yaml").write_text(text.replace("explore_end: 0.05", "explore_end: 1.0"))
    monkeypatch.setattr(saved, "REFERENCES", tmp_path)
    assert main(["verify", "two-step", "--seeds", "3", "--out", str(tmp_path / "runs")]) == int(broken)
    assert f"this installation {'does NOT learn' if broken else 'learns'} as it should" in capsys.readouterr().out


def test_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert find("two-step") == find("reference:two-step") == [REFERENCES / "two-step"]
    assert comity.load("reference:two-step").short == "reference"  # in cross-play: qmix/reference
    (tmp_path / "runs" / "two-step").mkdir(parents=True)
    (tmp_path / "runs" / "two-step" / "config.yaml").write_text("")
    assert find("two-step") == [tmp_path.relative_to(tmp_path) / "runs" / "two-step"]  # one's own runs come first
    assert main(["resume", "reference:two-step"]) == 1
    assert "a reference has only its policy" in capsys.readouterr().err
    assert main(["evaluate", "reference:two-step", "--best"]) == 1
    assert "leave --best or --checkpoint out" in capsys.readouterr().err
    assert main(["evaluate", "reference:two-stp"]) == 1
    assert "did you mean two-step or n-step?; there are references of" in capsys.readouterr().err
    assert main(["verify", "n-step", "--original", "--episodes", "1"]) == 2
    assert "--episodes 1 has no standard error: give 2 or more" in capsys.readouterr().err
    assert main(["verify", "two-stp"]) == 2
    assert "did you mean two-step" in capsys.readouterr().err


def test_originals():
    pytest.importorskip("mpe2")
    from comity.interop.originals import ORIGINALS, original_of

    for task in ORIGINALS:
        env = comity.make(task, "farama")
        game, name = original_of(task, env)
        assert game.spec.agents == env.spec.agents
        assert game.spec.view == env.spec.view
        assert game.spec.action == env.spec.action
        assert name.startswith("mpe2.")
    with pytest.raises(ValueError, match="is no copy"):
        original_of("ipd", comity.make("ipd"))
    with pytest.raises(ValueError, match="set it to 'farama'"):
        original_of("cooperative-navigation", comity.make("cooperative-navigation"))
    with pytest.raises(ValueError, match="prey 'random' is not mpe2's: set it to 'learns'"):
        original_of("predator-prey", comity.make("predator-prey", physics="farama", reward="classic"))
