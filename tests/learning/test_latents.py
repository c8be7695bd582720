"""Choices with a straight-through gradient, and the KL cost of Gaussian latents, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate

from comity.learning import gaussian_kl, straight_through


def test_straight_through_is_one_hot_with_the_gradient_of_the_softmax():
    scores, noise = jnp.array([[0.3, 0.2, -1.0], [1.0, 1.0, 1.0]]), jnp.array([[0.0, 0.5, 0.0], [0.0] * 3])
    weight = jnp.array([2.0, -1.0, 3.0])
    np.testing.assert_array_equal(straight_through(scores, noise), [[0, 1, 0], [1, 0, 0]])
    gradient = jax.grad(lambda s: (straight_through(s, noise) * weight).sum())(scores)
    soft = jax.grad(lambda s: (jax.nn.softmax(s + noise) * weight).sum())(scores)
    np.testing.assert_allclose(gradient, soft, atol=1e-6)
    assert np.abs(gradient).min() > 0.01


def test_gumbel_noise_chooses_with_the_probabilities_of_the_softmax():
    scores = jnp.log(jnp.array([0.5, 0.3, 0.2]))
    chosen = straight_through(jnp.broadcast_to(scores, (20_000, 3)), jax.random.gumbel(jax.random.key(0), (20_000, 3)))
    np.testing.assert_allclose(chosen.mean(0), [0.5, 0.3, 0.2], atol=0.015)  # four standard errors


def test_kl_by_integration():
    mean, scale, prior_mean, prior_scale = np.array([[0.3, -1.0], [0.5, 2.0], [-0.2, 0.1], [1.5, 0.7]])
    density = lambda x, m, s: np.exp(-0.5 * ((x - m) / s) ** 2) / (s * np.sqrt(2 * np.pi))  # noqa: E731

    def one(m, s, pm, ps):
        logs = lambda x: np.log(s / ps) + 0.5 * ((x - m) / s) ** 2 - 0.5 * ((x - pm) / ps) ** 2  # noqa: E731
        return integrate.quad(lambda x: -density(x, m, s) * logs(x), -30, 30)[0]

    expected = sum(one(*numbers) for numbers in zip(mean, scale, prior_mean, prior_scale, strict=True))
    kl = gaussian_kl(*(jnp.asarray(x, jnp.float32) for x in (mean, scale, prior_mean, prior_scale)))
    np.testing.assert_allclose(kl, expected, rtol=1e-5)
    same = jnp.asarray(mean, jnp.float32), jnp.asarray(scale, jnp.float32)
    np.testing.assert_allclose(gaussian_kl(*same, *same), 0.0, atol=1e-6)
