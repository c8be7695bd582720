"""Kronecker factors by explicit sums, inverses, and steps against the natural gradient where they are exact."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.learning import kronecker
from comity.learning.actions import Actions
from comity.learning.kronecker import Factors, Rules
from comity.networks import MLP, RecurrentNet
from comity.networks.deviations import with_deviations
from comity.networks.watched import factors_of, matrices, with_matrices
from comity.spec import Box

KEY = jax.random.key(0)
PLAIN = Rules(learning_rate=1.0, momentum=0.0, decay=0.0, damping=1e-10, clip=1e9)


def test_factors_are_means_of_outer_products():
    """Of every layer of a net with free deviations, by a loop over samples in numpy; inputs of whole numbers."""
    acts = Actions(Box(2), "normal")
    net = with_deviations(RecurrentNet(KEY, 3, 4, acts.size, "tanh", core="none"), acts)
    x = jax.random.randint(KEY, (5, 2, 3), -2, 3)
    action = jax.random.normal(KEY, (5, 2, 2))
    exists = jnp.ones((5, 2, 2), bool)

    def log_probs(net):
        return acts(net.unroll(x, jnp.zeros((2, 0))), exists).log_prob(action)

    found = factors_of(log_probs, net)
    w = [np.asarray(m, np.float64) for m in matrices(net)]
    sums = [[np.zeros((len(m), len(m))), np.zeros((m.shape[1],) * 2)] for m in w]
    one = lambda a: np.append(a, 1.0)  # noqa: E731
    for view, done in zip(np.asarray(x, float).reshape(-1, 3), np.asarray(action).reshape(-1, 2), strict=True):
        first = np.tanh(one(view) @ w[0])
        second = np.tanh(one(first) @ w[1])
        away = (done - one(second) @ w[2]) / np.exp(w[3][0])
        back = away / np.exp(w[3][0])  # d log p / d mean
        at_second = (1 - second**2) * (w[2][:-1] @ back)
        at_first = (1 - first**2) * (w[1][:-1] @ at_second)
        layers = (one(view), at_first), (one(first), at_second), (one(second), back), (np.ones(1), away**2 - 1)
        for total, (a, g) in zip(sums, layers, strict=True):
            total[0] += np.outer(a, a) / 10
            total[1] += np.outer(g, g) / 10
    assert len(found) == 4
    for mine, (inputs, outputs) in zip(found, sums, strict=True):
        np.testing.assert_allclose(mine.inputs, inputs, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(mine.outputs, outputs, rtol=1e-4, atol=1e-5)


def test_matrices_are_the_network():
    acts = Actions(Box(2), "normal")
    net = with_deviations(RecurrentNet(KEY, 3, 4, acts.size, "tanh", core="none"), acts)
    same = with_matrices(net, matrices(net))
    assert all((x == y).all() for x, y in zip(jax.tree.leaves(net), jax.tree.leaves(same), strict=True))
    assert jax.tree.structure(net) == jax.tree.structure(same)
    other = with_matrices(net, tuple(m + 1 for m in matrices(net)))
    assert all(np.allclose(x + 1, y) for x, y in zip(jax.tree.leaves(net), jax.tree.leaves(other), strict=True))
    with pytest.raises(ValueError, match="Kronecker factors are those of dense layers"):
        matrices(RecurrentNet(KEY, 3, 4, 2))


@pytest.mark.parametrize("size", [1, 2, 65])
def test_an_inverse_is_numpys(size):
    root = np.random.default_rng(size).normal(size=(size, max(size // 2, 1)))
    matrix = root @ root.T + 0.05 * np.eye(size)
    np.testing.assert_allclose(kronecker.inverse(jnp.asarray(matrix, jnp.float32)), np.linalg.inv(matrix), atol=2e-3)


def crossed(inputs: int = 3, outputs: int = 2):
    """(a [M, I + 1], g [M, O], A, G): every input with every gradient, so that the Fisher matrix is A (x) G."""
    draw = np.random.default_rng(0)
    rows, columns = np.append(draw.normal(size=(6, inputs)), np.ones((6, 1)), 1), draw.normal(size=(5, outputs))
    a, g = np.repeat(rows, 5, 0), np.tile(columns, (6, 1))
    return a, g, rows.T @ rows / 6, columns.T @ columns / 5


def test_a_step_is_the_exact_natural_gradients():
    """Of a linear layer whose inputs and gradients are independent: sqrt(2 delta / x F x) x, x = F^-1 grad, with the
    whole matrix by numpy. And with damping of whichever size the step's bound holds in the undamped matrix, too."""
    a, g, inputs, outputs = crossed()
    samples = np.einsum("mi,mo->mio", a, g).reshape(len(a), -1)
    fisher = samples.T @ samples / len(a)
    np.testing.assert_allclose(fisher, np.kron(inputs, outputs), atol=1e-10)
    gradient = np.random.default_rng(1).normal(size=(4, 2))
    natural = np.linalg.solve(fisher, gradient.reshape(-1))
    wanted = -np.sqrt(2 * 0.01 / (natural @ fisher @ natural)) * natural
    seen = (Factors(jnp.asarray(inputs, jnp.float32), jnp.asarray(outputs, jnp.float32)),)
    given = (jnp.asarray(gradient, jnp.float32),)

    def step(rules):
        curvature = kronecker.observed(rules, kronecker.fresh_curvature(given), seen, jnp.bool_(True))
        (step,), _, size = kronecker.trusted_step(rules, curvature, given, 0.01)
        return np.asarray(step).reshape(-1), float(size)

    found, size = step(PLAIN._replace(learning_rate=1e6))
    np.testing.assert_allclose(found, wanted, rtol=2e-3, atol=1e-6)
    assert size == pytest.approx(2 * 0.01, rel=1e-3)
    np.testing.assert_allclose(step(PLAIN._replace(learning_rate=1e-4))[0], -1e-4 * natural, rtol=2e-3)
    for damping in (1e-3, 0.1, 10.0):
        found, size = step(PLAIN._replace(learning_rate=1e6, damping=damping))
        assert found @ fisher @ found < size <= 2 * 0.01 * 1.0001
    split = kronecker.damped(seen[0], 0.1)  # the added diagonals weigh alike, and their product is the damping
    added = np.asarray(split.inputs)[0, 0] - inputs[0, 0], np.asarray(split.outputs)[0, 0] - outputs[0, 0]
    assert added[0] * added[1] == pytest.approx(0.1, rel=1e-4)
    assert added[0] / added[1] == pytest.approx((np.trace(inputs) / 4) / (np.trace(outputs) / 2), rel=1e-4)


def test_gauss_newton_solves_least_squares_in_one_step():
    """A linear critic: with normal noise around values g = 1, so F^-1 grad of half the mean square is the whole way."""
    net = MLP(KEY, 3, (), 1)
    x = jax.random.normal(KEY, (40, 3))
    target = jnp.sin(3 * x[:, 0]) + 2
    values = lambda net: net(x)[:, 0]  # noqa: E731
    grads = jax.grad(lambda net: 0.5 * jnp.square(values(net) - target).mean())(net)
    begin = kronecker.fresh_curvature(matrices(net))
    curvature = kronecker.observed(PLAIN, begin, factors_of(values, net), jnp.bool_(True))
    steps, _, _ = kronecker.trusted_step(PLAIN, curvature, matrices(grads), 1e6)
    wanted = np.linalg.lstsq(np.append(np.asarray(x), np.ones((40, 1)), 1), np.asarray(target), rcond=None)[0]
    np.testing.assert_allclose(matrices(net)[0][:, 0] + steps[0][:, 0], wanted, atol=1e-4)


def test_averages_have_no_pull_to_zero_and_inverses_wait():
    rules = PLAIN._replace(decay=0.9, damping=0.01)
    start = kronecker.fresh_curvature((jnp.zeros((2, 1)),))
    of = lambda x: (Factors(x * jnp.eye(2), x * jnp.eye(1)),)  # noqa: E731
    once = kronecker.observed(rules, start, of(4.0), jnp.bool_(True))
    twice = kronecker.observed(rules, once, of(2.0), jnp.bool_(False))
    known = partial(kronecker.damped_factors, rules._replace(damping=0.0))
    np.testing.assert_allclose(known(once)[0].inputs, 4 * np.eye(2), rtol=1e-6)
    mean = (0.9 * 0.1 * 4 + 0.1 * 2) / (0.9 * 0.1 + 0.1)
    np.testing.assert_allclose(known(twice)[0].inputs, mean * np.eye(2), rtol=1e-6)
    np.testing.assert_array_equal(once.inverses[0].inputs, twice.inverses[0].inputs)
    anew = kronecker.observed(rules, once, of(2.0), jnp.bool_(True))
    np.testing.assert_allclose(anew.inverses[0].inputs, np.eye(2) / (mean + 0.1), rtol=1e-5)
