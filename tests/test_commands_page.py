"""docs/commands.md: its Python, run from top to bottom with tiny numbers, and its tables against the code's flags."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from comity.cli import reproduce
from comity.cli.main import COMMANDS
from comity.training.settings import Training

PAGE = (Path(__file__).parents[1] / "docs" / "commands.md").read_text(encoding="utf-8")


def rows(title: str) -> str:
    """The rows of the first table under a title."""
    return re.findall(rf"^#+ {title}\n.*?^(\| ---.*?)\n\n", PAGE, re.DOTALL | re.MULTILINE)[0]


def test_every_command_and_every_setting_of_training_has_a_row():
    assert set(re.findall(r"^\| \[`(\w+)`\]", rows("Commands"), re.MULTILINE)) == set(COMMANDS)
    told = set(re.findall(r"`--([a-z-]+)", rows("train")))
    assert {field.name.replace("_", "-") for field in dataclasses.fields(Training)} <= told


def test_every_flag_of_reproduce_has_a_row():
    flags = set(re.findall(r"^  --([a-z-]+)", reproduce.HELP, re.MULTILINE))
    assert flags <= set(re.findall(r"--([a-z-]+)", rows("reproduce")))


def test_python_can_be_followed(tmp_path, monkeypatch, capsys):
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    archive, program = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    tiny = "iterations=4, envs=2, chunk=2, evaluations=2, evaluation_episodes=2, final_episodes=2"
    for old, new in (
        ('observe="last-action"', 'observe="last-action", length=12'),
        ("iterations=500", tiny),
        ("iterations=600", "iterations=6"),
        ("length=100", "length=8"),
        ("episodes=64", "episodes=2"),
        ("episodes=16", "episodes=2"),
    ):
        assert program.count(old) == 1
        program = program.replace(old, new)
    names = {}
    exec(program, names)
    run, best = names["run"], names["best"]
    assert (run.iteration, run.which, best.which) == (6, "last", "best")
    assert (run.recipe.config.actors, run.recipe.config.learning_rate) == ("shared", 5e-4)  # preset, then the setting
    assert names["shorter"].env.length == 8
    assert names["success"].shape == (2, len(names["steps"]))
    assert names["action"].shape == (2,)
    assert names["table"]["episodes"].tolist() == [2] * 4
    assert bool(names["timestep"].terminated | names["timestep"].truncated)
    with np.load("policy.npz", allow_pickle=False) as file:
        assert set(file) == set(best.arrays())
    assert Path("policy.safetensors").stat().st_size > 10_000
    assert len(re.findall(r"^[01] (?:sampled|greedy) ", capsys.readouterr().out, re.MULTILINE)) == 4
    exec(archive.replace("runs/...", str(run.path)), {})
    assert '"format"' in capsys.readouterr().out
