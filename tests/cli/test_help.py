"""Help: texts of all settings, lists of presets, and the nearest names."""

import dataclasses
import importlib

import pytest

from comity.algorithms import ALGORITHMS
from comity.algorithms.bonuses import BONUSES
from comity.cli import texts
from comity.cli.main import main
from comity.environments import TASKS, WRAPPERS
from comity.settings import did_you_mean
from comity.training.settings import Training
from tiny.runs import NAMES

KINDS = {**TASKS, **WRAPPERS}, {**ALGORITHMS, **BONUSES}


def kinds() -> list[type]:
    """Every dataclass of settings that the registries name."""
    games, learners = KINDS
    found = []
    for path, _ in games.values():
        module, _, name = path.partition(":")
        found.append(getattr(importlib.import_module(module), name))
    found += [getattr(importlib.import_module(path), "Config", None) for path, _ in learners.values()]
    return [kind for kind in dict.fromkeys([*found, Training]) if dataclasses.is_dataclass(kind)]


def test_every_setting_has_its_text():
    known = {kind: texts.texts(kind) for kind in kinds()}
    assert len(known) > 50
    silent = [
        f"{kind.__module__}.{kind.__qualname__}.{field.name}"
        for kind, said in known.items()
        for field in dataclasses.fields(kind)
        if field.init and len(said.get(field.name, "").strip()) < 2
    ]
    assert not silent


@dataclasses.dataclass(frozen=True)
class Base:
    rate: float = 0.1  # how fast
    # and how far
    kept: int = 1  # told once


@dataclasses.dataclass(frozen=True)
class Told(Base):
    """Settings."""

    # what stands above
    above: bool = False
    both: float = (
        1.0  # inside
    )  # fmt: skip
    silent: int = 3

    kept: int = 2


def test_texts_are_the_comments_beside_a_field():
    assert texts.texts(Told) == {
        "rate": "how fast and how far",
        "kept": "told once",
        "above": "what stands above",
        "both": "inside fmt: skip",
    }


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_of_help_is_too_wide(width):
    for kind in kinds():
        try:
            lines = texts.listed(kind(), "algorithm.", width)
        except TypeError:  # a wrapper needs its game
            continue
        if not lines:  # it has no settings
            assert not [field for field in dataclasses.fields(kind) if field.init]
            continue
        flags = [f"--algorithm.{field.name}".replace("_", "-") for field in dataclasses.fields(kind) if field.init]
        assert all(any(line.startswith(f"  {flag} ") for line in lines) for flag in flags), kind
        assert max((len(line) for line in lines if not line.startswith("  --")), default=0) <= width


def test_presets_have_a_line_each(capsys):
    assert main(["train", "manitokan", "pg", "--preset"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("presets of pg\n")
    presets = importlib.import_module(ALGORITHMS["pg"][0]).PRESETS
    assert [line.split()[0] for line in text.splitlines()[1:]] == list(presets)
    assert "self-correction       sets correction=self_pure\n" in text
    assert main(["train", "manitokan", "pg", "--profile"]) == 0
    assert "profiles of manitokan\n  paper" in capsys.readouterr().out
    assert main(["train", "--preset"]) == 2
    assert "--preset needs a value" in capsys.readouterr().err


def test_help_of_a_command(capsys):
    for one, other in ((["help"], ["--help"]), (["help", "watch"], ["watch", "--help"])):
        shown = []
        for words in (one, other):
            assert main(words) == 0
            shown.append(capsys.readouterr().out)
        assert shown[0] == shown[1]
    assert main(["help", "train", *NAMES]) == 0
    text = capsys.readouterr().out
    assert "--algorithm.learning-rate" in text
    assert "\ntask signals.py:Signals\n" in text.replace(NAMES[0], "signals.py:Signals")
    assert main(["help", "wach"]) == 2
    assert "did you mean watch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "known", "found"),
    [
        ("--algorithm.lr", ["--algorithm.learning-rate", "--algorithm.gamma"], "--algorithm.learning-rate"),
        ("lr", ["critic_learning_rate", "learning_rate", "gamma"], "learning_rate or critic_learning_rate"),
        ("--task.lr", ["--algorithm.learning-rate", "--task.length"], ""),
        ("--algorithm.ec", ["--algorithm.entropy-coefficient"], "--algorithm.entropy-coefficient"),
        ("gama", ["gamma", "lambda"], "gamma"),
    ],
)
def test_first_letters_find_a_name(asked, known, found):
    told = did_you_mean(asked, known)
    assert found in told
    assert found or "learning" not in told


def test_a_flag_by_its_first_letters(capsys):
    assert main(["train", *NAMES, "--algorithm.lr", "1"]) == 2
    assert "did you mean --algorithm.learning-rate?" in capsys.readouterr().err


def test_a_file_names_its_games(capsys):
    task, learner = NAMES
    assert main(["train", f"{task.rpartition(':')[0]}:Nope", learner]) == 1
    line = capsys.readouterr().err
    assert "signals.py has no Nope" in line
    assert "its games: " in line
    assert "Signals" in line.split("its games: ")[1]
