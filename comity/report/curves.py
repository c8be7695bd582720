"""Draws learning curves as PNG and SVG: a mean over seeds with its interval or, with few seeds, a line for each."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity.report.looks import line_looks
from comity.report.statistics import FEWEST_SEEDS, Curve, common_curve, mean_ci
from comity.report.study import GroupsLike, Study, gather
from comity.report.table import Table
from comity.report.words import is_rate, short, spans

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OneSeed = tuple[NDArray[np.float64], NDArray[np.float64]]  # environment steps, values
INK, FAINT = "#333333", "#e3e3e3"

STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that the picture is the same on every machine
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "svg.hashsalt": "comity",  # the same runs give the same file
    "path.simplify_threshold": 0.2,
}


def draw_curves(
    runs: GroupsLike,
    metric: str | Sequence[str] | None = None,
    policy: str = "sampled",
    path: str | os.PathLike[str] = "curves.png",
    title: str | None = None,
    caption: str | None = None,
    source: str = "eval",
    level: float = 0.95,
    root: str | os.PathLike[str] = "runs",
) -> list[Path]:
    """Draws learning curves over environment steps, one panel per metric, as PNG and SVG; returns both paths.

    runs: as in `comity.runs.saved.find`, or a dict of label -> runs. metric: one or several (None: the headline and the
    return). policy: "sampled" or "greedy" (ignored for source="metrics", the training rollouts). With five seeds or
    more a line is the mean, and the band is Student's t interval over seeds. With fewer, each seed is a thin line
    without a band. Seeds that diverged are dotted and in no mean, because means end where their first seed ends.
    caption: below the picture (None: an explanation of lines and bands; "": none).
    """
    return draw_study(gather(runs, source, root), metric, policy, path, title, caption, source, level)


def draw_study(
    study: Study,
    metric: str | Sequence[str] | None = None,
    policy: str = "sampled",
    path: str | os.PathLike[str] = "curves.png",
    title: str | None = None,
    caption: str | None = None,
    source: str = "eval",
    level: float = 0.95,
    dpi: int = 200,
) -> list[Path]:
    """Does the same as `draw_curves` for gathered runs."""
    import matplotlib
    from matplotlib.figure import Figure

    table = points(study.table, policy, source)
    if metric is None:
        metrics = [study.metric()]
        metrics += ["return"] if "return" in study.table and metrics != ["return"] else []
    else:
        metrics = [study.metric(name) for name in ([metric] if isinstance(metric, str) else metric)]
    groups = {label: table.where(label=label) for label in table.unique("label")}
    looks = line_looks({label: str(rows["algorithm"][0]) for label, rows in groups.items()})
    names = {label: wrapped(label) for label in groups}
    lines = sum(name.count("\n") + 1 for name in names.values())
    with matplotlib.rc_context(STYLE):
        longest = max(len(line) for name in names.values() for line in name.split("\n")) if len(groups) > 1 else 0
        width = (3.4 if len(metrics) > 1 else 4.4) * len(metrics) + 0.085 * longest
        figure = Figure(figsize=(width, max(3.2, 1.2 + 0.17 * lines)), dpi=dpi, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, wspace=0.06)  # type: ignore[union-attr]
        panels = figure.subplots(1, len(metrics), squeeze=False)[0]
        seeds: set[int] = set()
        for axes, name in zip(panels, metrics, strict=True):
            seeds |= {
                draw_group(axes, rows, name, looks[label], level, len(groups), study.diverged)
                for label, rows in groups.items()
            }
            dress(axes, name, policy, source, study.step_unit, float(table["env_steps"].max()))
        lost = {label: _diverged(rows, study.diverged) for label, rows in groups.items()}
        text = explanation(seeds, table, source, level, lost) if caption is None else caption
        entitle(figure, title_of(study) if title is None else title, text)
        if len(groups) > 1:
            label_ends(figure, panels[-1], names, looks)
        return save(figure, Path(path))


def points(table: Table, policy: str, source: str) -> Table:
    """Returns the rows that make curves. Raises ValueError if this policy has none."""
    if source == "metrics":
        policy = "training"
    found = table.where(policy=policy, which=["periodic", "training"])
    if not len(found):
        there = table.unique("policy")
        if policy in there or not there:
            raise ValueError("no evaluation in these runs yet: let them train a little")
        raise ValueError(f"no policy {policy!r} in these runs; there are: {', '.join(there)}")
    return found


def _diverged(rows: Table, diverged: Collection[tuple[str, int]]) -> list[int]:
    return sorted(
        {seed for run, seed in zip(rows["run"], rows["seed"].tolist(), strict=True) if (run, seed) in diverged}
    )


def split_seeds(
    rows: Table, metric: str, diverged: Collection[tuple[str, int]]
) -> tuple[dict[int, OneSeed], dict[int, OneSeed]]:
    """Returns {seed: (environment steps, values)} of one label's whole seeds, then of those that diverged."""
    scale, lost = 100.0 if is_rate(metric) else 1.0, _diverged(rows, diverged)
    found: tuple[dict[int, OneSeed], dict[int, OneSeed]] = {}, {}
    for seed in sorted(rows.unique("seed")):
        one = rows.where(seed=seed)
        if np.isfinite(one[metric]).any():
            order = np.argsort(one["env_steps"], kind="stable")
            found[seed in lost][int(seed)] = one["env_steps"][order].astype(float), one[metric][order] * scale
    return found


def draw_group(
    axes: Axes, rows: Table, metric: str, look: dict[str, Any], level: float, groups: int,
    diverged: Collection[tuple[str, int]] = (),
) -> int:  # fmt: skip
    """Draws one label's seeds in one panel, fainter among many groups; returns how many seeds are in the mean."""
    from matplotlib.lines import Line2D

    whole, lost = split_seeds(rows, metric, diverged)
    curves = list(whole.values())
    for steps, values in lost.values():
        looks = {"linestyle": ":", "marker": "x", "markevery": [-1], "markersize": 3.5}  # a cross where it ended
        line = Line2D(steps, values, color=look["color"], linewidth=0.8, alpha=0.7, zorder=2, **looks)
        # Beside whole seeds it does not stretch the axes, because values may be huge before they are infinite.
        (axes.add_artist if curves else axes.add_line)(line)
    if not curves:
        axes.autoscale_view()
        return 0
    common: Curve = common_curve(curves)
    if len(curves) < FEWEST_SEEDS and len(curves) > 1:
        for steps, values in curves:
            axes.plot(steps, values, color=look["color"], linewidth=0.7, alpha=0.45, zorder=2)
    if len(curves) >= FEWEST_SEEDS and len(common.steps):
        _, low, high = mean_ci(common.values, level)
        if is_rate(metric):  # a rate lies between 0 and 100, so the interval is cut there
            low, high = np.clip(low, 0, 100), np.clip(high, 0, 100)
        alpha = 0.16 if groups <= 5 else 0.08
        axes.fill_between(common.steps, low, high, color=look["color"], alpha=alpha, linewidth=0, zorder=1)
    if len(common.steps):
        mean, label = common.values.mean(0), str(rows["label"][0])
        width = 1.9 if groups <= 7 else 1.4
        axes.plot(common.steps, mean, **look, label=label, linewidth=width, solid_capstyle="round", zorder=3)
    return len(curves)


def title_of(study: Study) -> str:
    """Returns `pg@1 on manitokan@1`; with more than three algorithms, only the task."""
    learners = list(dict.fromkeys(run.algorithm for run in study.runs))
    listed = " and ".join(filter(None, (", ".join(learners[:-1]), learners[-1])))
    return f"{listed} on {study.runs[0].task}" if len(learners) <= 3 else study.runs[0].task


def entitle(figure: Figure, title: str, caption: str) -> None:
    """Writes the title above a figure's panels and the caption, if there is one, below them."""
    lines = textwrap.wrap(title, int(figure.get_figwidth() * 12))
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=10, weight="bold")
    if caption:
        text = "\n".join(textwrap.wrap(caption, int(figure.get_figwidth() * 17)))
        figure.supxlabel(text, fontsize=7.5, color="#666666", x=0.01, ha="left")


def frame(axes: Axes) -> None:
    """Draws two spines, and a faint grid behind the curves."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=3)


def dress(axes: Axes, metric: str, policy: str, source: str, step_unit: str, end: float) -> None:
    """Sets axes, grid and words of one panel."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    frame(axes)
    who = "training" if source == "metrics" else f"{policy} policy"
    if is_rate(metric):
        axes.set_ylabel(f"{metric.replace('_', ' ')}, {who} (%)")
        top = min(100.0, max(1.0, axes.dataLim.y1 * 1.08))
        axes.set_ylim(-0.02 * top, top * (1.02 if top == 100 else 1))
    else:
        axes.set_ylabel(f"{metric.replace('_', ' ')}, {who}")
    axes.set_xlabel(f"environment steps ({step_unit})")
    axes.set_xlim(0, end if end > 0 else 1)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short(x)))


def label_ends(figure: Figure, axes: Axes, names: dict[str, str], looks: dict[str, dict[str, Any]]) -> None:
    """Writes each label beside `axes`, at the height at which its line ends. Labels that are too close are moved apart.

    A piece of the line stands before each label, so that no leader has to cross the panel.
    """
    from matplotlib.lines import Line2D

    figure.draw_without_rendering()  # fixes the size of the panel, in which the labels need room
    height = axes.get_window_extent().height / figure.dpi * 72  # points
    bottom, top = axes.get_ylim()
    lines = [line for line in axes.get_lines() if line.get_linewidth() > 1]
    ends = {str(line.get_label()): float(np.asarray(line.get_ydata(), float)[-1]) for line in lines}
    order = sorted(names, key=lambda label: ends.get(label, bottom))
    heights = np.array([8.5 * 1.2 * (names[label].count("\n") + 1) for label in order])
    wanted = np.array([(ends.get(label, bottom) - bottom) / (top - bottom) * height for label in order])
    for label, place in zip(order, spread(wanted, heights + 2.5, height), strict=True):
        look = {**looks[label], "markevery": [0]} if "marker" in looks[label] else looks[label]
        at = [(1.0 + x / axes.get_window_extent().width * figure.dpi) for x in (0.05, 0.24, 0.3)]  # inches
        key = Line2D(at[:2], [place / height] * 2, transform=axes.transAxes, clip_on=False, linewidth=1.4, **look)
        axes.add_artist(key)
        words = {"color": INK, "fontsize": 8.5, "va": "center", "annotation_clip": False}
        axes.annotate(names[label], (at[2], place / height), xycoords="axes fraction", **words)


def spread(wanted: NDArray[np.float64], heights: NDArray[np.float64], room: float) -> NDArray[np.float64]:
    """Returns places near `wanted` (ascending) at which boxes of these heights do not overlap.

    The places lie within 0 to room if the boxes fit. Boxes that touch move together, each group to the mean of its
    wanted places: least squares, by pooling adjacent violators (Ayer et al. 1955).
    """
    offsets = np.concatenate([[0.0], np.cumsum((heights[:-1] + heights[1:]) / 2)])
    blocks: list[tuple[float, int]] = []  # (mean of wanted - offset, size), must ascend
    for value in wanted - offsets:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            before, n = blocks.pop()
            mean, size = (before * n + mean * size) / (n + size), n + size
        blocks.append((mean, size))
    base = np.concatenate([np.full(size, mean) for mean, size in blocks])
    lowest, highest = heights[0] / 2, room - heights[-1] / 2 - offsets[-1]
    return np.clip(base, min(lowest, highest), max(lowest, highest)) + offsets


def explanation(
    seeds: set[int], table: Table, source: str, level: float, diverged: Mapping[str, Sequence[int]] | None = None
) -> str:
    """Explains lines and bands in words. diverged: seeds of each label that diverged."""
    seeds = {n for n in seeds if n}
    fewest, most = min(seeds, default=0), max(seeds, default=0)
    count = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    parts = []
    if most >= FEWEST_SEEDS:
        parts.append(f"Lines: means over seeds ({count}); bands: {100 * level:g} % t intervals over seeds.")
    if 1 < fewest < FEWEST_SEEDS or (fewest == 1 and most > 1):
        few = "Fewer than five seeds" if most >= FEWEST_SEEDS else f"{count} seeds"
        parts.append(f"{few}: each seed is a thin line, their mean bold, and no interval is drawn.")
    if most == 1:
        parts.append("One seed: this is no result yet.")
    some = {label: seeds for label, seeds in (diverged or {}).items() if seeds}
    if lost := [f"{label} (seed{'s' * (len(x) > 1)} {spans(x)})" for label, x in some.items()]:
        what = "Dotted, with a cross at the end: seeds that diverged (NaN or infinite), in no mean or band"
        parts.append(f"{what}: {', '.join(lost)}.")
    if source == "eval":
        played = sorted({int(n) for n in table["episodes"] if n > 0})
        if played:
            number = f"{played[0]}" if len(played) == 1 else f"{played[0]} to {played[-1]}"
            parts.append(f"Each point: {number} evaluation episodes per seed.")
    later = table.rows(table["iteration"] > 0)
    if len(later):
        ratio = later["env_steps"] / later["iteration"]
        if np.ptp(ratio) < 0.005 * ratio.mean():
            parts.append(f"One iteration is {ratio.mean():,.0f} environment steps.")
    return " ".join(parts)


def wrapped(label: str, width: int = 30) -> str:
    """Breaks a long label into several lines, between its parts."""
    lines = [""]
    for part in label.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if len(longer) > width and lines[-1]:
            lines.append(part)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _short_path(found: re.Match[str]) -> str:
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", found[0])


def _few_colours(drawn: Any) -> Any:
    """Reduces a picture to 256 colours: the 128 most frequent ones stay exact, so that hues stay."""
    from PIL import Image

    pixels = np.asarray(drawn).astype(np.int32) @ np.array([1 << 16, 1 << 8, 1])
    known, places, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    parts = lambda colours: np.stack([colours >> 16, colours >> 8 & 255, colours & 255], -1)  # noqa: E731
    often = parts(known[np.argsort(-counts, kind="stable")[:128]])
    mixture = drawn.quantize(256 - len(often), Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).getpalette()
    palette = np.concatenate([often, np.reshape(mixture, (-1, 3))])[:256]
    apart = [np.abs(parts(some)[:, None] - palette).sum(-1).argmin(-1) for some in np.array_split(known, 64)]
    few = Image.fromarray(np.concatenate(apart)[places].reshape(pixels.shape).astype(np.uint8), "P")
    few.putpalette(palette.astype(np.uint8).tobytes())
    return few


def save(figure: Figure, path: Path) -> list[Path]:
    """Writes the figure as PNG and SVG, each completely or not at all. Equal runs give equal files (no time is stored).

    To save bytes without a visible difference, the PNG has a palette of 256 colours (a third of the bytes), and the
    paths of the SVG have two decimals of a point (four fifths of the bytes).
    """
    from PIL import Image

    stem = path.with_suffix("") if path.suffix in (".png", ".svg") else path
    stem.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in ("png", "svg"):
        target = stem.with_name(f"{stem.name}.{kind}")
        partial = stem.with_name(f".{stem.name}.{os.getpid()}.{kind}")
        figure.savefig(partial, dpi=figure.dpi, metadata={"Software": None} if kind == "png" else {"Date": None})
        if kind == "png":
            with Image.open(partial) as drawn:
                few = _few_colours(drawn.convert("RGB"))
            few.save(partial, "png", dpi=(figure.dpi, figure.dpi))
        else:
            text = partial.read_text(encoding="utf-8")
            partial.write_text(re.sub(r' d="[^"]*"', _short_path, text), encoding="utf-8")
        partial.replace(target)
        written.append(target)
    return written
