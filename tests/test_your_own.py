"""The installed wheel in an empty directory: docs/your_own.md word for word, and verdicts of shipped records."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from comity.experiments import PAPERS

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
TEXT = (ROOT / "docs" / "your_own.md").read_text(encoding="utf-8")
SHORT = ["--envs", "4", "--seeds", "1", "--evaluations", "1", "--evaluation-episodes", "4", "--final-episodes", "4"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def run(*words: str | Path, folder: Path) -> str:
    hidden = ("PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{shlex.join(map(str, words))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    run(*build, folder=folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory) -> Path:
    """bin/ of a new virtual environment with the wheel; what comity depends on comes from this one."""
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", home, folder=home)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, folder=home)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=home).strip())
    # A path file read here is not read for path files of its own: a checkout installed as editable stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    place = run(python, "-c", "import comity; print(comity.__file__)", folder=home)
    assert Path(place.strip()).is_relative_to(packages)
    return home / "bin"


def test_blocks_are_the_files():
    for name in ("my_game.py", "my_algorithm.py"):
        assert (EXAMPLES / name).read_text(encoding="utf-8") in blocks("python")


def test_wheel_holds_what_is_not_python(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"comity/py.typed", "comity/report/replay.html"} <= set(names)
    assert not [name for name in names if not name.startswith(("comity/", "comity-"))]
    assert len([name for name in names if name.endswith("/records.npz")]) == len(PAPERS)


@pytest.mark.skipif(os.name == "nt", reason="paths of a POSIX virtual environment")
@pytest.mark.parametrize("name", ["hidden-gifts/fig5", "rusp/fig9"])
def test_verdicts_are_recomputed_from_the_records_in_the_wheel(installed, tmp_path, name):
    paper, _, figure = name.partition("/")
    said = run(installed / "comity", "reproduce", name, "--no-train", "--out", "here", folder=tmp_path)
    assert said.startswith("nothing to train\n")
    made = json.loads((tmp_path / "here" / f"{figure}.claims.json").read_text())
    assert made == json.loads((ROOT / "docs" / "papers" / paper / f"{figure}.claims.json").read_text())
    assert made["claims"]
    assert all(arm["seeds"] for arm in made["arms"].values())


@pytest.mark.skipif(os.name == "nt", reason="paths of a POSIX virtual environment")
def test_commands(installed, tmp_path):
    for file in EXAMPLES.glob("*.py"):
        shutil.copy(file, tmp_path)
    commands = blocks("sh")[0].splitlines()
    assert any(line.startswith("comity train my_game.py:MyGame pg") for line in commands)
    for line in commands:
        words = shlex.split(re.sub(r"--iterations \d+", "--iterations 2", re.sub(r"--seeds \d+", "", line)))
        run(installed / words[0], *words[1:], *(SHORT if words[1] == "train" else ()), folder=tmp_path)
    runs = [path.parent for path in (tmp_path / "runs").rglob("config.yaml")]
    assert len(runs) == 3
    watched = [path for folder in runs for path in (folder / "figures").iterdir() if path.name.startswith("seed0")]
    check_films(*watched, tmp_path / "hunters.gif", tmp_path / "hunters.html")
    assert len(list((tmp_path / "comparisons").glob("*/compare.png"))) == 1


@pytest.mark.skipif(os.name == "nt", reason="paths of a POSIX virtual environment")
def test_python(installed, tmp_path):
    for file in EXAMPLES.glob("*.py"):
        shutil.copy(file, tmp_path)
    check, program = (block for block in blocks("python") if block.startswith("import comity"))
    short = "seeds=1, iterations=2, envs=4, evaluations=1, evaluation_episodes=4, final_episodes=4"
    program = program.replace("seeds=5, iterations=200", short)
    assert program.count(short) == 2
    run(installed / "python", "-c", check + program, folder=tmp_path)
    check_films(tmp_path / "python.gif", tmp_path / "python.html")


def check_films(*files: Path) -> None:
    assert {file.suffix for file in files} == {".gif", ".html"}
    for file in files:
        content = file.read_bytes()
        assert content.startswith(b"GIF89a" if file.suffix == ".gif" else b"<!")
        assert len(content) > 1000
