"""Measures of made-up records."""

import numpy as np
import pytest

from comity.experiments.measures import Measure
from comity.report.ranges import limits
from tiny.made_up import SUCCESS, record


def test_a_surge_is_on_top_of_what_was_before():
    surge = Measure("success", "surge", (0.5, 1.0))
    assert surge(record([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])) == pytest.approx(-0.1)
    assert surge(record([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1])) == pytest.approx(0.8)


def test_a_fall_is_below_what_was_reached_before():
    fall = Measure("success", "fall", (0.0, 1.0))
    assert fall(record([0.1, 0.5, 0.3, 0.6, 0.9, 0.4, 0.8, 0.8, 0.8, 0.8])) == pytest.approx(0.5)
    assert fall(record(np.linspace(0.0, 1.0, 10))) == 0
    assert Measure("success", "fall", (0.5, 1.0))(record([1.0] * 5 + [0.2] * 5)) == 0  # of the window alone


def test_a_drift_is_what_changes_over_the_window():
    drift = Measure("success", "drift", (0.8, 1.0))
    assert drift(record([0.0] * 8 + [0.9, 0.4])) == pytest.approx(-0.5)
    assert drift.words == "success, second half less the first, 80 to 100 % of training"
    assert drift.pace(record([0.0] * 8 + [0.9, 0.4])) == 0  # it is no level that could be carried on
    assert np.isnan(drift(record(np.linspace(0.0, 1.0, 6))))  # both halves are the last point


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
    assert SUCCESS.pace(one) == Measure("success", "last").pace(one) == pytest.approx(0.1)
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


@pytest.mark.parametrize(
    ("metric", "between"),
    [
        ("success", (0, 1)),
        ("own_share.1", (0, 1)),
        ("reward_share.1", (-np.inf, np.inf)),  # earnings over what can be earned, as the two below
        ("fresh:shaping_share", (-np.inf, np.inf)),
        ("meeting_share.0", (-np.inf, np.inf)),
        ("unsure-self:cooperation.0", (0, 1)),
        ("hold-out-all-d:defection_in_the_end", (0, 1)),
        ("likeliest_10", (0, 1)),
        ("all-c:cooperation.0 - all-d:cooperation.0", (-1, 1)),
        ("drops.1", (0, np.inf)),
        ("absolute_policy_loss", (0, np.inf)),
        ("policy_loss", (-np.inf, np.inf)),
        *((f"self:{name}", (0, 1)) for name in ("alive.0", "ate", "attacks", "only_one_died", "equality")),
        *((f"self:{name}", (0, np.inf)) for name in ("deaths_of_others", "dead_agents", "peace", "sustainability")),
        ("drops / length", (0, np.inf)),
        ("policy_loss / length", (-np.inf, np.inf)),
        ("root_truth:policy_loss / truth:length", (0, np.inf)),
    ],
)
def test_metrics_know_what_they_can_be(metric, between):
    assert limits(metric) == between


def test_measures_know_what_they_can_be():
    assert Measure("success", "change").reach(0.25) == (-0.25, 0.75)
    assert Measure("success", "surge").reach(0.25) == (-1, 1)
    assert Measure("drops", "fall").reach(1.0) == (0, np.inf)
    assert Measure("success", "log-odds").reach(0.0) == (-np.inf, np.inf)
