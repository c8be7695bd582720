"""The notebook of the docs: its outputs belong to its code, and its code runs."""

import json
import re

import pytest

from studies import notebook


@pytest.fixture(scope="module")
def page():
    return json.loads(notebook.PAGE.read_text(encoding="utf-8"))


def test_outputs_are_of_this_code(page):
    assert page["metadata"]["comity"] == {"source": notebook.source_of(page)}, "run python -m studies.notebook again"
    cells = notebook.cells_of(page)
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert all(cell["outputs"] for cell in cells)
    pictures = re.findall("data:image/(png|gif);", notebook.PAGE.read_text(encoding="utf-8"))
    assert pictures == ["png", "gif", "png", "gif"]  # a run's curve and film, a comparison, a film
    assert notebook.PAGE.stat().st_size < 300_000
    assert "/tmp/" not in notebook.PAGE.read_text(encoding="utf-8")


def test_cells_run(page, tmp_path, monkeypatch):
    """With few updates: every cell ends well and shows what it shows."""
    monkeypatch.chdir(tmp_path)
    before = [[output["output_type"] for output in cell["outputs"]] for cell in notebook.cells_of(page)]
    again = notebook.execute(json.loads(json.dumps(page)), UPDATES=2, SEEDS=1)
    assert [[output["output_type"] for output in cell["outputs"]] for cell in notebook.cells_of(again)] == before
    assert not [*tmp_path.iterdir()]
    with pytest.raises(AssertionError, match="the first cell sets no LEARNERS"):
        notebook.execute(json.loads(json.dumps(page)), LEARNERS=2)


def test_what_a_cell_shows():
    names = {}
    assert notebook.shown("x = 2\nprint(x)", names, 1) == [{"output_type": "stream", "name": "stdout", "text": ["2\n"]}]
    (output,) = notebook.shown("x + 1", names, 2)
    assert output["data"] == {"text/plain": ["3"]}
    with pytest.raises(NameError):
        notebook.shown("y", names, 3)
