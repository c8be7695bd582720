"""Scaffolds: without any change they fit, train from the command line, and pass the tests that come with them."""

import importlib
import inspect
import sys
from pathlib import Path

import pytest

from comity.cli.main import main
from comity.cli.new import class_name, module_name
from tiny.runs import flags

SMALL = dict(seeds=1, envs=2, iterations=2, chunk=1, evaluations=1, evaluation_episodes=2, final_episodes=2)
KINDS = {  # words of `comity new`: (TASK, ALGORITHM) that trains
    ("task", "RingGame"): ("ring_game.py:RingGame", "reinforce"),
    ("algorithm", "my_climber"): ("two-step", "my_climber.py"),
    ("algorithm", "my-rememberer", "--recurrent"): ("two-step", "my_rememberer.py"),
    ("bonus", "restless"): ("two-step", "restless.py"),
    ("wrapper", "sticky_hands.py"): ("sticky_hands.py:StickyHands", "reinforce"),
}


@pytest.mark.parametrize("words", KINDS, ids=lambda words: "-".join(words))
def test_a_scaffold_trains_at_once_and_passes_its_tests(words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert main(["new", *words]) == 0
    told = capsys.readouterr().out
    (test,) = Path().glob("test_*.py")
    name = test.stem.removeprefix("test_")
    assert f"files\n  {name}.py\n  {test}\n" in told
    task, algorithm = KINDS[words]
    assert f"comity train {' '.join((task, algorithm.replace('reinforce', 'pg')))} " in told
    for file in (Path(f"{name}.py"), test):
        text = file.read_text(encoding="utf-8")
        assert not any(old in text for kind in ("task", "algorithm", "bonus", "wrapper") for old in (f"my_{kind}",))
        assert max(map(len, text.splitlines())) <= 130
    assert main(["train", task, algorithm, *flags(**SMALL)]) == 0
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    module, ran = importlib.import_module(test.stem), 0
    for check in [x for n, x in vars(module).items() if n.startswith("test_")]:
        cases = [mark.args[1] for mark in getattr(check, "pytestmark", ())] or [[()]]
        for number, case in enumerate(cases[0]):
            (folder := tmp_path / f"{check.__name__}{number}").mkdir()
            check(*case, **({"tmp_path": folder} if "tmp_path" in inspect.signature(check).parameters else {}))
            ran += 1
    assert ran >= 2


def test_nothing_is_written_over(capsys):
    Path("test_ring.py").write_text("mine")
    assert main(["new", "task", "ring"]) == 1
    assert "test_ring.py exists already" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["test_ring.py"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["task"], "needs a kind and a NAME"),
        (["tsk", "ring"], "did you mean task?"),
        (["task", "2ring"], "is no name for a file"),
        (["task", "class"], "is no name for a file"),
        (["algorithm", "random"], "the name of another module"),
        (["algorithm", "jax"], "the name of another module"),
        (["task", "ring", "--recurrent"], "--recurrent goes with an algorithm"),
    ],
)
def test_refusals(words, told, capsys):
    assert main(["new", *words]) == 2
    assert told in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_names():
    assert [module_name(x) for x in ("StagHunt", "stag-hunt", "stag_hunt.py")] == ["stag_hunt"] * 3
    assert class_name("stag_hunt_2") == "StagHunt2"
