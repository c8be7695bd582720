"""Natural gradients by Kronecker factors (K-FAC: Martens & Grosse 2015, arXiv 1503.05671), in the form of ACKTR (Wu et
al. 2017, arXiv 1708.05144).

A dense layer is s = a W, a [I + 1] with a 1 at its end for the bias, W [I + 1, O]. With g = d log p / d s of one sample
its gradient is a g^T, and its block of the Fisher matrix is approximated by the product of two small matrices:

    F = E[a a^T (x) g g^T]  ~  A (x) G,    A = E[a a^T],  G = E[g g^T],    F^-1 V = A^-1 V G^-1

The functions here take one network of several layers. For separate agents they are mapped by `jax.vmap`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

TINY = 1e-8  # the smallest divisor: of averages by their weight, of norms, of the means of diagonals


class Factors(NamedTuple):
    """Two matrices of one layer: its factors, or their inverses."""

    inputs: Array  # A [I + 1, I + 1]
    outputs: Array  # G [O, O]


class Curvature(NamedTuple):
    """The state of K-FAC for one network: averages of the Fisher matrix's factors, and the velocity."""

    factors: tuple[Factors, ...]  # running averages, not yet divided by their weight, because they begin at 0
    weight: Array  # [] in [0, 1)
    inverses: tuple[Factors, ...]  # inverses of the damped factors
    velocity: tuple[Array, ...]  # [I + 1, O], running average of natural gradients


class Rules(NamedTuple):
    """The hyperparameters of a step."""

    learning_rate: Any  # eta_max, the largest factor of the natural gradient
    momentum: Any  # decay of the average of natural gradients
    decay: Any  # decay of the averages of factors
    damping: Any  # number that is added to the diagonal of F
    clip: Any  # largest norm of a gradient


def with_one(x: Array) -> Array:
    """Appends a 1 to each vector: [..., I] -> [..., I + 1]."""
    return jnp.concatenate([x, jnp.ones((*x.shape[:-1], 1), x.dtype)], -1)


@jax.custom_vjp
def watched_product(x: Array, matrix: Array, factors: Factors) -> Array:
    """x [..., I] with a 1 appended, times W [I + 1, O] -> [..., O].

    The value does not depend on `factors`. In place of the derivative with respect to `factors`, the backward pass
    returns the means over all leading axes of a a^T and g g^T, where g is the incoming gradient. So the differentiated
    function must be a sum over samples.
    """
    return (with_one(x).reshape(-1, len(matrix)) @ matrix).reshape(*x.shape[:-1], -1)


def _forward(x: Array, matrix: Array, factors: Factors) -> tuple[Array, tuple[Array, Array]]:
    return watched_product(x, matrix, factors), (x, matrix)


def _backward(kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array, Factors]:
    x, matrix = kept
    a, g = with_one(x).reshape(-1, len(matrix)), gradient.reshape(-1, matrix.shape[-1])
    factors = Factors(a.T @ a / len(a), g.T @ g / len(a))
    return (g @ matrix[:-1].T).reshape(x.shape), a.T @ g, factors


watched_product.defvjp(_forward, _backward)


def inverse(matrix: Array) -> Array:
    """Inverse of a symmetric positive definite matrix [n, n], by sweeps over its pivots (Goodnight 1979).

    LAPACK's inverse is not used, because it never returns when two threads call it (jax 0.10.2, CPU).
    """

    def sweep(k: Array, m: Array) -> Array:
        column = m[k]
        row = column / column[k]
        m = m - jnp.outer(column, row)
        return m.at[k].set(row).at[:, k].set(row).at[k, k].set(-1 / column[k])

    return -lax.fori_loop(0, len(matrix), sweep, matrix)


def damped(factors: Factors, damping: float | Array) -> Factors:
    """(A + pi sqrt(c), G + sqrt(c) / pi), whose product is about A (x) G + c (Martens & Grosse 2015, section 6.3)."""
    mean = lambda x: jnp.maximum(jnp.trace(x) / len(x), TINY)  # noqa: E731
    split, root = jnp.sqrt(mean(factors.inputs) / mean(factors.outputs)), jnp.sqrt(damping)
    with_diagonal = lambda x, c: x + c * jnp.eye(len(x))  # noqa: E731
    return Factors(with_diagonal(factors.inputs, split * root), with_diagonal(factors.outputs, root / split))


def between(factors: Factors, vector: Array) -> Array:
    """A V G, [I + 1, O]: the product with the block, or with its inverse."""
    return factors.inputs @ vector @ factors.outputs


def fresh_curvature(matrices: tuple[Array, ...]) -> Curvature:
    """The initial state for a network with these W: all averages are 0."""
    zeros = tuple(Factors(jnp.zeros((len(w), len(w))), jnp.zeros((w.shape[1], w.shape[1]))) for w in matrices)
    return Curvature(zeros, jnp.zeros(()), jax.tree.map(jnp.copy, zeros), tuple(map(jnp.zeros_like, matrices)))


def damped_factors(rules: Rules, curvature: Curvature) -> tuple[Factors, ...]:
    """The averages divided by their weight, which removes the bias towards 0 of their start, then damped."""
    means = jax.tree.map(lambda x: x / jnp.maximum(curvature.weight, TINY), curvature.factors)
    return tuple(damped(factors, rules.damping) for factors in means)


def observed(rules: Rules, curvature: Curvature, factors: tuple[Factors, ...], renew: Array) -> Curvature:
    """Adds the factors of one more batch to the averages. renew [] bool: inverses, which cost most, are computed."""
    average = lambda old, new: rules.decay * old + (1 - rules.decay) * new  # noqa: E731
    after = curvature._replace(
        factors=jax.tree.map(average, curvature.factors, factors), weight=average(curvature.weight, 1.0)
    )
    invert = lambda: jax.tree.map(inverse, damped_factors(rules, after))  # noqa: E731
    return after._replace(inverses=lax.cond(renew, invert, lambda: curvature.inverses))


def size(rules: Rules, curvature: Curvature, step: tuple[Array, ...]) -> Array:
    """step^T F step [], with the current damped F. To second order it is twice the divergence of the step."""
    blocks = zip(damped_factors(rules, curvature), step, strict=True)
    return jnp.stack([(between(factors, v) * v).sum() for factors, v in blocks]).sum()


def trusted_step(
    rules: Rules, curvature: Curvature, gradient: tuple[Array, ...], limit: float | Array
) -> tuple[tuple[Array, ...], Curvature, Array]:
    """Takes a step down the gradient of a loss (Wu et al. 2017, section 3.3):

        v = m v + (1 - m) F^-1 grad,    -eta v,  eta = min(eta_max, sqrt(2 delta / v^T F v))

    Returns (the change of every W, curvature, eta^2 v^T F v). limit: delta, nats. It bounds the whole step, momentum
    included. v^T F v takes the current factors, even if the inverses are older.
    """
    norm = jnp.sqrt(jnp.stack([jnp.square(g).sum() for g in gradient]).sum())
    shorter = jnp.minimum(1.0, rules.clip / jnp.maximum(norm, TINY))
    natural = [between(inverses, shorter * g) for inverses, g in zip(curvature.inverses, gradient, strict=True)]
    average = lambda old, new: rules.momentum * old + (1 - rules.momentum) * new  # noqa: E731
    velocity = tuple(map(average, curvature.velocity, natural))
    length = size(rules, curvature, velocity)
    some = length > 0
    longest = jnp.where(some, jnp.sqrt(2 * limit / jnp.where(some, length, 1.0)), 0.0)
    eta = jnp.minimum(rules.learning_rate, longest)
    return tuple(-eta * v for v in velocity), curvature._replace(velocity=velocity), jnp.square(eta) * length
