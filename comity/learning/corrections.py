"""Correction terms of "The challenge of hidden gifts in multi-agent reinforcement learning" (Malenfant & Richards 2025,
arXiv 2505.20579, theorem 1 and appendix A.3.2), in the form in which they are defined.

J is the collective objective, s = grad log J the mean score of successful episodes, u = s / (|s|^2 + damping). A term
is a second derivative of J times u. `mixed` takes u of the others and moves the giver's parameters. `self_mixed` takes
u of the giver and moves the others'. `self_pure` takes u of the giver and moves the giver's.
docs/algorithms/correction.md derives them.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jaxtyping import Bool, Float

T = TypeVar("T")
Direction = Literal["damped", "elementwise"]
Baseline = Literal["leave-one-out", "mean", "none"]


# The terms of an objective that can be differentiated ----------------------------------------------------------------


def mixed(objective: Callable[[T, Any], Array], mine: T, theirs: Any, damping: float = 0.0) -> T:
    """(grad_mine grad_theirs^T J) u, a well-posed form of theorem 1. It moves `mine`; u is the direction of `theirs`.

    With damping 0 it is grad_mine J + J (grad_mine grad_theirs^T log J) u, which equals grad_mine J exactly if J
    factorises. objective(mine, theirs) -> [], greater than 0.
    """
    u = _direction_of(lambda params: objective(mine, params), theirs, damping)
    return jax.jvp(lambda params: jax.grad(objective)(mine, params), (theirs,), (u,))[1]


def self_pure(objective: Callable[[T], Array], mine: T, damping: float = 0.0) -> T:
    """(grad^2 J) u, all with respect to the agent's own parameters (the main text's self-correction).

    With damping 0 it is grad J + J (grad^2 log J) u; the second part bends policies away from certainty.
    """
    u = _direction_of(objective, mine, damping)
    return jax.jvp(jax.grad(objective), (mine,), (u,))[1]


def self_mixed(objective: Callable[[Any, T], Array], mine: Any, theirs: T, damping: float = 0.0) -> T:
    """(grad_theirs grad_mine^T J) u, the appendix's self-correction. It moves `theirs`; u is that of `mine`."""
    return mixed(lambda theirs, mine: objective(mine, theirs), theirs, mine, damping)


def direction(score: T, damping: Any, kind: Direction = "damped") -> T:
    """The direction u of a score s: s / (|s|^2 + damping), or "elementwise" (the paper's 1 / s, taken literally)
    sign(s) / max(|s|, 1e-6), divided by the number of entries of s that are not 0.

    The inner product of s with either is 1 (damping 0, all |s| above 1e-6). A score of 0 gives 0.
    """
    ray, size = ray_of(score, kind)
    return jax.tree.map(lambda x: x / jnp.maximum(size + (0 if kind == "elementwise" else damping), 1e-30), ray)


def ray_of(score: T, kind: Direction = "damped") -> tuple[T, Array]:
    """Returns the two parts (ray, size) of u = ray / size: (s, |s|^2), or elementwise (sign(s) / max(|s|, 1e-6), number
    of entries of s that are not 0)."""
    if kind == "elementwise":
        ray = jax.tree.map(lambda s: jnp.sign(s) / jnp.maximum(jnp.abs(s), 1e-6), score)
        return ray, jnp.stack([(x != 0).sum() for x in jax.tree.leaves(score)]).sum().astype(jnp.float32)
    return score, jnp.asarray(optax.tree.norm(score, squared=True))


def _direction_of(objective: Callable[[T], Array], params: T, damping: float) -> T:
    value, grads = jax.value_and_grad(objective)(params)
    return direction(jax.tree.map(lambda g: g / value, grads), damping)


# The same terms, estimated from episodes -----------------------------------------------------------------------------


def baseline(
    returns: Float[Array, " B"], counted: Bool[Array, " B"], kind: Baseline = "leave-one-out"
) -> Float[Array, " B"]:
    """A baseline for each episode, [B]: the mean return of the other counted episodes, of all counted ones ("mean"), or
    0 ("none"). It is 0 if there are no such episodes.

    E[S_i S_j] and E[S S^T + grad^2 l] are 0, so a constant baseline does not change the expectation of a term. The same
    is true of a mean that leaves out the episode itself.
    """
    total, number = jnp.where(counted, returns, 0.0).sum(), counted.sum()
    if kind == "none":
        return jnp.zeros_like(returns)
    if kind == "mean":
        return jnp.broadcast_to(total / jnp.maximum(number, 1), returns.shape)
    return jnp.where(number > 1, (total - returns) / jnp.maximum(number - 1, 1), 0.0)


def slopes(log_probs: Callable[[T], Array], params: T, ray: T, along: Bool[Array, "T B N"]) -> Float[Array, " B"]:
    """<S_e, ray> [B]: the derivative along a ray of each episode's log-likelihood of the steps `along`.

    log_probs(params): log pi(a_t) [T, B, N]. It takes one jvp.
    """
    return jnp.where(along, jax.jvp(log_probs, (params,), (ray,))[1], 0.0).sum((0, 2))


def curvature(log_probs: Callable[[T], Array], params: T, u: T, weight: Float[Array, "T B N"]) -> T:
    """sum weight (grad^2 log pi(a_t)) u. A term of an agent's own parameters is E[(R - b) S S^T] u plus this."""

    def climb(params: T) -> T:
        return jax.grad(lambda params: (weight * log_probs(params)).sum())(params)

    return jax.jvp(climb, (params,), (u,))[1]


def limited(term: T, plain: T, most: Any) -> T:
    """Scales `term` down if its norm exceeds `most` times the norm of `plain`."""
    size, allowed = optax.tree.norm(term), most * optax.tree.norm(plain)
    scale = jnp.where(size > allowed, allowed / jnp.maximum(size, 1e-30), 1.0)
    return jax.tree.map(lambda x: scale * x, term)
