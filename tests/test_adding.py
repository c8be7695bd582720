"""docs/adding.md: toys of every kind, put into a copy of the package, and the places that they change."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import comity

ROOT = Path(comity.__file__).parent
TOYS = ROOT.parent / "docs" / "examples" / "adding"
ALGORITHM = '    "toy": ("comity.algorithms.toy", "a toy"),'
TASK = '    "toy": ("comity.environments.toy:Toy", "a toy"),'
FIGURE = '        ("lica", "toy", "a toy"),'
WRAPPER = '    "scaled": ("comity.environments.wrappers.toy:Scaled", "a toy"),'
PLACES: dict[str, dict[str, str | list[tuple[str, str]]]] = {
    # What is added: {place: the toy that it is, or what stands there and what takes its place}.
    "algorithm": {
        "algorithms/toy.py": "algorithm.py",
        "algorithms/__init__.py": [
            ('    "random": (', '    "toy": ("comity.algorithms.toy", "a toy"),\n    "random": (')
        ],
    },
    "task": {
        "environments/toy.py": "task.py",
        "environments/__init__.py": [
            ('    "ipd": (', '    "toy": ("comity.environments.toy:Toy", "a toy"),\n    "ipd": (')
        ],
    },
    "wrapper": {
        "environments/wrappers/toy.py": "wrapper.py",
        "environments/__init__.py": [('    "scripted": (', f'{WRAPPER}\n    "scripted": (')],
    },
    "figure": {
        "experiments/lica/toy.py": "figure.py",
        "experiments/lica/paper.py": [
            ("from comity.recipes", "from comity.experiments.lica.toy import TOY\nfrom comity.recipes"),
            ("JUNCTION, ABLATIONS)", "JUNCTION, ABLATIONS, TOY)"),
            ("says=SAYS[figure.name]", "says=SAYS.get(figure.name, ())"),
        ],
        "experiments/__init__.py": [
            ('        ("lica", "fig2",', '        ("lica", "toy", "a toy"),\n        ("lica", "fig2",')
        ],
    },
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of comity with all toys in it."""
    package = tmp_path_factory.mktemp("adding") / "comity"
    shutil.copytree(ROOT, package, ignore=shutil.ignore_patterns("__pycache__", "*.npz"))
    for places in PLACES.values():
        for place, what in places.items():
            path = package / place
            if isinstance(what, str):
                shutil.copy(TOYS / what, path)
                continue
            text = path.read_text(encoding="utf-8")
            for old, new in what:
                assert text.count(old) == 1, f"{place}: {old}"
                text = text.replace(old, new)
            path.write_text(text, encoding="utf-8")
    return package


def run(package: Path, *words: str) -> str:
    command = [sys.executable, "-m", "comity", *words]
    done = subprocess.run(command, cwd=package.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_names_the_places():
    page = (ROOT.parent / "docs" / "adding.md").read_text(encoding="utf-8")
    assert [len(places) for places in PLACES.values()] == [2, 2, 2, 3]
    for what, places in PLACES.items():
        assert f"| {what} | {len(places)} |" in page
        assert all(f"`comity/{place}`" in page for place in places)


def test_what_is_added_learns_from_the_command_line(package):
    assert "toy" in run(package, "list", "algorithms")
    words = ("train", "toy+scaled", "toy", "--iterations", "80", "--envs", "64", "--seeds", "1")
    run(package, *words, "--out", str(package.parent / "runs"))
    (path,) = package.parent.glob("runs/toy+scaled/toy/*/eval.jsonl")
    last = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    assert last["mean"]["return"] > 1.9  # of 2 points; random play: 0.67


def test_an_added_figure_is_planned(package):
    assert "toy" in run(package, "reproduce", "lica/toy", "--plan")
