"""LSTM: single steps against numpy, the unrolled network against single steps, restarts."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from comity.networks import LSTM, LSTMState, fresh_lstm

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(7, 4, 3)).astype(np.float32)  # [T, B, in]
STARTS = np.zeros((7, 4), bool)
STARTS[2, 1] = STARTS[4, 1] = STARTS[0, 3] = True
NET = LSTM(jax.random.key(0), 3, 2)
unroll: Callable[..., Any] = jax.jit(lambda *xs: NET.unroll(*xs))
step: Callable[..., Any] = jax.jit(lambda *xs: NET(*xs))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(x, starts):
    """Outputs [T, B, 2] of a memory that begins at 0.3 and -0.2, gate by gate."""
    weight, bias, recurrent = (np.asarray(w, float) for w in (NET.inputs.weight, NET.inputs.bias, NET.weight))
    output, cell, outputs = np.full((4, 2), 0.3), np.full((4, 2), -0.2), []
    for t in range(len(x)):
        output, cell = (np.where(starts[t][:, None], 0, m) for m in (output, cell))
        let_in, keep, show, new = np.split(x[t] @ weight + bias + output @ recurrent, 4, axis=-1)
        cell = sigmoid(keep) * cell + sigmoid(let_in) * np.tanh(new)
        output = sigmoid(show) * np.tanh(cell)
        outputs.append(output)
    return np.stack(outputs)


def test_unrolled_is_numpy_step_by_step():
    memory = LSTMState(jnp.full((4, 2), 0.3), jnp.full((4, 2), -0.2))
    np.testing.assert_allclose(unroll(X, memory, STARTS), by_hand(X, STARTS), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(unroll(X, memory), by_hand(X, np.zeros_like(STARTS)), rtol=1e-5, atol=1e-6)
    short = X[:4], STARTS[:4]  # then the loop is written out
    np.testing.assert_allclose(unroll(short[0], memory, short[1]), by_hand(*short), rtol=1e-5, atol=1e-6)


def test_single_steps_for_any_leading_axes():
    memory = LSTMState(jnp.full((4, 2), 0.3), jnp.full((4, 2), -0.2))
    after = step(X[0], memory)
    np.testing.assert_allclose(after.output, by_hand(X[:1], STARTS[1:2])[0], rtol=1e-5, atol=1e-6)
    alone = step(X[0, 2], jax.tree.map(lambda m: m[2], memory))
    paired = step(X[0].reshape(2, 2, 3), jax.tree.map(lambda m: m.reshape(2, 2, 2), memory))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[2], rtol=1e-6), alone, after)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a.reshape(4, 2), b, rtol=1e-6), paired, after)


def test_what_was_before_a_start_is_forgotten():
    first = unroll(X, fresh_lstm(2, 4), STARTS)
    other = unroll(X + (np.arange(7) < 2)[:, None, None], fresh_lstm(2, 4), STARTS)
    np.testing.assert_array_equal(first[2:, 1], other[2:, 1])
    assert (first[2:, 0] != other[2:, 0]).all()
    assert (first[:2, 1] != other[:2, 1]).all()


def test_the_forget_gate_begins_open():
    bias = np.asarray(NET.inputs.bias)
    bound = 1 / np.sqrt(3)
    assert (np.abs(bias[2:4] - 1) < bound).all()
    assert (np.abs(np.delete(bias, [2, 3])) < bound).all()
