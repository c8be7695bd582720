"""Running moments and standardised advantages against numpy."""

import jax.numpy as jnp
import numpy as np

from comity.learning import denormalised, fresh_moments, normalised, standardised, updated_moments
from comity.learning.normalisation import mean_and_deviation

RANDOM = np.random.default_rng(0)
BATCHES = (RANDOM.normal(3.0, 2.0, (3, 4, 5, 2)) * np.array([1.0, 10.0])).astype(np.float32)  # [batches, T, B, N]
VALID = RANDOM.random((3, 4, 5)) < 0.7


def moments_after(decay, together=False):
    moments = fresh_moments(2)
    for x, valid in zip(BATCHES, VALID, strict=True):
        moments = updated_moments(moments, jnp.asarray(x), jnp.asarray(valid), decay, together)
    return moments


def by_hand(decay, together=False):
    """Mean and deviation with weights decay^(batches ago), which add up to 1."""
    weight = decay ** np.arange(2, -1, -1.0)
    weight = (weight / weight.sum())[:, None]
    mean, square = (
        np.stack([(x**power)[valid].mean(0) for x, valid in zip(BATCHES.astype(float), VALID, strict=True)])
        for power in (1, 2)
    )
    if together:
        mean, square = mean.mean(-1, keepdims=True), square.mean(-1, keepdims=True)
    mean, square = (weight * mean).sum(0), (weight * square).sum(0)
    return mean, np.sqrt(square - mean**2)


def test_two_batches_by_hand():
    """Specification D.6 of social dilemmas: decay 0.9, batches {1, 3} and {2, 6}."""
    moments, valid = fresh_moments(1), jnp.ones((2, 1), bool)
    for batch in ([1.0, 3.0], [2.0, 6.0]):
        moments = updated_moments(moments, jnp.array(batch)[:, None, None], valid, 0.9)
    assert moments.weight == np.float32(0.19)
    mean, deviation = mean_and_deviation(moments)
    np.testing.assert_allclose((mean[0], deviation[0]), (3.0526315789, 1.8910783693), rtol=1e-6)


def test_first_values_pull_nothing_to_zero():
    x = jnp.asarray(BATCHES[0])
    for decay, tolerance in ((0.5, 1e-5), (0.99999, 1e-4)):
        for together in (False, True):
            mean, deviation = by_hand(decay, together)
            moments = moments_after(decay, together)
            np.testing.assert_allclose(normalised(x, moments), (BATCHES[0] - mean) / deviation, tolerance, tolerance)
            np.testing.assert_allclose(denormalised(normalised(x, moments), moments), x, rtol=1e-4, atol=1e-4)


def test_nothing_seen_changes_nothing():
    x, padding = jnp.asarray(BATCHES[0]), jnp.zeros((4, 5), bool)
    np.testing.assert_array_equal(normalised(x, fresh_moments(2)), x)
    moments = moments_after(0.9)
    for a, b in zip(updated_moments(moments, x, padding, 0.9), moments, strict=True):
        np.testing.assert_array_equal(a, b)


def test_values_that_hardly_vary_are_not_blown_up():
    moments = updated_moments(fresh_moments(2), jnp.full((4, 5, 2), 7.0), jnp.ones((4, 5), bool), 0.9)
    np.testing.assert_allclose(normalised(jnp.array([7.1, 6.9]), moments), [1.0, -1.0], rtol=1e-3)


def test_standardised_by_hand():
    x, valid = BATCHES[0], VALID[0]
    apart = np.asarray(standardised(jnp.asarray(x), jnp.asarray(valid)))
    np.testing.assert_allclose(apart[valid].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(apart[valid].std(0), 1, rtol=1e-4)
    together = np.asarray(standardised(jnp.asarray(x), jnp.asarray(valid), together=True))
    np.testing.assert_allclose(together[valid], (x[valid] - x[valid].mean()) / x[valid].std(), rtol=1e-4, atol=1e-5)
    assert (apart[~valid] == 0).all()
    assert (together[~valid] == 0).all()
    np.testing.assert_array_equal(standardised(jnp.ones((4, 5, 2)), jnp.asarray(valid)), 0.0)
    own = np.stack([valid, valid & (np.arange(5) < 2)], -1)  # agent 1 has fewer steps
    each = np.asarray(standardised(jnp.asarray(x), jnp.asarray(own), together=True))
    np.testing.assert_allclose(each[own], (x[own] - x[own].mean()) / x[own].std(), rtol=1e-4, atol=1e-5)
