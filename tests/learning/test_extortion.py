"""Zero-determinant extortion, against specification D.2."""

import jax.numpy as jnp
import numpy as np
import pytest

from comity.environments.matrix.ipd import IPD
from comity.environments.matrix.repeated_matrix import exact_values, outcomes, rewards_of
from comity.learning.extortion import extortion, extortion_fit

POINTS = jnp.array([1.0, -1.0, 2.0, 0.0])  # own, at CC, CD, DC, DD
TABLES = jnp.asarray(IPD().tables)


def logits(policy):
    return np.log(np.clip(policy, 1e-7, 1 - 1e-7)) - np.log(np.clip(1 - np.asarray(policy), 1e-7, 1 - 1e-7))


def averages(mine, theirs):
    """[2], points per step in the long run, not discounted; policies [4] after each outcome."""
    both = jnp.stack([jnp.append(0.0, logits(mine)), jnp.append(0.0, logits(theirs))])
    first, transitions = outcomes(both)
    long = np.linalg.matrix_power(np.asarray(transitions, np.float64), 4096)
    return np.asarray(rewards_of(TABLES), np.float64) @ (np.asarray(first, np.float64) @ long)


def test_the_formula():
    """p(CC) = 1 - phi (chi - 1), p(CD) = 1 - phi (1 + 2 chi), p(DC) = phi (chi + 2), p(DD) = 0."""
    for chi, phi in ((3.0, 1 / 7), (2.0, 0.1), (1.0, 1 / 3)):
        wanted = [1 - phi * (chi - 1), 1 - phi * (1 + 2 * chi), phi * (chi + 2), 0.0]
        np.testing.assert_allclose(extortion(POINTS, chi, phi), wanted, atol=1e-6)
    np.testing.assert_allclose(extortion(POINTS, 1.0, 1 / 3), [1, 0, 1, 0], atol=1e-6)  # tit-for-tat
    np.testing.assert_allclose(extortion(POINTS, 3.0, 1 / 7), [5 / 7, 0, 5 / 7, 0], atol=1e-6)


@pytest.mark.parametrize("chi", [2.0, 3.0, 5.0])
def test_it_earns_chi_times_what_anyone_else_earns(chi):
    phi = 0.9 / (1 + 2 * chi)
    policy = np.asarray(extortion(POINTS, chi, phi))
    for theirs in np.random.default_rng(0).uniform(0.05, 0.95, (5, 4)):
        mine_earned, theirs_earned = averages(policy, theirs)
        assert mine_earned == pytest.approx(chi * theirs_earned, abs=1e-4)
    assert averages(policy, np.ones(4)) == pytest.approx([3 * chi / (1 + 2 * chi), 3 / (1 + 2 * chi)], abs=1e-3)


@pytest.mark.parametrize(
    ("gamma", "wanted"), [(0.95, (1.271429, 0.457143)), (0.96, (1.274286, 0.451429)), (0.999, (1.285429, 0.429143))]
)
def test_discounted_against_a_cooperator(gamma, wanted):
    mine = jnp.append(20.0, logits(extortion(POINTS, 3.0, 1 / 7)))
    found = (1 - gamma) * exact_values(TABLES, jnp.stack([mine, jnp.full(5, 20.0)]), gamma)
    np.testing.assert_allclose(found, wanted, rtol=2e-3)


def test_the_fit_finds_what_is_there_and_how_far_the_rest_is():
    chi, residual = extortion_fit(POINTS, jnp.stack([extortion(POINTS, c, 0.1) for c in (1.5, 3.0)]))
    np.testing.assert_allclose(chi, (1.5, 3.0), rtol=1e-4)
    np.testing.assert_allclose(residual, 0.0, atol=1e-10)
    chi, residual = extortion_fit(POINTS, jnp.array([0.91, 0.1, 0.43, 0.01]))  # a learnt one, specification C.7
    assert 2.5 < chi < 3.1
    assert 0.04 < residual < 0.07
    assert extortion_fit(POINTS, jnp.array([0.1, 0.9, 0.2, 0.8]))[1] > 0.5


def test_the_fit_is_the_least_of_its_neighbours():
    policy = jnp.array([0.8, 0.3, 0.6, 0.2])
    residual = extortion_fit(POINTS, policy)[1]
    c, phi = np.meshgrid(np.linspace(-5, 5, 201), np.linspace(-1, 1, 401))
    line = np.stack([1 - phi * (c - 1), 1 - phi * (1 + 2 * c), phi * (c + 2), 0 * c])
    best = np.square(line - np.asarray(policy)[:, None, None]).sum(0).min()
    assert float(residual) <= best + 1e-6
    assert best < float(residual) + 1e-3
