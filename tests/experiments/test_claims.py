"""Verdicts of claims, on made-up seeds."""

import functools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from comity.experiments.claims import (
    Claim,
    Comparison,
    Relation,
    compared,
    difference,
    holm,
    judge,
    spread_below,
    spread_ratio,
    together,
)
from comity.experiments.measures import Measure

SUCCESS = Measure("success")


def record(curve, other=None, last=0.5):
    curve = {
        "iteration": list(range(1, len(curve) + 1)),
        "env_steps": [10 * i for i in range(1, len(curve) + 1)],
        "success": list(curve),
    }
    if other is not None:
        curve["other"] = list(other)
    return {"curve": curve, "last": {"sampled": {"success": last}}, "settings": {"iterations": 100, "envs": 32}}


def flat(*levels):
    return [record([level] * 10) for level in levels]


BOTH = functools.partial(dict.fromkeys, "ab")  # as long as the paper trained both


def judged(test, records, iterations: int | dict[str, int] = 100):
    ((_, verdict, (outcome,)),) = judge(
        [Claim("c", "text", (test,), "2026-01-01")],
        records,
        iterations if isinstance(iterations, dict) else BOTH(iterations),
    )
    return verdict, outcome


def above(margin=0.1, relation: Relation = "above", second: str | float = "b"):
    return Comparison("a", relation, second, SUCCESS, margin)


HIGH, LOW = flat(0.80, 0.82, 0.78, 0.81, 0.79), flat(0.50, 0.53, 0.47, 0.52, 0.48)
MID = flat(0.52, 0.50, 0.54, 0.53, 0.51)


def test_a_clear_difference_is_reproduced_and_its_opposite_is_not():
    assert judged(above(), {"a": HIGH, "b": LOW})[0] == "reproduced"
    assert judged(above(), {"a": LOW, "b": HIGH})[0] == "not"
    assert judged(above(relation="below"), {"a": LOW, "b": HIGH})[0] == "reproduced"
    assert judged(above(relation="below"), {"a": HIGH, "b": LOW})[0] == "not"


def test_p_and_interval_are_welchs():
    a, b = np.array([0.8, 0.82, 0.78, 0.9]), np.array([0.5, 0.53, 0.1, 0.52, 0.48])
    estimate, low, high, p = difference(a, b, "above", 0.1)
    known: Any = stats.ttest_ind(a, b, equal_var=False, alternative="greater")
    both: Any = stats.ttest_ind(a, b, equal_var=False)
    interval = both.confidence_interval(0.95)
    assert p == pytest.approx(known.pvalue)
    assert (estimate, low, high) == pytest.approx((a.mean() - b.mean(), interval.low, interval.high))
    constant: Any = stats.ttest_1samp(a, 0.7, alternative="less")
    assert difference(a, np.array([0.7]), "below", 0.1)[3] == pytest.approx(constant.pvalue)


def test_smaller_than_what_matters_is_partly():
    close = flat(0.5301, 0.53, 0.5299, 0.5302, 0.5298)
    there = flat(0.5001, 0.5, 0.4999, 0.5002, 0.4998)
    assert judged(above(margin=0.1), {"a": close, "b": there})[0] == "partly"


def test_a_wide_interval_is_too_few_seeds():
    wide = flat(0.9, 0.1, 0.8, 0.3)
    assert judged(above(), {"a": wide, "b": LOW})[0] == "too few seeds"
    assert judged(above(relation="equal"), {"a": wide, "b": LOW})[0] == "too few seeds"


def test_two_seeds_are_never_enough():
    verdict, outcome = judged(above(), {"a": HIGH[:2], "b": LOW})
    assert verdict == "too few seeds"
    assert outcome.p == 1
    assert judged(above(), {"a": HIGH})[0] == "too few seeds"


def test_equality_needs_an_interval_within_the_margin():
    """The larger p of two one-sided tests (Schuirmann)."""
    verdict, outcome = judged(above(margin=0.1, relation="equal"), {"a": MID, "b": LOW})
    assert verdict == "reproduced"
    a, b = (np.array([r["curve"]["success"][0] for r in x]) for x in (MID, LOW))
    upper: Any = stats.ttest_ind(a - 0.1, b, equal_var=False, alternative="less")
    lower: Any = stats.ttest_ind(a + 0.1, b, equal_var=False, alternative="greater")
    assert outcome.p == pytest.approx(max(upper.pvalue, lower.pvalue))
    assert judged(above(margin=0.1, relation="equal"), {"a": HIGH, "b": LOW})[0] == "not"
    assert judged(above(margin=0.02, relation="equal"), {"a": MID, "b": LOW})[0] == "too few seeds"


def test_seeds_that_are_all_alike():
    zero = flat(0.0, 0.0, 0.0)
    assert judged(above(margin=0.01, relation="equal", second=0.0), {"a": zero})[0] == "reproduced"
    assert judged(above(margin=0.01, second=0.0), {"a": zero})[0] == "not"
    assert judged(above(margin=0.01, second=0.0), {"a": flat(0.5, 0.5, 0.5)})[0] == "reproduced"
    assert judged(above(margin=0.0, relation="below", second=0.0), {"a": zero})[0] == "not"


def lines(*ends, start=0.0):
    return [record(np.linspace(start, end, 10)) for end in ends]


def test_a_training_shorter_than_the_papers_that_is_on_its_way():
    """It rises by 0.02 in the last tenth: the paper's nine times longer training would carry it above 0.5."""
    rising, test = lines(0.20, 0.21, 0.19, 0.22), above(margin=0.05, second=0.5)
    assert judged(test, {"a": rising}, iterations=100)[0] == "not"
    assert judged(test, {"a": rising}, iterations=1000)[0] == "too little training"
    assert judged(test, {"a": rising}, iterations=150)[0] == "not"  # half as long again is not enough
    assert judged(above(0.05, "below", 0.1), {"a": rising}, iterations=1000)[0] == "not"  # the wrong way


def test_where_nothing_has_begun_absence_says_nothing():
    still, test = flat(0.0, 0.001, 0.0, 0.001), above(margin=0.1, second=0.2)
    assert judged(test, {"a": still}, iterations=1000)[0] == "too little training"
    assert judged(test, {"a": still}, iterations=100)[0] == "not"


def test_what_has_been_learned_and_stays_is_absent_in_a_short_training_too():
    risen = [record([0.0] + [0.97 + s] * 9) for s in (0.0, 0.001, -0.001, 0.002)]
    assert judged(above(margin=0.1), {"a": risen, "b": risen}, iterations=1000)[0] == "not"
    assert judged(above(0.01, "equal", 0.0), {"a": risen}, iterations=1000)[0] == "not"
    falling = [record(np.linspace(1.0, 0.3 + s, 10)) for s in (0.0, 0.01, -0.01)]
    assert judged(above(0.01, "equal", 0.0), {"a": falling}, iterations=1000)[0] == "too little training"


def test_each_arm_has_its_own_way_to_go():
    """Both rise by 0.02 in the last tenth. If only one of them trains on, the difference moves, else it stays."""
    one, other = lines(0.20, 0.21, 0.19, 0.22), lines(0.50, 0.51, 0.49, 0.52)
    test = above(margin=0.05)
    assert judged(test, {"a": one, "b": other}, {"a": 1000, "b": 1000})[0] == "not"
    assert judged(test, {"a": one, "b": other}, {"a": 3000, "b": 100})[0] == "too little training"
    assert judged(test, {"a": one, "b": other}, {"a": 100, "b": 3000})[0] == "not"
    below = above(margin=0.05, relation="below")
    assert judged(below, {"a": other, "b": one}, {"a": 100, "b": 3000})[0] == "too little training"


def test_a_rise_is_no_level_and_a_correlation_has_none():
    """What stays at 3 has not begun to rise, though its rise of 0 is far from 3."""
    change = Comparison("a", "above", 0.0, Measure("success", "change"), 0.5)
    still = flat(3.0, 3.01, 2.99, 3.0)
    assert not judged(change, {"a": still})[1].course.begun
    assert judged(change, {"a": still}, 1000)[0] == "too little training"
    risen = [record([3.0] + [6.0 + s] * 9) for s in (0.0, 0.1, -0.1)]  # its rise is its first level
    assert judged(change, {"a": risen})[1].course.begun
    swing = Comparison("a", "below", 0.0, Measure("success", "correlation", (0.0, 1.0), "other"), 0.3)
    level = [record(np.sin(np.arange(10.0) + s), other=np.sin(np.arange(10.0) + s)) for s in range(3)]
    assert judged(swing, {"a": level})[1].course.begun


def test_a_surge_is_on_top_of_what_was_before():
    surge = Measure("success", "surge", (0.5, 1.0))
    assert surge(record([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])) == pytest.approx(-0.1)
    assert surge(record([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1])) == pytest.approx(0.8)


def test_a_fall_is_below_what_was_reached_before():
    fall = Measure("success", "fall", (0.0, 1.0))
    assert fall(record([0.1, 0.5, 0.3, 0.6, 0.9, 0.4, 0.8, 0.8, 0.8, 0.8])) == pytest.approx(0.5)
    assert fall(record(np.linspace(0.0, 1.0, 10))) == 0
    assert Measure("success", "fall", (0.5, 1.0))(record([1.0] * 5 + [0.2] * 5)) == 0  # of the window alone


@pytest.mark.parametrize("statistic", ["change", "surge", "fall"])
def test_what_is_a_difference_has_begun_by_itself(statistic):
    """Held against nothing: the metric's level at first, here 9, is no part of it."""
    test = Comparison("a", "above", 0.0, Measure("success", statistic, (0.5, 1.0)), 0.5)
    assert not judged(test, {"a": flat(9.0, 9.1, 8.9)})[1].course.begun


def test_spread_is_an_f_test():
    rng = np.random.default_rng(0)
    wide, narrow = rng.normal(0.5, 0.2, 12), rng.normal(0.5, 0.02, 12)
    ratio, low, high, p = spread_ratio(wide, narrow)
    assert ratio == pytest.approx(wide.std(ddof=1) / narrow.std(ddof=1))
    assert p == pytest.approx(stats.f.sf(ratio**2, 11, 11))
    assert low < ratio < high
    assert low > 1
    assert (
        judged(Comparison("a", "wider", "b", SUCCESS, 1.0), {"a": flat(*wide), "b": flat(*narrow)})[0] == "reproduced"
    )
    assert judged(Comparison("a", "wider", "b", SUCCESS, 1.0), {"a": flat(*narrow), "b": flat(*wide)})[0] == "not"
    assert spread_ratio(np.ones(4), np.ones(4))[0] == 1


def test_a_spread_below_a_number_is_a_chi_squared_test():
    x = np.random.default_rng(0).normal(0.5, 0.02, 12)
    spread, low, high, p = spread_below(x, 0.1)
    assert spread == pytest.approx(x.std(ddof=1) - 0.1)
    assert p == pytest.approx(stats.chi2.cdf(11 * x.var(ddof=1) / 0.01, 11))
    # The interval is of the bounds that would just be held possible, each way.
    assert spread_below(x, low + 0.1)[3] == pytest.approx(0.975)
    assert spread_below(x, high + 0.1)[3] == pytest.approx(0.025)

    def found(bound: float, *seeds: float):
        return judged(Comparison("a", "steadier", bound, SUCCESS, 0.0), {"a": flat(*seeds)})[0]

    assert found(0.1, *x) == "reproduced"
    assert found(0.001, *x) == "not"
    assert found(0.1, 0.45, 0.5, 0.6) == "too few seeds"
    assert found(0.1, 0.5, 0.5, 0.5) == "reproduced"


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.9]) == [1, 1]
    assert holm([]) == []


def test_claims_of_a_figure_are_corrected_for_their_number():
    """What holds alone is no longer significant among twenty claims; those that were replaced do not count."""
    a, b = flat(0.60, 0.66, 0.63, 0.70, 0.58), flat(0.50, 0.56, 0.53, 0.60, 0.48)
    test = above(margin=0.05)
    alone = compared(test, {"a": a, "b": b}, BOTH(100)).p
    assert 0.005 < alone < 0.05
    nothing = Claim("n", "t", (above(relation="below"),), "2026-01-01")
    many = [Claim("c", "t", (test,), "2026-01-01"), *(nothing for _ in range(1))]
    records = {"a": a, "b": b}
    assert judge(many[:1], records, BOTH(100))[0][1] == "reproduced"
    crowd = [
        Claim("c", "t", (test,), "2026-01-01"),
        *(Claim(f"n{i}", "t", (above(relation="below"),), "2026-01-01") for i in range(19)),
    ]
    assert judge(crowd, records, BOTH(100))[0][1] == "too few seeds"
    gone = [
        Claim("c", "t", (test,), "2026-01-01"),
        *(Claim(f"n{i}", "t", (above(relation="below"),), "2026-01-01", "c") for i in range(19)),
    ]
    results = judge(gone, records, BOTH(100))
    assert results[0][1] == "reproduced"
    assert len(results) == 20  # and the old verdicts stay visible


def test_claims_added_later_change_no_verdict_but_their_own():
    records = {"a": flat(0.60, 0.66, 0.63, 0.70, 0.58), "b": flat(0.50, 0.56, 0.53, 0.60, 0.48)}
    planned = Claim("c", "t", (above(margin=0.05),), "2026-01-01")
    added = [Claim(f"n{i}", "t", (above(relation="below"),), "2026-01-02") for i in range(19)]
    same = Claim("same", "t", planned.tests, "2026-01-02")
    verdicts = {claim.name: found for claim, found, _ in judge([*added, planned, same], records, BOTH(100))}
    assert (verdicts["c"], verdicts["same"]) == ("reproduced", "too few seeds")
    p = {claim.name: outcomes[0].p_holm for claim, _, outcomes in judge([planned, same], records, BOTH(100))}
    assert p["same"] == pytest.approx(2 * p["c"])  # of its day's two claims


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        (["reproduced", "reproduced"], "reproduced"),
        (["not", "not"], "not"),
        (["reproduced", "not"], "partly"),
        (["reproduced", "partly"], "partly"),
        (["reproduced", "too few seeds"], "too few seeds"),
        (["not", "too little training"], "too little training"),
        (["reproduced", "not", "too few seeds"], "partly"),
    ],
)
def test_a_claim_of_several_tests(verdicts, whole):
    assert together(verdicts) == whole


def test_measures():
    one = record([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], other=[9, 8, 7, 6, 5, 4, 3, 2, 1, 0], last=0.95)
    assert SUCCESS(one) == 0.9
    assert Measure("success", window=(0.0, 0.5))(one) == pytest.approx(0.2)
    assert Measure("success", "change")(one) == pytest.approx(0.9)
    assert Measure("success", "last")(one) == 0.95
    assert Measure("success", "peak", (0.0, 0.5))(one) == 0.4
    assert Measure("success", "trough", (0.5, 1.0))(one) == 0.5
    assert Measure("success", "correlation", (0.0, 1.0), "other")(one) == pytest.approx(-1)
    assert SUCCESS.earlier()(one) == 0.8
    assert np.isnan(Measure("nothing")(one))
    assert np.isnan(Measure("success", "correlation", (0.0, 1.0), "nothing")(one))
    undefined = record([0.0] * 9 + [None])
    assert np.isnan(SUCCESS(undefined))


def test_log_odds_are_finite_and_their_difference_is_an_odds_ratio():
    odds = Measure("success", "log-odds")
    four, two = (odds(record([0.0] * 9 + [p])) for p in (0.04, 0.02))
    assert four - two == pytest.approx(np.log((0.04 / 0.96) / (0.02 / 0.98)), abs=0.05)
    half = 0.5 / (0.1 * 100 * 32)  # of the 320 games of the last tenth
    assert odds(record([0.0] * 10)) == pytest.approx(np.log(half / (1 + half)))
    assert odds(record([1.0] * 10)) == pytest.approx(-odds(record([0.0] * 10)))
    assert odds.at_first().statistic == odds.earlier().statistic == "log-odds"


def test_an_interaction_is_a_difference_of_differences():
    groups = [np.array(x) for x in ([0.9, 0.8, 0.85], [0.3, 0.35, 0.25], [0.7, 0.72, 0.74], [0.6, 0.61, 0.65])]
    estimate, low, high, p = difference(groups[0], groups[1], "above", 0.0, groups[2:])
    assert estimate == pytest.approx(0.55 - 0.1)
    error = np.sqrt(sum(x.var(ddof=1) / 3 for x in groups))
    free = error**4 / sum((x.var(ddof=1) / 3) ** 2 / 2 for x in groups)  # Welch and Satterthwaite
    assert p == pytest.approx(stats.t.sf(estimate / error, free))
    assert (low, high) == pytest.approx(stats.t.interval(0.95, free, estimate, error))
    records = dict(zip("abcd", (flat(*x) for x in groups), strict=True))
    test = Comparison("a", "above", "b", SUCCESS, 0.1, beside=("c", "d"))
    outcome = compared(test, records, dict.fromkeys("abcd", 100))
    assert outcome.estimate == pytest.approx(estimate)
    assert outcome.described()["values"]["beside"] == [x.tolist() for x in groups[2:]]
    gone = compared(test, {**records, "d": flat(0.6)}, dict.fromkeys("abcd", 100))
    assert np.isnan(gone.estimate)  # too few seeds of any of the four


def test_bad_tests_are_refused():
    with pytest.raises(ValueError, match="interaction"):
        Comparison("a", "above", 0.5, SUCCESS, 0.1, beside=("b", "c"))
    with pytest.raises(ValueError, match="margin"):
        above(margin=-0.1)
    with pytest.raises(ValueError, match="greater than 0"):
        above(margin=0.0, relation="equal")
    with pytest.raises(ValueError, match="give a label"):
        Comparison("a", "wider", 0.5, SUCCESS, 1.0)
    with pytest.raises(ValueError, match="greater than 0"):
        Comparison("a", "steadier", "b", SUCCESS, 1.0)
