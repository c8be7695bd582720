"""Figure 2a: the exact strength of the two entropy terms for a choice between two actions.

Left, as in the paper: dH_k with respect to the probability p of one action, -beta (log p + 1), and divided by the
entropy, -xi (log p + 1) / H(p). Right, ours: with respect to the logit z of p = sigmoid(z), which is what moves a
policy: beta dH/dz, and xi (dH/dz) / H, which is the gradient of xi log H.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FIXED = (0.13, 0.15, 0.17)  # beta of the paper's figure 2b
ADAPTIVE = (0.06, 0.11)  # xi of the same figure
Curve = NDArray[np.float64]


def height(p: Curve) -> Curve:
    """Entropy H(p) of two actions, nats."""
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


def by_probability(p: Curve, weight: float, divided: bool) -> Curve:
    """Addition of the term to the gradient with respect to p (the paper's section 4.2)."""
    return -weight * (np.log(p) + 1) / (height(p) if divided else 1.0)


def by_logit(p: Curve, weight: float, divided: bool) -> Curve:
    """Addition of the term to the gradient with respect to z, p = sigmoid(z): dH/dz = p (1 - p) log((1 - p) / p)."""
    return weight * p * (1 - p) * np.log((1 - p) / p) / (height(p) if divided else 1.0)


def table(points: int = 199) -> dict[str, Curve]:
    """Returns the columns of the curves at `points` probabilities between 0 and 1."""
    p = np.arange(1, points + 1) / (points + 1)
    columns = {"p": p}
    for what, push in (("probability", by_probability), ("logit", by_logit)):
        columns |= {f"{what}, beta {weight:g}": push(p, weight, False) for weight in FIXED}
        columns |= {f"{what}, xi {weight:g}": push(p, weight, True) for weight in ADAPTIVE}
    return columns


def draw(out: Path) -> list[Path]:
    """Draws fig2-exact.png and .svg, and writes fig2-exact.csv."""
    import csv

    import matplotlib
    from matplotlib.figure import Figure

    from comity.report.curves import entitle, save
    from comity.report.looks import BASELINE, DASHES, HUES
    from comity.report.panels import DPI, LETTERS, WIDTH

    columns = table()
    p = columns["p"]
    with matplotlib.rc_context(LETTERS):
        figure = Figure(figsize=(WIDTH, 3.4), dpi=DPI, layout="constrained")
        for axes, what in zip(figure.subplots(1, 2), ("probability", "logit"), strict=True):
            names = [name for name in columns if name.startswith(what)]
            for number, name in enumerate(names):
                ours = "xi" in name  # xi is LICA's term; the plain one belongs to no learner
                dashes = DASHES[(number - len(FIXED) * ours) % len(DASHES)]
                colour, label = HUES["lica"] if ours else "#000000", name.partition(", ")[2]
                axes.plot(p, columns[name], linestyle=dashes, color=colour, label=label)
            axes.axhline(0, color=BASELINE, linewidth=0.8)
            axes.set_xlabel("probability of the action")
            axes.set_ylabel(f"push on its {what}")
            axes.spines[["top", "right"]].set_visible(False)
        figure.axes[0].set_ylim(-1.5, 1.0)
        figure.axes[0].legend(frameon=False, fontsize=8)
        entitle(figure, "Divided by the entropy (xi) the term still pushes a policy that is nearly certain", "")
        files = save(figure, out / "fig2-exact.png")
    path = out / "fig2-exact.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([f"{x:.6g}" for x in row] for row in zip(*columns.values(), strict=True))
    return [*files, path]
