"""Theorem 1 of ALITA: exact gradient of the influence against finite differences, its estimator, the printed form."""

import numpy as np
import pytest

from comity.learning import influence

S, A, U, GAMMA = 4, 3, 2, 0.9


def game(seed: int, agents: int = 2, listens: bool = True):
    """(a random game of 4 states and 3 actions, logits, weights of states, z). listens: others' games depend on it."""
    rng = np.random.default_rng(seed)
    transitions = rng.dirichlet(np.ones(S), (S, A, U))
    rewards = rng.normal(size=(agents, S, A, U))
    if not listens:
        transitions, rewards = (np.broadcast_to(x.mean(k, keepdims=True), x.shape) for x, k in
                                ((transitions, 1), (rewards, 2)))  # fmt: skip
    made = influence.averaged(transitions, rewards, rng.dirichlet(np.ones(U), S), GAMMA)
    logits = rng.normal(size=(S, A))
    q = influence.expected_values(made, influence.probabilities(logits))
    return made, logits, rng.dirichlet(np.ones(S)), q.max(-1) + rng.uniform(size=(agents, S))


def differences(made, logits, weights, best, step=1e-5):
    found = np.zeros_like(logits)
    for place in np.ndindex(logits.shape):
        away = np.zeros_like(logits)
        away[place] = step
        up, down = (influence.influence(made, logits + sign * away, weights, best) for sign in (1, -1))
        found[place] = (up - down) / (2 * step)
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("agents", [1, 3])
def test_the_exact_gradient_is_that_of_finite_differences(seed, agents):
    given = game(seed, agents)
    np.testing.assert_allclose(influence.influence_gradient(*given), differences(*given), atol=1e-6, rtol=1e-6)


def test_expected_values_are_sums_of_what_follows():
    made, logits, *_ = game(0)
    policy = influence.probabilities(logits)
    total, ahead = np.zeros((2, S * A)), np.eye(S * A)
    for k in range(400):
        total += GAMMA**k * (made.rewards.reshape(2, -1) @ ahead.T)
        ahead = ahead @ influence.step_matrix(made, policy)
    np.testing.assert_allclose(influence.expected_values(made, policy).reshape(2, -1), total, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_the_estimator_is_the_exact_gradient(seed):
    """Over all (s, a), k and (s_k, a_k), each with its probability."""
    made, logits, weights, best = game(seed)
    policy, places = influence.probabilities(logits), list(np.ndindex(S, A))
    step = influence.step_matrix(made, policy)
    ahead, reached = np.eye(S * A), np.zeros((S * A, S * A))
    for k in range(1, 400):
        ahead = ahead @ step
        reached += (1 - GAMMA) * GAMMA ** (k - 1) * ahead
    mean = sum(
        weights[one[0]] * policy[one] * reached[i, j] * influence.sampled_gradient(made, logits, best, one, two)
        for i, one in enumerate(places)
        for j, two in enumerate(places)
    )
    np.testing.assert_allclose(mean, influence.influence_gradient(made, logits, weights, best), atol=1e-9)


def test_the_printed_formula_points_elsewhere():
    """Its second term is (1 - gamma) / gamma too small, so its direction is that of no gradient."""
    cosines = []
    for seed in range(40):
        given = game(seed)
        true, printed = influence.influence_gradient(*given), influence.influence_gradient(*given, printed=True)
        cosines.append((true * printed).sum() / np.linalg.norm(true) / np.linalg.norm(printed))
    assert max(cosines) < 0.9999
    assert min(cosines) < 0.895 < max(cosines)  # the specification's game has 0.895
    assert np.median(cosines) == pytest.approx(0.97, abs=0.01)


def test_where_nobody_listens_there_is_no_influence():
    made, logits, weights, best = game(0, listens=False)
    q = influence.expected_values(made, influence.probabilities(logits))
    np.testing.assert_allclose(q, q[..., :1].repeat(A, -1), atol=1e-12)
    assert np.abs(influence.influence_gradient(made, logits, weights, best)).max() < 1e-12
    assert np.abs(influence.influence_gradient(*game(0))).max() > 1e-2


def test_minimising_the_influence_alone_finds_the_best_row_of_the_other():
    """A game of one state and one step: the other earns 0, 1 or 3 by the influencer's action."""
    made = influence.Game(np.ones((1, 3, 1)), np.array([[[0.0, 1.0, 3.0]]]), 1e-9)
    logits, best = np.zeros((1, 3)), np.array([[3.0]])
    for _ in range(500):
        logits -= 0.5 * influence.influence_gradient(made, logits, np.ones(1), best)
    assert influence.probabilities(logits)[0, 2] > 0.95
