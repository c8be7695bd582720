"""Hawk: the recurrence by hand (specification D.6), single steps against all steps at once, restarts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.networks import HawkNet, fresh_trace
from comity.networks.hawk import RGLRU, bounded_root
from comity.networks.sequence import sequence_memory

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest


def test_recurrence_by_hand():
    """Zero gates, softplus(decay) = 0.05, x = (1, 2)."""
    unit = RGLRU(KEY, 2)
    zeros = jnp.zeros_like(unit.recurrence_gate)
    decay = jnp.full(2, jnp.log(jnp.expm1(0.05)))
    unit = eqx.tree_at(lambda u: (u.recurrence_gate, u.input_gate, u.decay), unit, (zeros, zeros, decay))
    a, root, x = unit.gates(jnp.ones(2))
    np.testing.assert_allclose(a, 0.8187307531, rtol=1e-6)
    np.testing.assert_allclose(root, 0.5741776328, rtol=1e-6)
    first = unit.step((a, root, x), jnp.zeros(2), jnp.zeros(()))
    np.testing.assert_allclose(first, 0.5)
    second = unit.step(unit.gates(2 * jnp.ones(2)), first, jnp.ones(()))
    np.testing.assert_allclose(second, 0.9835430093, rtol=1e-6)


def test_decays_begin_between_09_and_0999():
    decay = RGLRU(KEY, 512).decay
    slow = np.exp(-np.asarray(jax.nn.softplus(decay)))
    assert 0.9 <= slow.min() < 0.91
    assert 0.995 < slow.max() <= 0.9991


@pytest.mark.parametrize("blocks", [1, 2])
def test_weights_begin_with_the_papers_variances(blocks):
    """Specification C.5: 1 / inputs; the convolution 0.01 / inputs; what leads back to the residual 2 / blocks over
    inputs; readouts and biases 0. Within 5 standard errors of a normal sample's variance."""
    width = 32
    net = HawkNet(jax.random.key(0), 7, width, 3, blocks)
    assert not net.head.weight.any()
    drawn = [(net.encoder, 1 / 7)]
    for block in net.blocks:
        gate, value, back = block.dense
        drawn += [(layer, 1 / width) for layer in (block.into, block.gate, gate, value)]
        drawn += [(layer, 2 / blocks / width) for layer in (block.out, back)]
        unit = block.recurrence
        assert not any(bias.any() for bias in (unit.recurrence_bias, unit.input_bias, block.taps_bias))
        for weight, variance in ((unit.recurrence_gate, 2 / width), (unit.input_gate, 2 / width), (block.taps, 0.0025)):
            assert jnp.square(weight).mean() == pytest.approx(variance, rel=5 * np.sqrt(2 / weight.size))
    for layer, variance in drawn:
        assert not layer.bias.any()
        assert jnp.square(layer.weight).mean() == pytest.approx(variance, rel=5 * np.sqrt(2 / layer.weight.size))


@pytest.mark.parametrize(("x", "slope"), [(0.25, 1.0), (1e-8, 1000.0), (0.0, 1000.0)])
def test_the_roots_derivative_is_bounded(x, slope):
    assert jax.grad(bounded_root)(x) == pytest.approx(slope)


@pytest.mark.parametrize("blocks", [1, 2])
def test_steps_as_it_unrolls(blocks):
    """From a memory in the middle of an episode, with restarts inside, for games and agents."""

    @jax.jit
    def both(key):
        net = HawkNet(key, 3, 4, 2, blocks)
        head = jax.random.normal(key, net.head.weight.shape)  # it begins at 0
        net = eqx.tree_at(lambda n: n.head.weight, net, head)
        fresh = jax.tree.map(lambda x: jnp.broadcast_to(x, (2, *x.shape)), fresh_trace(blocks, 4, 3))
        x = jax.random.normal(key, (9, 2, 3, 3))
        memory, outputs = fresh, []
        for t in range(3):  # what was before
            _, memory = net(x[t], memory)
        restart = jnp.zeros((6, 2), bool).at[2, 1].set(True).at[3, 1].set(True).at[5, 0].set(True)
        unrolled = net.unroll(x[3:], memory, restart)
        plain = net.unroll(x[3:], memory)
        carried, unbroken = memory, []
        for t in range(6):
            anew = lambda old, new, t=t: jnp.where(restart[t].reshape(2, *(1,) * (old.ndim - 1)), new, old)  # noqa: E731
            memory = jax.tree.map(anew, memory, fresh)
            output, memory = net(x[3 + t], memory)
            outputs.append(output)
            output, carried = net(x[3 + t], carried)
            unbroken.append(output)
        return (unrolled, plain), (jnp.stack(outputs), jnp.stack(unbroken))

    for found, wanted in zip(*both(KEY), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_it_begins_with_all_outputs_0_and_still_learns():
    @jax.jit
    def first(key):
        net = HawkNet(key, 3, 4, 2)
        x = jax.random.normal(key, (5, 2, 3))
        memory = fresh_trace(1, 4, 2)
        loss = lambda net: jnp.square(net.unroll(x, memory) - 1).sum()  # noqa: E731
        return net.unroll(x, memory), jax.grad(loss)(net)

    outputs, grads = first(KEY)
    assert not outputs.any()
    assert jnp.abs(grads.head.weight).max() > 0


def test_an_odd_width_is_refused_in_one_line():
    with pytest.raises(
        ValueError, match=r"^width 5 with network 'hawk', whose gates have 2 blocks: give an even width$"
    ):
        sequence_memory("hawk", 5, 2)
