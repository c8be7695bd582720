"""Draws final scores of trainings: a row for each arm, a dot for each seed, beside the arm of the comparison."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from comity.report.curves import FAINT, INK, entitle, frame, save
from comity.report.looks import BASELINE, HUES
from comity.report.panels import DPI, LETTERS, WIDTH
from comity.report.statistics import FEWEST_SEEDS, mean_ci

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Seeds = NDArray[np.float64]  # [S]


class Row(NamedTuple):
    seeds: Seeds  # of the arm; empty if it is not trained
    beside: Seeds  # of the arm that it is compared with; empty if there is none
    learner: str = ""  # gives the hue


class Part(NamedTuple):
    words: str  # the label of the axis
    rows: Mapping[str, Row]
    rounding: float = 0.0  # values below it count as 0


def draw_ends(path: Path, title: str, parts: Sequence[Part], caption: str = "") -> list[Path]:
    """Draws panels, two beside each other; returns the paths.

    A dot is a seed. An upright line is the mean of an arm, and `n` its number of seeds. A grey bar is the 95 % t
    interval of the mean of the arm that it is compared with, drawn from five seeds on. Panels that show only zeros
    become a line of text, unless all panels do.
    """
    import matplotlib
    from matplotlib.figure import Figure

    shown = [part for part in parts if not zero(part)] or list(parts)
    if len(shown) < len(parts):
        folded = [f"{part.words}: 0 of every seed of {_trained(part)} arms" for part in parts if zero(part)]
        caption = " ".join([*(f"Not drawn, {words}." for words in folded), caption])
    across = min(2, len(shown))
    down = -(-len(shown) // across)
    most = max(len(part.rows) for part in shown)
    with matplotlib.rc_context(LETTERS):
        figure = Figure(figsize=(WIDTH, (0.8 + 0.2 * most) * down + 0.6), dpi=DPI, layout="constrained")
        grid = figure.subplots(down, across, squeeze=False)
        for axes, part in zip(grid.flat, shown, strict=False):
            _draw(axes, part)
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        entitle(figure, title, caption)
        figure.draw_without_rendering()  # in the second pass the layout knows the sizes of the ticks
        return save(figure, path)


def zero(part: Part) -> bool:
    """True if all seeds of all trained arms are 0, up to the part's rounding."""
    values = np.concatenate([row.seeds for row in part.rows.values()])
    return bool(values.size) and float(np.abs(values).max()) <= part.rounding


def _trained(part: Part) -> int:
    return sum(bool(row.seeds.size) for row in part.rows.values())


def _draw(axes: Axes, part: Part) -> None:
    for place, row in enumerate(part.rows.values()):
        values, beside = row.seeds, row.beside
        hue = HUES.get(row.learner, INK)
        if len(beside) >= FEWEST_SEEDS:
            _, low, high = mean_ci(beside)
            axes.fill_betweenx([place - 0.4, place + 0.4], low, high, color=BASELINE, alpha=0.35, linewidth=0, zorder=1)
        if len(beside):
            axes.vlines(beside.mean(), place - 0.4, place + 0.4, color=BASELINE, linewidth=1.0, zorder=2)
        if len(values):
            axes.plot(values, np.full(len(values), place), "o", color=hue, alpha=0.6, markersize=4, zorder=3)
            axes.vlines(values.mean(), place - 0.3, place + 0.3, color=hue, linewidth=1.9, zorder=4)
        else:
            at = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
            axes.text(0.98, place, "not trained", fontsize=7.5, color=INK, **at)
    frame(axes)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_yticks(range(len(part.rows)), ["\n".join(textwrap.wrap(name, 32)) for name in part.rows], fontsize=7.5)
    axes.set_ylim(len(part.rows) - 0.5, -0.5)  # the first row on top
    axes.set_xlabel("\n".join(textwrap.wrap(part.words, 40)))
    left, right = axes.get_xlim()
    axes.set_xlim(left, right + 0.14 * (right - left))  # room for the numbers of seeds
    for place, row in enumerate(part.rows.values()):
        if len(row.seeds):
            axes.annotate(
                f"n = {len(row.seeds)}", (row.seeds.max(), place), (6, 0), textcoords="offset points", fontsize=7.5,
                va="center", color=INK,
            )  # fmt: skip
