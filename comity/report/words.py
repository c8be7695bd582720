"""Writes words and numbers of reports in short form."""

import difflib
from collections.abc import Iterable

RATES = frozenset(("success", "win", "won", "cooperation"))
# Earnings divided by what can be earned: below 0 after losses, above 1 where one agent earns at another's cost.
RATIOS = frozenset(("reward_share", "shaping_share", "meeting_share", "smallest_reward_share", "largest_reward_share"))


def short(number: float) -> str:
    """Returns a number of steps in short: 0, 500k, 2.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def spans(numbers: Iterable[int]) -> str:
    """Returns integers in short: 0-3, 7."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def is_rate(metric: str) -> bool:
    """True if the metric is a share of episodes or steps: it is shown in percent and lies between 0 and 100."""
    name = metric.partition(".")[0]
    ends = name.endswith(("_rate", "_success", "_share", "_fraction"))
    return name in RATES or (ends and name not in RATIOS)


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns the end of an error message: the names closest to `name`, or all names."""
    names = list(names)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else f"; there are: {', '.join(names) or 'none'}"
