"""A figure of several panels of curves, from numbers: mean and interval over seeds, every seed, or the variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity.report.curves import STYLE, entitle, frame, label_ends, line_looks, save, wrapped
from comity.report.statistics import FEWEST_SEEDS, mean_ci
from comity.report.words import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = 27  # characters of a label of which two stand side by side below a panel
Curves = Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]  # label -> (steps [P], values [S, P])


def draw_panels(
    path: Path,
    title: str,
    panels: Sequence[tuple[Any, Curves]],
    algorithms: Mapping[str, str],
    caption: str = "",
    level: float = 0.95,
) -> list[Path]:
    """Draws panels side by side, at most three in a row, as PNG and SVG; returns both paths.

    panels: (what has `words`, `show`: "mean", "seeds" or "variance", and `arms`, its labels or None for all; the curves
    that there are of them). algorithms: label -> algorithm of all labels, for colours, which stay as they are when more
    curves come. Where all panels show the same labels, these stand at the ends of the lines; else each panel has a
    legend and colours of its own. Random play that goes on for longer than what learns beside it is cut off.
    """
    import matplotlib
    from matplotlib.figure import Figure

    alike = len({tuple(sorted(curves)) for _, curves in panels}) == 1
    every = line_looks(dict(algorithms))
    names = {label: wrapped(label) for label in algorithms if any(label in curves for _, curves in panels)}
    columns = [2 if max(map(len, curves), default=0) <= WIDE else 1 for _, curves in panels]  # of legends
    rows = max(-(-len(curves) // n) for n, (_, curves) in zip(columns, panels, strict=True))
    across = 2 if len(panels) == 4 else min(3, len(panels))
    down = -(-len(panels) // across)
    with matplotlib.rc_context(STYLE):
        longest = max(len(line) for name in names.values() for line in name.split("\n")) if alike else 0
        lines = sum(name.count("\n") + 1 for name in names.values()) if alike else max(14, 12 + rows)
        size = (3.4 * across + 0.085 * longest, max(3.0, 1.0 + 0.17 * lines) * down + 0.2)
        figure = Figure(figsize=size, dpi=200, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, wspace=0.06)  # type: ignore[union-attr]
        grid = figure.subplots(down, across, squeeze=False)
        for place, (panel, curves), count in zip(grid.flat, panels, columns, strict=False):
            looks = every if alike else line_looks({label: algorithms[label] for label in panel.arms or algorithms})
            for label, (steps, values) in curves.items():
                _draw(place, panel.show, steps, values, looks[label], label, level, len(curves))
            _dress(place, panel.words, _end({k: float(s[-1]) for k, (s, _) in curves.items()}, algorithms))
            if not alike and curves:
                below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": count}
                place.legend(fontsize=6.5, frameon=False, **below)
        for place in grid.flat[len(panels) :]:
            place.set_visible(False)
        entitle(figure, title, caption)
        if alike and len(names) > 1:
            for row in range(down):
                last = [i for i in range(across) if row * across + i < len(panels)][-1]
                here = panels[row * across + last][1]
                label_ends(figure, grid[row][last], {k: v for k, v in names.items() if k in here}, every)
        return save(figure, path)


def _draw(
    axes: Axes, show: str, steps: NDArray, values: NDArray, look: dict[str, Any], label: str, level: float, groups: int
) -> None:
    known = np.isfinite(values).all(0)
    steps, values = steps[known], values[:, known]
    if not len(steps):
        return
    width = 1.9 if groups <= 7 else 1.4
    if show == "variance":
        if len(values) > 1:
            axes.plot(steps, values.var(0, ddof=1), **look, label=label, linewidth=width, zorder=3)
        return
    few = len(values) < FEWEST_SEEDS
    if show == "seeds" or few:
        for one in values:
            axes.plot(steps, one, color=look["color"], linewidth=0.7, alpha=0.5, zorder=2)
    elif len(values) > 1:
        _, low, high = mean_ci(values, level)
        axes.fill_between(
            steps, low, high, color=look["color"], alpha=0.16 if groups <= 5 else 0.08, linewidth=0, zorder=1
        )
    axes.plot(steps, values.mean(0), **look, label=label, linewidth=width, solid_capstyle="round", zorder=3)


def _end(ends: Mapping[str, float], algorithms: Mapping[str, str]) -> float:
    """Where the axis of steps ends: with the longest training. Random play only has to be long enough to know it by."""
    learned = [end for label, end in ends.items() if algorithms[label] != "random"]
    return max(learned or ends.values(), default=1.0)


def _dress(axes: Axes, words: str, end: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    frame(axes)
    axes.set_ylabel(words)
    axes.set_xlabel("environment steps (joint actions)")
    axes.set_xlim(0, end if end > 0 else 1)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short(x)))
