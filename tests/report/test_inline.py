"""Output in notebooks: runs and comparisons as HTML without scripts; data frames."""

import base64
import io
import re
import sys
import types
from typing import Any

import numpy as np
import pytest
from PIL import Image

import comity
from comity.report.inline import Comparison
from comity.report.study import read
from comity.report.table import Table
from comity.report.tables import compare_study
from tiny import learner, signals
from tiny.runs import SMALL


def pictures(page: str) -> list[Any]:
    found = re.findall(r"src='data:image/(\w+);base64,([^']+)'", page)
    images = [Image.open(io.BytesIO(base64.b64decode(data))) for _, data in found]
    assert [str(image.format).lower() for image in images] == [kind for kind, _ in found]
    return images


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    few: dict[str, Any] = {**SMALL, "iterations": 4}
    env, config = signals.Signals(), learner.Config()
    return comity.train(env, config, out=tmp_path_factory.mktemp("runs"), progress=False, **few)


def test_a_run_shows_its_curve_and_a_film(run):
    page = run._repr_html_()
    curve, film = pictures(page)
    assert curve.size[0] > 400
    assert getattr(film, "n_frames", 1) > 2
    assert "<script" not in page
    assert "signals.py:Signals" in page
    assert str(run.path) in page
    again = run._shown
    run._repr_html_()
    assert run._shown is again  # filmed once


def test_evaluate_gives_a_row_per_seed_and_policy(run):
    table = comity.evaluate(run, episodes=3)
    assert list(zip(table["seed"].tolist(), table["policy"].tolist(), strict=True)) == [
        (seed, policy) for seed in (0, 1) for policy in ("sampled", "greedy")
    ]
    lines = run.play(3)
    np.testing.assert_allclose(table["return"], [line["mean"]["return"] for line in lines])
    assert set(table["episodes"]) == {3}
    with pytest.raises(ValueError, match="episodes 0 must be 1 or more"):
        comity.evaluate(run, episodes=0)


def test_compare_takes_runs_and_shows_them(run):
    found = comity.compare({"mine": run, "again": [run]})
    assert repr(found).startswith(compare_study(found.study).title)
    page = found._repr_html_()
    assert len(pictures(page)) == 1
    assert "<table>" in page
    assert {row["label"] for row in found.numbers} == {"mine", "again"}
    assert not list(run.path.parents[2].glob("comparisons"))
    with pytest.raises(ValueError, match="no metric"):
        comity.compare(run, metric="nothing")


def test_names_cannot_become_markup(make_run):
    page = Comparison({"<b>bold</b>": str(make_run(iterations=60))})._repr_html_()
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page


def test_data_frames(make_run, monkeypatch):
    """pandas gets the columns; without it one line says what to install."""
    table = read(str(make_run(iterations=60)))
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=dict))
    frame = table.to_pandas()
    assert list(frame) == list(table.columns)
    np.testing.assert_array_equal(frame["success"], table["success"])
    rows = Comparison(str(make_run(iterations=60)))
    assert set(rows.to_pandas()) == {name for row in rows.numbers for name in row}
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pandas is not installed: pip install pandas"):
        Table({"a": [1]}).to_pandas()


def test_version():
    assert re.fullmatch(r"\d+\.\d+.*", comity.__version__)


def test_watch_shows_checkpoints_side_by_side(run, monkeypatch, capsys, tmp_path):
    from comity.cli import watch

    opened = []
    monkeypatch.setattr(watch.webbrowser, "open", opened.append)
    monkeypatch.setattr(watch, "in_terminal", lambda trusted: True)
    gif, page = tmp_path / "a.gif", tmp_path / "a.html"
    watch.watch([str(run.path), "--both", "--open", "--gif", str(gif), "--html", str(page)])
    told = capsys.readouterr().out
    assert "last of iteration 4: " in told
    assert "best of iteration " in told
    assert opened == [page.resolve().as_uri()]
    watch.watch([str(run.path), "--gif", str(tmp_path / "one.gif"), "--html", str(tmp_path / "one.html")])
    widths = [Image.open(file).size[0] for file in (gif, tmp_path / "one.gif")]
    assert widths[0] == 2 * widths[1]
    with pytest.raises(ValueError, match="--best and --both"):
        watch.watch([str(run.path), "--best", "--both"])
