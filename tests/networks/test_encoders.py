"""Convolutions: the matrix products on CPU equal XLA's convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.networks.encoders import _convolved, _sums

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("height", "width", "side", "stride"),
    [(15, 11, 3, 1), (15, 11, 3, 2), (4, 5, 3, 2), (11, 10, 5, 3), (9, 9, 4, 2), (2, 1, 3, 1), (2, 3, 1, 2)],
)
def test_products_are_convolutions(height, width, side, stride):
    """Values and both gradients, with padding that is even, uneven, or none."""
    keys = jax.random.split(KEY, 3)
    x = jax.random.normal(keys[0], (2, height, width, 3))
    weight = jax.random.normal(keys[1], (side, side, 3, 4))
    shape = 2, -(-height // stride), -(-width // stride), 4
    towards = jax.random.normal(keys[2], shape)

    def pulled(f):
        y, back = jax.vjp(lambda x, weight: f(x, weight, stride), x, weight)
        return y, *back(towards)

    found, wanted = pulled(_sums), pulled(_convolved)
    assert found[0].shape == shape
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_agents_with_networks_of_their_own():
    """Under `vmap` over weights, as separate networks run."""
    x = jax.random.bernoulli(KEY, 0.3, (3, 2, 7, 7, 2)).astype(jnp.float32)
    weight = jax.random.normal(KEY, (3, 3, 3, 2, 4))
    together = jax.vmap(lambda x, weight: _sums(x, weight, 2))(x, weight)
    apart = [_convolved(one, own, 2) for one, own in zip(x, weight, strict=True)]
    np.testing.assert_allclose(together, jnp.stack(apart), rtol=1e-5, atol=1e-5)
