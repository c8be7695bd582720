"""Dense layers, GRU and layer norm: single steps against all steps at once, and initial weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.networks import DeepRecurrentNet, LayerNorm
from comity.networks.dense import orthogonal

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest


@pytest.mark.parametrize("layers", [(), (5, 3)])
def test_steps_as_it_unrolls(layers):
    @jax.jit
    def both(key):
        net, memory, outputs = DeepRecurrentNet(key, 3, layers, 4, 2), jnp.ones((2, 4)), []
        x = jax.random.normal(key, (3, 2, 3))
        restart = jnp.array([[False, False], [False, True], [True, False]])
        unrolled = net.unroll(x, memory, restart)
        for t in range(3):
            output, memory = net(x[t], jnp.where(restart[t][:, None], 0.0, memory))
            outputs.append(output)
        return unrolled, jnp.stack(outputs)

    np.testing.assert_allclose(*both(KEY), atol=1e-6)


def test_layer_norm_by_hand():
    norm = LayerNorm(4)
    x = np.array([[1.0, 2.0, 3.0, 6.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(norm(jnp.asarray(x)), [(x[0] - 3) / np.sqrt(3.5 + 1e-5), x[1]], rtol=1e-5)


def test_weights_begin_orthogonal():
    @jax.jit
    def draw(key):
        net = DeepRecurrentNet(key, 9, (6,), 4, 3, head_gain=0.01)
        return net, jax.vmap(lambda key: orthogonal(key, 16, 16))(jax.random.split(key, 200))

    net, drawn = draw(KEY)
    np.testing.assert_allclose(drawn @ drawn.swapaxes(1, 2), jnp.tile(jnp.eye(16), (200, 1, 1)), atol=1e-5)
    assert abs(drawn.mean()) < 0.005  # 0.25 / sqrt(200 x 256) is 0.001
    np.testing.assert_allclose(net.layers[0].weight.T @ net.layers[0].weight, 2 * jnp.eye(6), atol=1e-5)
    np.testing.assert_allclose(net.cell.weight @ net.cell.weight.T, jnp.eye(4), atol=1e-5)
    np.testing.assert_allclose(net.head.weight.T @ net.head.weight, 1e-4 * jnp.eye(3), atol=1e-8)
    assert not np.any([net.layers[0].bias.any(), net.cell.bias.any(), net.head.bias.any()])
