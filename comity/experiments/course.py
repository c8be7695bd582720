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
FEWEST = 3  # with fewer seeds of an arm nothing is tested


class Length(NamedTuple):
    """The length of the paper's training of an arm."""

    updates: int
    steps: int  # steps of all games together, if no episode ends early
    rollout: int  # steps of a game in one iteration
    episode: int  # most steps of an episode: of a rollout, where the setting `steps` is 0


Lengths = Mapping[str, Length | None]  # label -> the length of the paper's training; None: not known


class Course(NamedTuple):
    """Numbers that decide whether a difference, or its absence, says something about the paper's end of training."""

    share: float | None  # trained share of the paper's training, 1: all, see `share_of`; of the arm with the smallest
    # one; None: the paper's is known for no arm
    share_of: str  # steps or updates, whichever has the smaller share; training: both have the same
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


def share_of(some: Sequence[dict[str, Any]], paper: Length) -> tuple[float, str]:
    """Returns the trained share of the paper's training, at most 1, and what it is a share of.

    A few games make as many updates as many do, and many games as many steps in fewer updates: the smaller of the two
    shares counts. Without records it is 1.
    """

    def steps(settings: dict[str, Any]) -> int:
        given = settings["algorithm"].get("steps", paper.rollout)
        return settings["iterations"] * settings["envs"] * (given or paper.episode)

    updates = max((x["settings"]["iterations"] / paper.updates for x in some), default=1.0)
    played = max((steps(x["settings"]) / paper.steps for x in some), default=1.0)
    share, word = min((updates, "updates"), (played, "steps"))
    return min(1.0, share), "training" if updates == played else word


def course_of(test: Comparison, records: Records, lengths: Lengths) -> Course:
    """Computes the course of a comparison. An arm whose length in the paper is not known is not extrapolated."""
    measure, signs = test.measure, test.labels()
    shares = {x: share_of(records.get(x, ()), paper) for x in signs if (paper := lengths[x]) is not None}
    # `ahead`: the rest of the paper's training, in tenths of ours.
    ahead = dict.fromkeys(signs, 0.0) | {side: 10 * (1 / share - 1) for side, (share, _) in shares.items()}
    paces = {side: finite([measure.pace(record) for record in records.get(side, ())]) for side in signs}
    share, word = min(shares.values(), default=(None, "training"))
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
    return Course(share, word, begun, float(pace), moving, float(rest))


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
