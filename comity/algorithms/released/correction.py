"""The collective correction as the authors' code of "hidden gifts" computes it. docs/algorithms/correction.md."""

import jax.numpy as jnp
from jax import Array, lax


def term(log_prob: Array, advantage: Array) -> Array:
    """A / (p log p) - 1, what the code adds to the objective of an agent at a step, elementwise.

    Its trace of central first differences of (G - V) log p in the two numbers p and V, over log p, in closed form; p is
    kept within 0.001 and 0.999, where it has no gradient. It drives p towards 1 / e.
    """
    low, high = jnp.log(1e-3), jnp.log1p(-1e-3)
    log_p = jnp.clip(log_prob, low, high)
    return advantage / (jnp.exp(log_p) * log_p) - 1


def objective(log_probs: Array, advantage: Array, paid: Array) -> Array:
    """[] the sum of `term` over the agents and steps that are `paid`.

    log_probs, advantage, paid [T, B, N]; the advantage A = r - V carries no gradient.
    """
    return jnp.where(paid, term(log_probs, lax.stop_gradient(advantage)), 0.0).sum()
