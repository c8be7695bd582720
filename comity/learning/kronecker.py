"""Natural gradients by Kronecker factors (K-FAC: Martens & Grosse 2015, arXiv 1503.05671), as ACKTR takes them (Wu et
al. 2017, arXiv 1708.05144).

A dense layer is s = a W, a [I + 1] with a 1 at its end for the bias, W [I + 1, O]. With g = d log p / d s of one sample
its gradient is a g^T, and its block of the Fisher matrix is taken for the product of two small ones:

    F = E[a a^T (x) g g^T]  ~  A (x) G,    A = E[a a^T],  G = E[g g^T],    F^-1 V = A^-1 V G^-1

Everything here is of one network, of several layers; separate agents are a `jax.vmap` of it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

TINY = 1e-8  # the least mean of a factor's diagonal, where damping is split


class Factors(NamedTuple):
    """Two matrices of one layer: its factors, or the inverses of them."""

    inputs: Array  # A [I + 1, I + 1]
    outputs: Array  # G [O, O]


class Curvature(NamedTuple):
    """What is known of the Fisher matrix of a network, and the way it goes."""

    factors: tuple[Factors, ...]  # running averages, not yet divided by their weight: they began at 0
    weight: Array  # [] in [0, 1)
    inverses: tuple[Factors, ...]  # of the damped factors
    velocity: tuple[Array, ...]  # [I + 1, O], running average of natural gradients


class Rules(NamedTuple):
    """How steps are taken."""

    learning_rate: Any  # eta_max, the longest step in natural gradients
    momentum: Any  # of the average of natural gradients
    decay: Any  # of the averages of factors
    damping: Any  # added to F
    clip: Any  # most norm of a gradient


def with_one(x: Array) -> Array:
    """[..., I] -> [..., I + 1]."""
    return jnp.concatenate([x, jnp.ones((*x.shape[:-1], 1), x.dtype)], -1)


@jax.custom_vjp
def watched_product(x: Array, matrix: Array, factors: Factors) -> Array:
    """x [..., I] and a 1, times W [I + 1, O] -> [..., O]. Its derivative by `factors`, which it does not read, is not
    one: in its place stand means over all leading axes of a a^T and g g^T, with g the gradients that came back. So what
    is differentiated must be a sum over samples."""
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
    """Of a symmetric positive definite matrix [n, n], by sweeps over its pivots (Goodnight 1979). Not by LAPACK's: from
    two threads it never returns (jax 0.10.2, CPU)."""

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
    """Before anything was seen of a network with these W."""
    zeros = tuple(Factors(jnp.zeros((len(w), len(w))), jnp.zeros((w.shape[1], w.shape[1]))) for w in matrices)
    return Curvature(zeros, jnp.zeros(()), jax.tree.map(jnp.copy, zeros), tuple(map(jnp.zeros_like, matrices)))


def damped_factors(rules: Rules, curvature: Curvature) -> tuple[Factors, ...]:
    """Averages without the pull to 0 of their start, damped."""
    means = jax.tree.map(lambda x: x / jnp.maximum(curvature.weight, TINY), curvature.factors)
    return tuple(damped(factors, rules.damping) for factors in means)


def observed(rules: Rules, curvature: Curvature, factors: tuple[Factors, ...], renew: Array) -> Curvature:
    """With the factors of one more batch in the averages. renew []: whether inverses, which cost most, are new."""
    average = lambda old, new: rules.decay * old + (1 - rules.decay) * new  # noqa: E731
    after = curvature._replace(
        factors=jax.tree.map(average, curvature.factors, factors), weight=average(curvature.weight, 1.0)
    )
    invert = lambda: jax.tree.map(inverse, damped_factors(rules, after))  # noqa: E731
    return after._replace(inverses=lax.cond(renew, invert, lambda: curvature.inverses))


def size(rules: Rules, curvature: Curvature, step: tuple[Array, ...]) -> Array:
    """step^T F step [], with the damped F of today: twice the divergence of a step, to second order."""
    blocks = zip(damped_factors(rules, curvature), step, strict=True)
    return jnp.stack([(between(factors, v) * v).sum() for factors, v in blocks]).sum()


def trusted_step(
    rules: Rules, curvature: Curvature, gradient: tuple[Array, ...], limit: float | Array
) -> tuple[tuple[Array, ...], Curvature, Array]:
    """(what is added to every W, curvature, the step's size): down the gradient of a loss, by

        v = m v + (1 - m) F^-1 grad,    -eta v,  eta = min(eta_max, sqrt(2 delta / v^T F v))

    (Wu et al. 2017, section 3.3). limit: delta, nats. It bounds what is walked, momentum included, with the factors of
    today also where the inverses are older.
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
