"""Compares each estimator's mean with the true gradient, on a game small enough to be enumerated.

A player cooperates with probability p in three inner episodes of one step. The other's cooperation q is 0.5 in the
first, and 0.1 + 0.8 n / b afterwards, where n of the b inner games saw cooperation in the first; the player earns
2 q - a, a = 1 if it cooperated. So J = 1.4 + 0.2 p per game, whatever b (specification D.3, toy 1).
"""

from math import comb
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from comity.learning.shaping import CREDITS, Estimator

GAMES = (1, 2, 4, 8, 16, 32, 64)
TRUE = 0.2  # dJ / dp
NAMES: dict[str, Estimator] = {"COALA-PG": "coala", "M-FOS": "m-fos", "batch-unaware": "batch-unaware"}


def expected(estimator: Estimator, b: int, p: float = 0.6) -> float:
    """Exact mean of an estimate of dJ / dp, as a sum over n. The score of an action is (a - p) / (p (1 - p))."""
    averages, normalises = CREDITS[estimator]
    total = 0.0
    for n in range(b + 1):
        chance = comb(b, n) * p**n * (1 - p) ** (b - n)
        # Sums over games of (a - p) times the pay of the action's own episode. In the first it is 1 - a for b - n
        # defectors. In the two later ones, whose actions change nothing else, it is E[(a - p)(2 q - a)] = -p (1 - p)
        # each.
        own = -p * (b - n) - 2 * b * p * (1 - p)
        # Both later episodes together pay every game the same, in the mean over their own actions.
        later = (n - b * p) * 2 * (2 * (0.1 + 0.8 * n / b) - p)
        total += chance * (own / b if normalises else own) + chance * later
    return total / (p * (1 - p)) / (1 if averages else b)


def table() -> dict[str, NDArray[np.float64]]:
    """Returns estimator -> its mean at each of GAMES."""
    return {label: np.array([expected(name, b) for b in GAMES]) for label, name in NAMES.items()}


def draw(out: Path) -> list[Path]:
    """Draws estimators.png and .svg, and writes estimators.csv."""
    import csv

    import matplotlib
    from matplotlib.figure import Figure

    from comity.report.curves import entitle, save
    from comity.report.looks import BASELINE, HUES
    from comity.report.panels import DPI, LETTERS, WIDTH

    found = table()
    with matplotlib.rc_context(LETTERS):
        figure = Figure(figsize=(WIDTH, 3.4), dpi=DPI, layout="constrained")
        axes = figure.subplots()
        axes.axhline(TRUE, color=BASELINE, linewidth=0.8)
        for label, values in found.items():
            axes.plot(GAMES, values, color=HUES[NAMES[label]], marker="o", markersize=3, label=label)
        axes.set_xscale("log", base=2)
        axes.set_xticks(GAMES, [str(b) for b in GAMES])
        axes.set_yscale("symlog", linthresh=1.0)
        axes.set_xlabel("inner games b")
        axes.set_ylabel("mean estimate of dJ / dp (grey: true)")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        entitle(figure, "Only COALA-PG's mean is the true gradient, for every number of inner games", "")
        files = save(figure, out / "estimators.png")
    path = out / "estimators.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["b", *found])
        writer.writerows([b, *(values[i] for values in found.values())] for i, b in enumerate(GAMES))
    return [*files, path]
