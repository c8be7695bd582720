"""Programs kept between processes: the same bits without tracing, and a new program if what it depends on differs."""

import dataclasses
import hashlib
import hmac
import os
import pickle
import shutil
import subprocess
import sys

import jax
import pytest

import comity
from comity.recipes import from_objects
from comity.runs import private
from comity.training import loop, program_cache
from comity.training.seeds import Mode, Seeds
from comity.training.settings import Training
from tiny.runs import assert_same_run
from tiny.runs import recipe as own_recipe

SMALL = Training(seeds=2, envs=4, iterations=4, chunk=2, evaluations=2, evaluation_episodes=4, final_episodes=8)
NAMES = ["chunk", "evaluate", "init"]


@pytest.fixture(autouse=True, scope="module")
def key(tmp_path_factory):
    """The user's key, in a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        private.key.cache_clear()
        yield
    private.key.cache_clear()


@pytest.fixture(autouse=True)
def forgotten():
    """What was said once in another test is said again, and keys of other homes are not known."""
    private.usable.cache_clear()
    private.key.cache_clear()


@pytest.fixture
def lowered(monkeypatch):
    """The names of the programs that are traced."""
    names, lower = [], Seeds.lower

    def noted(self, f, *rest):
        names.append(f.__name__)
        return lower(self, f, *rest)

    monkeypatch.setattr(Seeds, "lower", noted)
    return names


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(a run, the folder of its programs)."""
    out = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        began(patch, out / "programs")
        return trained(out), out / "programs"


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Where programs are kept."""
    began(monkeypatch, tmp_path / "programs")
    return tmp_path / "programs"


@pytest.fixture
def first(made, folder):
    """A run whose programs are kept."""
    shutil.copytree(made[1], folder)
    return made[0]


def began(patch, folder):
    """As in a process that began after the last change of comity's files."""
    patch.setenv(program_cache.FOLDER, str(folder))
    patch.setattr(program_cache, "BEGAN", float("inf"))


def trained(out, training=SMALL, recipe=None, **settings):
    recipe = recipe or from_objects("matrix", "pg")
    recipe = dataclasses.replace(recipe, config=dataclasses.replace(recipe.config, hidden=8, **settings))
    return loop.train(recipe, training, out / "runs")


def test_a_second_process_traces_nothing_and_gets_the_same_bits(first, folder, lowered, monkeypatch, tmp_path):
    assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == NAMES
    second = trained(tmp_path)
    assert lowered == []
    assert_same_run(second, first)
    monkeypatch.setenv(program_cache.FOLDER, "")
    assert_same_run(trained(tmp_path), first)
    assert lowered == NAMES


def test_a_batch_of_seeds_too(folder, lowered, tmp_path):
    batch = dataclasses.replace(SMALL, mode="vmap")
    runs = [trained(tmp_path, batch) for _ in range(2)]
    assert lowered == NAMES
    assert_same_run(*runs)


def test_learning_rates_seeds_and_lengths_of_runs_need_no_other_programs(first, lowered, tmp_path):
    longer = dataclasses.replace(SMALL, iterations=6, first_seed=3, seeds=1, final_episodes=4)
    slow = trained(tmp_path, longer, learning_rate=1e-6)
    assert lowered == []
    assert slow.lines("metrics.jsonl") != first.lines("metrics.jsonl")


@pytest.mark.parametrize("field", ["envs", "chunk", "evaluation_episodes"])
def test_sizes_do(first, folder, lowered, tmp_path, field):
    """Each is one that a program is built with; the shelf is another, so nothing on it is found."""
    trained(tmp_path, dataclasses.replace(SMALL, iterations=1, evaluations=1, **{field: 3 if field == "envs" else 1}))
    assert lowered == NAMES
    assert len(list(folder.iterdir())) == 6


@pytest.fixture
def shelf(folder):
    """The shelf of a run of PG."""

    def of(game="matrix", mode: Mode = "loop", options=None, games=4, **settings):
        recipe = from_objects(comity.make(game, **(options or {})), "pg")
        recipe = dataclasses.replace(recipe, config=dataclasses.replace(recipe.config, **settings))
        return program_cache.shelf(recipe, Seeds(2, mode), games=games)

    return of


@pytest.mark.parametrize(
    "change",
    [
        {"game": "n-step"},
        {"options": {"payoff": (1.0, 0.0, 0.0, 2.0)}},
        {"activation": "gelu"},
        {"mode": "vmap"},
        {"games": 5},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_programs_are_made_from(shelf, change):
    assert shelf() == shelf(learning_rate=0.1)
    assert shelf(**change) != shelf()


def test_another_process_looks_for_the_same_programs(folder):
    """Sets print in an order that is drawn anew in every process: Manitokan's spec has one."""
    script = (
        "import comity; from comity.recipes import from_objects; from comity.training.seeds import Seeds; "
        "from comity.training import program_cache; recipe = from_objects(comity.make('manitokan'), 'pg'); "
        "print(program_cache.shelf(recipe, Seeds(1, 'loop'), games=2).made_from)"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "COMITY_PROGRAMS": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert len(set(told)) == 1
    assert told[0].strip()


@pytest.mark.parametrize("what", ["a variable", "a setting of jax", "a file of comity", "versions", "the machine"])
def test_what_else_programs_are_made_from(shelf, monkeypatch, what):
    before = shelf()
    if what == "a variable":
        monkeypatch.setenv("XLA_FLAGS", f"{os.environ['XLA_FLAGS']} ")
    elif what == "a setting of jax":
        jax.config.update("jax_default_matmul_precision", "highest")
    elif what == "a file of comity":
        monkeypatch.setattr(program_cache, "_contents", lambda files: "other contents")
    elif what == "versions":
        monkeypatch.setattr(program_cache, "versions", lambda: {"jax": "0.10.9"})
    else:
        monkeypatch.setattr(program_cache, "features", lambda: "avx avx2")
    try:
        assert shelf() not in (before, None)
    finally:
        jax.config.update("jax_default_matmul_precision", None)


def test_contents_are_of_every_file(monkeypatch, tmp_path):
    (tmp_path / "inside").mkdir()
    paths = tuple(tmp_path / name for name in ("__init__.py", "inside/b.py"))
    for path in paths:
        path.write_text("x = 1")
    monkeypatch.setattr(comity, "__file__", str(paths[0]))
    assert program_cache.files() == paths
    before = program_cache._contents.__wrapped__(paths)
    paths[1].write_text("x = 2")
    assert program_cache._contents.__wrapped__(paths) != before


def test_files_that_changed_since_the_process_began(shelf, monkeypatch):
    """What was imported may be older or newer than what is read now: nothing is fetched, nothing kept."""
    assert shelf()
    monkeypatch.setattr(program_cache, "BEGAN", max(path.stat().st_mtime for path in program_cache.files()))
    assert shelf() is None


@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_a_damaged_file_is_compiled_and_written_anew(first, folder, lowered, monkeypatch, tmp_path, harm):
    read, loads = [], pickle.loads
    monkeypatch.setattr(program_cache.pickle, "loads", lambda data: read.append(data) or loads(data))
    path = next(folder.glob("evaluate-*"))
    whole = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        middle = len(whole) // 2
        rest = b"" if harm == "cut" else bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        path.write_bytes(whole[:middle] + rest)
    assert_same_run(trained(tmp_path), first)
    assert lowered == ["evaluate"]
    assert len(read) == 3  # the two others, and once what is written
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


def test_another_name_of_the_same_processor_is_no_other_machine(shelf, monkeypatch):
    before = shelf()
    monkeypatch.setattr("comity.training.machine.processor", lambda: "another name")
    assert shelf() == before


@pytest.mark.parametrize("fault", ["a file", "mode 0755", "mode 0777", "a link", "another user"])
def test_a_folder_that_is_not_the_users_own(folder, shelf, monkeypatch, capsys, tmp_path, fault):
    """It is not used, which is said once; training goes on without."""
    if fault == "a file":
        folder.write_text("a file")
    elif fault == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.mkdir()
        folder.chmod(0o700 if fault == "another user" else int(fault[-4:], 8))
        if fault == "another user":
            monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    assert shelf() is None
    assert shelf() is None
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"comity: no compiled programs are kept: {folder} ")


@pytest.mark.parametrize("fault", ["HOME missing", "HOME empty", "no key", "a key that others read", "a short key"])
def test_without_a_key_of_the_users_nothing_is_kept(folder, shelf, monkeypatch, tmp_path, fault):
    private.key.cache_clear()
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    if fault == "HOME missing":
        monkeypatch.delenv("HOME")
    elif fault == "HOME empty":
        monkeypatch.setenv("HOME", "")
    elif fault == "no key":
        (tmp_path / ".config").write_text("")
    else:
        assert shelf()
        path = tmp_path / ".config" / "comity" / "key"
        assert path.stat().st_mode & 0o777 == 0o600
        if fault == "a short key":
            path.write_bytes(b"short")
        path.chmod(0o600 if fault == "a short key" else 0o644)
        private.key.cache_clear()
    assert shelf() is None


@pytest.mark.parametrize("fault", ["HOME missing", "HOME empty", "XDG_CACHE_HOME empty", "both empty", "open to all"])
def test_no_place_for_a_cache(monkeypatch, tmp_path, capsys, fault):
    """Without HOME there is no cache, in no other place either; a folder that others may change is not used."""
    from comity.cli.main import surroundings

    monkeypatch.chdir(tmp_path)
    home = {"HOME missing": {}, "HOME empty": {"HOME": ""}, "both empty": {"HOME": "", "XDG_CACHE_HOME": ""}}
    there = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": ""}
    monkeypatch.setattr(os, "environ", dict(home.get(fault, there)))
    if fault == "open to all":
        (tmp_path / "home/.cache/comity/programs").mkdir(parents=True)
        (tmp_path / "home/.cache/comity/programs").chmod(0o777)
    surroundings("evaluate", [])
    kept_in = os.environ.get("COMITY_PROGRAMS")
    assert kept_in == (str(tmp_path / "home/.cache/comity/programs") if fault == "XDG_CACHE_HOME empty" else None)
    assert not kept_in or os.stat(kept_in).st_mode & 0o777 == 0o700
    assert ("0777" in capsys.readouterr().err) == (fault == "open to all")
    assert set(os.listdir(tmp_path)) <= {"home"}


class Marks:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("attempt", ["as earlier versions", "our beginning", "another's key", "another's program"])
def test_a_strangers_file_is_never_unpickled(first, folder, lowered, monkeypatch, tmp_path, attempt):
    """It has the right name and the right beginning, and is the user's own file by all that a system knows."""
    path, content = next(folder.glob("evaluate-*")), pickle.dumps(Marks(tmp_path / "MARKER"))
    if attempt == "as earlier versions":
        forged = hashlib.sha256(content).digest() + content
    elif attempt == "our beginning":
        forged = program_cache.MAGIC + bytes(32) + content
    elif attempt == "another's key":
        forged = program_cache.MAGIC + hmac.digest(bytes(32), path.name.encode() + b"\0" + content, "sha256") + content
    else:
        forged = next(folder.glob("init-*")).read_bytes()
    path.write_bytes(forged)
    assert_same_run(trained(tmp_path), first)
    assert lowered == ["evaluate"]
    assert not (tmp_path / "MARKER").exists()


def test_the_oldest_make_room(first, folder, monkeypatch, tmp_path):
    old = sorted(folder.iterdir())
    size = sum(path.stat().st_size for path in old)
    for age, path in enumerate(old):
        os.utime(path, (age, age))  # chunk, evaluate, init: by age
    monkeypatch.setattr(program_cache, "LARGEST", size)
    others = [folder / name for name in ("thesis.tex", "chunk-notes", f"evaluate-{'0' * 32}")]
    for path in others:  # somebody's, and older than all programs
        path.write_bytes(b"thesis" * 1000)
        os.utime(path, (-1, -1))
    trained(tmp_path, dataclasses.replace(SMALL, evaluation_episodes=3))
    assert sum(path.stat().st_size for path in folder.iterdir() if path not in others) <= size
    assert not old[0].exists()
    assert [path.read_bytes() for path in others] == [b"thesis" * 1000] * len(others)
