"""Attention over the episode so far: its equation, single steps against all steps at once, and what it must not see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.networks import ContextNet, fresh_context
from comity.networks.context import ContextLayer, positions

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest
T, B, N, L, H = 5, 3, 2, 9, 4  # 9: an episode may be longer than what is unrolled
X = jax.random.normal(KEY, (T, B, N, 3))
NET = jax.jit(
    lambda key: jax.tree.map(  # every leaf is something
        lambda x: x + 0.1 * jax.random.normal(key, x.shape), ContextNet(key, 3, (4,), H, 2, L, 2, 2, "tanh")
    )
)(KEY)


@jax.jit
def play(net, x, memory, starts):
    """Step by step, with memory zeroed where an episode starts: (outputs, memories before each step and the last)."""
    outputs, memories = [], [memory]
    for t in range(len(x)):
        zero = lambda m, t=t: jnp.where(starts[t].reshape(B, *(1,) * (m.ndim - 1)), 0, m)  # noqa: E731
        output, memory = net(x[t], jax.tree.map(zero, memory))
        outputs.append(output)
        memories.append(memory)
    return jnp.stack(outputs), memories


def fresh():
    """[B, N, ...]"""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (B, *x.shape)), fresh_context(2, L, H, N))


alone = jax.jit(lambda *inputs: NET.unroll(*inputs))
NEVER = jnp.zeros((T, B), bool)
STARTS = NEVER.at[2, 0].set(True).at[1, 1].set(True).at[4, 1].set(True)


def test_one_layer_is_its_equation():
    layer = jax.jit(lambda: ContextLayer(KEY, H, 2, "tanh"))()
    x = np.asarray(jax.random.normal(KEY, (T, H)), np.float64)
    mask = jnp.tril(jnp.ones((T, T), bool))
    found = jax.jit(lambda layer: layer.unroll(jnp.float32(x), None, mask))(layer)
    normal = lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)  # noqa: E731
    y = normal(x)
    query, key, value = (y @ np.asarray(w, np.float64) for w in (layer.query, layer.key, layer.value))
    first, last = layer.dense
    for t in range(T):
        heads = []
        for head in (slice(0, 2), slice(2, 4)):
            weight = np.exp([query[t, head] @ key[s, head] / np.sqrt(2) for s in range(t + 1)])
            heads.append(weight / weight.sum() @ value[: t + 1, head])
        after = x[t] + np.concatenate(heads) @ layer.out.weight
        after = after + np.tanh(normal(after) @ first.weight) @ last.weight
        np.testing.assert_allclose(found[t], after, atol=1e-5)


@pytest.mark.parametrize("starts", [NEVER, STARTS], ids=["one episode", "restarts"])
def test_unrolled_is_step_by_step(starts):
    """From the beginning, and from the middle of an episode."""
    outputs, memories = play(NET, X, fresh(), starts)
    unroll = jax.jit(lambda x, memory, starts: NET.unroll(x, memory, starts))
    whole = unroll(X, None, starts)
    assert np.abs(whole).max() > 0.1
    np.testing.assert_allclose(whole, outputs, atol=1e-5)
    np.testing.assert_allclose(unroll(X, fresh(), starts), outputs, atol=1e-5)
    later = unroll(X[2:], memories[2], starts[2:])
    np.testing.assert_allclose(later, outputs[2:], atol=1e-5)
    if starts is NEVER:
        np.testing.assert_allclose(alone(X), outputs, atol=1e-5)
        np.testing.assert_allclose(alone(X[2:], memories[2]), outputs[2:], atol=1e-5)


def test_only_the_own_past_of_the_own_episode_is_seen():
    """d output[t] / d x[s], as a table of who is seen: s <= t, same episode, same game, same agent."""

    @jax.jit
    def seen(x):
        jacobian = jax.jacobian(lambda x: NET.unroll(x, None, STARTS).sum(-1))(x)  # [T, B, N, T, B, N, 3]
        return jnp.abs(jacobian).sum(-1) > 0

    episode = np.cumsum(np.asarray(STARTS), 0)
    t, b, n, s, c, m = np.indices((T, B, N, T, B, N))
    expected = (s <= t) & (b == c) & (n == m) & (episode[t, b] == episode[s, c])
    np.testing.assert_array_equal(seen(X), expected)


def test_the_order_of_what_was_seen_counts():
    outputs = alone(X)
    swapped = alone(X.at[0].set(X[1]).at[1].set(X[0]))
    assert np.abs(swapped[2:] - outputs[2:]).max() > 1e-3
    table = positions(150, 64)
    assert np.linalg.norm(table[:, None] - table, axis=-1)[np.triu_indices(150, 1)].min() > 0.5
