"""Steps that use the curvature of a divergence: products with its Hessian, conjugate gradients, a line search.

Parameters are trees. Separate networks are stacked on a leading agent axis. With `apart`, dot products, step lengths
and the line search are taken for each agent by itself, [N]. The Hessian of a divergence that is summed over agents has
one block for each agent, so one product with it gives the products of all agents. No matrix is built or factored.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.axes import aligned
from comity.types import PyTree


def inner(a: PyTree, b: PyTree, apart: bool) -> Array:
    """Dot product of two trees, []; or with `apart` one for each agent, [N], of leaves [N, ...]."""
    over = lambda x: x.reshape(len(x), -1).sum(-1) if apart else x.sum()  # noqa: E731
    return jnp.stack([over(x * y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)]).sum(0)


def scaled(factor: Array, tree: PyTree) -> PyTree:
    """The tree times a factor, [] or [N]."""
    return jax.tree.map(lambda x: aligned(factor, x) * x, tree)


def moved(tree: PyTree, factor: Array, step: PyTree) -> PyTree:
    """tree + factor step; factor [] or [N]."""
    return jax.tree.map(lambda x, y: x + aligned(factor, y) * y, tree, step)


def curvature_product(
    divergence: Callable[[PyTree], Array], params: PyTree, damping: float | Array
) -> Callable[[PyTree], PyTree]:
    """Returns the function v -> (H + damping) v, where H is the Hessian of `divergence` [] at `params`.

    H v is the derivative of the gradient along v.
    """
    gradient = jax.grad(divergence)

    def product(vector: PyTree) -> PyTree:
        along = jax.jvp(gradient, (params,), (vector,))[1]
        return jax.tree.map(lambda x, v: x + damping * v, along, vector)

    return product


def conjugate_gradients(
    product: Callable[[PyTree], PyTree], target: PyTree, steps: int, apart: bool, tolerance: float = 1e-10
) -> PyTree:
    """Approximates A^-1 target by `steps` steps from 0 (Hestenes & Stiefel 1952).

    product: v -> A v, A positive definite. Steps end once the squared residual is below `tolerance` times the squared
    target, because a further step would divide one rounding error by another. apart: for each agent by itself; A has
    one block for each agent.
    """
    least = tolerance * inner(target, target, apart)

    def step(carry: tuple[PyTree, PyTree, PyTree, Array], _: None):
        x, residual, way, size = carry
        along = product(way)
        goes = size > least
        length = jnp.where(goes, size / jnp.where(goes, inner(way, along, apart), 1.0), 0.0)
        x, residual = moved(x, length, way), moved(residual, -length, along)
        after = inner(residual, residual, apart)
        way = moved(residual, jnp.where(goes, after / jnp.where(goes, size, 1.0), 0.0), way)
        return (x, residual, way, jnp.where(goes, after, size)), None

    zero = jax.tree.map(jnp.zeros_like, target)
    return lax.scan(step, (zero, target, target, inner(target, target, apart)), None, steps)[0][0]


class Search(NamedTuple):
    """The result of a line search."""

    params: PyTree
    accepted: Array  # [] or [N] bool; False: no step was found, and parameters are unchanged
    fraction: Array  # [] or [N], the fraction of the whole step that was taken


def line_search(
    fits: Callable[[PyTree], Array], params: PyTree, step: PyTree, tries: int, shrink: float | Array, apart: bool
) -> Search:
    """Finds params + f step with the first f of 1, shrink, shrink^2, ... that fits; apart: for each agent by itself.

    fits(params) -> [] or [N] bool, where entry n depends on the parameters of agent n alone.
    """
    none = jnp.zeros(jax.tree.leaves(params)[0].shape[:1] if apart else (), bool)

    def ready(carry: tuple[Array, Array, Array]) -> Array:
        count, accepted, _ = carry
        return (count < tries) & ~accepted.all()

    def attempt(carry: tuple[Array, Array, Array]):
        count, accepted, fraction = carry
        length = shrink**count
        found = fits(moved(params, jnp.where(accepted, fraction, length), step)) & ~accepted
        return count + 1, accepted | found, jnp.where(found, length, fraction)

    start = jnp.zeros((), jnp.int32), none, jnp.zeros(none.shape)
    _, accepted, fraction = lax.while_loop(ready, attempt, start)
    # A select, not a product with fraction 0, because the step may be infinite.
    after = moved(params, fraction, step)
    params = jax.tree.map(lambda new, old: jnp.where(aligned(accepted, new), new, old), after, params)
    return Search(params, accepted, fraction)


def natural_step(product: Callable[[PyTree], PyTree], uphill: PyTree, steps: int, limit: Any, apart: bool) -> PyTree:
    """sqrt(2 limit / (x, A x)) x, x = A^-1 uphill: the step along the natural gradient whose divergence is `limit` to
    second order (Schulman et al. 2015, appendix C)."""
    way = conjugate_gradients(product, uphill, steps, apart)
    size = inner(way, product(way), apart)
    length = jnp.where(size > 0, jnp.sqrt(2 * limit / jnp.where(size > 0, size, 1.0)), 0.0)
    return scaled(length, way)
