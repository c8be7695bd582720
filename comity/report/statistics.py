"""Statistics for a few seeds: interquartile means, intervals, probability of improvement, curves.

Intervals are always over seeds, never over episodes. Two episodes of one seed share a policy, so they tell how well
that policy plays, not how well its algorithm learns. With fewer than `FEWEST_SEEDS` seeds `summary` gives the smallest
and the largest score instead of an interval. Scores are arrays [S] (seeds) or [S, K] (seeds, tasks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_SEEDS = 5  # an interval needs at least so many seeds

Statistic = Callable[..., Any]  # f(values, axis) as numpy writes it: np.mean, np.median, iqm


class Interval(NamedTuple):
    """An estimate with its limits; the limits are NaN if there are too few seeds."""

    value: Any
    low: Any
    high: Any


class Summary(NamedTuple):
    """One number for several seeds, and the meaning of its limits."""

    value: float
    low: float
    high: float
    seeds: int
    kind: str  # "95% CI", "range" (fewer than five seeds: smallest and largest), "one seed" or "undefined"


class Curve(NamedTuple):
    """Seeds of one learning curve at common points."""

    steps: NDArray[np.float64]  # [P] environment steps
    values: NDArray[np.float64]  # [S, P] one row per seed


def scores(values: ArrayLike) -> NDArray[np.float64]:
    """Returns `values` as [S, K]; seeds alone count as one task. Raises ValueError if empty or with more axes."""
    array = np.asarray(values, float)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"scores of shape {np.shape(values)}: give at least one seed, as [seeds] or [seeds, tasks]")
    return array


def iqm(values: ArrayLike, axis: int | tuple[int, ...] | None = None) -> Any:
    """Interquartile mean: the mean without the lowest and the highest quarter of the values.

    Agarwal et al. (2021), "Deep RL at the edge of the statistical precipice", section 4.3. One lucky seed hardly
    changes it. A quarter of n values is rounded down, as in their code: of 3 values all stay, of 4 the middle two.
    """
    array = np.asarray(values, float)
    axes = tuple(range(array.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = tuple(a % array.ndim for a in axes)
    kept = [a for a in range(array.ndim) if a not in axes]
    flat = np.transpose(array, (*kept, *axes)).reshape(*(array.shape[a] for a in kept), -1)
    n = flat.shape[-1]
    if n == 0:
        raise ValueError("the interquartile mean of no values is undefined: give at least one")
    mean = np.sort(flat, axis=-1)[..., n // 4 : n - n // 4].mean(-1)
    return float(mean) if mean.ndim == 0 else mean


def mean_ci(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean over seeds with Student's t interval: mean -+ t(S - 1) s / sqrt(S) (Student 1908).

    values: [S, ...], seeds first; results have the other axes. The interval assumes that seeds are draws from one
    normal distribution; for rates near 0 or 1 `bootstrap_ci` assumes less.
    """
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    array = np.asarray(values, float)
    if array.ndim == 0 or array.shape[0] == 0:
        raise ValueError(f"values of shape {array.shape}: give at least one seed, seeds on the first axis")
    check_level(level)
    seeds = array.shape[0]
    mean = array.mean(0)
    if seeds == 1:
        nothing = np.full_like(mean, np.nan)
        return Interval(mean[()], nothing[()], nothing[()])
    half = stdtrit(seeds - 1, (1 + level) / 2) * array.std(0, ddof=1) / np.sqrt(seeds)
    return Interval(mean[()], (mean - half)[()], (mean + half)[()])


def bootstrap_ci(
    values: ArrayLike,
    statistic: Statistic = iqm,
    seed: int = 0,
    stratified: bool = True,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Returns `statistic` with a stratified percentile bootstrap interval (Agarwal et al. 2021, 4.1; Efron 1979).

    values: [S] or [S, K]. stratified: seeds are drawn separately for each task; otherwise rows stay together, for seeds
    that share something across tasks. statistic: f(values [R, S, K], axis=(1, 2)) -> [R]. seed: of the resampling, so
    that the same runs always give the same table. One seed gives NaN limits.
    """
    array = scores(values)
    check_level(level)
    value = float(statistic(array[None], axis=(1, 2))[0])
    if len(array) == 1:
        return Interval(value, np.nan, np.nan)
    drawn = resample(np.random.default_rng(seed), array, resamples, stratified)  # [R, S, K]
    low, high = np.quantile(statistic(drawn, axis=(1, 2)), [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def probability_of_improvement(
    x: ArrayLike, y: ArrayLike, seed: int = 0, level: float = 0.95, resamples: int = 2000
) -> Interval:
    """The probability that a seed of `x` beats a seed of `y`: P(X > Y) + P(X = Y) / 2, averaged over tasks.

    Agarwal et al. (2021), section 4.3; it equals Mann and Whitney's (1947) U / (S_x S_y). The interval is the
    stratified percentile bootstrap over the seeds of both. If every x beats every y, the interval is [1, 1], as with
    any percentile bootstrap, so the numbers of seeds matter. x: [S_x] or [S_x, K], y: [S_y] or [S_y, K].
    """
    first, second = scores(x), scores(y)
    check_level(level)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"x has {first.shape[1]} tasks, y has {second.shape[1]}: compare on the same tasks")

    def probability(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:  # [R, S, K] -> [R]
        above, equal = a[:, :, None] > b[:, None], a[:, :, None] == b[:, None]  # [R, S_x, S_y, K]
        return (above + 0.5 * equal).mean((1, 2, 3))

    value = float(probability(first[None], second[None])[0])
    if len(first) == 1 or len(second) == 1:
        return Interval(value, np.nan, np.nan)
    generator = np.random.default_rng(seed)
    drawn = probability(resample(generator, first, resamples), resample(generator, second, resamples))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def summary(values: ArrayLike, statistic: Statistic = iqm, seed: int = 0, level: float = 0.95) -> Summary:
    """Summarises one score per seed: an interval with five seeds or more, the range with fewer.

    values: [S]; seeds with an undefined score (NaN) are left out. Intervals are those of `bootstrap_ci`; for
    `statistic=np.mean` those of `mean_ci`.
    """
    array = np.asarray(values, float).ravel()
    array = array[np.isfinite(array)]
    n = len(array)
    if n == 0:
        return Summary(np.nan, np.nan, np.nan, 0, "undefined")
    if n >= FEWEST_SEEDS:
        found = mean_ci(array, level) if statistic is np.mean else bootstrap_ci(array, statistic, seed, level=level)
        return Summary(float(found.value), float(found.low), float(found.high), n, f"{100 * level:g}% CI")
    value = float(statistic(array, axis=0))
    return Summary(value, float(array.min()), float(array.max()), n, "range" if n > 1 else "one seed")


def common_curve(curves: Sequence[tuple[ArrayLike, ArrayLike]]) -> Curve:
    """Interpolates seeds, each (environment steps, values), at common points, so that a mean over seeds exists.

    Points lie in the range that all seeds cover: no seed enters or leaves the mean half-way, and nothing is
    extrapolated. If all seeds have equally many evaluations, the k-th point is the mean of their k-th steps; otherwise
    points are evenly spaced. Values between evaluations are interpolated linearly (across undefined values only inside
    a seed's own range). If there is no common range, the curve is empty.
    """
    if not curves:
        raise ValueError("no seeds to draw a curve of: give at least one (steps, values)")
    steps, values = [], []
    for given_steps, given_values in curves:
        x, y = np.asarray(given_steps, float), np.asarray(given_values, float)
        if x.shape != y.shape or x.ndim != 1:
            raise ValueError(f"steps {x.shape} and values {y.shape}: a seed needs one value per step")
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
        steps.append(x[np.isfinite(y)])
        values.append(y[np.isfinite(y)])
    if any(len(x) == 0 for x in steps):
        return Curve(np.zeros(0), np.zeros((len(curves), 0)))
    start, end = max(x[0] for x in steps), min(x[-1] for x in steps)
    if start > end:
        return Curve(np.zeros(0), np.zeros((len(curves), 0)))
    lengths = [len(x) for x in steps]
    if len(set(lengths)) == 1:
        points = np.unique(np.clip(np.mean(steps, axis=0), start, end))
    else:
        inside = max(int(((x >= start) & (x <= end)).sum()) for x in steps)
        points = np.unique(np.linspace(start, end, max(inside, 2)))
    return Curve(points, np.stack([np.interp(points, x, y) for x, y in zip(steps, values, strict=True)]))


def resample(
    generator: np.random.Generator, array: NDArray[np.float64], resamples: int, stratified: bool = True
) -> NDArray[np.float64]:
    """Draws the seeds of `array` [S, K] with replacement, `resamples` times, per task if stratified: [R, S, K]."""
    seeds, tasks = array.shape
    rows = generator.integers(seeds, size=(resamples, seeds, tasks if stratified else 1))
    return np.take_along_axis(array[None], np.broadcast_to(rows, (resamples, seeds, tasks)), axis=1)


def check_level(level: float) -> None:
    """Raises ValueError unless `level` is a probability strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level {level}: a confidence level lies between 0 and 1, such as 0.95")
