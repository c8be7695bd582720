"""A run stores all that made it: arguments, settings, and each file that the user's file imports, by any name."""

import dataclasses
import enum
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import comity
from comity.cli.main import main, spelled
from comity.names import parsed, versioned
from comity.recipes import Recipe, find_algorithm, find_task, from_config, from_objects
from comity.runs.commands import command
from comity.runs.directory import RunDirectory
from comity.runs.trust import Trust
from comity.spec import Discrete, Spec, Vector
from comity.training import loop
from comity.training.settings import Training
from comity.types import Observation, Timestep

GAME = """import jax.numpy as jnp
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Timestep
{imports}

class Game:
    spec = Spec(agents=2, view=Vector(1), action=Discrete(2), length=1, state=Vector(2))

    def see(self):
        return Observation(jnp.zeros((2, 1)), jnp.zeros(2), jnp.ones((2, 2), bool))

    def reset(self, key):
        return jnp.int32(0), self.see()

    def pay(self):
        {inside}
        return {pay}

    def step(self, key, state, action):
        return state, Timestep(self.see(), jnp.full(2, float(self.pay())), jnp.bool_(True), jnp.bool_(False), {{}})
"""
ALLOWED = Trust(given=True, say=lambda text: None)


class Base:
    """Two agents, one step."""

    spec = Spec(agents=2, view=Vector(1), action=Discrete(2), length=1, state=Vector(2))

    def see(self):
        return Observation(jnp.zeros((2, 1)), jnp.zeros(2), jnp.ones((2, 2), bool))

    def reset(self, key):
        return jnp.int32(0), self.see()

    def step(self, key, state, action):
        return state, Timestep(self.see(), jnp.zeros(2), jnp.bool_(True), jnp.bool_(False), {})


class Plain(Base):
    def __init__(self, pay=1.0, *, table=((1, 2), (3, 4)), names=("a",)):
        self.pay, self.table, self.names, self.cells = pay, table, names, np.asarray(table).ravel()


class Hidden(Base):
    def __init__(self, pay=1.0):
        self._amount = pay


class Open(Base):
    def __init__(self, **options):
        self.options = options


class Around(Base):
    def __init__(self, env, bonus=1.0):
        self.env, self.bonus = env, bonus


class Odd(enum.Enum):
    ONE = 1


class Whole(enum.IntEnum):
    TWO = 2


@dataclasses.dataclass(frozen=True)
class Settings(Base):
    extra: Any = None
    share: float = 0.5
    size: int = 3
    word: str = "x"
    pair: tuple[float, ...] = (1.0, 2.0)


@dataclasses.dataclass(frozen=True)
class Taken(Base):
    name: str = "mine"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.fixture
def written(folder, monkeypatch):
    """A function of a game and an algorithm: the run directory as it is before training."""
    monkeypatch.setattr(loop, "run", lambda *_: None)
    return lambda env, algorithm="random", out="runs": begun(env, algorithm, folder / out)


def begun(env: Any, algorithm: Any, out: Path) -> RunDirectory:
    training = Training(seeds=1, envs=2, iterations=1, chunk=1, evaluation_episodes=2, final_episodes=2)
    recipe = env if isinstance(env, Recipe) else from_objects(env, algorithm)
    return loop.train(recipe, training, out)


def again(run: RunDirectory, trust: Trust = ALLOWED) -> Any:  # a Recipe of an own game
    return from_config(run.config(), run.path, trust)


def game(folder: Path, name: str = "game.py", pay: str = "1", imports: str = "", inside: str = "pass") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(GAME.format(pay=pay, imports=imports, inside=inside))
    return path


# ---------------------------------------------------------------------- constructors and settings


@pytest.mark.parametrize(
    "arguments",
    [{}, {"pay": 5.0}, {"pay": np.float32(0.5), "table": ((0, 1), (1, 0))}, {"names": ("b", "c"), "pay": 2}],
)
def test_arguments_of_a_plain_class_come_back(written, arguments):
    given = Plain(**arguments)
    loaded = again(written(given)).env
    assert type(loaded).__name__ == "Plain"
    assert (loaded.pay, tuple(loaded.names)) == (given.pay, tuple(given.names))
    assert (loaded.cells == given.cells).all()


def changed() -> Plain:
    one = Plain()
    one.pay = 3.0
    one.cells = np.zeros(4)
    return one


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Hidden(2.0), "Hidden holds pay in a way that the run cannot record"),
        (changed, "Plain holds cells in a way"),
        (lambda: Open(pay=2.0), "Open holds options in a way"),
        (lambda: Around(Base()), "Around's env is <"),
        (
            lambda: Plain(names=abs),
            "Plain's names is <built-in function abs>, a builtin_function_or_method, which a run's",
        ),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_training(written, folder, make, says):
    with pytest.raises(ValueError, match=r"could not be loaded again") as error:
        written(make())
    assert says in str(error.value)
    assert not (folder / "runs").exists()


def test_what_nobody_gave_needs_no_record(written):
    assert type(again(written(Hidden())).env).__name__ == "Hidden"
    assert type(again(written(Open())).env).__name__ == "Open"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("extra", np.float64(0.5)), ("extra", np.int16(3)), ("extra", np.bool_(True)), ("extra", jnp.float32(2.0)),
        ("size", np.int64(4)), ("share", np.float32(0.25)), ("pair", (np.float64(0.5), 3)), ("extra", np.str_("word")),
        ("extra", [1, [2.5, "x"], None]), ("extra", {"a": 1, "b": [False]}), ("extra", float("nan")), ("share", 1e-30),
        ("word", "1e-3"), ("word", "no"), ("word", "2024-01-01"), ("word", "a\n b: [c"), ("extra", 10**30),
    ],
)  # fmt: skip
def test_settings_come_back_as_numbers_and_text(written, setting, value):
    run = written(Settings(**{setting: value}))
    loaded = getattr(again(run).env, setting)
    wanted = value.item() if hasattr(value, "item") else value
    assert loaded == wanted or (loaded != loaded and wanted != wanted)
    assert type(loaded) is type(wanted)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("extra", Path("a.txt")), ("extra", Odd.ONE), ("size", Whole.TWO), ("extra", np.ones(2)), ("extra", len),
        ("extra", Settings()), ("extra", (1, 2)), ("extra", {1, 2}), ("word", "\x1b[31m"), ("pair", (1.0, Odd.ONE)),
        ("extra", b"bytes"), ("extra", {"a": Path("b")}), ("extra", {2: 3}), ("extra", 1j), ("word", "x" * 2**21),
    ],
)  # fmt: skip
def test_settings_that_do_not_come_back_are_refused_by_name(written, folder, setting, value):
    with pytest.raises(ValueError, match=r"config.yaml") as error:
        written(Settings(**{setting: value}))
    assert f"Settings's {setting} is" in str(error.value) or isinstance(value, str)
    assert "\n" not in str(error.value)
    assert not (folder / "runs").exists()


def test_numbers_of_numpy_in_an_algorithms_settings(written):
    run = written(Settings(), comity.algorithm("pg", learning_rate=np.logspace(-4, -2, 3)[1], hidden=np.int64(8)))
    assert run.config()["algorithm"]["hidden"] == 8
    assert again(run).config.learning_rate == np.logspace(-4, -2, 3)[1]
    assert type(again(run).config.learning_rate) is float


def test_a_setting_with_the_name_of_a_key_of_the_config(written):
    with pytest.raises(ValueError, match=r"Taken has a setting called 'name', which config\.yaml uses itself"):
        written(Taken())


# ---------------------------------------------------------------------- every file it is made of

HELPERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {  # (files, how the game uses them): pay is 3
    "a module": ({"rules.py": "PAY = {}"}, {"imports": "import rules", "pay": "rules.PAY"}),
    "a name of a module": ({"rules.py": "PAY = {}"}, {"imports": "from rules import PAY as p", "pay": "p"}),
    "a module's module": (
        {"rules.py": "from deeper import PAY", "deeper.py": "PAY = {}"}, {"imports": "import rules", "pay": "rules.PAY"}
    ),
    "a package": ({"lib/__init__.py": "PAY = {}"}, {"imports": "import lib", "pay": "lib.PAY"}),
    "a module in a package": (
        {"lib/__init__.py": "", "lib/pay.py": "PAY = {}"}, {"imports": "import lib.pay", "pay": "lib.pay.PAY"}
    ),
    "relative imports": (
        {
            "lib/__init__.py": "from .pay import PAY",
            "lib/pay.py": "from . import more\nPAY = more.X",
            "lib/more.py": "X = {}",
        },
        {"imports": "from lib import PAY", "pay": "PAY"},
    ),
    "a folder without __init__": ({"parts/pay.py": "PAY = {}"}, {"imports": "from parts import pay", "pay": "pay.PAY"}),
    "inside a function": ({"rules.py": "PAY = {}"}, {"inside": "import rules", "pay": "rules.PAY"}),
    "inside if": (
        {"rules.py": "PAY = {}"}, {"imports": "try:\n    import rules\nexcept ImportError: ...", "pay": "rules.PAY"}
    ),
}  # fmt: skip


def helped(folder: Path, kind: str, value: int) -> None:
    files, words = HELPERS[kind]
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text.format(value))
    game(folder, **words)


@pytest.mark.parametrize("kind", HELPERS)
def test_what_a_file_imports_from_its_folder_is_part_of_the_run(written, folder, kind):
    """It is copied, it is in the version, and after it changed both versions live in one process."""
    helped(folder, kind, 3)
    run = written("game.py:Game")
    assert {str(p.relative_to(run.path / "source")) for p in (run.path / "source").rglob("*.py")} == {
        "game.py", *HELPERS[kind][0]
    }  # fmt: skip
    assert again(run, Trust()).env.pay() == 3
    helped(folder, kind, 30)
    assert find_task("game.py:Game").version != again(run).task.version
    with pytest.raises(ValueError, match=r"here differs? \(.*nothing was run.*give --trust"):
        again(run, Trust())
    old, new, said = again(run).env, find_task("game.py:Game").thing(), []
    assert (old.pay(), new.pay(), old.pay()) == (3, 30, 3)
    from_config(run.config(), run.path, Trust(True, say=said.append))
    assert f"running version {again(run).task.version}, {run.path / 'source' / 'game.py'}" in said[0]
    for name in HELPERS[kind][0]:
        (folder / name).unlink()
    assert again(run).env.pay() == 3


def test_installed_packages_and_names_of_the_library_are_no_part(written, folder):
    """A folder with the name of a package that Python finds elsewhere hides it only if it is a package, too."""
    (folder / "numpy").mkdir()
    (folder / "numpy" / "notes.py").write_text("")
    (folder / "comity").mkdir()
    (folder / "comity" / "__init__.py").write_text("raise SystemExit")
    game(folder, "random.py", imports="import numpy.linalg, random, comity.types", pay="random.Random(0).choice([7])")
    run = written("random.py:Game")
    assert again(run, Trust()).env.pay() == 7
    assert [p.name for p in (run.path / "source").rglob("*.py")] == ["random.py"]


def test_two_files_of_one_name(written, folder):
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    game(folder / "a", "mine.py", imports="import rules", pay="rules.PAY")
    (folder / "a" / "rules.py").write_text("PAY = 5")
    learner = (
        "from comity.algorithms.random import Config, make as made\nimport rules\ndef make(c, e): return made(c, e)\n"
    )
    (folder / "b" / "mine.py").write_text(learner)
    (folder / "b" / "rules.py").write_text("PAY = 6")
    run = written("a/mine.py:Game", "b/mine.py")
    for path in [*(folder / "a").iterdir(), *(folder / "b").iterdir()]:
        if path.is_file():
            path.unlink()
    recipe = again(run)
    assert recipe.env.pay() == 5
    assert recipe.algorithm.thing.rules.PAY == 6


def test_a_run_made_before_there_was_a_table_of_files(written, folder):
    """It holds the copy of one file under its name; the version is of that file alone."""
    game(folder)
    run = written("game.py:Game")
    (run.path / "source" / "files.json").unlink()
    assert again(run, Trust()).env.pay() == 1
    game(folder, pay="2")
    assert again(run).env.pay() == 1
    (run.path / "source" / "game.py").write_text(GAME.format(pay="9", imports="", inside="pass"))
    with pytest.raises(ValueError, match="is not what the run was made with"):
        again(run)


def test_a_run_is_loaded_from_elsewhere(written, folder, monkeypatch):
    """The user's file is found where the run was made, also if it was imported as a module."""
    game(folder, "deep/mine.py", pay="4")
    run = written("deep/mine.py:Game")
    (folder / "other").mkdir()
    monkeypatch.chdir(folder / "other")
    assert again(run, Trust()).env.pay() == 4


def test_packages_of_the_current_folder(written, folder):
    """As `python -m` finds them."""
    (folder / "mypkg").mkdir()
    (folder / "mypkg" / "__init__.py").write_text("BASE = 8")
    (folder / "mypkg" / "rules.py").write_text("from mypkg import BASE\nPAY = BASE + 1")
    game(folder / "mypkg", "games.py", imports="from . import rules", pay="rules.PAY")
    sys.modules.pop("mypkg", None)
    run = written("mypkg.games:Game")
    assert run.config()["task"]["name"].startswith("mypkg.games:Game@")
    assert again(run, Trust()).env.pay() == 9
    names = {str(p.relative_to(run.path / "source")) for p in (run.path / "source").rglob("*.py")}
    assert names == {"mypkg/__init__.py", "mypkg/games.py", "mypkg/rules.py"}
    (folder / "mypkg" / "__init__.py").write_text("BASE = 1")
    assert again(run).env.pay() == 9


# ---------------------------------------------------------------------- scripts and notebooks

CALLS = {
    "comity.train": "import comity\ncomity.train(Game(), 'random', seeds=1, iterations=1, progress=False)",
    "from comity": "from comity import train as t\ndef study():\n    t('matrix', 'random', iterations=1)\nstudy()",
    "comity.resume": "import comity\ncomity.resume('runs/nothing')",
    "the loop": "from comity.training.loop import train\nfrom comity.recipes import from_objects\n"
    "from comity.training.settings import Training\ntrain(from_objects('matrix', 'random'), Training(iterations=1))",
}


@pytest.mark.parametrize("call", CALLS)
def test_a_script_does_not_train_when_it_is_imported(folder, capsys, call):
    path = game(folder, "study.py")
    before = len(path.read_text().splitlines())
    path.write_text(path.read_text() + CALLS[call] + "\n")
    last = before + len(CALLS[call].splitlines())
    assert main(["train", "study.py:Game", "random", "--iterations", "1"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert f"study.py, line {last}, trains whenever the file is imported" in said[0]
    assert not (folder / "runs").exists()
    body = "".join(f"    {line}\n" for line in CALLS[call].splitlines())
    game(folder, "study.py")
    path.write_text(path.read_text() + "if __name__ == '__main__':\n" + body)
    assert find_task("study.py:Game").thing().pay() == 1


@pytest.mark.parametrize("kind", [Settings, Plain])
def test_a_class_typed_into_a_notebook(written, monkeypatch, kind):
    notebook = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    typed = type("Typed", (kind,), {"__module__": "__main__"})
    typed = dataclasses.dataclass(frozen=True)(typed) if kind is Settings else typed
    setting = {"share": 0.125} if kind is Settings else {"pay": 2.5}
    run = written(typed(**setting))
    with pytest.raises(ValueError, match=r"task Typed was typed into .* a notebook.*comity.load\(RUN, env=\.\.\."):
        again(run)
    from comity.recipes import given

    assert given(run.config(), typed(**setting), None, run.path, Trust()).env == typed(**setting) or kind is Plain
    with pytest.raises(ValueError, match=r"the run's task has (share|pay) \S+, the one given"):
        given(run.config(), typed(), None, run.path, Trust())
    with pytest.raises(ValueError, match=r"the run's task is Typed@object, not test_own_files.py:Hidden"):
        given(run.config(), Hidden(), None, run.path, Trust())


# ---------------------------------------------------------------------- names

NAMES = [
    "my game.py",
    "a@b.py",
    "game@12345678.py",
    "a+b.py",
    "x:y.py",
    "it's.py",
    'say "hi".py',
    "a=b.py",
    "[x].py",
    "$HOME.py",
]
NAMES += ["ü é.py", "a;b.py", "py.py.py", "-.py", "a\\b.py", "#c.py", "rusp+rusp.py", "star*.py"]
NAMES.append("a\nb.py")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_file(written, folder, name):
    game(folder, name, pay="6")
    for place in (f"./{name}", str(folder / name)):
        assert parsed(f"{place}:Game+rusp") == (place, "Game", ("rusp",))
        assert versioned(f"{place}:Game@0123abcd+1") == (f"{place}:Game", "0123abcd+1")
        assert versioned(place)[0] == place
        assert spelled([f"{place}:Game"]) == [f"{place}:Game"]
    run = written(f"./{name}:Game")
    recipe = again(run, Trust())
    assert (recipe.env.pay(), recipe.task.name, recipe.task.stem) == (6, f"./{name}:Game", "Game")
    assert shlex.split(command("comity", "watch", f"runs/{name}")) == ["comity", "watch", f"runs/{name}"]
    (folder / name).write_text("make = lambda config, env: None")
    assert find_algorithm(f"./{name}").stem == name.removesuffix(".py").rpartition("\\")[2] or "\\" in name


def test_names_with_equals_on_the_command_line(folder):
    game(folder, "a=b.py")
    assert spelled(["a=b.py:Game", "seeds=2"]) == ["a=b.py:Game", "--seeds", "2"]
    assert spelled(["nofile=b.py:Game"]) == ["--nofile", "b.py:Game"]


def test_what_is_called_is_a_class_or_a_module(folder):
    make: Callable[[], None] = lambda: None  # noqa: E731
    assert make() is None
    (folder / "game.py").write_text("def Game(**k): raise SystemExit\nnumber = 3\nclass make: ...\n")
    for name in ("Game", "number", "make"):
        with pytest.raises(ValueError, match=f"{name} is no class with reset and step, so it was not called"):
            find_task(f"game.py:{name}")
    with pytest.raises(ValueError, match="has no make"):
        find_algorithm("game.py")
