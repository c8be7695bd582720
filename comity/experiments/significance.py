"""Tests over seeds: Welch's t, tests of spreads, exact tests as a check if seeds are few, Holm's correction.

An arm is an array with a value for each seed. An array of one value is a number that an arm is compared with.
"""

from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Relation = Literal[
    "above", "below", "not above", "not below", "between", "equal", "wider", "wider-throughout", "steadier"
]
Seeds = NDArray[np.float64]
LEVEL = 0.05
FEW = 5  # up to so many seeds of an arm, an exact test is added
ARRANGEMENTS = 200_000  # an exact test counts at most so many; of more, it draws so many


class Exact(NamedTuple):
    """Exact tests of a comparison. They need no assumption on the distribution of seeds."""

    holds: float  # p-value of no such difference; "equal", "not above", "not below": of one of the margin or more
    excluded: float  # p-value of a difference as large as the margin; of the other three: of one within it
    least: float  # smallest p that is possible with so many seeds


def difference(
    first: Seeds, second: Seeds, relation: Relation, margin: float, beside: Sequence[Seeds] = ()
) -> tuple[float, float, float, float]:
    """Returns (mean difference, its 95 % interval, p) by Welch's t test (1947); one value in `second` is a constant.

    beside: two more sets of seeds, whose difference is subtracted (an interaction), or none.

    p for above and below: if there is no difference in that direction, one-sided. p for equal: if the difference is
    `margin` or more, the larger p of two one-sided tests (Schuirmann 1987); for "not above" and "not below" the p of
    one of them. If all seeds are the same, t says nothing:
    p is 0 or 1, and the exact test decides.
    """
    from scipy.special import stdtr, stdtrit

    groups = (first, second, *beside)
    estimate = float(sum(sign * x.mean() for sign, x in zip((1, -1, -1, 1), groups, strict=False)))
    parts = [x.var(ddof=1) / len(x) if len(x) > 1 else 0.0 for x in groups]
    error = float(np.sqrt(sum(parts)))
    if error < 1e-12:
        holds = {
            "above": estimate > 0,
            "below": estimate < 0,
            "not above": estimate < margin,
            "not below": estimate > -margin,
            "equal": abs(estimate) < margin,
        }[relation]
        return estimate, estimate, estimate, 0.0 if holds else 1.0
    freedom = sum(parts) ** 2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, groups, strict=True) if part > 0)
    half = float(stdtrit(freedom, 1 - LEVEL / 2)) * error
    tail = lambda t: float(stdtr(freedom, -t))  # noqa: E731  # P(T > t)
    p = {
        "above": tail(estimate / error),
        "below": tail(-estimate / error),
        "not above": tail((margin - estimate) / error),
        "not below": tail((estimate + margin) / error),
        "equal": max(tail((estimate + margin) / error), tail((margin - estimate) / error)),
    }[relation]
    return estimate, estimate - half, estimate + half, p


def variance(seeds: Seeds, relation: Relation) -> float:
    """Returns the variance over seeds; of "wider-throughout", whose seeds are distances from the mean curve, the mean
    over the points of the variance at each point.
    """
    if relation == "wider-throughout":
        return float(np.square(seeds).sum() / (len(seeds) - 1))
    return float(seeds.var(ddof=1))


def spread_ratio(first: Seeds, second: Seeds, relation: Relation = "wider") -> tuple[float, float, float, float]:
    """Returns (ratio of standard deviations over seeds, its 95 % interval, p of no more than 1) by the F test.

    The test assumes that seeds are draws from normal distributions, and it is sensitive to that. Five seeds say little
    about a spread. For "wider-throughout" it has as many degrees of freedom as for one point, as if seeds kept their
    distances all the time. Where they do not, the interval is wider than it had to be.
    """
    from scipy.special import fdtr, fdtri

    a, b = variance(first, relation), variance(second, relation)
    if b < 1e-24:
        ratio = float("inf") if a > 1e-24 else 1.0
        return ratio, ratio, ratio, 0.0 if a > 1e-24 else 1.0
    n, m = len(first) - 1, len(second) - 1
    ratio = a / b
    low, high = ratio / fdtri(n, m, 1 - LEVEL / 2), ratio / fdtri(n, m, LEVEL / 2)
    return float(np.sqrt(ratio)), float(np.sqrt(low)), float(np.sqrt(high)), float(1 - fdtr(n, m, ratio))


def spread_below(x: Seeds, bound: float) -> tuple[float, float, float, float]:
    """Returns (standard deviation over seeds minus `bound`, 95 % interval, p of `bound` or more), chi-squared test.

    It is as sensitive to other distributions than the normal as `spread_ratio`.
    """
    from scipy.special import chdtr, chdtri

    free, squares = len(x) - 1, float(x.var(ddof=1)) * (len(x) - 1)
    low, high = (float(np.sqrt(squares / chdtri(free, tail))) for tail in (LEVEL / 2, 1 - LEVEL / 2))
    return float(x.std(ddof=1)) - bound, low - bound, high - bound, float(chdtr(free, squares / bound**2))


def alike(seeds: Seeds) -> bool:
    """True if all seeds of an arm have the same value."""
    return len(seeds) > 1 and float(np.ptp(seeds)) < 1e-12


def exact(first: Seeds, second: Seeds, relation: Relation, margin: float, beside: Sequence[Seeds] = ()) -> Exact | None:
    """Returns the exact test of a comparison; None if every arm has more than FEW seeds that are not all alike.

    For an interaction it returns the larger p of two tests: each pair of arms is tested, with the mean difference of
    the other pair taken as known.
    """
    arms = [x for x in (first, second, *beside) if len(x) > 1]
    if min(map(len, arms)) > FEW and not any(map(alike, arms)):
        return None
    if beside:
        a, b = beside
        pairs = ((first, second + a.mean() - b.mean()), (b, a - first.mean() + second.mean()))
        found = [_exact(x, y, relation, margin) for x, y in pairs]
        return Exact(*(max(values) for values in zip(*found, strict=True)))
    return _exact(first, second, relation, margin)


def _exact(first: Seeds, second: Seeds, relation: Relation, margin: float) -> Exact:
    if relation == "steadier":  # n equal seeds come from two values of any spread with this probability
        least = 2.0 ** (1 - len(first))
        return Exact(least, 0.0, least)
    if relation in ("wider", "wider-throughout"):  # distances from the own mean are rearranged
        if relation == "wider":
            first, second = np.abs(first - first.mean()), np.abs(second - second.mean())
        return Exact(permuted(first, second), permuted(-first, -margin * second), least_p(first, second))
    if relation == "equal":
        holds = max(permuted(first, second - margin), permuted(-first, -(second + margin)))
        excluded = min(permuted(first, second + margin), permuted(-first, -(second - margin)))
        return Exact(holds, excluded, least_p(first, second))
    x, y = (first, second) if relation in ("above", "not below") else (-first, -second)
    if relation in ("not above", "not below"):
        return Exact(permuted(x, y - margin), permuted(-x, -(y - margin)), least_p(x, y))
    return Exact(permuted(x, y), permuted(-x, -(y + margin)), least_p(x, y))


def permuted(first: Seeds, second: Seeds) -> float:
    """p of a mean of `first` that is not larger: the share of rearrangements with at least the found mean difference.

    Two arms: all ways to distribute their values over two arms of these sizes. One value in `second` is a number: all
    signs of the seeds' distances from it.
    """
    n, total = len(first), len(first) + len(second)
    rng, drawn = np.random.default_rng(0), _count(first, second) > ARRANGEMENTS
    if len(second) == 1:
        values = first - second
        signs = rng.choice([-1.0, 1.0], (ARRANGEMENTS, n)) if drawn else _signs(n)
        sums, found = signs @ values, values.sum()
    else:
        values = np.concatenate([first, second])
        if drawn:
            chosen = rng.permuted(np.tile(np.arange(total), (ARRANGEMENTS, 1)), axis=1)[:, :n]
        else:
            chosen = np.array(list(combinations(range(total), n)))
        sums, found = values[chosen].sum(1), first.sum()
    hits = int((sums >= found - 1e-9 * np.abs(values).sum()).sum())
    return (hits + 1) / (len(sums) + 1) if drawn else hits / len(sums)


def least_p(first: Seeds, second: Seeds) -> float:
    """Smallest p that `permuted` can give."""
    return 1 / min(_count(first, second), ARRANGEMENTS + 1)


def _count(first: Seeds, second: Seeds) -> int:
    return 2 ** len(first) if len(second) == 1 else comb(len(first) + len(second), len(first))


def _signs(n: int) -> NDArray[np.float64]:
    """Returns all rows of -1 and 1, [2^n, n]."""
    return 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)


def holm(p: Sequence[float]) -> list[float]:
    """Corrects p values for their number: the k-th smallest of n times n - k + 1, never falling (Holm 1979)."""
    order, corrected, least = np.argsort(p), np.empty(len(p)), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = least
    return corrected.tolist()
