"""Measures: one number from one seed's record. Claims are about these numbers."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from comity.report.ranges import limits


@dataclass(frozen=True)
class Measure:
    """A statistic of one metric over a window of training, or of the last policy on new episodes.

    metric: of training and its evaluations; TRIAL:METRIC, of a trial of the arm; or a difference of two, `A - B`.

    window: fractions of training. "mean": over the window. "change": the mean over the window minus that of the first
    tenth. "correlation": of the metric with `other` over the window. "peak", "trough": the largest, smallest value in
    the window. "surge": the largest value in the window minus the mean of the tenth of training before it. "fall": the
    largest drop below a value that was reached before in the window. "drift": the mean of the window's second half
    minus that of its first half; NaN if the curve has so few points that the halves share one. "log-odds":
    ln (p / (1 - p)) of the mean p of a rate over the window, with half a game added on both sides, so that it is finite
    at 0 and 1; a difference of two is the logarithm of an odds ratio. "last": of the last policy, sampled, on its own
    episodes (the window is not read).
    """

    metric: str
    statistic: Literal[
        "mean", "change", "correlation", "peak", "trough", "surge", "fall", "drift", "log-odds", "last"
    ] = "mean"
    window: tuple[float, float] = (0.9, 1.0)
    other: str = ""

    def __call__(self, record: dict[str, Any]) -> float:
        from comity.experiments.records import at_end, curve

        if self.statistic == "last":
            return at_end(record, self.metric)
        values = self.points(record)
        if self.statistic == "correlation":
            others = self._cut(curve(record, self.other))
            both = np.isfinite(values) & np.isfinite(others)
            if both.sum() < 3 or min(values[both].std(), others[both].std()) < 1e-12:
                return np.nan
            return float(np.corrcoef(values[both], others[both])[0, 1])
        if self.statistic == "drift":
            (low, high), half = self.window, sum(self.window) / 2
            first, second = (replace(self, statistic="mean", window=x) for x in ((low, half), (half, high)))
            number = len(curve(record, self.metric))
            shared = first._points(number).stop > second._points(number).start
            return np.nan if shared else second(record) - first(record)
        values = values[np.isfinite(values)]
        if not values.size:
            return np.nan
        if self.statistic == "change":
            return float(values.mean()) - replace(self, statistic="mean", window=(0.0, 0.1))(record)
        if self.statistic == "surge":
            before = max(0.0, self.window[0] - 0.1), self.window[0]
            return float(values.max()) - replace(self, statistic="mean", window=before)(record)
        if self.statistic == "log-odds":
            share = self.window[1] - self.window[0]
            half = 0.5 / (share * record["settings"]["iterations"] * record["settings"]["envs"])
            rate = float(values.mean())
            return float(np.log((rate + half) / (1 - rate + half)))
        if self.statistic == "fall":
            return float((np.maximum.accumulate(values) - values).max())
        return float({"mean": np.mean, "peak": np.max, "trough": np.min}[self.statistic](values))

    def points(self, record: dict[str, Any]) -> np.ndarray:
        """Returns the metric at each point of the window, [P]; NaN where undefined."""
        from comity.experiments.records import curve

        return self._cut(curve(record, self.metric))

    @property
    def of_the_end(self) -> bool:
        """True if the measure is about the end of learning: the last policy, or a window up to the end."""
        return self.statistic == "last" or self.window[1] >= 1

    def earlier(self) -> "Measure":
        """Returns the same measure a tenth of training earlier."""
        low, high = self.window
        return replace(self, window=(max(0.0, low - 0.1), max(0.1, high - 0.1)))

    def pace(self, record: dict[str, Any]) -> float:
        """Returns the change over a tenth of training, from the last tenth but one to the last.

        For the last policy it is the change of training's own mean; for a correlation or a drift, which have no level,
        it is 0.
        """
        if self.statistic in ("correlation", "drift"):
            return 0.0
        now = Measure(self.metric) if self.statistic == "last" else self
        return now(record) - now.earlier()(record)

    def reach(self, first: float) -> tuple[float, float]:
        """Returns the smallest and largest possible value. first: the metric's mean in the first tenth of training."""
        low, high = limits(self.metric)
        if self.statistic == "change":
            return low - first, high - first
        if self.statistic in ("surge", "drift"):
            return low - high, high - low
        if self.statistic == "fall":
            return 0.0, high - low
        return (-math.inf, math.inf) if self.statistic in ("log-odds", "correlation") else (low, high)

    def at_first(self) -> "Measure":
        """Returns the measure for the first tenth of training: the metric's mean, or its log-odds."""
        return Measure(self.metric, "log-odds" if self.statistic == "log-odds" else "mean", (0.0, 0.1))

    @property
    def span(self) -> str:
        low, high = (round(100 * x) for x in self.window)
        return f"{low} to {high} % of training"

    @property
    def words(self) -> str:
        if self.statistic == "last":
            return f"{self.metric} of the last policy"
        if self.statistic == "correlation":
            return f"correlation of {self.metric} with {self.other}, {self.span}"
        word = {
            "mean": "mean",
            "log-odds": "log-odds",
            "change": "rise since the first tenth, mean",
            "peak": "largest",
            "trough": "smallest",
            "drift": "second half less the first",
        }
        word |= {"surge": "largest, less the mean of the tenth before", "fall": "largest fall below what was reached"}
        return f"{self.metric}, {word[self.statistic]}, {self.span}"

    def _cut(self, values: np.ndarray) -> np.ndarray:
        return values[self._points(len(values))]

    def _points(self, number: int) -> slice:
        """Returns the points of a curve of this length that lie in the window: at least one."""
        first, last = (round(x * number) for x in self.window)
        return slice(min(first, number - 1), max(last, first + 1))
