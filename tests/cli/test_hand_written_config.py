"""A config.yaml written by hand: numbers as people write them, and one line for values that have no meaning."""

from pathlib import Path

import pytest

from comity.cli.main import main
from comity.cli.train import _read_config, _recipe
from comity.recipes import Recipe
from comity.training.settings import Training, training_of
from tiny.runs import NAMES


def read(text: str) -> tuple[Recipe, Training]:
    Path("c.yaml").write_text(text)
    config, folder = _read_config("c.yaml")
    return _recipe([], config, folder, None, None), training_of(config)


PG = "task: {name: manitokan%s}\nalgorithm: {name: pg%s}\n%s"


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.0e-3", "'0.001'", "0.001", "1.e-3", ".001"])
def test_numbers_as_people_write_them(text):
    recipe, _ = read(PG % ("", f", learning_rate: {text}", ""))
    assert recipe.config.learning_rate == 0.001
    assert type(recipe.config.learning_rate) is float


def test_also_in_lists_in_training_and_where_none_is_allowed():
    recipe, training = read(
        "task: {name: repeated-matrix, payoffs: [1e0, -1e-1, 2, 0.5]}\nalgorithm: {name: random}\n"
        "training: {minutes: 1e-2, iterations: 3}"
    )
    assert recipe.env.payoffs == (1.0, -0.1, 2, 0.5)  # pyright: ignore[reportAttributeAccessIssue]
    assert (training.minutes, training.iterations, training.seeds) == (0.01, 3, 4)


def test_a_text_stays_a_text():
    Path("game.py").write_text("""
from dataclasses import dataclass

@dataclass(frozen=True)
class Game:
    word: str = "x"
    share: float | None = None
    def reset(self, key): ...
    def step(self, key, state, action): ...
""")
    text = "task: {name: 'game.py:Game', word: '1e-3', share: 1e-3}\nalgorithm: {name: random}"
    Path("c.yaml").write_text(text)
    from comity.recipes import from_config
    from comity.runs.trust import Trust

    recipe = from_config(_read_config("c.yaml")[0], None, Trust(named=("game.py:Game",)))
    assert (recipe.env.word, recipe.env.share) == ("1e-3", 0.001)  # pyright: ignore[reportAttributeAccessIssue]


def test_presets_and_profiles_that_it_names():
    recipe, _ = read(PG % (", profile: released", ", preset: paper, gamma: 0.5", ""))
    assert (recipe.profile, recipe.preset) == ("released", "paper")
    assert (recipe.config.learning_rate, recipe.config.gamma) == (5e-5, 0.5)
    assert recipe.env == read("task: {name: manitokan, profile: released}\nalgorithm: {name: random}")[0].env
    assert recipe.env != read(PG % ("", "", ""))[0].env


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PG % ("", "", "trainig: {seeds: 2}"), "the config has no section 'trainig'; did you mean training?; known: "),
        (PG % ("", "", "seeds: 2"), "the config has no section 'seeds'; known: comity, task, algorithm, training"),
        (PG % ("", "", "null: 2"), "the config has no section None"),
        (PG % ("", "", "training: {seed: 2}"), "training has no setting seed; did you mean seeds"),
        (PG % ("", ", learning-rate: 1e-3", ""), "pg has no setting learning-rate; did you mean learning_rate"),
        (PG % (", lenght: 5", "", ""), "manitokan has no setting lenght; did you mean length"),
        (PG % (", null: 5", "", ""), "manitokan has no setting None"),
        (PG % (", [1, 2]: 5", "", ""), "c.yaml"),
        (PG % ("", ", learning_rate: fast", ""), "learning_rate 'fast' is not a number: give one"),
        (PG % ("", ", learning_rate: true", ""), "learning_rate True is not a number: give one"),
        (PG % ("", ", learning_rate: [1e-3]", ""), "learning_rate ['1e-3'] is not a number: give one"),
        (PG % ("", ", learning_rate: null", ""), "learning_rate None is not a number: give one"),
        (PG % ("", ", learning_rate: .inf", ""), "learning_rate inf is not a finite number: give one"),
        (PG % ("", ", learning_rate: -1e-3", ""), "learning_rate -0.001 is not above 0: give a number above 0"),
        (PG % ("", ", actors: both", ""), "actors 'both' is not one of "),
        (PG % ("", ", preset: papr", ""), "preset 'papr' of pg is not one of sound, fast, paper"),
        (PG % (", length: 5.5", "", ""), "length 5.5 is not a whole number: give one"),
        (PG % (", length: '5'", "", ""), "length '5' is not a whole number: give one"),
        (PG % (", length: {a: 1}", "", ""), "length {'a': 1} is not a whole number: give one"),
        (PG % (", show_carried: 'false'", "", ""), "show_carried 'false' is neither True nor False: give one of them"),
        (PG % (", show_carried: 1", "", ""), "show_carried 1 is neither True nor False: give one of them"),
        (PG % ("", "", "training: {envs: 2.0}"), "envs 2.0 is not a whole number: give one"),
        (PG % ("", "", "training: {minutes: soon}"), "minutes 'soon' is not a number: give one"),
        (PG % ("", "", "training: {mode: lop}"), "mode 'lop' is not one of auto, loop"),
        (PG % ("", "", "training: {seeds: 2, envs: 4, seeds: 3}"), "c.yaml, line 3: seeds occurs twice"),
        (PG % ("", "", "task: {name: ipd}"), "c.yaml, line 3: task occurs twice; keep one of them"),
        (PG % ("", "", "training: {mode: !!timestamp x}"), "c.yaml is not YAML"),
        (PG % ("", "", "training: {first_seed: 2147483647, seeds: 2}"), "2 seeds from first_seed 2147483647 on go"),
        (PG % ("", "", "training: false"), "training False is no section"),
        (PG % ("", "", "initialise: 3"), "initialise 3 is no run: give the path of one, in quotes, or leave it out"),
        (PG % ("", "", "training: 3.5"), "training 3.5 is no section: give its settings below it"),
        (PG % ("", "", "training: [1]"), "training [1] is no section"),
        ("task: {name: repeated-matrix, payoffs: 3}\nalgorithm: {name: random}", "payoffs 3 is no list: give one"),
        ("task: {name: repeated-matrix, payoffs: [1, x]}\nalgorithm: {name: random}", "[1, 'x'] is not a number"),
        ("task: manitokan\nalgorithm: pg", "has no task and algorithm: give a run's config.yaml"),
        ("task: {name: manitokan}", "has no task and algorithm"),
        ("task: {name: mani}\nalgorithm: {name: pg}", "unknown task 'mani'"),
        ("task: {name: null}\nalgorithm: {name: pg}", "unknown task 'None'"),
        ("task: {name: matrix}\nalgorithm: {name: matrix}", "unknown algorithm 'matrix'"),
    ],
)  # fmt: skip
def test_what_it_cannot_mean(capsys, text, says):
    Path("c.yaml").write_text(text)
    assert main(["train", "--config", "c.yaml"]) in (1, 2)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert says in said[0]
    assert not Path("runs").exists()


def test_flags_say_the_same(capsys):
    """Of the same wrong value."""
    for flag, value, says in (
        ("--algorithm.learning-rate", "fast", "learning-rate 'fast' is not a number: give one"),
        ("--task.length", "5.5", "length '5.5' is not a whole number: give one"),
    ):
        assert main(["train", "manitokan", "pg", flag, value]) == 2
        assert says in capsys.readouterr().err


def test_a_file_of_ones_own_is_named_on_the_command_line_too(capsys):
    """A config without versions does not say which file is meant; the user does."""
    names = f"task: {{name: '{NAMES[0]}'}}\nalgorithm: {{name: '{NAMES[1]}', learning_rate: fast}}"
    Path("c.yaml").write_text(names)
    assert main(["train", "--config", "c.yaml"]) == 1
    assert "the config says no version" in capsys.readouterr().err
    assert main(["train", *NAMES, "--config", "c.yaml"]) == 1
    assert "learning_rate 'fast' is not a number" in capsys.readouterr().err
