"""The collective correction term in the form that the authors' code of "hidden gifts" computes.

docs/algorithms/correction.md.
"""

import jax.numpy as jnp
from jax import Array, lax


def term(log_prob: Array, advantage: Array) -> Array:
    """Returns A / (p log p) - 1, elementwise: the code adds it to an agent's objective at a step.

    This is the closed form of the code's sum of central first differences of (G - V) log p in the numbers p and V,
    divided by log p. p is clipped to [0.001, 0.999], so there is no gradient outside. The term drives p towards 1 / e.
    """
    low, high = jnp.log(1e-3), jnp.log1p(-1e-3)
    log_p = jnp.clip(log_prob, low, high)
    return advantage / (jnp.exp(log_p) * log_p) - 1


def objective(log_probs: Array, advantage: Array, paid: Array) -> Array:
    """Returns the sum of `term` over the agents and steps that are `paid`, [].

    log_probs, advantage, paid [T, B, N]; the advantage A = r - V carries no gradient.
    """
    return jnp.where(paid, term(log_probs, lax.stop_gradient(advantage)), 0.0).sum()
