"""Returns, means, masks, samples and optimizers against numbers by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from comity.learning import (
    as_often,
    chosen,
    credited,
    discounted_returns,
    entropy,
    epsilon_greedy,
    if_ready,
    in_a_circle,
    lambda_returns,
    linear,
    log_prob,
    masked,
    mean_valid,
    optimizer,
    per_agent_optimizer,
    sample,
    side_by_side,
    take_step,
    towards,
)

LOGITS = jnp.log(jnp.array([0.5, 0.2, 0.2, 0.1]))


def test_returns_by_hand():
    reward = jnp.array([1.0, 2.0, 4.0, 8.0]).reshape(4, 1, 1)
    never = jnp.zeros((4, 1), bool)
    np.testing.assert_allclose(discounted_returns(reward, never, 0.5).ravel(), [4.0, 6.0, 8.0, 8.0])
    np.testing.assert_allclose(discounted_returns(reward, never, 0.5, 16.0).ravel(), [5.0, 8.0, 12.0, 16.0])
    ended = jnp.array([False, True, False, True]).reshape(4, 1)
    np.testing.assert_allclose(discounted_returns(reward, ended, 0.5, 16.0).ravel(), [2.0, 2.0, 8.0, 8.0])


def test_returns_keep_games_and_agents_apart():
    reward = jax.random.normal(jax.random.key(0), (5, 2, 3, 4))  # [T, B, b, N]
    ended = jax.random.bernoulli(jax.random.key(1), 0.4, (5, 2))
    last = jax.random.normal(jax.random.key(2), (2, 3, 4))
    returns = discounted_returns(reward, ended, 0.9, last)
    reward, ended, following = np.asarray(reward), np.asarray(ended), np.asarray(last)
    for t in reversed(range(5)):
        following = reward[t] + 0.9 * np.where(ended[t][:, None, None], 0, following)
        np.testing.assert_allclose(returns[t], following, atol=1e-5)


def test_mean_valid_reads_no_padding():
    x = jnp.array([[1.0, 5.0], [3.0, jnp.nan], [jnp.inf, -jnp.inf]])[..., None]
    valid = jnp.array([[True, True], [True, False], [False, False]])
    np.testing.assert_allclose(mean_valid(x, valid), [3.0])
    np.testing.assert_array_equal(mean_valid(x, jnp.zeros_like(valid)), [0.0])
    gradient = jax.grad(lambda x: mean_valid(x, valid).sum())(x)
    np.testing.assert_allclose(gradient[..., 0], valid / 3, rtol=1e-6)


def test_probabilities_by_hand():
    available = jnp.array([True, False, True, True])
    logits = masked(LOGITS, available)
    action = jnp.arange(4)
    expected = np.log([0.5 / 0.8, 1, 0.2 / 0.8, 0.1 / 0.8])
    result = log_prob(jnp.broadcast_to(logits, (4, 4)), action)
    np.testing.assert_allclose(result[available], expected[available], rtol=1e-6)
    assert jnp.exp(result[1]) == 0
    np.testing.assert_allclose(log_prob(LOGITS, jnp.int32(3)), np.log(0.1), rtol=1e-6)


@jax.jit
def gradients_under_mask(logits, available):
    terms = lambda x: jnp.stack([entropy(x), log_prob(x, jnp.argmax(available)), jax.nn.softmax(x)[2]])  # noqa: E731
    return jax.jacrev(lambda logits: terms(masked(logits, available)))(logits)


@pytest.mark.parametrize("available", [[True] * 4, [True, False, True, True], [False, False, True, False]])
def test_entropy_and_its_gradient_stay_finite_under_masks(available):
    available = jnp.array(available)
    p = np.array([0.5, 0.2, 0.2, 0.1])[np.asarray(available)]
    p = p / p.sum()
    np.testing.assert_allclose(entropy(masked(LOGITS, available)), -(p * np.log(p)).sum(), atol=1e-6)
    gradients = np.asarray(gradients_under_mask(LOGITS, available))
    assert np.isfinite(gradients).all()
    assert (gradients[:, ~np.asarray(available)] == 0).all()


def test_samples_have_the_right_frequencies_and_are_never_masked():
    draws = 40_000
    available = jnp.array([[True] * 4, [True, False, True, False], [False, False, False, True]])
    logits = jnp.broadcast_to(masked(jnp.broadcast_to(LOGITS, (3, 4)), available), (draws, 3, 4))
    actions = jax.jit(sample)(jax.random.key(0), logits)
    assert actions.dtype == jnp.int32
    for row, mask in enumerate(np.asarray(available)):
        p = np.where(mask, [0.5, 0.2, 0.2, 0.1], 0)
        counts = np.bincount(actions[:, row], minlength=4)
        assert (counts[~mask] == 0).all()
        np.testing.assert_allclose(counts / draws, p / p.sum(), atol=0.012)  # 5 standard errors


def test_steps_of_impossible_actions_have_no_width(monkeypatch):
    """At every edge of the distribution function itself, where rounding would show."""
    random = np.random.default_rng(0)
    available = (random.random((2000, 17)) < 0.5) | (np.arange(17) == 3)
    logits = masked(jnp.float32(2 * random.normal(size=(2000, 17))), jnp.asarray(available))
    possible = jax.nn.softmax(logits) > 0
    edges = np.cumsum(jax.nn.softmax(logits), -1).T  # [17, 2000], summed in one of many possible orders
    for at in (0 * edges, edges, np.nextafter(edges, 0), np.nextafter(edges, 2)):
        uniform = jnp.minimum(at, 1 - 2**-23)
        monkeypatch.setattr(jax.random, "uniform", lambda key, shape, uniform=uniform: uniform)
        actions = sample(jax.random.key(2), jnp.broadcast_to(logits, (17, *logits.shape)))
        assert jnp.take_along_axis(possible[None], actions[..., None], -1).all()


def test_lambda_returns_by_hand():
    """Three steps, cut after the second: game 0 terminated, game 1 truncated. The third step stands alone."""
    reward = jnp.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])[..., None]
    value = jnp.array([[10.0, 10.0], [20.0, 20.0], [30.0, 30.0]])[..., None]  # of what follows each step
    terminated = jnp.array([[False, False], [True, False], [False, False]])
    ended = jnp.array([[False, False], [True, True], [False, False]])
    returns = lambda_returns(reward, value, terminated, ended, 0.5, 0.8)[..., 0]
    last = 3 + 0.5 * 30
    np.testing.assert_allclose(returns[2], last)
    np.testing.assert_allclose(returns[1], [2, 2 + 0.5 * 20])
    np.testing.assert_allclose(returns[0], 1 + 0.5 * (0.2 * 10 + 0.8 * returns[1]))


def test_generalised_advantages_of_five_steps():
    """Specification D.6 of social dilemmas: gamma 0.998, lambda 0.95, a value of 0.8 behind the last step."""
    reward, value = jnp.array([2.0, -2, 4, 0, 2]), jnp.array([1.0, 0.5, 2, 1, 0.5])
    following = jnp.append(value[1:], 0.8)
    never = jnp.zeros((5, 1), bool)
    returns = lambda_returns(reward[:, None], following[:, None], never, never, 0.998, 0.95)[:, 0]
    np.testing.assert_allclose(returns - value, (5.14619743, 3.84684889, 4.58901897, 1.67811304, 2.2984), rtol=1e-6)


def test_lambda_returns_at_their_ends():
    """lambda 0: one-step targets; lambda 1 on terminated episodes: Monte-Carlo returns."""
    random = np.random.default_rng(0)
    reward, value = (jnp.asarray(random.normal(size=(6, 3, 2)), jnp.float32) for _ in range(2))
    ended = jnp.zeros((6, 3), bool).at[5].set(True).at[2, 1].set(True)
    one_step = reward + 0.9 * jnp.where(ended[..., None], 0, value)
    np.testing.assert_allclose(lambda_returns(reward, value, ended, ended, 0.9, 0.0), one_step, rtol=1e-6)
    monte_carlo = discounted_returns(reward, ended, 0.9)
    np.testing.assert_allclose(lambda_returns(reward, value, ended, ended, 0.9, 1.0), monte_carlo, atol=1e-5)


def test_whose_reward():
    reward = jnp.array([[1.0, 3.0], [7.0, 7.0]])  # the second row as a team game pays
    assert credited(reward, "own").tolist() == [[1, 3], [7, 7]]
    assert credited(reward, "mean").tolist() == [[2, 2], [7, 7]]
    assert credited(reward, "sum").tolist() == [[4, 4], [14, 14]]


def test_epsilon_greedy_has_the_right_frequencies():
    """0.3: explored uniformly over the three available actions, the greedy one among them."""
    available = jnp.broadcast_to(jnp.array([True, True, False, True]), (30_000, 4))
    action, explored = epsilon_greedy(jax.random.key(0), jnp.full(30_000, 1), available, 0.3)
    np.testing.assert_allclose(np.bincount(action, minlength=4) / 30_000, [0.1, 0.8, 0, 0.1], atol=0.012)
    np.testing.assert_allclose(explored.mean(), 0.3, atol=0.012)
    assert (action[~explored] == 1).all()


def test_epsilon_greedy_together_explores_all_or_nobody():
    available = jnp.ones((50, 4), bool)
    flags = []
    for key in jax.random.split(jax.random.key(1), 20):
        action, explored = epsilon_greedy(key, jnp.zeros(50, jnp.int32), available, 0.5, together=True)
        flags.append(bool(explored))
        assert explored.shape == ()
        assert bool((action > 0).any()) == bool(explored)
    assert 3 < sum(flags) < 17


def test_linear_stays_where_it_ends():
    assert [float(linear(1.0, 0.2, 10.0, jnp.int32(t))) for t in (0, 5, 10, 99)] == pytest.approx([1.0, 0.6, 0.2, 0.2])


def test_chosen_is_a_gather():
    values = jnp.arange(24.0).reshape(2, 3, 4)
    action = jnp.array([[0, 3, 1], [2, 2, 0]])
    np.testing.assert_array_equal(chosen(values, action), jnp.take_along_axis(values, action[..., None], -1)[..., 0])


def test_targets_move_towards_params():
    old, new = {"a": jnp.array([0.0, 4.0])}, {"a": jnp.array([1.0, 0.0])}
    np.testing.assert_allclose(towards(old, new, 0.25)["a"], [0.25, 3.0])
    np.testing.assert_allclose(towards(old, new, 1.0, jnp.bool_(False))["a"], old["a"])


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_optimizers_clip_first_and_follow_a_schedule(name):
    """The first step of Adam is the rate whatever the gradient; RMSprop's is rate / sqrt(1 - decay)."""
    descent = optimizer(name, lambda count: 0.1 / (1 + count), clip=1.0, decay=0.75, epsilon=0.0)
    params, state = jnp.array([1.0, 2.0]), descent.init(jnp.zeros(2))
    first, state = take_step(descent, params, state, jnp.array([300.0, -400.0]))
    size = 0.1 if name == "adam" else 0.1 / np.sqrt(0.25)
    np.testing.assert_allclose(first - params, [-size, size], rtol=1e-5)
    second, _ = take_step(descent, first, state, jnp.array([0.6, -0.8]))  # as the first was after clipping
    size = 0.05 if name == "adam" else 0.05 / np.sqrt(1 - 0.75**2)
    np.testing.assert_allclose(second - first, [-size, size], rtol=1e-4)


def test_optimizer_clips_each_agent_apart():
    apart = per_agent_optimizer(optax.clip_by_global_norm(1.0))
    grads = {"a": jnp.array([[3.0, 0.0], [0.3, 0.0]]), "b": jnp.array([[4.0], [0.4]])}
    updates: Any = apart.update(grads, apart.init(grads))[0]
    np.testing.assert_allclose(updates["a"], [[0.6, 0.0], [0.3, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(updates["b"], [[0.8], [0.4]], rtol=1e-6)


def test_agents_stand_in_a_circle():
    one = jnp.array([[5, 6, 7]])
    np.testing.assert_array_equal(in_a_circle(one)[0], [[5, 6, 7], [6, 7, 5], [7, 5, 6]])
    np.testing.assert_array_equal(in_a_circle(one, own=False)[0], [[6, 7], [7, 5], [5, 6]])
    pairs = jnp.stack([one, 10 * one], -1)  # [1, N, 2]
    np.testing.assert_array_equal(side_by_side(in_a_circle(pairs, -2, own=False))[0, 1], [7, 70, 5, 50])
    assert in_a_circle(jnp.ones((2, 1, 3)), 1, own=False).shape == (2, 1, 0, 3)  # nobody else


def test_before_a_warm_up_is_over_nothing_is_learned():
    learn = lambda x: (x + 1, {"loss": x * 2})  # noqa: E731
    assert if_ready(jnp.bool_(True), learn, jnp.array(3.0)) == (4.0, {"loss": 6.0})
    assert if_ready(jnp.bool_(False), learn, jnp.array(3.0)) == (3.0, {"loss": 0.0})


@pytest.mark.parametrize("transitions", [25, 100, 250])
def test_steps_are_as_frequent_as_every_says(transitions):
    step = lambda state, key: (state + 1, {"loss": jnp.float32(state) + 7.0})  # noqa: E731
    keys = jax.random.split(jax.random.key(0), 2_000)
    counts, told = jax.vmap(lambda key: as_often(100, key, transitions, step, jnp.int32(0)))(keys)
    assert float(counts.mean()) == pytest.approx(transitions / 100, abs=0.04)
    assert set(np.unique(counts)) <= {transitions // 100, -(-transitions // 100)}
    expected = np.where(counts > 0, 7 + (counts - 1) / 2, 0.0)  # the mean over the updates that took place
    np.testing.assert_allclose(told["loss"], expected, rtol=1e-6)
