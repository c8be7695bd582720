"""Finds the verdict of each claim: tests its comparisons over seeds, corrects for their number, and decides.

The tests of one figure are corrected together (Holm 1979), but claims added later do not change earlier ones.
docs/papers/README.md gives the rules and their reasons.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from comity.experiments.claims import NOT_BEYOND, OF_SPREAD, Claim, Comparison
from comity.experiments.course import FEWEST, Course, Lengths, Records, course_of, distances, values
from comity.experiments.significance import LEVEL, Exact, alike, difference, exact, holm, spread_below, spread_ratio

Verdict = Literal["reproduced", "partly", "not reproduced", "too little training", "open"]
Found = tuple[Verdict, str]  # a verdict, and its reason if it needs one
DOWN = ("below", "not above")  # relations that hold if the difference is negative
BEGINNING = 0.1  # with a smaller share of the paper's training nothing is said of the end of learning


class Outcome(NamedTuple):
    """The result of a test."""

    test: Comparison
    first: list[float]  # a value for each seed
    second: list[float]
    estimate: float  # difference of means; "wider": ratio of standard deviations; "steadier": s.d. minus the number
    low: float  # 95 % interval
    high: float
    p: float  # p-value of no such difference, by t (F, chi-squared); "equal" and "not ...": of `margin` or more
    p_holm: float  # the same, corrected for the number of tests, and no smaller than the exact one
    exact: Exact | None
    course: Course
    verdict: Verdict = "open"
    reason: str = ""
    beside: Sequence[list[float]] = ()  # of an interaction, the seeds of the two other arms
    parts: tuple["Outcome", ...] = ()  # of "between": with the floor, with the other

    def described(self) -> dict[str, Any]:
        """Returns plain values, for claims.json."""
        test = self.test
        return {
            "first": test.first,
            "relation": test.relation,
            "second": test.second,
            **({"floor": test.floor} if test.floor is not None else {}),
            "measure": test.measure.words,
            "margin": test.margin,
            **({"beside": test.beside} if test.beside else {}),
            "values": {
                "first": self.first,
                "second": self.second,
                **({"beside": list(self.beside)} if self.beside else {}),
            },
            "estimate": _plain(self.estimate),
            "low": _plain(self.low),
            "high": _plain(self.high),
            "p": _plain(max(self.p, self.p_exact or 0.0)),
            "p_holm": _plain(self.p_holm),
            "p_exact": None if self.p_exact is None else _plain(self.p_exact),
            "alike": self.alike,
            "share": None if self.course.share is None else _plain(self.course.share),
            **({} if self.course.share_of == "training" else {"share_of": self.course.share_of}),
            "begun": self.course.begun,
            "pace": _plain(self.course.pace),
            "moving": self.course.moving,
            "verdict": self.verdict,
            "reason": self.reason,
            **({"parts": [part.described() for part in self.parts]} if self.parts else {}),
        }

    @property
    def p_exact(self) -> float | None:
        """The p of the exact test, if there is one."""
        if self.parts:
            found = [part.p_exact for part in self.parts if part.p_exact is not None]
            return max(found) if found else None
        return None if self.exact is None else self.exact.holds

    @property
    def alike(self) -> list[str]:
        """Arms whose seeds all have the same value."""
        names = self.test.labels()
        seeds = (self.first, self.second, *self.beside) if isinstance(self.test.second, str) else (self.first,)
        return [name for name, some in zip(names, seeds, strict=True) if alike(np.array(some))]


Judged = tuple[Claim, Verdict, list[Outcome]]


def judge(claims: Sequence[Claim], records: Records, lengths: Lengths) -> list[Judged]:
    """Returns the verdict of each claim of a figure.

    A claim is corrected for the number of claims that had been written down by its day. So later claims, written when
    results are known, do not make earlier ones harder to show. Claims that were replaced are tested too, each by
    itself.
    """
    raw = {claim.name: [compared(test, records, lengths) for test in claim.tests] for claim in claims}

    def corrected(claim: Claim) -> list[Outcome]:
        family = [claim.name]
        if not claim.replaced_by:
            family = [other.name for other in claims if not other.replaced_by and other.since <= claim.since]
        p = iter(holm([outcome.p for name in family for outcome in raw[name]]))
        of = {name: [with_verdict(outcome, next(p)) for outcome in raw[name]] for name in family}
        return of[claim.name]

    judged = [(claim, corrected(claim)) for claim in claims]
    return [(claim, together([x.verdict for x in outcomes]), outcomes) for claim, outcomes in judged]


def compared(test: Comparison, records: Records, lengths: Lengths) -> Outcome:
    """Returns a test before the correction for number, without a verdict."""
    if test.parts():
        low, high = (compared(part, records, lengths) for part in test.parts())
        return high._replace(test=test, p=max(low.p, high.p), exact=None, parts=(low, high))
    of = distances if test.relation == "wider-throughout" else values
    first, second, *others = (
        of(side, test.measure, records) for side in (test.first, test.second, *(test.beside or ()))
    )
    course = course_of(test, records, lengths)
    lists = first.tolist(), second.tolist()
    beside = [other.tolist() for other in others]
    arms = [first, *([second] if isinstance(test.second, str) else []), *others]
    if min(map(len, arms)) < FEWEST:
        undefined = float("nan")
        return Outcome(test, *lists, undefined, undefined, undefined, 1.0, 1.0, None, course, beside=beside)
    if test.relation in ("wider", "wider-throughout"):
        found = spread_ratio(first, second, test.relation)
    elif test.relation == "steadier":
        found = spread_below(first, float(second[0]))
    else:
        found = difference(first, second, test.relation, test.margin, others)
    checked = exact(first, second, test.relation, test.margin, others)
    return Outcome(test, *lists, *found, found[-1], checked, course, beside=beside)


def with_verdict(outcome: Outcome, p_holm: float) -> Outcome:
    """Returns the outcome with its corrected p and its verdict."""
    if outcome.parts:  # the correction was made for both together, with the larger p
        times = p_holm / outcome.p if outcome.p > 0 else 1.0
        low, high = (with_verdict(part, min(1.0, times * part.p)) for part in outcome.parts)
        verdict, reason = of_both((low.verdict, low.reason), (high.verdict, high.reason))
        p = max(p_holm, outcome.p_exact or 0.0)
        return outcome._replace(p_holm=p, verdict=verdict, reason=reason, parts=(low, high))
    verdict, reason = limited(decided(outcome, p_holm), outcome)
    return outcome._replace(p_holm=max(p_holm, outcome.p_exact or 0.0), verdict=verdict, reason=reason)


def decided(outcome: Outcome, p_holm: float) -> Found:
    """Decides by the tests over seeds, whatever the length of training. p_holm: of t, before the exact test.

    reproduced: significant, and as large as the margin. not reproduced: the interval excludes an effect as large as the
    margin (equal, not above, not below: a difference of more than the margin is shown). partly: significant but
    smaller, and the margin is not excluded. If there is an exact test, it must agree at LEVEL.
    """
    test, sign = outcome.test, -1 if outcome.test.relation in (*DOWN, "steadier") else 1
    if not np.isfinite(outcome.low) and not np.isinf(outcome.estimate):
        return "open", "fewer than three seeds"
    significant = p_holm <= LEVEL
    if test.relation == "equal":
        absent = outcome.low > test.margin or outcome.high < -test.margin
        shown = outcome.low > -test.margin and outcome.high < test.margin
        reached = True
    elif test.relation in NOT_BEYOND:
        worst, best = sorted((sign * outcome.low, sign * outcome.high))
        absent, shown, reached = best < -test.margin, worst > -test.margin, True
    else:
        absent = max(sign * outcome.low, sign * outcome.high) < max(test.margin, 1e-12)
        shown = min(sign * outcome.low, sign * outcome.high) > (1.0 if test.relation.startswith("wider") else 0.0)
        reached = sign * outcome.estimate >= test.margin
    if significant or absent:
        verdict: Verdict = "reproduced" if significant and reached else "not reproduced" if absent else "partly"
        checked = outcome.exact
        if checked and (checked.excluded if verdict == "not reproduced" else checked.holds) > LEVEL:
            if checked.least <= LEVEL:
                return "open", "the exact test does not agree"
            seeds = min(len(x) for x in (outcome.first, outcome.second, *outcome.beside) if len(x) > 1)
            return "open", f"{seeds} seeds cannot show it: the exact test gives no p below {checked.least:.3g}"
        return verdict, ""
    if shown:
        return "open", "not significant once corrected for the number of comparisons"
    return "open", "the interval holds both nothing and something"


def limited(found: Found, outcome: Outcome) -> Found:
    """Limits a verdict if training was shorter than the paper's, or may have been."""
    verdict, test, course = found[0], outcome.test, outcome.course
    all_of_it = course.share is not None and course.share >= 1
    if verdict == "open" or all_of_it or (verdict == "reproduced" and test.seen_once()):
        return found
    if test.measure.of_the_end and course.share is not None and course.share < BEGINNING:
        return "too little training", f"so far {verdict}"
    if verdict == "reproduced" or test.relation in OF_SPREAD:
        return found
    if test.measure.of_the_end and len(test.labels()) > 1 and not course.begun:
        return "open", "no arm has begun to move"
    end, sign = outcome.estimate + course.rest, -1 if test.relation in DOWN else 1
    if test.relation == "equal":
        arrives = abs(end) < test.margin or end * outcome.estimate < 0
    elif test.relation in NOT_BEYOND:
        arrives = sign * end > -test.margin
    else:
        arrives = sign * end >= max(test.margin, 1e-12)
    if course.moving and arrives:
        return "too little training", "at its pace it would get there"
    return found


def of_both(low: Found, high: Found) -> Found:
    """Returns the verdict of "between": the weaker one of its two parts."""
    order: tuple[Verdict, ...] = ("not reproduced", "too little training", "open", "partly", "reproduced")
    return min(low, high, key=lambda found: order.index(found[0]))


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Returns the verdict of a claim from those of its tests."""
    kinds = set(verdicts)
    if len(kinds) == 1:
        return verdicts[0]
    for undecided in ("too little training", "open"):
        if undecided in kinds:
            return "partly" if {"not reproduced", "reproduced"} <= kinds else undecided
    return "partly"


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Counts a claim's comparisons by verdict, the most frequent first."""
    return dict(Counter(outcome.verdict for outcome in outcomes).most_common())


def _plain(x: float) -> float | str:
    return float(f"{x:.6g}") if np.isfinite(x) else str(x)
