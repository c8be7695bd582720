"""Tests over seeds, against scipy's tests and against enumeration."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from comity.experiments.significance import difference, exact, holm, permuted, spread_below, spread_ratio


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


def test_spread_is_an_f_test():
    rng = np.random.default_rng(0)
    wide, narrow = rng.normal(0.5, 0.2, 12), rng.normal(0.5, 0.02, 12)
    ratio, low, high, p = spread_ratio(wide, narrow)
    assert ratio == pytest.approx(wide.std(ddof=1) / narrow.std(ddof=1))
    assert p == pytest.approx(stats.f.sf(ratio**2, 11, 11))
    assert low < ratio < high
    assert low > 1
    assert spread_ratio(np.ones(4), np.ones(4))[0] == 1


def test_a_spread_below_a_number_is_a_chi_squared_test():
    x = np.random.default_rng(0).normal(0.5, 0.02, 12)
    spread, low, high, p = spread_below(x, 0.1)
    assert spread == pytest.approx(x.std(ddof=1) - 0.1)
    assert p == pytest.approx(stats.chi2.cdf(11 * x.var(ddof=1) / 0.01, 11))
    # The interval is of the bounds that would just be held possible, each way.
    assert spread_below(x, low + 0.1)[3] == pytest.approx(0.975)
    assert spread_below(x, high + 0.1)[3] == pytest.approx(0.025)


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.9]) == [1, 1]
    assert holm([]) == []


def test_dealing_out_again_is_scipys_and_can_be_counted_by_hand():
    assert permuted(np.array([3.0, 1.0]), np.array([2.0, 0.0])) == 2 / 6  # of 4, 5, 3, 3, 1, 2 the first two
    assert permuted(np.array([4.0, 5.0, 6.0]), np.array([1.0, 2.0, 3.0])) == 1 / 20
    assert permuted(np.arange(5.0) + 5, np.arange(5.0)) == 1 / 252
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.3, 1, 5), rng.normal(0, 1, 7)
    mean = lambda x, y, axis: x.mean(axis) - y.mean(axis)  # noqa: E731
    known: Any = stats.permutation_test((a, b), mean, vectorized=True, n_resamples=10_000, alternative="greater")
    assert permuted(a, b) == pytest.approx(known.pvalue)


def test_signs_against_a_number():
    x = np.array([0.9, 0.4, 0.7, 0.2, 0.6])
    sums = [sum(s * d for s, d in zip(signs, x - 0.3, strict=True)) for signs in product((-1, 1), repeat=5)]
    assert permuted(x, np.array([0.3])) == sum(total >= sums[-1] - 1e-9 for total in sums) / 32
    assert permuted(x, np.array([0.1])) == 1 / 32
    assert permuted(x[:3], np.array([0.1])) == 1 / 8


def test_of_very_many_arrangements_some_are_drawn():
    x = np.arange(20.0)
    assert permuted(x + 40, x) == 1 / 200_001
    assert permuted(x, x + 0.3) == pytest.approx(0.56, abs=0.02)
    assert permuted(x + 1, np.zeros(1)) == pytest.approx(1 / 200_001, abs=1e-4)


def test_an_exact_test_holds_or_excludes():
    low, high = np.array([0.1, 0.12, 0.11]), np.array([0.5, 0.52, 0.51])
    assert exact(high, low, "above", 0.1) == (1 / 20, 1.0, 1 / 20)
    assert exact(low, high, "above", 0.1) == (1.0, 1 / 20, 1 / 20)
    assert exact(low, high, "below", 0.1) == (1 / 20, 1.0, 1 / 20)
    assert exact(high, low, "above", 0.6) == (1 / 20, 1 / 20, 1 / 20)  # it is there, and smaller than the margin
    assert exact(low, low, "equal", 0.1) == (1 / 20, 1.0, 1 / 20)
    assert exact(low, high, "equal", 0.1) == (1.0, 1 / 20, 1 / 20)
    assert exact(low, np.array([0.3]), "below", 0.0) == (1 / 8, 1.0, 1 / 8)
    wide = np.array([0.0, 0.4, 0.8, 1.2, 1.6])
    assert exact(wide, low, "wider", 1.0) == pytest.approx((5 / 56, 1.0, 1 / 56), abs=0.1)
    assert exact(low, np.array([0.3]), "steadier", 0.0) == (0.25, 0.0, 0.25)
    assert exact(np.arange(6.0), np.arange(6.0), "above", 0.0) is None
    assert exact(np.zeros(6), np.arange(6.0) + 1, "below", 0.0) == (1 / 924, 1.0, 1 / 924)  # six that are alike


def test_of_an_interaction_both_pairs_count():
    near, far = np.array([0.1, 0.12, 0.11]), np.array([0.5, 0.52, 0.51])
    assert exact(far, near, "above", 0.1, (near, near)) == (1 / 20, 1.0, 1 / 20)
    mixed = np.array([0.0, 0.9, -0.5])  # one pair holds, the other is all over the place
    found = exact(far, near, "above", 0.1, (mixed, -mixed))
    assert found
    assert found.holds > 1 / 20
