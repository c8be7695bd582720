"""One number from one seed's record: what claims are about."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True)
class Measure:
    """A statistic of one metric over a window of training, or of the last policy on new episodes.

    metric: of training and its evaluations; TRIAL:METRIC, of a trial of the arm; or a difference of two, `A - B`.

    window: fractions of training. "mean": over the window. "change": its mean minus that of the first tenth.
    "correlation": of the metric with `other` over the window. "peak", "trough": the largest, smallest value in it.
    "surge": the largest value in it less the mean of the tenth of training before it. "fall": how far the metric is, at
    most, below what it had reached before in it.
    "log-odds": ln (p / (1 - p)) of the mean p of a rate over the window, with half a game added on both sides, so that
    it is finite at 0 and 1. A difference of two is the logarithm of an odds ratio.
    "last": of the last policy, sampled, on its own episodes (the window is not read).
    """

    metric: str
    statistic: Literal["mean", "change", "correlation", "peak", "trough", "surge", "fall", "log-odds", "last"] = "mean"
    window: tuple[float, float] = (0.9, 1.0)
    other: str = ""

    def __call__(self, record: dict[str, Any]) -> float:
        from comity.experiments.records import at_end, curve

        if self.statistic == "last":
            return at_end(record, self.metric)
        values = self._cut(curve(record, self.metric))
        if self.statistic == "correlation":
            others = self._cut(curve(record, self.other))
            both = np.isfinite(values) & np.isfinite(others)
            if both.sum() < 3 or min(values[both].std(), others[both].std()) < 1e-12:
                return np.nan
            return float(np.corrcoef(values[both], others[both])[0, 1])
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

    def earlier(self) -> "Measure":
        """The same a tenth of training earlier; of the last policy, training's mean then. For what still moves."""
        if self.statistic in ("last", "correlation"):
            return replace(self, statistic="mean", window=(0.8, 0.9)) if self.statistic == "last" else self
        low, high = self.window
        return replace(self, window=(max(0.0, low - 0.1), max(0.1, high - 0.1)))

    def at_first(self) -> "Measure":
        """The metric's mean in the first tenth of training."""
        return Measure(self.metric, "log-odds" if self.statistic == "log-odds" else "mean", (0.0, 0.1))

    @property
    def words(self) -> str:
        low, high = (round(100 * x) for x in self.window)
        if self.statistic == "last":
            return f"{self.metric} of the last policy"
        span = f"{low} to {high} % of training"
        if self.statistic == "correlation":
            return f"correlation of {self.metric} with {self.other}, {span}"
        word = {
            "mean": "mean",
            "log-odds": "log-odds",
            "change": "rise since the first tenth, mean",
            "peak": "largest",
            "trough": "smallest",
        }
        word |= {"surge": "largest, less the mean of the tenth before", "fall": "largest fall below what was reached"}
        return f"{self.metric}, {word[self.statistic]}, {span}"

    def _cut(self, values: np.ndarray) -> np.ndarray:
        first, last = (round(x * len(values)) for x in self.window)
        return values[min(first, len(values) - 1) : max(last, first + 1)]
