"""The network of an agent among others: permutations of the others, pointers, single steps."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from comity.networks import EntityNet, EntityView, LSTMState, encoder
from comity.spec import Image

KEY = jax.random.key(0)
OTHERS, H = 3, 5
unroll = jax.jit(lambda net, *xs: net.unroll(*xs))
step = jax.jit(lambda net, *xs: net(*xs))
NET = EntityNet(KEY, own=2, other=4, width=6, hidden=H, heads=(2, OTHERS, 4), pointer=1)


def seen(times=4, games=3, others=OTHERS) -> Any:
    key_own, key_others = jax.random.split(KEY)
    normal = jax.random.normal
    return EntityView(normal(key_own, (times, games, 2)), normal(key_others, (times, games, others, 4)))


def memory(games=3):
    return LSTMState(jax.random.normal(KEY, (games, H)), jax.random.normal(KEY, (games, H)))


def test_others_in_another_order():
    """Choices among others change places, and nothing else changes."""
    x, order = seen(), np.array([2, 0, 1])
    plain, moved = (unroll(NET, s, memory()) for s in (x, x._replace(others=x.others[..., order, :])))
    assert plain.shape == (4, 3, 2 + OTHERS + 4)
    np.testing.assert_allclose(moved[..., 2:5], plain[..., 2:5][..., order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.delete(moved, [2, 3, 4], -1), np.delete(plain, [2, 3, 4], -1), rtol=1e-5, atol=1e-6)
    assert (np.abs(moved - plain)[..., 2:5].max(-1) > 1e-5).mean() > 0.5
    # It is a mean over others, not a sum: twice the same others are the same.
    twice = unroll(NET, x._replace(others=jnp.concatenate([x.others, x.others], -2)), memory())
    np.testing.assert_allclose(twice[..., [0, 1, 8, 9, 10, 11]], np.delete(plain, [2, 3, 4], -1), rtol=1e-5, atol=1e-6)


def test_the_first_layer_reads_own_and_other_side_by_side():
    x = seen(1)
    both = jnp.concatenate([jnp.broadcast_to(x.own[..., None, :], (*x.others.shape[:-1], 2)), x.others], -1)
    assert NET.embed is not None
    assert NET.dense is not None
    first, second = NET.embed
    embedded = jax.nn.relu(second(jax.nn.relu(first(both))))
    found, found_embedded = jax.jit(lambda x: NET.encode(x))(x)
    np.testing.assert_allclose(found_embedded, embedded, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found, jax.nn.relu(NET.dense(embedded.mean(-2))), rtol=1e-5, atol=1e-6)


def test_unrolled_is_step_by_step():
    x, kept = seen(), memory()
    starts = jnp.zeros((4, 3), bool).at[2, 1].set(True)
    whole = unroll(NET, x, kept, starts)
    for t in range(4):
        kept = jax.tree.map(lambda m, t=t: jnp.where(starts[t][:, None], 0, m), kept)
        outputs, kept = step(NET, EntityView(x.own[t], x.others[t]), kept)
        np.testing.assert_allclose(outputs, whole[t], rtol=1e-5, atol=1e-6)


def test_without_others():
    """Only the agent's own numbers, through the same layers."""
    net: Any = EntityNet(KEY, own=2, other=0, width=6, hidden=H, heads=(3,))
    own = seen(1).own[0]
    outputs, _ = step(net, EntityView(own, None), memory())
    x = own
    for layer in (*net.embed, net.dense):
        x = jax.nn.relu(layer(x))
    expected = net.head(net.norm(net.cell(x, memory()).output))
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_a_picture_goes_from_its_eyes_to_the_memory():
    """As in Baker's appendix: convolutions, one dense layer, the LSTM. With numbers beside it, dense layers follow."""
    eyes = encoder(KEY, Image(3, 3, 2, 1), 6, "dilemma", "relu")
    picture = jax.random.randint(KEY, (3, 3, 3, 2), 0, 2)
    net: Any = EntityNet(KEY, own=0, other=0, width=6, hidden=H, heads=(3,), eyes=eyes)
    outputs, _ = step(net, EntityView(jnp.zeros((3, 0)), None, picture), memory())
    expected = net.head(net.norm(net.cell(net.eyes(picture), memory()).output))
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    assert EntityNet(KEY, own=1, other=0, width=6, hidden=H, heads=(3,), eyes=eyes).dense is not None
