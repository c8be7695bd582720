"""Draws a figure of several panels of curves from numbers: mean and interval over seeds, median and quartiles, every
seed, or the variance.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity.report.curves import STYLE, entitle, frame, label_ends, save, wrapped
from comity.report.looks import Look, line_looks
from comity.report.ranges import limits
from comity.report.statistics import FEWEST_SEEDS, mean_ci
from comity.report.words import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, DPI = 8.2, 110  # inches and dots per inch: as wide as a page shows the picture, so that letters keep their size
LETTERS = {**STYLE, "font.size": 8.5, "xtick.labelsize": 8, "ytick.labelsize": 8, "axes.titlesize": 8.5}
RING = "A ring: training ended there. "
Curves = Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]  # label -> (steps [P], values [S, P])


def draw_panels(
    path: Path,
    title: str,
    panels: Sequence[tuple[Any, Curves]],
    learners: Mapping[str, str],
    caption: str = "",
    level: float = 0.95,
    conditions: Mapping[str, int | None] | None = None,
    budgets: Mapping[str, str] | None = None,
) -> list[Path]:
    """Draws panels side by side, at most three in a row; returns the paths.

    panels: (an object with `metric`, `words`, `scale`, `limits` and `show`, such as `experiments.figure.Panel`; its
    curves). learners, conditions: of all labels, for `line_looks`, so that a curve keeps its look in every panel and
    when more curves are added. budgets: label -> how long it was trained; shown if the budgets differ. If all panels
    have the same labels, the labels stand beside the last panel of a row; otherwise below each panel. Curves of random
    play are cut off where training ends. Panels that show only zeros become a line of text, unless all panels do.
    """
    import matplotlib
    from matplotlib.figure import Figure

    there = [(panel, {name: x for name, x in curves.items() if _complete(x[1]).any()}) for panel, curves in panels]
    there = [(panel, curves) for panel, curves in there if curves]
    if not there:
        return []
    shown = [(panel, curves) for panel, curves in there if not zero(panel, curves)] or there
    if len(shown) < len(there):
        folded = "; ".join(panel.words for panel, curves in there if zero(panel, curves))
        caption = f"Not drawn, since 0 of every seed throughout: {folded}. {caption}"
    alike = len({tuple(sorted(curves)) for _, curves in shown}) == 1
    looks = line_looks(learners, conditions)
    names = (
        _names({label: learners[label] for label in learners if label in shown[0][1]}, budgets or {}) if alike else {}
    )
    across = 2 if len(shown) == 4 else min(3, len(shown))
    if alike and len(names) > 1 and len(shown) > 2:
        across = 2  # the labels stand beside the panels
    down = -(-len(shown) // across)
    with matplotlib.rc_context(LETTERS):
        figure = Figure(figsize=(WIDTH, _height(shown, names, across) * down + 0.6), dpi=DPI, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, wspace=0.04)  # type: ignore[union-attr]
        grid = figure.subplots(down, across, squeeze=False)
        rings = [
            _panel(axes, panel, curves, looks, learners, level)
            for axes, (panel, curves) in zip(grid.flat, shown, strict=False)
        ]
        if not alike:
            for axes, (_, curves) in zip(grid.flat, shown, strict=False):
                _legend(axes, _below(curves, learners, budgets or {}, WIDTH / across), looks, WIDTH / across)
        for axes in grid.flat[len(shown) :]:
            axes.set_axis_off()
        entitle(figure, title, (RING if any(rings) else "") + caption)
        named = alike and len(learners) > 1
        if named and len(shown) < grid.size:
            _legend(grid.flat[len(shown)], names, looks)  # there is room in the grid
        elif named:
            for row in grid:
                label_ends(figure, row[-1], names, looks)
        figure.draw_without_rendering()  # in the second pass there is room for the ticks that come with a panel's size
        return save(figure, path)


def _complete(values: NDArray[np.float64]) -> Any:
    """Mask of points that every seed has, bool [P]."""
    return np.all(np.isfinite(values), axis=0)


def zero(panel: Any, curves: Curves) -> bool:
    """True if a panel shows only zeros. A share of 1 counts as 0 below 0.0005, because no panel could show it."""
    least = 5e-4 * panel.scale if limits(panel.metric) == (0, 1) else 1e-12
    if panel.show == "variance":
        least = 1e-12
    return bool(curves) and all(np.nanmax(np.abs(values)) < least for _, values in curves.values())


def _names(learners: Mapping[str, str], budgets: Mapping[str, str]) -> dict[str, str]:
    """Returns label -> the text beside its line, with its budget if the budgets of learners differ."""
    learned = [label for label, learner in learners.items() if learner != "random" and label in budgets]
    differ = len({budgets[label] for label in learned}) > 1
    return {
        label: wrapped(f"{label} · {budgets[label]}" if differ and label in learned else label) for label in learners
    }


def _below(curves: Curves, learners: Mapping[str, str], budgets: Mapping[str, str], width: float) -> dict[str, str]:
    """Returns the names of a panel's lines, wrapped so that they fit below it. width: of the panel, inches."""
    names = _names({label: learners[label] for label in curves}, budgets)
    room = int((width - 0.6) / 0.062)
    return {label: "\n".join(textwrap.wrap(name.replace("\n", " "), room)) for label, name in names.items()}


def _height(shown: Sequence[tuple[Any, Curves]], names: Mapping[str, str], across: int) -> float:
    """Height in inches of a row of panels with its legends. names: of lines, if they stand beside the panels."""
    if names:
        return max(2.1, 0.9 + 0.18 * sum(name.count("\n") + 1 for name in names.values()) * (len(names) > 1))
    rows, width = 1, WIDTH / across
    for _, curves in shown:
        wide = _below(curves, dict.fromkeys(curves, ""), {}, width)
        rows = max(rows, -(-sum(name.count("\n") + 1 for name in wide.values()) // _columns(width, wide)))
    return 2.3 + 0.16 * rows


def _columns(width: float, names: Mapping[str, str]) -> int:
    """Number of columns of a legend below a panel of `width` inches: two if they fit."""
    longest = max((len(line) for name in names.values() for line in name.split("\n")), default=0)
    return 2 if 2 * (0.5 + 0.062 * longest) < width - 0.3 and len(names) > 1 else 1


def _legend(axes: Axes, names: Mapping[str, str], looks: Mapping[str, Look], width: float | None = None) -> None:
    """Draws keys and names below a panel of `width` inches, or in the middle of an empty one."""
    from matplotlib.lines import Line2D

    keys = [Line2D([], [], linewidth=1.5, **{k: v for k, v in looks[x].items() if k != "markevery"}) for x in names]
    place: dict[str, Any] = {"loc": "center left", "fontsize": 8.5}
    if width is not None:
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.24), "fontsize": 7.5, "columnspacing": 1.2}
        place["ncols"] = _columns(width, names)
    axes.legend(
        keys, list(names.values()), frameon=False, handlelength=2.4, labelspacing=0.3, borderpad=0, **place
    )  # fmt: skip


def _panel(
    axes: Axes, panel: Any, curves: Curves, looks: Mapping[str, Look], learners: Mapping[str, str], level: float
) -> bool:
    """Draws one panel; returns True if one of its lines ends before the axis does."""
    low, high = (end * panel.scale for end in panel.limits or limits(panel.metric))
    if panel.show == "variance":
        low, high = 0.0, np.inf
    for label, (steps, values) in curves.items():
        _draw(axes, panel.show, steps, values, looks[label], label, level, len(curves), (low, high))
    end = _end({label: float(steps[-1]) for label, (steps, _) in curves.items()}, learners)
    _dress(axes, panel.words, end)
    _fit(axes, low, high)
    last = {line: np.asarray(line.get_xydata())[-1] for line in axes.get_lines() if line.get_linewidth() > 1}
    early = {line: at for line, at in last.items() if at[0] < 0.985 * end}
    for line, (x, y) in early.items():
        ring: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": line.get_color(), "markeredgewidth": 1.2}
        axes.plot([x], [y], "o", markersize=4.5, linewidth=0, zorder=4, **ring)
    return bool(early)


def _draw(
    axes: Axes, show: str, steps: NDArray, values: NDArray, look: Look, label: str, level: float, groups: int,
    ends: tuple[float, float],
) -> None:  # fmt: skip
    known = _complete(values)
    steps, values = steps[known], values[:, known]
    if not len(steps):
        return
    width = 1.8 if groups <= 7 else 1.4
    if show == "variance":
        if len(values) > 1:
            axes.plot(steps, values.var(0, ddof=1), **look, label=label, linewidth=width, zorder=3)
        return
    few = len(values) < FEWEST_SEEDS
    if show == "seeds" or few:
        for one in values:
            axes.plot(steps, one, color=look["color"], linewidth=0.7, alpha=0.5, zorder=2)
    elif len(values) > 1:
        quartiles = show == "median"
        low, high = np.quantile(values, (0.25, 0.75), axis=0) if quartiles else mean_ci(values, level)[1:]
        # No value lies outside the metric's range, so the interval is cut there.
        low, high = np.clip(low, min(ends[0], values.min()), None), np.clip(high, None, max(ends[1], values.max()))
        alpha = 0.16 if groups <= 5 else 0.08
        axes.fill_between(steps, low, high, color=look["color"], alpha=alpha, linewidth=0, zorder=1)
    middle = np.median(values, 0) if show == "median" else values.mean(0)
    axes.plot(steps, middle, **look, label=label, linewidth=width, solid_capstyle="round", zorder=3)


def _fit(axes: Axes, low: float, high: float) -> None:
    """Limits the axis to the metric's range and a small margin, if all values lie inside the range."""
    bottom, top = axes.get_ylim()
    pad = 0.03 * (min(top, high) - max(bottom, low))
    if np.isfinite(low) and axes.dataLim.y0 >= low - 1e-9:
        bottom = max(bottom, low - pad)
    if np.isfinite(high) and axes.dataLim.y1 <= high + 1e-9:
        top = min(top, high + pad)
    axes.set_ylim(bottom, top)


def _end(ends: Mapping[str, float], learners: Mapping[str, str]) -> float:
    """Returns the end of the axis of steps: that of the longest training. Random play is only a reference level."""
    learned = [end for label, end in ends.items() if learners[label] != "random"]
    return max(learned or ends.values(), default=1.0)


def _dress(axes: Axes, words: str, end: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    frame(axes)
    axes.set_ylabel("\n".join(textwrap.wrap(words.replace(" = ", "\u00a0=\u00a0"), 26)))  # an equation is not broken
    axes.set_xlabel("environment steps (joint actions)")
    axes.set_xlim(0, end if end > 0 else 1)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short(x)))
