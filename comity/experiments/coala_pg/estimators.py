"""Compares each estimator's mean with the true gradient, on two games small enough to be enumerated.

The first has one parameter. A player cooperates with probability p in three inner episodes of one step. The other's
cooperation q is 0.5 in the first, and 0.1 + 0.8 n / b afterwards, where n of the b inner games saw cooperation in the
first; the player earns 2 q - a, a = 1 if it cooperated. So J = 1.4 + 0.2 p per game, whatever b (specification D.3,
toy 1).

The second is the prisoner's dilemma with the five logits of C.7, in two inner episodes of two steps (F.1; D.3, toy 2).
The other cooperates with probability sigmoid(psi), and ascends the policy gradient of its mean reward over all b games
once, between the episodes.
"""

from collections import Counter
from functools import cache
from itertools import product
from math import comb
from pathlib import Path
from typing import NamedTuple

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


# Five logits --------------------------------------------------------------------------------------------------------

FEW = (1, 2, 4, 8, 16)  # numbers of inner games
LOGITS, PSI, RATE = (0.2, 0.5, -0.3, 0.1, -0.6), 0.4, 0.5
PLAYS = np.array(list(product((0, 1), repeat=4))).reshape(16, 2, 2)  # one episode of one game: [play, step, player]
MINE, THEIRS = PLAYS[..., 0], PLAYS[..., 1]  # [16, 2], 1: defects
PAYOFFS = np.array([[1, -1], [2, 0]])
PAID, EARNED = PAYOFFS[MINE, THEIRS], PAYOFFS[THEIRS, MINE]
SEEN = np.stack([np.zeros(16, int), 1 + 2 * MINE[:, 0] + THEIRS[:, 0]], 1)  # the place of the logit in each step


class Means(NamedTuple):
    """Means over all plays of b games, [5]."""

    own: NDArray[np.float64]  # of the score in the first episode, times the rest of its own return
    later: NDArray[np.float64]  # of that score, times the return of the second episode
    second: NDArray[np.float64]  # of the score in the second episode, times the rest of its return
    value: float  # J, the mean return of a game


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def means(b: int, logits: NDArray[np.float64]) -> Means:
    """Sums over the plays of one game and over what the other b - 1 games add to the other's step."""
    cooperates, q = sigmoid(logits[SEEN]), sigmoid(PSI)
    mine = np.where(MINE == 0, cooperates, 1 - cooperates).prod(1)
    score = np.zeros((16, 2, 5))
    np.put_along_axis(score, SEEN[..., None], ((MINE == 0) - cooperates)[..., None], 2)
    theirs = lambda q: q ** (THEIRS == 0).sum(1) * (1 - q) ** (THEIRS == 1).sum(1)  # noqa: E731
    chance = mine * theirs(q)
    rest = np.cumsum(PAID[:, ::-1], 1)[:, ::-1]
    gain = (score * rest[..., None]).sum(1)  # [16, 5]
    # A game's gradient for the other is (c - 2 q) e: c steps in which it cooperates, e points. Both are whole numbers,
    # so sums over games take few values.
    adds = np.stack([(THEIRS == 0).sum(1) * EARNED.sum(1), EARNED.sum(1)], 1)
    one, others = Counter[tuple[int, ...]](), Counter({(0, 0): 1.0})
    for play, weight in zip(adds.tolist(), chance, strict=True):
        one[tuple(play)] += weight
    for _ in range(b - 1):
        more = Counter[tuple[int, ...]]()
        for (x, y), p in others.items():
            for (u, v), r in one.items():
                more[x + u, y + v] += p * r
        others = more
    sums = adds[:, None] + np.array(list(others))  # [16, K, 2]
    weight = chance[:, None] * np.array(list(others.values()))  # [16, K]
    after = sigmoid(PSI + RATE / b * (sums[..., 0] - 2 * q * sums[..., 1]))  # the other's cooperation in the second
    second = mine * theirs(after[..., None])  # [16, K, 16]
    value = second @ PAID.sum(1)  # [16, K]
    later = np.einsum("ik,ik,id->d", weight, value, score.sum(1))
    own, second = chance @ gain, np.einsum("ik,ikj,jd->d", weight, second, gain)
    return Means(own, later, second, float(chance @ PAID.sum(1) + (weight * value).sum()))


def expected_gradient(estimator: Estimator, b: int) -> NDArray[np.float64]:
    """Returns the exact mean of an estimate of dJ / dlogits, [5]."""
    averages, normalises = CREDITS[estimator]
    found = means(b, np.array(LOGITS))
    # Summed over the b games. What is averaged over games at the end is divided by b.
    total = b * ((found.own + found.second) / (b if normalises else 1) + found.later)
    return total / (1 if averages else b)


@cache
def true_gradient(b: int, step: float = 1e-5) -> NDArray[np.float64]:
    """Returns dJ / dlogits by differences of J, [5]."""
    moved = lambda move: means(b, np.array(LOGITS) + move).value  # noqa: E731
    return np.array([(moved(e) - moved(-e)) / (2 * step) for e in step * np.eye(5)])


def against_true(estimator: Estimator, b: int) -> tuple[float, float]:
    """Returns (the angle in degrees between an estimator's mean and the true gradient, the ratio of their norms)."""
    mean, true = expected_gradient(estimator, b), true_gradient(b)
    ratio = np.linalg.norm(mean) / np.linalg.norm(true)
    cosine = mean @ true / (ratio * (true @ true))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))), float(ratio)


# The picture --------------------------------------------------------------------------------------------------------


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
    few = {label: np.array([against_true(name, b) for b in FEW]).T for label, name in NAMES.items()}  # [2, len(FEW)]
    with matplotlib.rc_context(LETTERS):
        figure = Figure(figsize=(WIDTH, 3.4), dpi=DPI, layout="constrained")
        left, *right = figure.subplots(1, 3, width_ratios=(2, 1.5, 1.5))
        left.axhline(TRUE, color=BASELINE, linewidth=0.8)
        left.set_yscale("symlog", linthresh=1.0)
        left.set_ylabel("one parameter: mean of dJ / dp (grey: true)")
        right[0].set_ylabel("five logits: angle to the true gradient, degrees")
        right[1].set_ylabel("five logits: norm / norm of the true gradient")
        right[1].set_yscale("log", base=2)
        right[1].yaxis.set_major_formatter("{x:g}")
        for label, values in found.items():
            dashes = "--" if label == "batch-unaware" else "-"  # it lies on another line in places
            style = {"color": HUES[NAMES[label]], "marker": "o", "markersize": 3, "label": label, "linestyle": dashes}
            left.plot(GAMES, values, **style)
            for axes, line in zip(right, few[label], strict=True):
                axes.plot(FEW, line, **style)
        for axes, counts in zip((left, *right), (GAMES, FEW, FEW), strict=True):
            axes.set_xscale("log", base=2)
            axes.set_xticks(counts, [str(b) for b in counts])
            axes.set_xlabel("inner games b")
            axes.spines[["top", "right"]].set_visible(False)
        left.legend(frameon=False)
        entitle(figure, "Only COALA-PG's mean is the true gradient, for every number of inner games", "")
        files = save(figure, out / "estimators.png")
    path = out / "estimators.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["b", *found, *(f"{label}, {what}" for what in ("angle", "norm") for label in few)])
        for i, b in enumerate(GAMES):
            extra = [few[label][k][FEW.index(b)] if b in FEW else "" for k in range(2) for label in few]
            writer.writerow([b, *(values[i] for values in found.values()), *extra])
    return [*files, path]
