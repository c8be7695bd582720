"""Networks against loops in numpy, with any leading axes, and agents batched against agents one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.networks import GRU, MLP, Linear, RecurrentNet, per_agent, shared, stacked
from comity.networks.mixers import MonotoneMixer

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest
sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731


def gru_by_hand(cell, x, memory):
    """Cho et al. (2014) with the reset gate after the product, one game and one step at a time, in doubles."""
    size = memory.shape[-1]
    w_in, b_in, w, b = (
        np.asarray(a, np.float64) for a in (cell.inputs.weight, cell.inputs.bias, cell.weight, cell.bias)
    )
    gates, recurrent = x @ w_in + b_in, memory @ w + b
    reset = sigmoid(gates[:size] + recurrent[:size])
    update = sigmoid(gates[size : 2 * size] + recurrent[size : 2 * size])
    new = np.tanh(gates[2 * size :] + reset * recurrent[2 * size :])
    return (1 - update) * new + update * memory


def test_gru_is_the_loop_by_hand_with_restarts():
    cell = GRU(KEY, 3, 4)
    random = np.random.default_rng(0)
    x = random.normal(size=(6, 2, 5, 3)).astype(np.float32)  # [T, B, N, in]
    first = random.normal(size=(2, 5, 4)).astype(np.float32)
    restart = np.zeros((6, 2), bool)
    restart[2, 0] = restart[3, 1] = restart[4, 1] = True
    memories, one = jax.jit(lambda cell: (cell.unroll(x, first, jnp.asarray(restart)), cell(x[0], first)))(cell)
    expected = first.astype(np.float64)
    for t in range(6):
        for b in range(2):
            for n in range(5):
                before = expected[b, n] * (not restart[t, b])
                expected[b, n] = gru_by_hand(cell, x[t, b, n], before)
        np.testing.assert_allclose(memories[t], expected, atol=1e-6)
    np.testing.assert_allclose(one, memories[0], atol=1e-6)


def test_recurrent_net_steps_as_it_unrolls():
    @jax.jit
    def both(key, x):
        net, memory, outputs = RecurrentNet(key, 3, 4, 2, "tanh"), jnp.ones((2, 4)), []
        unrolled = net.unroll(x, memory)
        for t in range(4):
            output, memory = net(x[t], memory)
            outputs.append(output)
        return unrolled, jnp.stack(outputs)

    np.testing.assert_allclose(*both(KEY, np.random.default_rng(0).normal(size=(4, 2, 3))), atol=1e-6)


def test_mlp_by_hand_on_any_leading_axes_and_dtype():
    net = MLP(KEY, 3, (4,), 2)
    x = jnp.asarray(np.random.default_rng(0).integers(0, 9, (2, 5, 3)), jnp.uint8)
    first, last = net.layers
    hidden = np.maximum(np.asarray(x, np.float32) @ first.weight + first.bias, 0)
    np.testing.assert_allclose(net(x), hidden @ last.weight + last.bias, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(net(x[0, 0]), net(x)[0, 0], rtol=1e-5, atol=1e-5)
    assert net(x).dtype == jnp.float32


def test_weights_are_drawn_within_the_bound():
    layer = Linear(KEY, 100, 50)
    assert layer.weight.shape == (100, 50)
    assert 0.098 < jnp.abs(layer.weight).max() <= 0.1
    assert jnp.abs(layer.bias).max() <= 0.1


def test_leaves_are_arrays_only():
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(RecurrentNet(KEY, 3, 4, 2)))


@pytest.mark.parametrize("batched", [True, False])
def test_each_agent_has_its_own_network(batched):
    random = np.random.default_rng(0)
    x, memory = random.normal(size=(5, 3, 3)), random.normal(size=(5, 3, 4))  # [B, N, in], [B, N, H]

    @jax.jit
    def run(key, x, memory):
        nets = stacked(lambda key: GRU(key, 3, 4), key, 3)
        together = per_agent(lambda net, x, h: (net(x, h), x), (0, 1, 1), (1, 2), batched)(nets, x, memory)
        same_input = per_agent(lambda net, h: net(x[:, 0], h), (0, None), 0, batched)(nets, memory[:, 0])
        each = [jax.tree.map(lambda leaf, n=n: leaf[n], nets) for n in range(3)]
        alone = [net(x[:, n], memory[:, n]) for n, net in enumerate(each)]
        return together, same_input, alone, [net(x[:, 0], memory[:, 0]) for net in each]

    (together, inputs), same_input, alone, with_same_input = run(KEY, jnp.float32(x), jnp.float32(memory))
    np.testing.assert_allclose(inputs, x.swapaxes(1, 2), rtol=1e-6)  # [B, in, N]
    for n in range(3):
        np.testing.assert_allclose(together[:, n], alone[n], atol=1e-6)
        np.testing.assert_allclose(same_input[n], with_same_input[n], atol=1e-6)
    assert not np.allclose(same_input[0], same_input[1])


def test_per_agent_refuses_unequal_agent_axes():
    with pytest.raises(ValueError, match=r"one agent axis of one size, got sizes \[2, 3\]"):
        per_agent(lambda a, b: a + b, (0, 1), batched=False)(jnp.zeros(2), jnp.zeros((4, 3)))


def test_shared_is_the_function_itself():
    f = lambda net, x: net(x)  # noqa: E731
    assert shared(f, (0, 1), 1) is f


def test_a_table_has_a_row_for_each_place_and_no_memory():
    from comity.networks.sequence import sequence_memory, sequence_net

    net = sequence_net("table", jax.random.key(0), 5, 8, 3)
    net = jax.tree.map(lambda x: jnp.arange(x.size, dtype=float).reshape(x.shape), net)
    memory = sequence_memory("table", 8, 2)
    view = jnp.eye(5)[jnp.array([[3, 0], [1, 4]])]  # [T, N, 5]
    np.testing.assert_allclose(net.unroll(view, memory)[..., 0], [[9, 0], [3, 12]])
    output, after = net(view[0], memory)
    np.testing.assert_allclose(output, [[9, 10, 11], [0, 1, 2]])
    assert after.shape == memory.shape == (2, 0)


@pytest.mark.parametrize("kind", ["gru", "hawk"])
def test_sequences_by_name_play_as_they_unroll(kind):
    from comity.networks.sequence import sequence_memory, sequence_net

    net = sequence_net(kind, jax.random.key(0), 3, 8, 2)
    net = jax.tree.map(lambda x: x + 0.1, net)  # a head that begins at 0 would say nothing
    memory = sequence_memory(kind, 8, 2)
    view = jax.random.normal(jax.random.key(1), (4, 2, 3))
    whole, step = net.unroll(view, memory), jax.jit(lambda x, memory: net(x, memory))
    for t in range(4):
        output, memory = step(view[t], memory)
        np.testing.assert_allclose(output, whole[t], atol=1e-5)


def test_a_mixer_rises_with_every_agents_value():
    mixer = MonotoneMixer(KEY, 3, 4, 8)
    values, states = jax.random.normal(KEY, (50, 3)), 3 * jax.random.normal(jax.random.fold_in(KEY, 1), (50, 4))
    slopes = jax.vmap(jax.grad(lambda q, s: mixer(q, s)[0]))(values, states)
    assert (slopes >= 0).all()
    assert (slopes > 0).mean() > 0.9
