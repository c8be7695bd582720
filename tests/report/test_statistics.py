"""Statistics against closed forms, numbers by hand and scipy."""

import numpy as np
import pytest
import scipy.stats

from comity.report.statistics import (
    bootstrap_ci,
    common_curve,
    iqm,
    mean_ci,
    probability_of_improvement,
    summary,
)

RANDOM = np.random.default_rng(0)


def test_iqm_by_hand():
    assert iqm([100, 1, 2, 3, 4, 5, 6, -50]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert iqm([1, 2, 6]) == pytest.approx(3)  # a quarter of three is rounded down to none
    assert iqm([0, 1, 2, 60]) == pytest.approx(1.5)


@pytest.mark.parametrize("n", [1, 2, 5, 7, 10, 13])
def test_iqm_is_scipys_trimmed_mean(n):
    values = RANDOM.normal(size=(n, 3))
    assert iqm(values) == pytest.approx(scipy.stats.trim_mean(values.ravel(), 0.25))
    np.testing.assert_allclose(iqm(values, axis=0), scipy.stats.trim_mean(values, 0.25, axis=0))
    np.testing.assert_allclose(iqm(values[None].repeat(2, 0), axis=(1, 2)), [iqm(values)] * 2)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_mean_ci_is_scipys_t_interval(level):
    values = RANDOM.normal(size=(6, 4))
    found = mean_ci(values, level)
    expected = scipy.stats.t.interval(level, 5, values.mean(0), scipy.stats.sem(values))
    np.testing.assert_allclose(found.value, values.mean(0))
    np.testing.assert_allclose([found.low, found.high], expected)


def test_mean_ci_by_hand():
    low, high = mean_ci([1.0, 2.0, 3.0])[1:]  # s = 1, t(2) = 4.3027
    assert (low, high) == pytest.approx((2 - 4.302653 / np.sqrt(3), 2 + 4.302653 / np.sqrt(3)))
    assert np.isnan(mean_ci([1.0]).low)


def test_bootstrap_of_a_mean_is_near_its_normal_limit():
    """With 400 seeds the percentile interval of a mean is mean -+ 1.96 s / sqrt(n), up to the draws' own noise."""
    values = RANDOM.normal(2.0, 3.0, size=400)
    found = bootstrap_ci(values, np.mean, resamples=4000)
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_bootstrap_of_two_values_by_hand():
    """Means of two draws from {0, 1}: 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4."""
    assert bootstrap_ci([0.0, 1.0], np.mean)[1:] == (0.0, 1.0)
    assert bootstrap_ci([0.0, 1.0], np.mean, level=0.4)[1:] == (0.5, 0.5)


def test_bootstrap_is_stratified_by_task():
    """Opposite tasks cancel when rows stay together, and do not when each task draws its own seeds."""
    column = np.arange(10.0)
    values = np.stack([column, -column], 1)
    together = bootstrap_ci(values, np.mean, stratified=False)
    apart = bootstrap_ci(values, np.mean)
    assert together.high - together.low == pytest.approx(0)
    assert apart.high - apart.low > 1


def test_bootstrap_keeps_tasks_apart():
    values = np.stack([np.full(6, 1.0), np.full(6, 5.0)], 1)
    assert bootstrap_ci(values, np.mean) == (3.0, 3.0, 3.0)


def test_bootstrap_repeats_itself():
    values = RANDOM.normal(size=7)
    assert bootstrap_ci(values) == bootstrap_ci(values)
    assert bootstrap_ci(values, seed=1) != bootstrap_ci(values)


def test_probability_of_improvement_is_mann_whitneys_u():
    x, y = RANDOM.integers(0, 6, 9), RANDOM.integers(0, 5, 7)  # with ties
    found = probability_of_improvement(x, y)
    u = scipy.stats.mannwhitneyu(x, y, alternative="greater").statistic
    assert found.value == pytest.approx(u / 63)
    assert found.low < found.value < found.high
    assert probability_of_improvement(y, x).value == pytest.approx(1 - found.value)


def test_probability_of_improvement_by_hand():
    assert probability_of_improvement([1, 2], [0, 2]).value == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    assert probability_of_improvement([[1, 0], [1, 0]], [[0, 1], [0, 1]]).value == pytest.approx(0.5)  # two tasks
    assert probability_of_improvement([3, 4, 5], [0, 1, 2]) == (1, 1, 1)
    with pytest.raises(ValueError, match="x has 2 tasks, y has 1"):
        probability_of_improvement([[1, 2]], [[1], [2]])


def test_summary_gives_no_interval_below_five_seeds():
    assert summary([3.0, 1.0, 2.0], np.mean) == (2.0, 1.0, 3.0, 3, "range")
    assert summary([3.0, 1.0, 2.0, 2.0]).kind == "range"
    assert summary([3.0]).kind == "one seed"
    assert summary([np.nan]).kind == "undefined"
    five = summary([1.0, 2.0, 3.0, 4.0, 5.0], np.mean)
    assert five.kind == "95% CI"
    assert five.high == pytest.approx(3 + 2.776445 * np.sqrt(2.5 / 5))


def test_summary_leaves_undefined_seeds_out():
    assert summary([1.0, np.nan, 3.0], np.mean) == (2.0, 1.0, 3.0, 2, "range")


def test_common_curve_keeps_equal_steps():
    curve = common_curve([([0, 10, 20], [0, 1, 2]), ([0, 10, 20], [4, 5, 6])])
    np.testing.assert_array_equal(curve.steps, [0, 10, 20])
    np.testing.assert_array_equal(curve.values, [[0, 1, 2], [4, 5, 6]])


def test_common_curve_interpolates_within_the_common_range():
    curve = common_curve([([0, 10, 20], [0.0, 10.0, 20.0]), ([0, 8, 30], [0.0, 8.0, 30.0]), ([5, 9, 40], [5.0, 9, 40])])
    assert curve.steps[0] == 5
    assert curve.steps[-1] == 20
    np.testing.assert_allclose(curve.values, np.tile(curve.steps, (3, 1)))  # all three are y = x


def test_common_curve_of_seeds_of_different_length_and_with_gaps():
    curve = common_curve([([0, 10, 20, 30], [0.0, np.nan, 20.0, 30.0]), ([0, 20], [0.0, 20.0])])
    assert curve.steps[-1] == 20
    np.testing.assert_allclose(curve.values, np.tile(curve.steps, (2, 1)))


def test_common_curve_makes_nothing_up():
    assert common_curve([([0, 10], [1, 1]), ([20, 30], [1, 1])]).steps.size == 0
    assert common_curve([([0, 10], [np.nan, np.nan]), ([0, 10], [1, 1])]).steps.size == 0


def test_refusals():
    with pytest.raises(ValueError, match="at least one seed"):
        bootstrap_ci([])
    with pytest.raises(ValueError, match="level 95"):
        mean_ci([1.0, 2.0], 95)
    with pytest.raises(ValueError, match="one value per step"):
        common_curve([([0, 1], [1])])
