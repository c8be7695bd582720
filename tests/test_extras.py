"""Extras: each has code behind it, and what a message or a page says to install can be installed."""

import re
import tomllib
from pathlib import Path

import pytest

from comity.extras import EXTRAS, needed

ROOT = Path(__file__).parents[1]
GIVEN = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TEXTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "comity").rglob("*.py")]


def test_extras_have_code_behind_them():
    code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "comity").rglob("*.py"))
    used = {extra for name, (_, extra) in EXTRAS.items() if re.search(rf'needed\("{name}[".]', code)}
    assert used - {None} == GIVEN.keys() - {"dev", "docs"}  # those are for work on this repository


@pytest.mark.parametrize("name", EXTRAS)
def test_an_extra_brings_what_its_message_names(name):
    packages, extra = EXTRAS[name]
    brought = {re.split(r"[><=\[ ]", line)[0] for line in GIVEN[extra]} if extra else {"jaxmarl"}
    assert set(packages.split()) <= brought


def test_pages_and_messages_install_from_what_there_is():
    """Extras by the path of a checkout or a wheel, since no index has comity yet."""
    for file in TEXTS:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\bcomity\[", text), file
        asked = re.findall(r"'\.\[(\w+)\]'|\.whl\[(\w+)\]", text)
        assert {a or b for a, b in asked} <= GIVEN.keys(), file


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pyarrow", "pip install pyarrow (in a checkout of comity: pip install '.[analysis]'), or use to_csv"),
        ("jaxmarl", "pip install jaxmarl, or use to_csv"),
    ],
)
def test_what_is_missing_says_how_to_get_it(monkeypatch, name, says):
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ImportError) as told:
        needed(name, "use to_csv")
    assert str(told.value) == f"{name} is not installed: {says}"
