"""Verdicts if training was shorter than the paper's, on made-up seeds."""

from dataclasses import replace

import numpy as np
import pytest

from comity.experiments.claims import Comparison
from comity.experiments.course import Length
from comity.experiments.measures import Measure
from comity.experiments.tables import details, said
from tiny.made_up import SIX, above, flat, judged, lines, record


def test_a_training_shorter_than_the_papers_that_is_on_its_way():
    """It rises by 0.02 in the last tenth: the paper's nine times longer training would carry it above 0.5."""
    rising, test = lines(*SIX), above(margin=0.05, second=0.5)
    assert judged(test, {"a": rising}, iterations=100)[0] == "not reproduced"
    verdict, outcome = judged(test, {"a": rising}, iterations=1000)
    assert (verdict, outcome.reason) == ("too little training", "at its pace it would get there")
    assert judged(test, {"a": rising}, iterations=150)[0] == "not reproduced"  # half as long again is not enough
    assert judged(above(0.05, "below", 0.1), {"a": rising}, iterations=1000)[0] == "not reproduced"  # the wrong way


def test_a_pace_that_could_be_none_carries_nothing_on():
    """The same mean rise, of one seed alone."""
    one = [*lines(0.20 + 0.9 * 0.2), *flat(*SIX[1:])]
    verdict, outcome = judged(above(margin=0.05, second=0.5), {"a": one}, iterations=1000)
    assert outcome.course.pace == pytest.approx(0.38 / 9 / 6)
    assert outcome.estimate + 90 * outcome.course.pace > 0.05
    assert (verdict, outcome.course.moving) == ("not reproduced", False)


def test_no_extrapolation_passes_what_a_metric_can_be():
    """At its pace an arm would pass 1: a rate ends there, and is then 0.25 above 0.75, not the claimed 0.3."""
    rising = [record(np.linspace(0.81 + x, 0.9 + x, 10)) for x in (0.0, 0.001, -0.001, 0.002, -0.002, 0.0)]
    for x in rising:
        x["curve"]["return"] = x["curve"]["success"]
    test = above(margin=0.3, second=0.75)
    verdict, outcome = judged(test, {"a": rising}, 1000)
    assert (verdict, outcome.course.moving) == ("not reproduced", True)
    assert outcome.estimate + outcome.course.rest == pytest.approx(0.25)
    unbounded = replace(test, measure=Measure("return"))
    assert judged(unbounded, {"a": rising}, 1000)[0] == "too little training"
    falling = lines(*(x - 0.15 for x in SIX), start=0.5)  # down to 0.05, and below 0 it does not go
    assert judged(above(0.1, "below", 0.0), {"a": falling}, 1000)[0] == "not reproduced"


def test_a_claim_about_the_middle_of_training_is_never_carried_on():
    test = Comparison("a", "above", 0.5, Measure("success", window=(0.4, 0.8)), 0.05)
    assert judged(test, {"a": lines(*SIX)}, iterations=1000)[0] == "not reproduced"


@pytest.mark.parametrize(("iterations", "verdict"), [(100, "reproduced"), (1000, "reproduced"), (1001, "held back")])
def test_less_than_a_tenth_of_the_papers_training_says_nothing_of_the_end(iterations, verdict):
    high, low = ([record([0.0] + [level + x] * 9) for x in SIX] for level in (0.6, 0.3))
    found, outcome = judged(above(), {"a": high, "b": low}, iterations)
    other, against = judged(above(relation="below"), {"a": high, "b": low}, iterations)
    if verdict == "held back":
        assert (found, outcome.reason) == ("too little training", "so far reproduced")
        assert (other, against.reason) == ("too little training", "so far not reproduced")
    else:
        assert (found, other) == ("reproduced", "not reproduced")
    early = Comparison("a", "above", "b", Measure("success", window=(0.1, 0.3)), 0.1)
    once = Comparison("a", "above", 0.1, Measure("success", "peak", (0.0, 1.0)), 0.1)
    for test in (early, once):  # of the beginning; of what has happened
        assert judged(test, {"a": high, "b": low}, iterations)[0] == "reproduced"


def test_the_share_of_the_papers_training_stands_beside_the_verdict():
    """Of the arm with less of it."""
    high, low = (flat(*(level + x for x in SIX)) for level in (0.6, 0.3))
    _, outcome = judged(above(), {"a": high, "b": low}, {"a": 100, "b": 333})
    assert details([outcome]) == "30 % of the paper's training"
    assert said(outcome).startswith("reproduced (30 % of the paper's training; p ")
    assert said(judged(above(), {"a": high, "b": low}, 100)[1]).startswith("reproduced (p ")
    whole = judged(above(), {"a": high, "b": low}, 50)[1]
    untested = judged(above(), {"a": high, "b": []}, {"a": 100, "b": 900})[1]
    assert details([outcome, untested]) == (
        "1 of 2 reproduced, 1 open; 30 % of the paper's training; fewer than three seeds (1)"
    )
    assert details([outcome, whole]) == "2 of 2 reproduced; 30 to 100 % of the paper's training"


def test_the_smaller_share_counts_of_updates_and_of_steps():
    """All of the paper's updates with a twentieth of its games are little training, as are few updates with many."""
    high, low = (flat(*(level + x for x in SIX)) for level in (0.6, 0.3))
    few_games, few_updates = Length(100, 100 * 640 * 10, 10, 10), Length(2_000, 100 * 32 * 10, 10, 10)
    for length, word in ((few_games, "steps"), (few_updates, "updates")):
        verdict, outcome = judged(above(), {"a": high, "b": low}, {"a": length, "b": 100})
        assert (verdict, outcome.described()["share_of"]) == ("too little training", word)
        assert details([outcome]) == f"5 % of the paper's {word}; so far reproduced"
    short = [{**x, "settings": {**x["settings"], "algorithm": {"steps": 5}}} for x in high]
    assert judged(above(), {"a": short, "b": low})[1].course.share == 0.5  # rollouts of 5 steps instead of 10
    whole = [{**x, "settings": {**x["settings"], "algorithm": {"steps": 0}}} for x in high]
    for steps, share in ((20, 1.0), (40, 0.5)):  # 0: episodes of 20 steps
        paper = Length(100, 100 * 32 * steps, 10, 20)
        assert judged(above(second=0.5), {"a": whole}, paper)[1].course.share == share


def test_a_paper_that_gives_no_length_has_no_share_of_it():
    """Nothing is held back for its length or extrapolated; two arms that have not moved are no comparison."""
    high, low = ([record([0.0] + [level + x] * 9) for x in SIX] for level in (0.6, 0.3))
    verdict, outcome = judged(above(), {"a": high, "b": low}, None)
    assert (verdict, outcome.course.share, outcome.described()["share"]) == ("reproduced", None, None)
    assert judged(above(relation="below"), {"a": high, "b": low}, None)[0] == "not reproduced"
    assert details([outcome]) == "the length of the paper's training is not known"
    known = judged(above(), {"a": high, "b": low}, 333)[1]
    assert details([outcome, known]) == (
        "2 of 2 reproduced; 30 % of the paper's training; for some arms the length of the paper's training is not known"
    )
    held, one = judged(above(), {"a": high, "b": low}, {"a": 1001, "b": None})
    assert (held, one.course.share) == ("too little training", pytest.approx(100 / 1001))
    rising = judged(above(margin=0.05, second=0.5), {"a": lines(*SIX)}, None)
    assert (rising[0], rising[1].course.rest) == ("not reproduced", 0)
    still = flat(0.0, 0.001, 0.0, 0.001, 0.0, 0.001)
    assert judged(above(), {"a": still, "b": still}, None)[1].reason == "no arm has begun to move"


def test_two_arms_that_have_not_begun_to_move_are_no_comparison():
    still, test = flat(0.0, 0.001, 0.0, 0.001, 0.0, 0.001), above(margin=0.1)
    verdict, outcome = judged(test, {"a": still, "b": still}, iterations=1000)
    assert (verdict, outcome.reason) == ("open", "no arm has begun to move")
    assert judged(test, {"a": still, "b": still}, iterations=100)[0] == "not reproduced"
    early = replace(test, measure=Measure("success", window=(0.0, 0.1)))  # what follows does not matter to it
    assert judged(early, {"a": still, "b": still}, iterations=1000)[0] == "not reproduced"
    assert judged(above(margin=0.1, second=0.2), {"a": still}, iterations=1000)[0] == "not reproduced"  # of itself


def test_what_has_been_learned_and_stays_is_absent_in_a_short_training_too():
    risen = [record([0.0] + [0.97 + s] * 9) for s in (0.0, 0.001, -0.001, 0.002, -0.002, 0.0)]
    assert judged(above(margin=0.1), {"a": risen, "b": risen}, iterations=1000)[0] == "not reproduced"
    assert judged(above(0.01, "equal", 0.0), {"a": risen}, iterations=1000)[0] == "not reproduced"
    falling = [record(np.linspace(1.0, 0.3 + s, 10)) for s in (0.0, 0.01, -0.01, 0.02, -0.02, 0.0)]
    assert judged(above(0.01, "equal", 0.0), {"a": falling}, iterations=1000)[0] == "too little training"


def test_each_arm_has_its_own_way_to_go():
    """Both rise by 0.02 and 0.05 in the last tenth. If only one of them trains on, that one alone moves."""
    one, other = lines(*SIX), lines(*(x + 0.3 for x in SIX))
    test = above(margin=0.05)
    assert judged(test, {"a": one, "b": other}, {"a": 1000, "b": 1000})[0] == "not reproduced"
    assert judged(test, {"a": one, "b": other}, {"a": 1000, "b": 100})[0] == "too little training"
    assert judged(test, {"a": one, "b": other}, {"a": 100, "b": 1000})[0] == "not reproduced"
    below = above(margin=0.05, relation="below")
    assert judged(below, {"a": other, "b": one}, {"a": 100, "b": 1000})[0] == "too little training"


def test_a_rise_is_no_level_and_a_correlation_has_none():
    """What stays at 3 has not begun to rise, though its rise of 0 is far from 3."""
    change = Comparison("a", "above", 0.0, Measure("success", "change"), 0.5)
    still = flat(3.0, 3.01, 2.99, 3.0)
    assert not judged(change, {"a": still})[1].course.begun
    risen = [record([3.0] + [6.0 + s] * 9) for s in (0.0, 0.1, -0.1)]  # its rise is its first level
    assert judged(change, {"a": risen})[1].course.begun
    swing = Comparison("a", "below", 0.0, Measure("success", "correlation", (0.0, 1.0), "other"), 0.3)
    level = [record(np.sin(np.arange(10.0) + s), other=np.sin(np.arange(10.0) + s)) for s in range(3)]
    assert judged(swing, {"a": level})[1].course.begun


@pytest.mark.parametrize("statistic", ["change", "surge", "fall", "drift"])
def test_of_what_is_a_difference_the_level_has_begun_to_move_or_not(statistic):
    test = Comparison("a", "above", 0.0, Measure("success", statistic, (0.5, 1.0)), 0.5)
    assert not judged(test, {"a": flat(9.0, 9.1, 8.9)})[1].course.begun
    assert judged(test, {"a": [record([0.0] * 3 + [9.0 + x] * 7) for x in (0.0, 0.1, 0.2)]})[1].course.begun
