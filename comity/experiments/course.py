"""Where a difference stands in training: how much of the paper's was trained, and whether it still moves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from comity.experiments.claims import OF_SPREAD, Comparison
from comity.experiments.measures import Measure
from comity.experiments.significance import difference

Records = Mapping[str, Sequence[dict[str, Any]]]  # label -> one record for each seed
FEWEST = 3  # seeds of an arm below which nothing is tested


class Course(NamedTuple):
    """What decides whether a difference, or its absence, says something of the paper's end of training."""

    share: float  # of the paper's updates that were trained, of the arm with less of them; 1: all
    begun: bool  # one of the arms has moved by more than the margin since the first tenth
    pace: float  # how much the difference changed from the last tenth but one to the last
    moving: bool  # what the rest of training would add at that pace differs from 0 over seeds
    rest: float  # that, each arm at its own pace and none beyond what its metric can be


def values(side: str | float, measure: Measure, records: Records) -> NDArray[np.float64]:
    """A value for each seed of a label that has one; or the number itself."""
    if not isinstance(side, str):
        return np.array([float(side)])
    return finite([measure(record) for record in records.get(side, ())])


def finite(numbers: Sequence[float]) -> NDArray[np.float64]:
    seeds = np.array(numbers, float)
    return seeds[np.isfinite(seeds)]


def course_of(test: Comparison, records: Records, iterations: Mapping[str, int]) -> Course:
    """iterations: label -> how many updates the paper trained it for."""
    measure, signs = test.measure, test.labels()
    trained = {x: max((r["settings"]["iterations"] for r in records.get(x, ())), default=iterations[x]) for x in signs}
    ahead = {side: max(0.0, 10 * (iterations[side] / trained[side] - 1)) for side in signs}  # tenths of what it had
    paces = {side: finite([measure.pace(record) for record in records.get(side, ())]) for side in signs}
    share = min(min(1.0, trained[side] / iterations[side]) for side in signs)
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
    """How far an arm's level is from that in the first tenth of training."""
    if measure.statistic == "correlation":  # it has no level to move from
        return float("inf")
    level = replace(measure, statistic="mean") if measure.statistic in ("change", "surge", "fall", "drift") else measure
    now, first = values(side, level, records), values(side, measure.at_first(), records)
    return abs(float(now.mean()) - float(first.mean())) if now.size and first.size else 0.0


def _added(side: str, measure: Measure, records: Records, step: float) -> float:
    """What `step` adds to an arm that stays within what the metric can be."""
    now, first = values(side, measure, records).mean(), values(side, measure.at_first(), records).mean()
    low, high = measure.reach(float(first))
    return float(np.clip(now + step, min(low, now), max(high, now)) - now)
