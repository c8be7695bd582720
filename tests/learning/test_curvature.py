"""Curvature: conjugate gradients against numpy's solution, products against the whole Hessian, a search per agent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.learning import curvature

N, SIZE = 3, 6


@pytest.fixture(scope="module")
def blocks():
    """(A [N, 6, 6], each positive definite and of another scale; b [N, 6])."""
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(N, SIZE, SIZE)) * np.array([1.0, 5.0, 0.2])[:, None, None]
    return np.einsum("nij,nkj->nik", roots, roots) + 0.1 * np.eye(SIZE), rng.normal(size=(N, SIZE))


def tree(x):
    """[N, 6] as a tree of two leaves."""
    return {"a": x[:, :4].reshape(-1, 2, 2), "b": x[:, 4:]}


def flat(tree):
    return jnp.concatenate([tree["a"].reshape(-1, 4), tree["b"]], -1)


def test_conjugate_gradients_solve_every_agents_system(blocks):
    matrix, target = blocks
    product = lambda v: tree(jnp.einsum("nij,nj->ni", jnp.array(matrix), flat(v)))  # noqa: E731
    with jax.enable_x64(True):
        found = flat(curvature.conjugate_gradients(product, tree(jnp.array(target)), SIZE, True, 0.0))
        longer = flat(curvature.conjugate_gradients(product, tree(jnp.array(target)), 40, True, 1e-20))
        joint = flat(curvature.conjugate_gradients(product, tree(jnp.array(target)), 40, False, 1e-20))
        first = flat(curvature.conjugate_gradients(product, tree(jnp.array(target)), 1, True))
    exact = np.stack([np.linalg.solve(a, b) for a, b in zip(matrix, target, strict=True)])
    np.testing.assert_allclose(found, exact, rtol=1e-6)  # of six unknowns after six steps
    np.testing.assert_allclose(longer, exact, rtol=1e-7)  # and who is done stays
    np.testing.assert_allclose(joint, exact, rtol=1e-6)
    length = (target**2).sum(-1) / np.einsum("ni,nij,nj->n", target, matrix, target)  # of each agent's own
    np.testing.assert_allclose(first, length[:, None] * target, rtol=1e-6)


def test_nothing_to_climb_is_no_step_and_no_nan(blocks):
    matrix, target = blocks
    product = lambda v: tree(jnp.einsum("nij,nj->ni", jnp.array(matrix, jnp.float32), flat(v)))  # noqa: E731
    some = jnp.array(target, jnp.float32).at[1].set(0.0)
    step = flat(curvature.natural_step(product, tree(some), 20, 0.01, True))
    assert (step[1] == 0).all()
    assert np.isfinite(step).all()
    lengths = np.einsum("ni,nij,nj->n", step, matrix, step)
    np.testing.assert_allclose(lengths[[0, 2]], 2 * 0.01, rtol=1e-3)  # x A x = 2 delta


def test_a_product_is_that_of_the_hessian():
    params = jax.random.normal(jax.random.key(0), (SIZE,))
    divergence = lambda x: jnp.sum(jnp.cos(x) * jnp.roll(x, 1) ** 2) + jnp.prod(x)  # noqa: E731
    vector = jnp.arange(SIZE) - 2.0
    product = curvature.curvature_product(divergence, params, 0.3)
    np.testing.assert_allclose(
        product(vector), jax.jit(jax.hessian(divergence))(params) @ vector + 0.3 * vector, rtol=1e-4
    )


def test_every_agent_searches_for_itself():
    """Steps of 1 that may be 1, 0.3 and 0 long: fractions 1, 1/4, none."""
    most = jnp.array([1.0, 0.3, 0.0])
    params, step = {"x": jnp.zeros((N, 2))}, {"x": jnp.ones((N, 2))}
    fits = lambda p: (p["x"][:, 0] <= most) & (p["x"][:, 0] > 0)  # noqa: E731
    found = curvature.line_search(fits, params, step, 5, 0.5, True)
    np.testing.assert_array_equal(found.params["x"], [[1, 1], [0.25, 0.25], [0, 0]])
    np.testing.assert_array_equal(found.accepted, [True, True, False])
    np.testing.assert_array_equal(found.fraction, [1, 0.25, 0])
    whole = curvature.line_search(lambda p: p["x"].max() <= 0.3, params, step, 5, 0.5, False)
    np.testing.assert_array_equal(whole.params["x"], np.full((N, 2), 0.25))
    wild = curvature.line_search(lambda p: jnp.zeros(N, bool), params, {"x": jnp.full((N, 2), jnp.inf)}, 2, 0.5, True)
    np.testing.assert_array_equal(wild.params["x"], params["x"])  # a step that is no number is not taken
