"""What trainings end with, from numbers: a row for each arm, a dot for each seed, beside what it is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from comity.report.curves import BASELINE, INK, PALETTE, STYLE, entitle, frame, save
from comity.report.statistics import FEWEST_SEEDS, mean_ci

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Seeds = NDArray[np.float64]  # [S]
Rows = Mapping[str, tuple[Seeds, Seeds]]  # name -> (seeds of the arm, of what it is held against); empty: not trained


def draw_ends(path: Path, title: str, panels: Sequence[tuple[str, Rows]], caption: str = "") -> list[Path]:
    """Draws panels of (words on the axis, rows), two beside each other, as PNG and SVG; returns both paths.

    A dot is a seed, an upright line the mean of an arm, a grey bar the 95 % t interval, from five seeds on, of the mean
    of what the arm is held against.
    """
    import matplotlib
    from matplotlib.figure import Figure

    across = min(2, len(panels))
    down = -(-len(panels) // across)
    most = max(len(rows) for _, rows in panels)
    with matplotlib.rc_context(STYLE):
        size = (5.2 * across, (1.0 + 0.2 * most) * down + 0.5)
        figure = Figure(figsize=size, dpi=200, layout="constrained")
        grid = figure.subplots(down, across, squeeze=False)
        for axes, (words, rows) in zip(grid.flat, panels, strict=False):
            _draw(axes, words, rows)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        entitle(figure, title, caption)
        return save(figure, path)


def _draw(axes: Axes, words: str, rows: Rows) -> None:
    for place, (values, beside) in enumerate(rows.values()):
        if len(beside) >= FEWEST_SEEDS:
            _, low, high = mean_ci(beside)
            axes.fill_betweenx([place - 0.4, place + 0.4], low, high, color=BASELINE, alpha=0.35, linewidth=0, zorder=1)
        if len(beside):
            axes.vlines(beside.mean(), place - 0.4, place + 0.4, color=BASELINE, linewidth=1.0, zorder=2)
        if len(values):
            axes.plot(values, np.full(len(values), place), "o", color=PALETTE[0], alpha=0.6, markersize=4, zorder=3)
            axes.vlines(values.mean(), place - 0.3, place + 0.3, color=PALETTE[0], linewidth=1.9, zorder=4)
        else:
            at = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "center"}
            axes.text(0.98, place, "not trained", fontsize=6.5, color=INK, **at)
    frame(axes)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=7.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)  # the first row on top
    axes.set_xlabel(words)
