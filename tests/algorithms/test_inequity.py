"""Inequity aversion: its formula, and the numbers of a step made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms.bonuses.inequity import Config, make
from comity.environments.dilemmas.harvest import Harvest
from comity.types import Experience


def paid(reward: np.ndarray, **settings) -> np.ndarray:
    bonus = make(Config(**settings), Harvest(num_agents=reward.shape[-1]))
    nothing = jnp.zeros(())
    steps = Experience(nothing, nothing, nothing, jnp.ones(reward.shape[:-1], bool), jnp.asarray(reward), nothing, {})  # pyright: ignore[reportArgumentType]
    return np.asarray(bonus.reward(bonus.init(jax.random.key(0)), steps))


def test_by_hand():
    """Of three: 1, 0 and 0. Each of the poorer has 1 less than one of two others, the richer 1 more than both."""
    np.testing.assert_allclose(paid(np.array([[1.0, 0.0, 0.0]])), [[-0.05, -2.5, -2.5]], rtol=1e-6)
    np.testing.assert_allclose(paid(np.array([[1.0, 0.0, 0.0]]), advantage=0.0), [[0, -2.5, -2.5]], rtol=1e-6)


def test_beside_its_formula_and_for_any_leading_axes():
    reward = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    found = paid(reward, disadvantage=2.0, advantage=0.5)
    for place in np.ndindex(2, 3):
        r = reward[place]
        for i in range(5):
            less = sum(max(r[j] - r[i], 0) for j in range(5))
            more = sum(max(r[i] - r[j], 0) for j in range(5))
            assert found[place][i] == pytest.approx(-(2.0 * less + 0.5 * more) / 4, rel=1e-4)


def test_equal_rewards_pay_nothing():
    np.testing.assert_array_equal(paid(np.full((4, 3), -7.0)), 0)


def test_one_agent_is_refused():
    with pytest.raises(ValueError, match="this game has one agent"):
        make(Config(), Harvest(num_agents=1))
