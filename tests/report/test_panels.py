"""Figures of several panels: texts beside and below the panels lie inside the picture and are complete."""

from typing import Any

import numpy as np
import pytest

from comity.experiments.figure import Panel
from comity.report import panels
from comity.report.looks import HUES

STEPS = np.arange(1.0, 21.0)


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """draw(panels with curves, learners, ...) -> the figure, laid out."""
    kept: list[Any] = []
    monkeypatch.setattr(panels, "save", lambda figure, path: kept.append(figure))

    def drawn(shown, learners, caption="", **more):
        panels.draw_panels(tmp_path / "x.png", "title", shown, learners, caption, **more)
        kept[-1].draw_without_rendering()
        return kept.pop()

    return drawn


def flat(value: float, steps=STEPS, seeds: int = 5):
    return steps, np.full((seeds, len(steps)), value)


@pytest.mark.parametrize("words", ["PG", "window, separate, 0.0005, floor"])
def test_legends_lie_below_their_panels_and_inside_the_picture(words, draw):
    labels = [f"{words} {i}" for i in range(8)]
    values = np.random.default_rng(0).random((5, 20))
    shown = [(Panel("return", half), dict.fromkeys(labels[i::2], (STEPS, values))) for i, half in enumerate("ab")]
    figure = draw(shown, dict.fromkeys(labels, "pg"), "caption")
    boxes = [axes.get_legend().get_window_extent() for axes in figure.axes]
    assert boxes[0].x0 >= 0
    assert boxes[0].x1 <= boxes[1].x0
    assert boxes[1].x1 <= figure.bbox.x1
    for axes, box in zip(figure.axes, boxes, strict=True):
        assert box.y1 <= axes.xaxis.label.get_window_extent().y1
        assert axes.get_window_extent().height > 0.3 * figure.bbox.height


def test_a_curve_keeps_its_colour_when_others_come(draw):
    learners = dict.fromkeys("abcd", "pg")
    few, all_there = (
        {
            line.get_label(): (line.get_color(), line.get_linestyle())
            for line in draw(
                [
                    (Panel("return", "one"), dict.fromkeys([x for x in there if x != "a"], flat(1))),
                    (Panel("return", "two"), {"a": flat(1)}),
                ],
                learners,
            ).axes[0].get_lines()
        }
        for there in ("bd", "abcd")
    )  # fmt: skip
    assert len(set(all_there.values())) == 3
    assert few == {label: all_there[label] for label in "bd"}


def test_random_play_does_not_stretch_the_axis(draw):
    curves = {"a": flat(1, np.array([1.0, 2.0])), "random": flat(1, np.array([4.0, 8.0]))}
    shown = [(Panel("return", "both"), curves), (Panel("return", "alone"), {"random": curves["random"]})]
    figure = draw(shown, {"a": "pg", "random": "random"})
    assert [axes.get_xlim() for axes in figure.axes] == [(0, 2), (0, 8)]


def test_bands_stay_inside_the_range_of_the_metric(draw):
    wide = STEPS, np.tile([[0.0], [0.0], [0.5], [1.0], [1.0]], 20)  # their t interval: -0.12 to 1.12
    cost = STEPS, np.tile([[-9.0], [-1.0], [-1.0], [-1.0], [-1.0]], 20)
    shown = [
        (Panel("success", "success (%)", scale=100), {"a": (STEPS, 100 * wide[1])}),
        (Panel("distance", "cells"), {"a": wide}),
        (Panel("reward_per_step", "reward", limits=(-np.inf, 0.0)), {"a": cost}),
        (Panel("return", "return"), {"a": wide}),
    ]
    figure = draw(shown, {"a": "pg"})
    bands = [axes.collections[0].get_datalim(axes.transData) for axes in figure.axes]
    assert (bands[0].y0, bands[0].y1) == (0, 100)
    assert bands[1].y0 == 0 < 1 < bands[1].y1
    assert bands[2].y0 < -1 < bands[2].y1 == 0
    assert bands[3].y0 < 0 < 1 < bands[3].y1
    assert figure.axes[0].get_ylim() == pytest.approx((-3, 103))
    assert figure.axes[2].get_ylim()[1] < 0.5


def test_a_ring_marks_where_a_training_ends_before_the_axis_does_and_budgets_are_said_where_they_differ(draw):
    curves = {"a": flat(1), "b": flat(2, STEPS[:10]), "random": flat(0.5, 2 * STEPS)}
    learners = {"a": "pg", "b": "coma", "random": "random"}
    budgets = {"a": "20 batches", "b": "10 batches", "random": "40 batches"}
    figure = draw([(Panel("return", "x"), curves)], learners, "caption", budgets=budgets)
    (axes,) = figure.axes
    rings = [line for line in axes.get_lines() if line.get_marker() == "o" and line.get_linewidth() == 0]
    assert [(r.get_xdata()[0], r.get_ydata()[0], r.get_markeredgecolor()) for r in rings] == [(10, 2, HUES["coma"])]
    assert [text.get_text() for text in axes.texts] == ["random", "a · 20 batches", "b · 10 batches"]
    assert figure.get_supxlabel().startswith("A ring: training ended there.")
    alike = draw(
        [(Panel("return", "x"), {"a": flat(1), "b": flat(2)})], learners, "caption", budgets=dict.fromkeys("ab", "9")
    )
    assert [text.get_text() for text in alike.axes[0].texts] == ["a", "b"]
    assert alike.get_supxlabel() == "caption"


def test_panels_of_zeros_become_a_line_of_text(draw):
    little = {"a": flat(0.04), "b": flat(0.0)}  # percent: rounds to 0.0
    shown = [
        (Panel("success", "success (%)", scale=100), little),
        (Panel("policy_loss", "loss"), little),
        (Panel("drops", "drops"), {"a": flat(0.0)}),
    ]
    figure = draw(shown, {"a": "pg", "b": "pg"}, "caption")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss"]
    told = " ".join(figure.get_supxlabel().split())
    assert told == "Not drawn, since 0 of every seed throughout: success (%); drops. caption"
    alone = draw(shown[:1], {"a": "pg", "b": "pg"}, "caption")  # a picture of nothing is still a picture
    assert [axes.get_ylabel() for axes in alone.axes] == ["success (%)"]
    assert alone.get_supxlabel() == "caption"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_letters_can_be_read_where_a_page_shows_the_picture(count, draw):
    """At 900 pixels all of them are at least 11 pixels high, and nothing sticks out."""
    curves = {"PG with history, self-correction": flat(1), "COMA": flat(2)}
    shown = [(Panel("return", "reward, share of what is attainable, of all agents"), curves) for _ in range(count)]
    figure = draw(shown, dict(zip(curves, ("pg", "coma"), strict=True)), "A caption. " * 20)
    texts = [text for text in figure.findobj(lambda x: hasattr(x, "get_fontsize")) if text.get_text()]
    assert len(texts) > 10
    assert min(text.get_fontsize() for text in texts) / 72 / figure.get_figwidth() * 900 >= 11
    inside = [text.get_window_extent() for axes in figure.axes for text in (axes.yaxis.label, *axes.texts)]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 + 1 for box in inside)


def test_words_on_the_axes_are_in_the_picture_that_is_saved(tmp_path, monkeypatch):
    """Whose layout is made once more when it is saved."""
    kept: list[Any] = []
    monkeypatch.setattr(panels, "save", lambda figure, path: kept.append(figure) or figure.draw_without_rendering())
    rising = STEPS, np.linspace(-0.3, 1.2, 20) + np.linspace(-0.05, 0.05, 5)[:, None]
    curves = {f"COALA-PG, {x} % wrong": rising for x in range(2)}
    others = {f"DiCE, {x} % wrong": (STEPS, np.clip(rising[1], 0, 1)) for x in range(2)}
    shown = [(Panel("return", "player, points per step"), curves), (Panel("cooperation", "cooperation"), others)]
    learners = {**dict.fromkeys(curves, "coala"), **dict.fromkeys(others, "lola")}
    panels.draw_panels(tmp_path / "x.png", "title", shown, learners, "caption")
    assert min(axes.yaxis.label.get_window_extent().x0 for axes in kept[0].axes) >= 0


def test_an_arm_alone_is_named_if_others_are_missing(draw):
    shown = [(Panel("return", "x"), {"a": flat(1)}), (Panel("length", "y"), {"a": flat(1)})]
    assert [text.get_text() for text in draw(shown, {"a": "pg", "b": "pg"}).axes[-1].texts] == ["a"]
    assert not draw(shown, {"a": "pg"}).axes[-1].texts


def test_medians_stand_in_their_quartiles_and_of_few_seeds_each_is_drawn(draw):
    values = np.repeat([[0.0], [1.0], [2.0], [3.0], [40.0]], 20, 1)
    shown = [(Panel("return", "all", show="median"), {"a": (STEPS, values)})]
    axes = draw(shown, {"a": "pg"}).axes[0]
    np.testing.assert_allclose(np.asarray(axes.get_lines()[0].get_ydata()), 2.0)
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (1.0, 3.0)
    few = draw([(shown[0][0], {"a": (STEPS, values[2:])})], {"a": "pg"}).axes[0]
    assert not few.collections
    assert sorted(float(np.asarray(line.get_ydata())[0]) for line in few.get_lines()) == [2.0, 3.0, 3.0, 40.0]
