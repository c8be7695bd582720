"""The picture of final scores of trainings."""

from typing import Any

import numpy as np
import pytest

from comity.report import ends
from comity.report.ends import Part, Row
from comity.report.looks import HUES
from comity.report.statistics import mean_ci

NOTHING = np.array([])
RANDOM = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
ROWS = {
    "as it is": Row(np.array([3.0, 6.0]), RANDOM, "coma"),
    "repaired": Row(np.array([9.0]), NOTHING, "coma"),
    "both": Row(NOTHING, RANDOM[:2], "coma"),
}


@pytest.fixture
def draw(tmp_path, monkeypatch):
    kept: list[Any] = []
    monkeypatch.setattr(ends, "save", lambda figure, path: kept.append(figure))

    def drawn(*parts):
        ends.draw_ends(tmp_path / "x.png", "title", parts, "dots")
        kept[-1].draw_without_rendering()
        return kept.pop()

    return drawn


@pytest.fixture
def drawn(draw):
    """The figure of two panels, the first with three rows."""
    return draw(Part("success (%)", ROWS), Part("return", {"a": Row(RANDOM, NOTHING)}))


def upright(axes) -> list[tuple[float, float]]:
    """(number, row) of the lines of means."""
    segments = [s for c in axes.collections if hasattr(c, "get_segments") for s in c.get_segments()]
    return [(float(s[0, 0]), float(s[:, 1].mean())) for s in segments]


def test_seeds_means_and_what_they_are_held_against(drawn):
    axes = drawn.axes[0]
    dots = [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.get_lines()]
    assert dots == [([3, 6], [0, 0]), ([9], [1])]
    assert {line.get_color() for line in axes.get_lines()} == {HUES["coma"]}
    assert upright(axes) == [(3.0, 0), (4.5, 0), (9.0, 1), (1.5, 2)]
    bars = [c.get_paths()[0].get_extents() for c in axes.collections if not hasattr(c, "get_segments")]
    (bar,) = bars  # two seeds have no interval
    _, low, high = mean_ci(np.arange(1.0, 6.0))
    assert (bar.x0, bar.x1) == pytest.approx((low, high))
    assert (bar.y0 + bar.y1) / 2 == pytest.approx(0)


def test_rows_are_named_from_the_top_and_their_seeds_counted_or_said_to_be_missing(drawn):
    axes = drawn.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["as it is", "repaired", "both"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    missing, first, second = axes.texts
    assert (missing.get_text(), missing.get_position()[1]) == ("not trained", 2)
    assert [(text.get_text(), text.xy) for text in (first, second)] == [("n = 2", (6, 0)), ("n = 1", (9, 1))]
    for text in (first, second):  # to the right of the last dot, inside the panel
        box = text.get_window_extent()
        assert axes.transData.transform(text.xy)[0] < box.x0 < box.x1 < axes.get_window_extent().x1
    assert all(label.get_window_extent().x0 >= 0 for label in axes.get_yticklabels())
    assert axes.get_window_extent().x1 < drawn.axes[1].get_yticklabels()[0].get_window_extent().x0


def test_panels_of_zeros_become_a_line_of_text(draw):
    zeros = {"a": Row(np.array([0.0, 0.04]), RANDOM), "b": Row(np.zeros(3), RANDOM), "c": Row(NOTHING, RANDOM)}
    figure = draw(Part("success, COMA (%)", zeros, 0.05), Part("return", zeros), Part("success (%)", ROWS, 0.05))
    assert [axes.get_xlabel() for axes in figure.axes] == ["return", "success (%)"]
    told = " ".join(figure.get_supxlabel().split())
    assert told == "Not drawn, success, COMA (%): 0 of every seed of 2 arms. dots"


def test_letters_can_be_read_where_a_page_shows_the_picture(drawn):
    texts = [text for text in drawn.findobj(lambda x: hasattr(x, "get_fontsize")) if text.get_text()]
    assert min(text.get_fontsize() for text in texts) / 72 / drawn.get_figwidth() * 900 >= 11
