"""docs/interop.md: its Python, run with tiny numbers, except JaxMARL's, which is no dependency."""

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
    assert here.count("seeds=2, iterations=200, envs=8") == 1
    few = "seeds=1, iterations=1, envs=2, evaluations=0, evaluation_episodes=1, final_episodes=1, progress=False"
    exec(here.replace("seeds=2, iterations=200, envs=8", few), names)
    assert names["returns"].shape == (1, 2)
    exec(act, names)
    assert not names["env"].agents  # played to the end
    assert all(names["truncations"].values())
