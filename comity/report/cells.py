"""Writes numbers of a metric as text: values, estimates with their intervals, probabilities."""

import math

from comity.report.statistics import Summary
from comity.report.words import is_rate


def heading(metric: str) -> str:
    """Returns the name of a metric with its unit."""
    return f"{metric.replace('_', ' ')} %" if is_rate(metric) else metric.replace("_", " ")


def plain(value: float, metric: str, digits: int | None = None) -> str:
    """Returns one number of a metric as text, in percent if it is a rate; a dash if undefined."""
    if not math.isfinite(value):
        return "–"
    if is_rate(metric):
        return f"{100 * value:.1f}"
    return f"{value:.{decimals(value) if digits is None else digits}f}"


def decimals(*values: float) -> int:
    """Number of decimals that shows about three digits of the largest value."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=1.0)
    return 4 if 0 < largest < 0.01 else 3 if 0 < largest < 0.1 else 2 if largest < 100 else 1 if largest < 1000 else 0


def cell(found: Summary, metric: str) -> str:
    """Returns an estimate as text: `62.1 [55.0, 70.1]`, or with few seeds `62.1 (51.0 to 72.0)`."""
    if found.kind == "undefined":
        return "–"
    digits = decimals(found.value, found.low, found.high)
    value, low, high = (plain(x, metric, digits) for x in (found.value, found.low, found.high))
    if found.kind == "one seed":
        return f"{value} (1 seed)"
    if found.kind == "range":
        return f"{value} ({low} to {high})"
    return f"{value} [{low}, {high}]"


def chance(found: Summary | None) -> str:
    """Returns a probability as text, with its interval."""
    if found is None:
        return "–"
    limits = "(few seeds)" if math.isnan(found.low) else f"[{found.low:.2f}, {found.high:.2f}]"
    return f"{found.value:.2f} {limits}"
