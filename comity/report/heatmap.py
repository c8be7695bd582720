"""Draws cross-play as a picture: the result of each team with each other team."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from comity.report.curves import INK, STYLE
from comity.report.words import is_rate

FEWEST_WORDS = 24  # teams; with more, the cells hold no numbers


def draw_heatmap(labels: Sequence[str], matrix: NDArray[np.float64], title: str, path: Path, metric: str) -> list[Path]:
    """Writes a PNG: rows give agent 0, columns all others. matrix [K, K], NaN where unknown; a rate as a share of 1."""
    import matplotlib
    from matplotlib.figure import Figure

    rate, size = is_rate(metric), len(labels)
    values = 100 * matrix if rate else matrix
    with matplotlib.rc_context(STYLE):
        side = max(2.6, min(9.0, 0.55 * size))
        room = 0.075 * max(map(len, labels))
        figure = Figure(figsize=(side + room + 1.2, side + room + 0.9), dpi=150, layout="constrained")
        axes = figure.subplots()
        low, high = (0, 100) if rate else (None, None)
        image = axes.imshow(values, cmap="viridis", vmin=low, vmax=high)
        axes.set_xticks(range(size), labels, rotation=90)
        axes.set_yticks(range(size), labels)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("all other agents")
        axes.set_ylabel("agent 0")
        if size <= FEWEST_WORDS:
            for (i, j), value in np.ndenumerate(values):
                if np.isfinite(value):
                    ink = INK if float(np.asarray(image.norm(np.array([value]))).item()) > 0.55 else "white"
                    axes.text(
                        j,
                        i,
                        f"{value:.0f}" if rate else f"{value:.3g}",
                        ha="center",
                        va="center",
                        color=ink,
                        fontsize=7,
                    )
        figure.colorbar(image, ax=axes, shrink=0.8, label=f"{metric}{', %' if rate else ''}")
        text = "\n".join(textwrap.wrap(title, int(figure.get_figwidth() * 11)))
        figure.suptitle(text, x=0.01, ha="left", fontsize=9, weight="bold")
        figure.savefig(path)
    return [path]
