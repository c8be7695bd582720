"""Returns, means, masks, samples and optimizers against numbers by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from comity.learning import discounted_returns, entropy, log_prob, masked, mean_valid, per_agent_optimizer, sample

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


def test_optimizer_clips_each_agent_apart():
    optimizer = per_agent_optimizer(optax.clip_by_global_norm(1.0))
    grads = {"a": jnp.array([[3.0, 0.0], [0.3, 0.0]]), "b": jnp.array([[4.0], [0.4]])}
    updates: Any = optimizer.update(grads, optimizer.init(grads))[0]
    np.testing.assert_allclose(updates["a"], [[0.6, 0.0], [0.3, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(updates["b"], [[0.8], [0.4]], rtol=1e-6)
