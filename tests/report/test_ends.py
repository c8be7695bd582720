"""The picture of what trainings end with."""

from typing import Any

import numpy as np
import pytest

from comity.report import ends
from comity.report.statistics import mean_ci

NOTHING = np.array([])


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The figure of two panels, the first with three rows."""
    kept: list[Any] = []
    monkeypatch.setattr(ends, "save", lambda figure, path: kept.append(figure))
    random = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    rows = {
        "as it is": (np.array([3.0, 6.0]), random),
        "repaired": (np.array([9.0]), NOTHING),
        "both": (NOTHING, random[:2]),
    }
    ends.draw_ends(tmp_path / "x.png", "title", [("success (%)", rows), ("return", {"a": (random, NOTHING)})], "dots")
    (figure,) = kept
    figure.draw_without_rendering()
    return figure


def upright(axes) -> list[tuple[float, float]]:
    """(number, row) of the lines of means."""
    segments = [s for c in axes.collections if hasattr(c, "get_segments") for s in c.get_segments()]
    return [(float(s[0, 0]), float(s[:, 1].mean())) for s in segments]


def test_seeds_means_and_what_they_are_held_against(drawn):
    axes = drawn.axes[0]
    dots = [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.get_lines()]
    assert dots == [([3, 6], [0, 0]), ([9], [1])]
    assert upright(axes) == [(3.0, 0), (4.5, 0), (9.0, 1), (1.5, 2)]
    bars = [c.get_paths()[0].get_extents() for c in axes.collections if not hasattr(c, "get_segments")]
    (bar,) = bars  # two seeds have no interval
    _, low, high = mean_ci(np.arange(1.0, 6.0))
    assert (bar.x0, bar.x1) == pytest.approx((low, high))
    assert (bar.y0 + bar.y1) / 2 == pytest.approx(0)


def test_rows_are_named_from_the_top_and_what_is_missing_is_said(drawn):
    axes = drawn.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["as it is", "repaired", "both"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert [(text.get_text(), text.get_position()[1]) for text in axes.texts] == [("not trained", 2)]
    assert all(label.get_window_extent().x0 >= 0 for label in axes.get_yticklabels())
    assert axes.get_window_extent().x1 < drawn.axes[1].get_yticklabels()[0].get_window_extent().x0
