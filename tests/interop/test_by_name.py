"""Games that Python steps, by name: the meaning of names, whose code runs, and the command line."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("mpe2")
pytest.importorskip("pettingzoo")

import comity
from comity.cli.main import main, spelled
from comity.names import host_of, unknown
from comity.recipes import find_task, from_config
from comity.runs.directory import RunDirectory
from comity.runs.trust import Trust
from comity.training.identity import other_packages
from comity.training.loop import train
from comity.training.settings import Training

OWN = Path(__file__).parents[1] / "tiny" / "parallel.py"
FEW: dict[str, Any] = {"seeds": 1, "envs": 2, "iterations": 2, "chunk": 1, "evaluations": 1, "evaluation_episodes": 1,
       "final_episodes": 1}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_env.py").write_text(OWN.read_text())
    return tmp_path


def words(**settings) -> list[str]:
    return [part for name, x in settings.items() for part in (f"--{name.replace('_', '-')}", str(x))]


def test_names():
    assert host_of("pettingzoo:mpe2.simple_spread_v3") == "pettingzoo"
    assert host_of("gymnasium:ALE/Pong-v5") == "gymnasium"
    assert host_of("manitokan") is host_of("pettingzoo:") is host_of("my_game.py:MyGame") is None
    assert unknown("task", "pettingzoo:mpe2.simple_spread_v3") is None
    assert unknown("task", "gymnasium") == "gymnasium names no environment: give one, such as gymnasium:CartPole-v1"
    assert find_task("gymnasium:CartPole-v1").stem == "CartPole-v1"
    assert find_task("pettingzoo:mpe2.simple_spread_v3").packages == ("pettingzoo", "mpe2")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pettingzoo:mpe2.simple_spred_v3", "cannot import mpe2.simple_spred_v3"),
        ("pettingzoo:mpe2", "mpe2 has no parallel_env; name a class or a function"),
        ("pettingzoo:mpe2.simple_spread_v3:paralel_env", "has no paralel_env; did you mean parallel_env"),
        ("pettingzoo:mpe2.simple_spread_v3+rusp", "wrappers go around compiled games, and Python steps this one"),
        ("gymnasium:Hoper-v5", "gymnasium knows no Hoper-v5; did you mean Hopper-v5"),
        ("pettingzoo:no_such.py:Thing", "there is no file no_such.py here"),
        ("pettingzoo:nowhere", "cannot import nowhere"),
    ],
)
def test_names_that_mean_nothing(name, message):
    with pytest.raises(ValueError, match=message) as error:
        find_task(name)
    assert "\n" not in str(error.value)


def test_options_and_length_on_the_command_line():
    assert spelled(["--options", "a=1", "b=x", "--envs", "2", "seeds=1"]) == [
        "--options", "a=1", "b=x", "--envs", "2", "--seeds", "1"
    ]  # fmt: skip


def test_a_users_file_from_the_command_line(here, capsys):
    """Trained, copied with its hash, resumed, evaluated; after the file has changed it is asked about."""
    arguments = ["train", "pettingzoo:my_env.py:Always", "random", "--length", "6", "--options", "cut=3", "ends=true"]
    assert main([*arguments, *words(**FEW)]) == 0
    (path,) = Path("runs/Always/random").iterdir()
    config = yaml.safe_load((path / "config.yaml").read_text())["task"]
    assert (config["length"], config["options"]) == (6, ["cut=3", "ends=true"])
    assert config["name"].startswith("pettingzoo:my_env.py:Always@")
    assert (path / "source" / "my_env.py").read_text() == OWN.read_text()
    assert main(["resume", "latest", "--iterations", "3"]) == 0
    assert {x["mean"]["length"] for x in RunDirectory(path).lines("eval.jsonl")} == {3.0}
    assert main(["evaluate", "latest", "--episodes", "2"]) == 0
    assert main(["watch", "latest"]) == 0
    assert main(["train", "--config", str(path), "--task.options", "cut=2", *words(**FEW)]) == 0
    (again,) = set(Path("runs/Always/random").iterdir()) - {path}
    assert {x["mean"]["length"] for x in RunDirectory(again).lines("eval.jsonl")} == {2.0}
    capsys.readouterr()
    Path("my_env.py").write_text(OWN.read_text() + "\nWRONG = 1\n")
    assert main(["evaluate", str(path)]) == 1
    assert "nothing was run" in capsys.readouterr().err


@pytest.mark.parametrize("name", [
    "pettingzoo:yaml", "gymnasium:yaml:load", "pettingzoo:os:system", "pettingzoo:this",
    "gymnasium:gym_of_a_stranger-v0", "pettingzoo:stranger.py:Env", "gymnasium:got.source.evil:Foo-v0",
    "gymnasium:gymnasium:make", "pettingzoo:gymnasium.envs.registration:make", "pettingzoo:gymnasium:parallel_env",
    "gymnasium:gymnasium.wrappers:TimeLimit", "pettingzoo:mpe2.simple_spread_v3:raw_env", "pettingzoo:pettingzoo:make",
])  # fmt: skip
def test_a_strangers_config_runs_no_code(name, here, monkeypatch):
    """An installed package beyond those comity knows, Python's own, a file beside the config, and functions that make
    no environment of their own: `gymnasium.make` imports the module in the id that it is given."""
    import gymnasium

    gymnasium.register("gym_of_a_stranger-v0", entry_point="stranger:Env")
    (here / "got" / "source").mkdir(parents=True)
    for file in ("stranger.py", "got/source/evil.py"):
        (here / file).write_text(
            f"import pathlib\npathlib.Path({str(here / 'ran')!r}).touch()\n\nclass Env:\n    pass\n"
        )
    monkeypatch.syspath_prepend(here)
    task = {"name": f"{name}@1", "length": 5, "options": ["id=got.source.evil:Foo-v0"]}
    config = {"task": task, "algorithm": {"name": "random@1"}, "training": {"iterations": 1}}
    with pytest.raises(ValueError, match=r"nothing was run|gymnasium knows no|not a file of yours"):
        from_config(config, here, Trust())
    assert not (here / "ran").exists()
    gymnasium.registry.pop("gym_of_a_stranger-v0")


def test_environments_that_comity_knows_need_no_trust():
    """Other functions of the same packages need it."""
    spread = "pettingzoo:mpe2.simple_spread_v3"
    for name in (f"{spread}@1", f"{spread}:parallel_env@1", "gymnasium:CartPole-v1@1"):
        config = {"task": {"name": name}, "algorithm": {"name": "random@1"}, "training": {"iterations": 1}}
        assert from_config(config).task.name == name.removesuffix("@1")
    name = "gymnasium:gymnasium.envs.classic_control.cartpole:CartPoleEnv"
    config = {"task": {"name": f"{name}@1", "length": 5}, "algorithm": {"name": "random@1"}, "training": {}}
    for trust in (Trust(given=True), Trust(named=(name,)), Trust(ask=lambda question: "runs CartPoleEnv" in question)):
        assert from_config(config, None, trust).task.name == name


def test_another_version_of_the_package_is_said(tmp_path):
    game = comity.interop.from_gymnasium("CartPole-v1", 5)
    from comity.recipes import from_objects

    recipe = from_objects(game, "random")
    run = train(recipe, Training(**FEW), tmp_path)
    manifest = run.manifest()
    assert manifest["versions"]["gymnasium"]
    assert other_packages(manifest, recipe) == []
    manifest["versions"]["gymnasium"] = "0.1"
    (line,) = other_packages(manifest, recipe)
    assert line.startswith("gymnasium was 0.1, is ")


def test_a_second_training_compiles_nothing(tmp_path, monkeypatch):
    game = comity.interop.from_gymnasium("CartPole-v1", 5)
    more = {**FEW, "out": tmp_path, "progress": False}
    comity.train(game, "random", **more)
    monkeypatch.setattr("jax.stages.Lowered.compile", lambda *_, **__: pytest.fail("it compiled"))
    comity.train(comity.interop.from_gymnasium("CartPole-v1", 5), "random", **more)
    assert dataclasses.is_dataclass(game)
