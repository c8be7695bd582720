"""A run directory from a stranger is only data: each attempt is refused in one line before any of its code runs.

Code in these attempts writes a marker file when it runs.
"""

import hashlib
import json
import os
import pickle
import py_compile
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import comity
from comity.cli.main import main, surroundings
from comity.runs import sources, writing
from tiny.runs import NAMES

COMMANDS = ["evaluate RUN", "watch RUN", "resume RUN", "play RUN", "train --config RUN"]
TRAINING: dict[str, Any] = {
    "seeds": 1,
    "envs": 2,
    "iterations": 1,
    "chunk": 1,
    "evaluation_episodes": 2,
    "final_episodes": 2,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of what is shipped."""
    out = tmp_path_factory.mktemp("whole")
    return comity.train("matrix", "random", out=out, progress=False, **{**TRAINING, "evaluations": 1}).path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, where the stranger's archive was unpacked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return tmp_path


def marking(folder: Path) -> str:
    """A game's file that leaves the marker behind when it is imported."""
    body = "class Game:\n    def __init__(self, **options): mark()\n    def reset(self, key): ...\n    step = reset\n"
    return f"def mark(): open({str(folder / 'MARKER')!r}, 'a').close()\nmark()\n{body}\ndef make(config, env): mark()\n"


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def run_of(folder: Path, task: str = "matrix@1", algorithm: str = "random@1", **settings: object) -> Path:
    """A run directory with this config, and nothing to play yet."""
    run = folder / "runs" / "strange"
    for name in ("checkpoints", "figures", "source"):
        (run / name).mkdir(parents=True, exist_ok=True)
    config = {"task": {"name": task, **settings}, "algorithm": {"name": algorithm}, "training": TRAINING}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    return run


def raw(folder: Path, text: str) -> Path:
    run = run_of(folder)
    (run / "config.yaml").write_text(text)
    return run


def with_copy(folder: Path, task: str, text: str, **files: str) -> Path:
    """A run with source/game.py and a table of its files. files: other entries of the table."""
    run = run_of(folder, task)
    (run / "source" / "game.py").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    entry = {"place": str(folder / "nowhere"), "main": "game.py", "copy": "", "sha256": {"game.py": digest}, **files}
    (run / "source" / sources.TABLE).write_text(json.dumps({"task": entry}))
    return run


def beside(folder: Path, name: str, text: str, mode: int = 0o644) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def linked_copy(folder: Path) -> Path:
    run = with_copy(folder, f"game.py:Game@{hashed(marking(folder))}", marking(folder))
    path = beside(folder, "elsewhere.py", marking(folder))
    (run / "source" / "game.py").unlink()
    (run / "source" / "game.py").symlink_to(path)
    return run


def in_other_run(folder: Path) -> Path:
    other = folder / "runs" / "other"
    (other / "checkpoints").mkdir(parents=True)
    (other / "config.yaml").write_text("")
    beside(other, "source/game.py", marking(folder))
    return run_of(folder, f"runs/other/source/game.py:Game@{hashed(marking(folder))}")


def library(name: str) -> str:
    """The hash of a file of Python's own library."""
    return hashlib.sha256((Path(os.__file__).parent / f"{name}.py").read_bytes()).hexdigest()[:8]


def bomb(folder: Path) -> Path:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    return raw(folder, "\n".join([*lines, "task: {name: matrix}", "algorithm: {name: random}"]))


def fifo(folder: Path) -> Path:
    run = run_of(folder)
    (run / "config.yaml").unlink()
    os.mkfifo(run / "config.yaml")
    return run


def game(folder: Path) -> str:
    return f"game.py:Game@{hashed(marking(folder))}"


ATTEMPTS: dict[str, Callable[[Path], Path]] = {
    # What a name may mean.
    "os:system": lambda f: run_of(f, "os:system@1", command=f"touch {f / 'MARKER'}"),
    "os:system with its hash": lambda f: run_of(f, f"os:system@{library('os')}", command=f"touch {f / 'MARKER'}"),
    "subprocess:run": lambda f: run_of(f, "subprocess:run@1", args=["touch", str(f / "MARKER")]),
    "subprocess:Popen": lambda f: run_of(f, "subprocess:Popen", args=["touch", str(f / "MARKER")]),
    "builtins:exec": lambda f: run_of(f, "builtins:exec@1", source="open('MARKER', 'w')"),
    "builtins:open": lambda f: run_of(f, "builtins:open@1", file=str(f / "MARKER"), mode="w"),
    "pathlib:Path.touch": lambda f: run_of(f, "pathlib:Path.touch@1", self=str(f / "MARKER")),
    "a module that acts": lambda f: run_of(f, f"antigravity:geohash@{library('antigravity')}"),
    "a command of comity": lambda f: run_of(f, "comity.cli.main:main@1", arguments=["demo", "--out", "MARKER"]),
    "a module as algorithm": lambda f: run_of(f, algorithm="os@1"),
    "a part of comity as algorithm": lambda f: run_of(f, algorithm="comity.api@1"),
    "a wrapper from elsewhere": lambda f: run_of(f, "ipd+os@1"),
    "a list as name": lambda f: raw(f, "task: {name: [os, system]}\nalgorithm: {name: random}\ntraining: {seeds: 1}"),
    # Files beside the run, and anywhere.
    "a file without hash": lambda f: run_of(f, f"{beside(f, 'game.py', marking(f)).name}:Game"),
    "a file with another hash": lambda f: run_of(f, f"{beside(f, 'game.py', marking(f)).name}:Game@12345678"),
    "an absolute path": lambda f: run_of(f, f"{beside(f, 'deep/game.py', marking(f))}:Game@12345678"),
    "an absolute path without hash": lambda f: run_of(f, algorithm=f"{beside(f, 'deep/game.py', marking(f))}"),
    "a file that all may write": lambda f: run_of(f, (beside(f, "game.py", marking(f), 0o666), game(f))[1]),
    "a script that is no game": lambda f: run_of(
        f, f"{beside(f, 'script.py', marking(f)[:99]).name}:Game@{hashed(marking(f)[:99])}"
    ),
    "a package": lambda f: run_of(f, f"{beside(f, 'evil/__init__.py', marking(f)).parent.name}:Game@12345678"),
    "a module in a package": lambda f: run_of(f, (beside(f, "evil/__init__.py", marking(f)), "evil.game:Game@1")[1]),
    # Copies in the run.
    "a copy": lambda f: with_copy(f, game(f), marking(f)),
    "a copy as old runs have it": lambda f: (run := run_of(f, game(f)), beside(run, "source/game.py", marking(f)))[0],
    "an algorithm's copy": lambda f: (
        run := run_of(f, algorithm=f"game.py@{hashed(marking(f))}"), beside(run, "source/game.py", marking(f))
    )[0],
    "a copy named by its path": lambda f: (
        run := run_of(f, f"runs/strange/source/game.py:Game@{hashed(marking(f))}"),
        beside(run, "source/game.py", marking(f)),
    )[0],
    "a copy in another run": in_other_run,
    "a copy that is a link": linked_copy,
    "a place inside the run": lambda f: with_copy(f, game(f), marking(f), place=str(f / "runs/strange/source")),
    "a table that leads outside": lambda f: with_copy(f, game(f), marking(f), main="../../../game.py"),
    "a table with an absolute copy": lambda f: with_copy(f, game(f), marking(f), copy="/tmp/"),
    # config.yaml itself.
    "a python tag": lambda f: raw(f, f"task: !!python/object/apply:os.system ['touch {f / 'MARKER'}']"),
    "aliases": bomb,
    "depth": lambda f: raw(f, "task: {name: matrix}\nalgorithm: {name: random}\nx: " + "[" * 5000 + "]" * 5000),
    "size": lambda f: raw(f, "task: {name: matrix}\nalgorithm: {name: random}\nx: " + "1" * (1 << 21)),
    "control characters": lambda f: raw(f, 'task: {name: "\\e[31mmatrix"}\nalgorithm: {name: random}\n'),
    "an escape in a name": lambda f: run_of(f, "\u202ematrix"),
    "a pipe": fifo,
    "seeds beyond number": lambda f: raw(
        f, f"task: {{name: matrix}}\nalgorithm: {{name: random}}\ntraining: {{iterations: 1, seeds: {10**12}}}"
    ),
    "training that is none": lambda f: raw(f, "task: {name: matrix}\nalgorithm: {name: random}\ntraining: 3.5"),
}  # fmt: skip


def refused(capsys, words: list[str]) -> str:
    """The one line of a command that fails."""
    capsys.readouterr()
    assert main(words) in (1, 2), words
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert len([line for line in lines if line.startswith("comity: error: ")]) == 1, said.err
    assert "Traceback" not in said.err
    assert "\x1b" not in said.err + said.out
    assert "\u202e" not in said.err + said.out
    return lines[-1]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_attempts_are_refused(capsys, folder, attempt):
    run = ATTEMPTS[attempt](folder)
    for line in COMMANDS:
        refused(capsys, line.replace("RUN", str(run)).split())
    with pytest.raises(ValueError, match=r".") as error:
        comity.load(run)
    assert "\n" not in str(error.value)
    assert not (folder / "MARKER").exists()


def test_the_attempts_are_real(capsys, folder):
    """What is refused would have run: with --trust a copy does, and its hash is in the line that says so."""
    run = ATTEMPTS["a copy"](folder)
    assert f"version {hashed(marking(folder))} is {run / 'source' / 'game.py'}, which came" in refused(
        capsys, ["watch", str(run)]
    )
    assert not (folder / "MARKER").exists()
    assert main(["watch", str(run), "--trust"]) == 1
    assert "running version" in capsys.readouterr().err
    assert (folder / "MARKER").exists()


@pytest.mark.parametrize("harm", ["the copy", "what it imports", "the table"])
def test_trust_is_no_leave_for_what_was_changed(capsys, folder, harm):
    """The hash in the config is that of all copies: another file is refused with --trust, too."""
    beside(folder, "game.py", "import rules\n" + marking(folder))
    beside(folder, "rules.py", "PAY = 1\n")
    files = sources.of_file(folder / "game.py")
    run = run_of(folder, f"game.py:Game@{files.version}")
    sources.copy(run / "source", {"task": files}, writing.write_bytes)
    name = "rules.py" if harm == "what it imports" else "game.py"
    beside(run, f"source/{name}", marking(folder) + "PAY = 2\n")
    if harm == "the table":
        again = sources.of_file(run / "source" / "game.py")
        sources.copy(run / "source", {"task": again}, writing.write_bytes)
    for other in ("game.py", "rules.py"):
        (folder / other).unlink()
    said = refused(capsys, ["evaluate", str(run), "--trust"])
    assert "is not what the run was made with" in said
    assert name in said
    assert not (folder / "MARKER").exists()


def test_compiled_files_are_never_read(capsys, folder):
    """A .pyc beside a copy holds other code than the file whose hash was compared."""
    text = marking(folder)
    harmless = "# " + "x" * (len(text) - 3) + "\n"
    run = with_copy(folder, f"game.py:Game@{hashed(harmless)}", text)
    cached = py_compile.compile(str(run / "source" / "game.py"), doraise=True)
    assert cached
    when = (run / "source" / "game.py").stat().st_mtime
    with_copy(folder, f"game.py:Game@{hashed(harmless)}", harmless)
    os.utime(run / "source" / "game.py", (when, when))
    assert "has no Game" in refused(capsys, ["evaluate", str(run), "--trust"])
    assert not (folder / "MARKER").exists()


def test_yes_in_a_terminal(folder, monkeypatch, capsys):
    from comity.runs import trust

    run, asked = ATTEMPTS["a copy"](folder), []

    class Terminal:
        def isatty(self):
            return True

        def readline(self):
            return asked.append(1) or ("no\n" if len(asked) == 1 else "yes\n")

    monkeypatch.setattr(trust.sys, "stdin", Terminal())
    monkeypatch.setattr(trust.sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["watch", str(run)]) == 1
    assert "game.py" in capsys.readouterr().err
    assert not (folder / "MARKER").exists()
    assert main(["watch", str(run)]) == 1
    assert (folder / "MARKER").exists()
    assert len(asked) == 2


# ---------------------------------------------------------------------- links, sizes


@pytest.mark.parametrize("name", ["metrics.jsonl", "eval.jsonl", ".lock", "log.txt", "checkpoints", "figures"])
def test_links_are_not_followed(capsys, folder, whole, name):
    shutil.copytree(whole, folder / "run")
    outside = folder / "outside"
    path = folder / "run" / name
    if path.is_dir():
        path.rename(outside)
        (outside / ".mine.part").write_text("mine")
    else:
        outside.write_text("mine")
        path.unlink(missing_ok=True)
    path.symlink_to(outside)
    before = {file: file.read_bytes() for file in ([outside] if outside.is_file() else outside.iterdir())}
    for words in (["resume", "run", "--iterations", "+1"], ["watch", "run"]):
        assert f"run/{name} is a link" in refused(capsys, words)
    assert {file: file.read_bytes() for file in before} == before
    assert outside.is_file() or set(outside.iterdir()) == set(before)


@pytest.mark.parametrize("pool", [10**9, -1, "4", [4], None, True])
def test_a_manifest_of_many_threads(folder, whole, pool):
    shutil.copytree(whole, folder / "run")
    (folder / "run" / "manifest.json").write_text(json.dumps({"bits": {"pool": pool}}))
    os.environ.pop("NPROC", None)
    surroundings("resume", ["run"])
    assert os.environ.get("NPROC") in (None, "1")


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None], how: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


class Marks:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("attempt", ["compressed", "a shape of terabytes", "objects", "a negative shape"])
def test_checkpoints_that_lie(capsys, folder, whole, attempt):
    shutil.copytree(whole, folder / "run")
    (path,) = [p for p in (folder / "run" / "checkpoints").iterdir() if p.stem == "00000001"]
    for other in (folder / "run" / "checkpoints").glob("0000000*.npz"):
        if other != path:
            other.unlink()

    def change(entries: dict[str, bytes]) -> None:
        name = next(name for name in entries if name.endswith(".npy"))
        header = lambda text: b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text  # noqa: E731
        said = b"{'descr': '%s', 'fortran_order': False, 'shape': (%s,)}\n"
        if attempt == "compressed":
            entries[name] = bytes(1 << 22)
        elif attempt == "a shape of terabytes":
            entries[name] = header(said % (b"<f4", b"1000000000000"))
        elif attempt == "a negative shape":
            entries[name] = header(said % (b"<f4", b"-1"))
        else:
            entries[name] = header(said % (b"|O", b"1")) + pickle.dumps(Marks(folder / "MARKER"))

    rewritten(path, change, zipfile.ZIP_DEFLATED if attempt == "compressed" else zipfile.ZIP_STORED)
    for words in (["evaluate", "run"], ["resume", "run", "--iterations", "+1"]):
        said = refused(capsys, words)
        assert "compressed" in said if attempt == "compressed" else "is corrupt" in said
    assert not (folder / "MARKER").exists()


def test_numbers_of_lines_that_lie(capsys, folder, whole):
    shutil.copytree(whole, folder / "run")
    lines = (folder / "run" / "eval.jsonl").read_text().splitlines()
    line = {**json.loads(lines[0]), "seed": 1e300}
    (folder / "run" / "eval.jsonl").write_text("\n".join([json.dumps(line), *lines[1:]]) + "\n")
    assert "eval.jsonl, line 1, has seed '1e+300': remove the line" in refused(capsys, ["compare", "run"])
    (folder / "run" / "eval.jsonl").write_text("[" * 100_000 + "\n" + "\n".join(lines) + "\n")
    assert "eval.jsonl, line 1, is not JSON (it is nested too deeply): remove the line" in refused(
        capsys, ["compare", "run"]
    )


@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_of_metrics_are_printed_without_control_characters(capsys, folder, whole):
    shutil.copytree(whole, folder / "run")
    path = folder / "run" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "\x1b[2J", "headline": "re\x1b]0;x\x07turn"}))
    lines = [json.loads(line) for line in (folder / "run" / "eval.jsonl").read_text().splitlines()]
    for line in lines:
        line["mean"]["re\x1b]0;x\x07turn"] = np.pi
    (folder / "run" / "eval.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["compare", "run"]) == 0
    said = capsys.readouterr().out
    assert "3.14" in said
    assert "\x1b" not in said
    assert "\x07" not in said


def test_a_users_own_file_needs_no_trust(capsys, folder):
    """The file is where the run says, with the run's hash: it runs without a word."""
    comity.train(comity.make(NAMES[0]), comity.algorithm(NAMES[1]), progress=False, evaluations=1, **TRAINING)
    assert main(["evaluate", "latest", "--episodes", "2"]) == 0
    assert "version" not in capsys.readouterr().err
