"""docs/interop.md: its Python, run with tiny numbers; JaxMARL's, which is no dependency, is left out."""

import re
from pathlib import Path

import pytest

pytest.importorskip("pettingzoo")
pytest.importorskip("mpe2")

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"


def test_the_page_can_be_followed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    there, here, act, jaxmarl = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert "from_jaxmarl" in jaxmarl
    exec(there, {})
    names = {}
    assert here.count("iterations=200, games=8") == 1
    exec(here.replace("iterations=200, games=8", "iterations=1, games=2"), names)
    assert len(names["result"].history) == 1
    assert {path.name for path in Path("runs/spread").iterdir()} == {"metrics.jsonl", "checkpoint.npz"}
    exec(act, names)
    assert not names["env"].agents  # played to the end
    assert all(names["truncations"].values())
    assert set(names["actions"]) == set(names["game"].names)
