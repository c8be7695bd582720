"""Verdicts of claims, on made-up seeds."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from comity.experiments.claims import Claim, Comparison
from comity.experiments.judging import compared, counts, judge, together
from comity.experiments.measures import Measure
from comity.experiments.significance import difference
from comity.experiments.tables import details
from tiny.made_up import HIGH, LOW, MID, SIX, SUCCESS, above, both, flat, judged, record


def test_a_clear_difference_is_reproduced_and_its_opposite_is_not():
    assert judged(above(), {"a": HIGH, "b": LOW})[0] == "reproduced"
    assert judged(above(), {"a": LOW, "b": HIGH})[0] == "not reproduced"
    assert judged(above(relation="below"), {"a": LOW, "b": HIGH})[0] == "reproduced"
    assert judged(above(relation="below"), {"a": HIGH, "b": LOW})[0] == "not reproduced"


def test_smaller_than_what_matters_is_partly_unless_that_is_excluded():
    some, none = flat(0.53, 0.62, 0.57, 0.60, 0.64, 0.55), flat(0.50, 0.52, 0.49, 0.51, 0.50, 0.48)
    assert judged(above(margin=0.1), {"a": some, "b": none})[0] == "partly"
    assert judged(above(margin=0.3), {"a": some, "b": none})[0] == "not reproduced"


def test_a_wide_interval_leaves_it_open():
    wide = flat(0.9, 0.1, 0.8, 0.3)
    assert judged(above(), {"a": wide, "b": LOW})[0] == "open"
    assert judged(above(relation="equal"), {"a": wide, "b": LOW})[0] == "open"


def test_two_seeds_are_never_enough():
    verdict, outcome = judged(above(), {"a": HIGH[:2], "b": LOW})
    assert verdict == "open"
    assert outcome.p == 1
    assert judged(above(), {"a": HIGH})[0] == "open"


def test_equality_needs_an_interval_within_the_margin():
    """The larger p of two one-sided tests (Schuirmann)."""
    verdict, outcome = judged(above(margin=0.1, relation="equal"), {"a": MID, "b": LOW})
    assert verdict == "reproduced"
    a, b = (np.array([r["curve"]["success"][0] for r in x]) for x in (MID, LOW))
    upper: Any = stats.ttest_ind(a - 0.1, b, equal_var=False, alternative="less")
    lower: Any = stats.ttest_ind(a + 0.1, b, equal_var=False, alternative="greater")
    assert outcome.p == pytest.approx(max(upper.pvalue, lower.pvalue))
    assert judged(above(margin=0.1, relation="equal"), {"a": HIGH, "b": LOW})[0] == "not reproduced"
    assert judged(above(margin=0.02, relation="equal"), {"a": MID, "b": LOW})[0] == "open"


@pytest.mark.parametrize(("relation", "first", "second"), [("not below", "a", "b"), ("not above", "b", "a")])
def test_not_below_is_one_side_of_equality(relation, first, second):
    """HIGH is far above LOW, MID a little above it: both are not below, and LOW is not above, at any margin."""
    test = lambda margin, high, low: judged(above(margin, relation), {first: high, second: low})  # noqa: E731
    assert test(0.1, HIGH, LOW)[0] == test(0.1, MID, LOW)[0] == "reproduced"
    assert test(0.1, LOW, HIGH)[0] == "not reproduced"
    assert test(0.1, flat(0.9, 0.1, 0.8, 0.3), LOW)[0] == "open"
    _, outcome = test(0.02, LOW, MID)
    x, y = (np.array([r["curve"]["success"][0] for r in some]) for some in (LOW, MID))
    known: Any = stats.ttest_ind(x + 0.02, y, equal_var=False, alternative="greater")
    assert outcome.p == pytest.approx(known.pvalue)


def test_where_seeds_are_all_alike_the_exact_test_decides():
    """t divides by 0 there. Five seeds on one side of a number are so by chance in 1 of 32."""
    zero = flat(*[0.0] * 5)
    verdict, outcome = judged(above(margin=0.01, relation="equal", second=0.0), {"a": zero})
    assert (verdict, outcome.p_holm, outcome.alike) == ("reproduced", 1 / 32, ["a"])
    assert judged(above(margin=0.01, second=0.0), {"a": zero})[0] == "not reproduced"
    assert judged(above(margin=0.01, second=0.0), {"a": flat(*[0.5] * 5)})[0] == "reproduced"
    assert judged(above(margin=0.0, relation="below", second=0.0), {"a": zero})[0] == "open"  # neither above nor below
    assert judged(above(margin=0.01, relation="not above", second=0.0), {"a": zero})[0] == "reproduced"
    assert judged(above(margin=0.01, relation="not below", second=0.1), {"a": zero})[0] == "not reproduced"
    ten = flat(*[0.0] * 10)
    assert judged(above(margin=0.01, relation="equal", second=0.0), {"a": ten})[1].p_holm == 2**-10
    assert judged(above(margin=0.01, relation="below"), {"a": ten, "b": HIGH})[1].p_exact == 1 / 3003


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_three_seeds_beside_a_number_cannot_show_anything(level):
    for test in (above(second=0.1), above(margin=0.05, relation="equal", second=level)):
        verdict, outcome = judged(test, {"a": flat(level, level + 1e-4, level + 2e-4)})
        assert (verdict, outcome.p_holm >= 1 / 8) == ("open", True)
        assert outcome.reason == "3 seeds cannot show it: the exact test gives no p below 0.125"


def test_three_seeds_beside_three_are_decided_where_none_overlap():
    low, high = flat(0.1, 0.11, 0.12), flat(0.4, 0.41, 0.42)
    verdict, outcome = judged(above(), {"a": high, "b": low})
    assert outcome.p < 1e-4
    assert (verdict, outcome.p_holm) == ("reproduced", 1 / 20)  # nothing below what the exact test can give
    assert judged(above(), {"a": low, "b": high})[0] == "not reproduced"
    overlapping = flat(0.4, 0.41, 0.115)
    assert judged(above(0.0), {"a": overlapping, "b": low})[1].p_exact == 2 / 20


def test_t_alone_decides_nothing_where_seeds_are_few():
    """One seed of five is on the other side: t's p is 0.012, and 2 of 32 signs give as much."""
    five = flat(1.0, 1.0, 1.0, 1.0, -0.1)
    verdict, outcome = judged(above(0.0, second=0.0), {"a": five})
    assert (verdict, outcome.reason, outcome.p_exact) == ("open", "the exact test does not agree", 2 / 32)
    assert outcome.p < 0.05 < outcome.p_holm
    assert judged(above(0.0, "below", 0.0), {"a": five})[1].reason == "the exact test does not agree"


def test_the_exact_test_is_not_corrected_and_t_is():
    """Of five seeds beside five no p below 1/252 is known; corrected for twenty it could never show anything."""
    others = [Claim(f"n{i}", "t", (above(relation="below"),), "2026-01-01") for i in range(19)]
    first = Claim("c", "t", (above(),), "2026-01-01")
    _, verdict, (outcome,) = judge([first, *others], {"a": HIGH, "b": LOW}, both(100))[0]
    assert (verdict, outcome.p_holm) == ("reproduced", 1 / 252)
    assert outcome.described()["p"] == outcome.described()["p_exact"] == pytest.approx(1 / 252, rel=1e-5)
    assert judged(above(), {"a": HIGH + MID, "b": LOW + MID})[1].p_exact is None  # ten seeds: t alone


def test_between_is_above_a_floor_and_below_another():
    def found(level: float, second: str | float = "b"):
        test = Comparison("a", "between", second, SUCCESS, 0.1, floor=0.1)
        return judged(test, {"a": flat(*(level + x - 0.2 for x in SIX)), "b": flat(*(0.8 + x - 0.2 for x in SIX))})

    assert found(0.5)[0] == "reproduced"
    assert found(0.9)[0] == "not reproduced"
    assert found(0.02)[0] == "not reproduced"
    assert found(0.1)[0] == "open"
    assert found(0.5, 0.8)[0] == "reproduced"
    _, near = found(0.12)  # far below the one, close above the other: that one decides
    _, alone = judged(above(0.0, second=0.1), {"a": flat(*(0.12 + x - 0.2 for x in SIX))})
    assert near.p == pytest.approx(alone.p)
    assert near.described()["floor"] == 0.1
    high = flat(*(0.795 + x - 0.2 for x in SIX)), flat(*(0.8 + x - 0.2 for x in SIX))
    records = dict(zip("ab", high, strict=True))  # and the other way round
    assert judged(Comparison("a", "between", "b", SUCCESS, 0.0, floor=0.1), records)[1].p == pytest.approx(
        judged(above(0.0, "below"), records)[1].p
    )
    others = [Claim(f"n{i}", "t", (above(relation="above"),), "2026-01-01") for i in range(99)]
    crowd = [Claim("c", "t", (near.test,), "2026-01-01"), *others]
    records = {"a": flat(*(0.12 + x - 0.2 for x in SIX)), "b": flat(*(0.8 + x - 0.2 for x in SIX))}
    ((_, verdict, (outcome,)), *_) = judge(crowd, records, both(100))
    assert (verdict, [part.verdict for part in outcome.parts]) == ("open", ["open", "reproduced"])
    five = Comparison("a", "between", "b", SUCCESS, 0.1, floor=0.1)
    assert judged(five, {"a": MID, "b": HIGH})[1].p_holm == 1 / 32  # five seeds against a number


def test_counts_stand_beside_a_claim_about_many():
    tests = (above(), above(), above(relation="below"), Comparison("a", "above", "c", SUCCESS, 0.1))
    records = {"a": HIGH, "b": LOW, "c": []}
    ((_, verdict, outcomes),) = judge([Claim("c", "text", tests, "2026-01-01")], records, both(100, "abc"))
    assert verdict == "partly"
    assert counts(outcomes) == {"reproduced": 2, "not reproduced": 1, "open": 1}
    told = "2 of 4 reproduced, 1 not reproduced, 1 open; fewer than three seeds (1)"
    assert details(outcomes) == told


def test_a_wider_spread():
    rng = np.random.default_rng(0)
    wide, narrow = flat(*rng.normal(0.5, 0.2, 12)), flat(*rng.normal(0.5, 0.02, 12))
    test = Comparison("a", "wider", "b", SUCCESS, 1.0)
    assert judged(test, {"a": wide, "b": narrow})[0] == "reproduced"
    assert judged(test, {"a": narrow, "b": wide})[0] == "not reproduced"


def test_a_spread_at_each_point_sees_seeds_that_change_places():
    """In the mean over the window all four are alike. The estimate is the root of the mean variance over the points."""
    swapping = [record([0.4 + x, 0.6 - x]) for x in (-0.3, -0.1, 0.1, 0.3)]
    records = {"a": swapping, "b": [record([0.5 + x, 0.5 + x]) for x in (-0.02, -0.01, 0.02, 0.01)]}
    whole = Measure("success", window=(0.0, 1.0))
    verdict, outcome = judged(Comparison("a", "wider-throughout", "b", whole, 1.0), records)
    assert (verdict, outcome.alike) == ("reproduced", [])
    assert outcome.estimate == pytest.approx(np.std([-0.3, -0.1, 0.1, 0.3]) / np.std([-0.02, -0.01, 0.02, 0.01]))
    assert outcome.first == pytest.approx([0.3, 0.1, 0.1, 0.3])  # distances from the mean curve
    assert judged(Comparison("a", "wider", "b", whole, 1.0), records)[0] == "not reproduced"
    # Over one point it is the spread of a number for each seed: the same ratio, interval and p.
    rows = {"a": flat(0.1, 0.5, 0.8, 0.4, 0.6), "b": flat(0.3, 0.4, 0.45, 0.35)}
    one, other = (judged(Comparison("a", x, "b", SUCCESS, 1.0), rows)[1] for x in ("wider", "wider-throughout"))
    assert one[3:7] == pytest.approx(other[3:7])


def test_a_spread_below_a_number():
    def found(bound: float, *seeds: float):
        return judged(Comparison("a", "steadier", bound, SUCCESS, 0.0), {"a": flat(*seeds)})[0]

    x = np.random.default_rng(0).normal(0.5, 0.02, 12)
    assert found(0.1, *x) == "reproduced"
    assert found(0.001, *x) == "not reproduced"
    assert found(0.001, 0.4, 0.5, 0.6) == "not reproduced"  # against it the chi-squared test speaks alone
    assert found(0.1, 0.45, 0.5, 0.6) == "open"
    assert found(0.1, *[0.5] * 5) == "open"  # of two values 0.2 apart, five are the same with probability 1/16
    assert found(0.1, *[0.5] * 6) == "reproduced"


def test_claims_of_a_figure_are_corrected_for_their_number():
    """What holds alone is no longer significant among twenty claims; those that were replaced do not count."""
    a, b = flat(0.60, 0.66, 0.63, 0.70, 0.58), flat(0.50, 0.56, 0.53, 0.60, 0.48)
    test = above(margin=0.05)
    alone = compared(test, {"a": a, "b": b}, both(100)).p
    assert 0.005 < alone < 0.05
    nothing = Claim("n", "t", (above(relation="below"),), "2026-01-01")
    many = [Claim("c", "t", (test,), "2026-01-01"), *(nothing for _ in range(1))]
    records = {"a": a, "b": b}
    assert judge(many[:1], records, both(100))[0][1] == "reproduced"
    crowd = [
        Claim("c", "t", (test,), "2026-01-01"),
        *(Claim(f"n{i}", "t", (above(relation="below"),), "2026-01-01") for i in range(19)),
    ]
    assert judge(crowd, records, both(100))[0][1] == "open"
    gone = [
        Claim("c", "t", (test,), "2026-01-01"),
        *(Claim(f"n{i}", "t", (above(relation="below"),), "2026-01-01", "c") for i in range(19)),
    ]
    results = judge(gone, records, both(100))
    assert results[0][1] == "reproduced"
    assert len(results) == 20  # and the old verdicts stay visible


def test_claims_added_later_change_no_verdict_but_their_own():
    records = {"a": flat(0.60, 0.66, 0.63, 0.70, 0.58, 0.63), "b": flat(0.50, 0.56, 0.53, 0.60, 0.48, 0.56)}
    planned = Claim("c", "t", (above(margin=0.05),), "2026-01-01")
    added = [Claim(f"n{i}", "t", (above(relation="below"),), "2026-01-02") for i in range(150)]
    same = Claim("same", "t", planned.tests, "2026-01-02")
    verdicts = {claim.name: found for claim, found, _ in judge([*added, planned, same], records, both(100))}
    assert (verdicts["c"], verdicts["same"]) == ("reproduced", "open")
    p = {claim.name: outcomes[0].p_holm for claim, _, outcomes in judge([planned, same], records, both(100))}
    assert p["same"] == pytest.approx(2 * p["c"])  # of its day's two claims


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        (["reproduced", "reproduced"], "reproduced"),
        (["not reproduced", "not reproduced"], "not reproduced"),
        (["reproduced", "not reproduced"], "partly"),
        (["reproduced", "partly"], "partly"),
        (["reproduced", "open"], "open"),
        (["not reproduced", "too little training"], "too little training"),
        (["reproduced", "not reproduced", "open"], "partly"),
    ],
)
def test_a_claim_of_several_tests(verdicts, whole):
    assert together(verdicts) == whole


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
    outcome = compared(test, records, both(100, "abcd"))
    assert outcome.estimate == pytest.approx(estimate)
    assert outcome.described()["values"]["beside"] == [x.tolist() for x in groups[2:]]
    gone = compared(test, {**records, "d": flat(0.6)}, both(100, "abcd"))
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
    with pytest.raises(ValueError, match="every point"):
        Comparison("a", "wider-throughout", "b", Measure("success", "change"), 1.0)
    with pytest.raises(ValueError, match="greater than 0"):
        Comparison("a", "steadier", "b", SUCCESS, 1.0)
    with pytest.raises(ValueError, match="twice"):
        Comparison("a", "above", "b", SUCCESS, 0.1, beside=("c", "b"))
    with pytest.raises(ValueError, match="floor"):
        Comparison("a", "between", "b", SUCCESS, 1.0)
    with pytest.raises(ValueError, match="floor"):
        Comparison("a", "above", "b", SUCCESS, 1.0, floor=0.0)
