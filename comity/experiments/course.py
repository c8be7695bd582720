"""The course of a difference: the trained share of the paper's training, and whether the difference still moves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from comity.experiments.claims import OF_SPREAD, Comparison
from comity.experiments.measures import Measure
from comity.experiments.significance import difference

Records = Mapping[str, Sequence[dict[str, Any]]]  # label -> one record for each seed
Lengths = Mapping[str, int | None]  # label -> updates for which the paper trained it; None: not known
FEWEST = 3  # with fewer seeds of an arm nothing is tested


class Course(NamedTuple):
    """Numbers that decide whether a difference, or its absence, says something about the paper's end of training."""

    share: float | None  # trained share of the paper's updates, 1: all; of the arm with the smallest one; None: the
    # paper's is known for no arm
    begun: bool  # True if one of the arms has moved by more than the margin since the first tenth
    pace: float  # change of the difference from the last tenth but one to the last
    moving: bool  # True if what the rest of training would add at that pace differs from 0 over seeds
    rest: float  # what the rest would add: each arm at its own pace, within the range of its metric


def values(side: str | float, measure: Measure, records: Records) -> NDArray[np.float64]:
    """Returns a value for each seed of a label that has one; for a number, the number itself."""
    if not isinstance(side, str):
        return np.array([float(side)])
    return finite([measure(record) for record in records.get(side, ())])


def distances(side: str | float, measure: Measure, records: Records) -> NDArray[np.float64]:
    """Returns the distance of each seed's curve from the mean curve of its arm: the root of the mean square over the
    window's points. Points that a seed lacks are left out.
    """
    some = records.get(side, ()) if isinstance(side, str) else ()
    if not some:
        return np.array([])
    curves = np.array([measure.points(record) for record in some])  # [S, P]
    curves = curves[:, np.isfinite(curves).all(0)]
    return np.sqrt(np.square(curves - curves.mean(0)).mean(1)) if curves.size else np.array([])


def finite(numbers: Sequence[float]) -> NDArray[np.float64]:
    seeds = np.array(numbers, float)
    return seeds[np.isfinite(seeds)]


def course_of(test: Comparison, records: Records, iterations: Lengths) -> Course:
    """Computes the course of a comparison. An arm whose length in the paper is not known is not extrapolated."""
    measure, signs = test.measure, test.labels()
    # `ahead`: the rest of the paper's training, in tenths of ours.
    whole = {side: n for side in signs if (n := iterations[side]) is not None}
    trained = {x: max((r["settings"]["iterations"] for r in records.get(x, ())), default=n) for x, n in whole.items()}
    ahead = dict.fromkeys(signs, 0.0) | {side: max(0.0, 10 * (n / trained[side] - 1)) for side, n in whole.items()}
    paces = {side: finite([measure.pace(record) for record in records.get(side, ())]) for side in signs}
    share = min((min(1.0, trained[side] / n) for side, n in whole.items()), default=None)
    begun = any(_moved(side, measure, records) > test.margin for side in signs)
    pace = sum(sign * paces[side].mean() for side, sign in signs.items() if paces[side].size)
    rest, moving = 0.0, False
    if measure.of_the_end and test.relation not in OF_SPREAD and all(len(x) >= FEWEST for x in paces.values()):
        steps = [ahead[side] * paces[side] for side in signs]
        one, other, *more = steps if len(steps) > 1 else [*steps, np.zeros(1)]
        _, low, high, _ = difference(one, other, "above", 0.0, more)
        moving = low > 0 or high < 0
        added = {side: _added(side, measure, records, step.mean()) for side, step in zip(signs, steps, strict=True)}
        rest = sum(sign * added[side] for side, sign in signs.items())
    return Course(share, begun, float(pace), moving, float(rest))


def _moved(side: str, measure: Measure, records: Records) -> float:
    """Returns the distance of an arm's level from its level in the first tenth of training."""
    if measure.statistic == "correlation":  # a correlation has no level to move from
        return float("inf")
    level = replace(measure, statistic="mean") if measure.statistic in ("change", "surge", "fall", "drift") else measure
    now, first = values(side, level, records), values(side, measure.at_first(), records)
    return abs(float(now.mean()) - float(first.mean())) if now.size and first.size else 0.0


def _added(side: str, measure: Measure, records: Records, step: float) -> float:
    """Returns what `step` adds to an arm that stays within the range of its metric."""
    now, first = values(side, measure, records).mean(), values(side, measure.at_first(), records).mean()
    low, high = measure.reach(float(first))
    return float(np.clip(now + step, min(low, now), max(high, now)) - now)
