"""Figures of several panels: what stands below them is inside the picture."""

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from comity.report import panels

Panel = namedtuple("Panel", "words show arms", defaults=[None])


@pytest.mark.parametrize("words", ["PG", "window, separate, 0.0005, floor"])
def test_legends_lie_below_their_panels_and_inside_the_picture(words, tmp_path, monkeypatch):
    kept: list[Any] = []
    monkeypatch.setattr(panels, "save", lambda figure, path: kept.append(figure))
    labels = [f"{words} {i}" for i in range(8)]
    steps, values = np.arange(20.0), np.random.default_rng(0).random((5, 20))
    shown = [(Panel(half, "mean"), dict.fromkeys(labels[i::2], (steps, values))) for i, half in enumerate("ab")]
    panels.draw_panels(tmp_path / "x.png", "title", shown, dict.fromkeys(labels, "pg"), "caption")
    (figure,) = kept
    figure.draw_without_rendering()
    boxes = [axes.get_legend().get_window_extent() for axes in figure.axes]
    assert boxes[0].x0 >= 0
    assert boxes[0].x1 <= boxes[1].x0
    assert boxes[1].x1 <= figure.bbox.x1
    for axes, box in zip(figure.axes, boxes, strict=True):
        assert box.y1 <= axes.xaxis.label.get_window_extent().y1
        assert axes.get_window_extent().height > 0.3 * figure.bbox.height


def test_a_curve_keeps_its_colour_when_others_come(tmp_path, monkeypatch):
    kept: list[Any] = []
    monkeypatch.setattr(panels, "save", lambda figure, path: kept.append(figure))
    curve = np.arange(3.0), np.ones((5, 3))
    algorithms = dict.fromkeys("abcd", "pg")
    for there in ("bd", "abcd"):
        shown = [(Panel("one", "mean", tuple("bcd")), dict.fromkeys([x for x in there if x != "a"], curve))]
        panels.draw_panels(tmp_path / "x.png", "title", [*shown, (Panel("two", "mean"), {"a": curve})], algorithms)
    few, all_there = [{line.get_label(): line.get_color() for line in figure.axes[0].get_lines()} for figure in kept]
    assert len(set(all_there.values())) == 3
    assert few == {label: all_there[label] for label in "bd"}


def test_random_play_does_not_stretch_the_axis(tmp_path, monkeypatch):
    kept: list[Any] = []
    monkeypatch.setattr(panels, "save", lambda figure, path: kept.append(figure))
    curves = {"a": (np.array([1.0, 2.0]), np.ones((5, 2))), "random": (np.array([4.0, 8.0]), np.ones((5, 2)))}
    shown = [(Panel("both", "mean"), curves), (Panel("alone", "mean"), {"random": curves["random"]})]
    panels.draw_panels(tmp_path / "x.png", "title", shown, {"a": "pg", "random": "random"})
    assert [axes.get_xlim() for axes in kept[0].axes] == [(0, 2), (0, 8)]
