"""The arrows of ARCHITECTURE.md: which modules may import which."""

import ast
import re
from pathlib import Path

import pytest

import comity
from tests.mutations import MUTATIONS

ROOT = Path(comity.__file__).parent
BASE = {"types", "spec", "settings", "names", "runs"}
MAY_IMPORT = {  # part of comity: the parts it may import, besides itself
    "spec": set(),
    "types": {"spec"},
    "axes": set(),
    "loops": {"types", "spec"},
    "settings": set(),
    "extras": set(),
    "rollout": {"types", "spec", "axes", "loops"},
    "learning": {"types", "spec", "axes", "loops"},
    "networks": {"types", "spec", "axes", "loops", "learning"},
    "drawing": set(),
    "environments": {"types", "spec", "axes", "settings", "drawing"},
    "algorithms": {*BASE, "axes", "rollout", "learning", "networks", "compatibility"},
    "opponents": {"types", "spec", "settings", "networks", "environments", "algorithms"},
    "report": {"types", "spec", "settings", "extras", "runs"},
    "runs": {"settings", "names"},
    "recipes": {*BASE, "algorithms", "environments"},
    "checking": {"types", "spec", "settings", "rollout", "learning", "runs"},
    "trackers": {"extras", "runs", "settings"},
    "training": {*BASE, "extras", "trackers", "axes", "rollout", "report", "recipes", "checking"},
    "interop": {"types", "spec", "settings", "extras", "names", "runs", "recipes"},
    "sweeps": {*BASE, "extras", "report", "recipes", "training"},
    "bench": {*BASE, "rollout", "recipes", "training", "environments"},
    "experiments": {*BASE, "rollout", "learning", "report", "recipes", "training", "environments", "algorithms"},
}


def imports(file: Path) -> set[str]:
    """Parts of comity that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{name.name}" for name in node.names} if node.module == "comity" else {node.module}
    return {name.split(".")[1] for name in found if name.startswith("comity.")}


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_arrows(part):
    files = [ROOT / f"{part}.py"] if (ROOT / f"{part}.py").exists() else sorted((ROOT / part).rglob("*.py"))
    assert files
    for file in files:
        wrong = imports(file) - MAY_IMPORT[part] - {part}
        assert not wrong, f"{file.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


def test_the_loop_names_no_algorithm():
    from comity.algorithms import ALGORITHMS

    for file in (ROOT / "training").glob("*.py"):
        words = {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)}
        named = words & set(ALGORITHMS)
        assert named <= ({"random"} if file.name == "crossplay.py" else set()), f"{file.name} names {named}"


def test_the_page_is_short_and_names_files_that_exist():
    text = (ROOT.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 124
    walk = text[text.index("in eight files") : text.index("## Places to change")]
    named = re.findall(r"^\d\. `([\w/]+\.py)`", walk, re.MULTILINE)
    assert len(named) == 8
    assert all((ROOT / name).exists() for name in named), named


@pytest.mark.parametrize("one", MUTATIONS, ids=lambda one: one.file)
def test_lines_that_mutations_change_still_exist(one):
    code = (ROOT / one.file).read_text(encoding="utf-8")
    assert code.count(one.code) == 1, one.what
    assert (ROOT.parent / one.tests).exists()
