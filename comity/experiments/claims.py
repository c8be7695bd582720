"""Claims of a figure as statistical statements over seeds, and their verdicts.

A claim is committed before its runs: what is measured, in which part of training, which arms are held against each
other, how, and from which size on a difference means something. Tests of one figure are corrected for their number
(Holm 1979); claims added later count against themselves only. docs/papers/README.md says in words what a verdict means.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from comity.experiments.measures import Measure

Verdict = Literal["reproduced", "partly", "not", "too few seeds", "too little training"]
Relation = Literal["above", "below", "equal", "wider", "steadier"]
OF_SPREAD = ("wider", "steadier")
FEWEST = 3  # seeds of an arm below which nothing is tested
LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """One statement: `first` is above (below) `second`, equal to it, or spreads wider (less) over seeds than it."""

    first: str  # label of an arm
    relation: Relation
    second: str | float  # another label, or a number
    measure: Measure
    margin: float  # smallest difference that means something; equal: largest that means nothing; wider: a ratio
    beside: tuple[str, str] | None = None  # two more labels: their difference is subtracted, which is an interaction

    def __post_init__(self):
        if self.beside and (self.relation in OF_SPREAD or not isinstance(self.second, str)):
            raise ValueError("an interaction is a difference of two arms less that of two others: above, below, equal")
        if self.margin < 0 or (self.relation == "equal" and self.margin == 0):
            raise ValueError(f"margin {self.margin}: equality needs one greater than 0, the others 0 or more")
        if self.relation == "wider" and not isinstance(self.second, str):
            raise ValueError("wider holds one arm's spread over seeds against another's: give a label")
        if self.relation == "steadier" and (isinstance(self.second, str) or self.second <= 0):
            raise ValueError(f"steadier than {self.second}: give a standard deviation over seeds, greater than 0")


@dataclass(frozen=True)
class Claim:
    """What a paper says of a figure, as tests that must all hold."""

    name: str
    text: str  # the claim, in our words
    tests: tuple[Comparison, ...]
    since: str  # date it was written down
    replaced_by: str = ""  # name of the claim that came in its place; the old one stays, with its verdict


def written(since: str) -> Callable[..., Claim]:
    """claim(name, text, *tests) of that day."""

    def claim(name: str, text: str, *tests: Comparison) -> Claim:
        return Claim(name, text, tests, since)

    return claim


class Outcome(NamedTuple):
    """What a test found."""

    test: Comparison
    first: list[float]  # a value for each seed
    second: list[float]
    estimate: float  # difference of means; "wider": ratio of standard deviations; "steadier": theirs, less the number
    low: float  # 95 % interval
    high: float
    p: float  # of no such difference; "equal": of a difference of `margin` or more
    p_holm: float
    verdict: Verdict
    course: "Course"
    beside: Sequence[list[float]] = ()  # of an interaction, the seeds of the two other arms

    def described(self) -> dict[str, Any]:
        """Plain values, for claims.json."""
        return {
            "first": self.test.first,
            "relation": self.test.relation,
            "second": self.test.second,
            "measure": self.test.measure.words,
            "margin": self.test.margin,
            **({"beside": self.test.beside} if self.test.beside else {}),
            "values": {
                "first": self.first,
                "second": self.second,
                **({"beside": list(self.beside)} if self.beside else {}),
            },
            "estimate": _plain(self.estimate),
            "low": _plain(self.low),
            "high": _plain(self.high),
            "p": _plain(self.p),
            "p_holm": _plain(self.p_holm),
            "begun": self.course.begun,
            "pace": _plain(self.course.pace),
            "verdict": self.verdict,
        }


class Course(NamedTuple):
    """Where a difference is in training: what decides whether its absence means anything."""

    left: float  # tenths of its training that the paper trained on, of the arm with more of them; 0: none did
    begun: bool  # one of the two has moved by more than the margin since the first tenth
    pace: float  # how much the difference changed in the last tenth of this training
    rest: float  # how much it would change by the paper's end, each arm at its own pace


def judge(
    claims: Sequence[Claim], records: Mapping[str, Sequence[dict[str, Any]]], iterations: Mapping[str, int]
) -> list[tuple[Claim, Verdict, list[Outcome]]]:
    """The verdict of each claim of a figure. records: label -> one record for each seed; iterations: label -> how long
    the paper trained it.

    A claim is corrected for the number of those that had been written down by its day: what comes later, when results
    are known, makes itself harder to show and not what was there before. Claims that were replaced are tested too,
    each by itself.
    """
    raw = {claim.name: [compared(test, records, iterations) for test in claim.tests] for claim in claims}

    def corrected(claim: Claim) -> list[Outcome]:
        family = [claim.name]
        if not claim.replaced_by:
            family = [other.name for other in claims if not other.replaced_by and other.since <= claim.since]
        p = iter(holm([outcome.p for name in family for outcome in raw[name]]))
        of = {name: [outcome._replace(p_holm=next(p)) for outcome in raw[name]] for name in family}
        return [outcome._replace(verdict=verdict(outcome)) for outcome in of[claim.name]]

    judged = [(claim, corrected(claim)) for claim in claims]
    return [(claim, together([x.verdict for x in outcomes]), outcomes) for claim, outcomes in judged]


def compared(
    test: Comparison, records: Mapping[str, Sequence[dict[str, Any]]], iterations: Mapping[str, int]
) -> Outcome:
    """A test before correction for number; its verdict is not yet one."""
    first, second = (values(side, test.measure, records) for side in (test.first, test.second))
    others = [values(side, test.measure, records) for side in test.beside or ()]
    few = len(first) < FEWEST or (isinstance(test.second, str) and len(second) < FEWEST)
    few = few or any(len(other) < FEWEST for other in others)
    undefined = float("nan")
    if few:
        estimate, low, high, p = undefined, undefined, undefined, 1.0
    elif test.relation == "wider":
        estimate, low, high, p = spread_ratio(first, second)
    elif test.relation == "steadier":
        estimate, low, high, p = spread_below(first, float(second[0]))
    else:
        estimate, low, high, p = difference(first, second, test.relation, test.margin, others)
    course, seeds = course_of(test, records, iterations), (first.tolist(), second.tolist())
    beside = [other.tolist() for other in others]
    return Outcome(test, *seeds, estimate, low, high, p, p, "too few seeds", course, beside)


def values(side: str | float, measure: Measure, records: Mapping[str, Sequence[dict[str, Any]]]) -> NDArray[np.float64]:
    """A value for each seed of a label that has one; or the number itself."""
    if not isinstance(side, str):
        return np.array([float(side)])
    seeds = np.array([measure(record) for record in records.get(side, ())], float)
    return seeds[np.isfinite(seeds)]


def course_of(
    test: Comparison, records: Mapping[str, Sequence[dict[str, Any]]], iterations: Mapping[str, int]
) -> Course:
    def mean(side: str, measure: Measure) -> float:
        found = values(side, measure, records)
        return float(found.mean()) if found.size else float("nan")

    def left(side: str) -> float:
        trained = max((record["settings"]["iterations"] for record in records.get(side, ())), default=iterations[side])
        return max(0.0, 10 * (iterations[side] / trained - 1))

    def moved(side: str) -> float:
        if test.measure.statistic == "correlation":  # it has no level to move from
            return float("inf")
        now = mean(side, test.measure)
        of_itself = test.measure.statistic in ("change", "surge", "fall")  # they are differences already
        return abs(now if of_itself else now - mean(side, test.measure.at_first()))

    def pace(side: str) -> float:
        return mean(side, test.measure) - mean(side, test.measure.earlier())

    sides = zip((test.first, test.second, *(test.beside or ())), (1, -1, -1, 1), strict=False)
    signs = {side: sign for side, sign in sides if isinstance(side, str)}
    begun = bool(np.nanmax([0.0, *map(moved, signs)]) > test.margin)
    paces, ahead = {side: sign * pace(side) for side, sign in signs.items()}, {side: left(side) for side in signs}
    known = lambda x: float(x) if np.isfinite(x) else 0.0  # noqa: E731
    rest = sum(ahead[side] * paces[side] for side in signs)
    return Course(max(ahead.values()), begun, known(sum(paces.values())), known(rest))


def difference(
    first: np.ndarray, second: np.ndarray, relation: Relation, margin: float, beside: Sequence[np.ndarray] = ()
) -> tuple[float, float, float, float]:
    """(mean difference, its 95 % interval, p) by Welch's t test (1947); one value in `second` is a constant.

    beside: two more sets of seeds, whose difference is subtracted (an interaction), or none.

    p, above or below: of no difference that way, one-sided. Equal: of a difference of `margin` or more, the larger of
    two one-sided tests (Schuirmann 1987).
    """
    from scipy.special import stdtr, stdtrit

    groups = (first, second, *beside)
    estimate = float(sum(sign * x.mean() for sign, x in zip((1, -1, -1, 1), groups, strict=False)))
    parts = [x.var(ddof=1) / len(x) if len(x) > 1 else 0.0 for x in groups]
    error = float(np.sqrt(sum(parts)))
    if error < 1e-12:  # every seed the same
        holds = {"above": estimate > 0, "below": estimate < 0, "equal": abs(estimate) < margin}[relation]
        return estimate, estimate, estimate, 0.0 if holds else 1.0
    freedom = sum(parts) ** 2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, groups, strict=True) if part > 0)
    half = float(stdtrit(freedom, 1 - LEVEL / 2)) * error
    tail = lambda t: float(stdtr(freedom, -t))  # noqa: E731  # P(T > t)
    p = {
        "above": tail(estimate / error),
        "below": tail(-estimate / error),
        "equal": max(tail((estimate + margin) / error), tail((margin - estimate) / error)),
    }[relation]
    return estimate, estimate - half, estimate + half, p


def spread_ratio(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float, float]:
    """(ratio of standard deviations over seeds, its 95 % interval, p of no more than 1) by the F test.

    It takes seeds as draws from normal distributions, and is sensitive to that: five seeds say little of a spread.
    """
    from scipy.special import fdtr, fdtri

    a, b = first.var(ddof=1), second.var(ddof=1)
    if b < 1e-24:
        ratio = float("inf") if a > 1e-24 else 1.0
        return ratio, ratio, ratio, 0.0 if a > 1e-24 else 1.0
    n, m = len(first) - 1, len(second) - 1
    ratio = a / b
    low, high = ratio / fdtri(n, m, 1 - LEVEL / 2), ratio / fdtri(n, m, LEVEL / 2)
    return float(np.sqrt(ratio)), float(np.sqrt(low)), float(np.sqrt(high)), float(1 - fdtr(n, m, ratio))


def spread_below(x: np.ndarray, bound: float) -> tuple[float, float, float, float]:
    """(standard deviation over seeds less `bound`, its 95 % interval, p of `bound` or more) by the chi-squared test.

    As sensitive to what is not normal as `spread_ratio`.
    """
    from scipy.special import chdtr, chdtri

    free, squares = len(x) - 1, float(x.var(ddof=1)) * (len(x) - 1)
    low, high = (float(np.sqrt(squares / chdtri(free, tail))) for tail in (LEVEL / 2, 1 - LEVEL / 2))
    return float(x.std(ddof=1)) - bound, low - bound, high - bound, float(chdtr(free, squares / bound**2))


def verdict(outcome: Outcome) -> Verdict:
    """What a corrected test says.

    reproduced: significant, and as large as the margin. partly: significant, but smaller. not: an effect as large as
    the margin is excluded by the interval (equal: a difference of more than the margin is shown). too few seeds: the
    interval holds both nothing and something. too little training, instead of partly or not, where training was
    shorter than the paper's, and nothing has begun to move yet or the rest of it would, at the pace of the last tenth,
    carry the difference to where the claim has it.
    """
    test, course = outcome.test, outcome.course
    if not np.isfinite(outcome.low) and not np.isinf(outcome.estimate):
        return "too few seeds"
    sign = -1 if test.relation in ("below", "steadier") else 1
    significant, reached = outcome.p_holm < LEVEL, sign * outcome.estimate
    if significant and (test.relation == "equal" or reached >= test.margin):
        return "reproduced"
    end = outcome.estimate + course.rest
    if test.relation == "equal":
        absent = outcome.low > test.margin or outcome.high < -test.margin
        arrives = abs(end) < test.margin or end * outcome.estimate < 0
    else:
        absent = max(sign * outcome.low, sign * outcome.high) < max(test.margin, 1e-12)
        arrives = sign * end >= max(test.margin, 1e-12)
    open_ended = course.left > 0 and test.relation not in OF_SPREAD and (arrives or not course.begun)
    if significant or absent:
        return "too little training" if open_ended else "partly" if significant else "not"
    return "too few seeds"


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Of a claim, from those of its tests."""
    kinds = set(verdicts)
    if len(kinds) == 1:
        return verdicts[0]
    for undecided in ("too little training", "too few seeds"):
        if undecided in kinds:
            return "partly" if "not" in kinds and "reproduced" in kinds else undecided
    return "partly"


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected for their number: the k-th smallest of n times n - k + 1, never falling (Holm 1979)."""
    order, corrected, least = np.argsort(p), np.empty(len(p)), 0.0
    for rank, index in enumerate(order):
        least = max(least, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = least
    return corrected.tolist()


def _plain(x: float) -> float | str:
    return float(f"{x:.6g}") if np.isfinite(x) else str(x)
