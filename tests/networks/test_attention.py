"""Attention against a loop, and the consequences of reading a set."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.networks import Attention, AttentionLayer, Slots

KEY = jax.random.key(0, impl="unsafe_rbg")
QUERIES, MEMBERS = jax.random.normal(KEY, (4, 3, 5)), jax.random.normal(jax.random.fold_in(KEY, 1), (4, 2, 6))


def made(kind, *sizes):
    """A network drawn in one program."""
    return jax.jit(lambda: kind(KEY, *sizes))()


call = jax.jit(lambda net, *inputs: net(*inputs))


def test_attention_is_its_equation():
    net = made(Attention, 5, 6, 7)
    found = call(net, QUERIES, MEMBERS)
    for b in range(4):
        query, key = np.asarray(QUERIES[b] @ net.query), np.asarray(MEMBERS[b] @ net.key)
        value = np.asarray(MEMBERS[b] @ net.value.weight + net.value.bias)
        for x in range(3):
            weight = np.exp([query[x] @ key[m] / np.sqrt(7) for m in range(2)])
            mean = (weight[:, None] * value).sum(0) / weight.sum()
            np.testing.assert_allclose(found[b, x], mean @ net.out.weight + net.out.bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net.weights(QUERIES, MEMBERS).sum(-1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("blocks", [1, 2])
def test_slots_do_not_care_in_which_order_they_are_told(blocks):
    net = made(Slots, 6, 3, 4, blocks, 1)
    told = call(net, MEMBERS)
    assert told.shape == (4, 3, 4)
    np.testing.assert_allclose(told, call(net, MEMBERS[:, ::-1]), rtol=1e-4, atol=1e-5)
    assert jnp.abs(told - call(net, MEMBERS.at[:, 0, 0].add(1.0))).max(axis=(1, 2)).min() > 1e-3


def test_blocks_run_the_same_layers_again():
    one, two = made(Slots, 6, 3, 4, 1, 2), made(Slots, 6, 3, 4, 2, 2)
    assert len(jax.tree.leaves(one)) == len(jax.tree.leaves(two))
    slots = call(one, MEMBERS)
    for layer in one.layers:
        slots = call(layer, slots)
    np.testing.assert_allclose(call(two, MEMBERS), slots, rtol=1e-5, atol=1e-5)


def test_every_weight_counts():
    net = made(AttentionLayer, 5, 6, 4)
    gradient = jax.jit(jax.grad(lambda net: jnp.square(net(QUERIES, MEMBERS)).sum()))(net)
    assert all((jnp.abs(leaf).max() > 1e-6) for leaf in jax.tree.leaves(gradient))
