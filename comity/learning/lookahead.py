"""Gradients that account for the other player's learning, for two players with differentiable values.

values(mine, theirs) -> (my value, their value), both []; parameters are arrays or trees. A naive learner follows the
gradient of its own value with the other's parameters fixed. LOLA (Foerster et al. 2018, arXiv 1709.04326) and LOLA-DiCE
(arXiv 1802.05098) differentiate through the other's next updates. A shaper differentiates through a whole path of
updates (Meulemans et al. 2025, arXiv 2410.18636, section 4).
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

Mine = TypeVar("Mine")
Theirs = TypeVar("Theirs")
Values = Callable[[Any, Any], tuple[Array, Array]]


def naive_gradient(values: Values, mine: Mine, theirs: Any) -> Mine:
    """dV_1 / d mine, with the other's parameters fixed."""
    return jax.grad(lambda mine: values(mine, theirs)[0])(mine)


def their_gradient(values: Values, mine: Any, theirs: Theirs) -> Theirs:
    """dV_2 / d theirs."""
    return jax.grad(lambda theirs: values(mine, theirs)[1])(theirs)


def lola_term(values: Values, mine: Mine, theirs: Any, apart: Values | None = None) -> Mine:
    """d / d mine of <dV_1 / d theirs, dV_2 / d theirs>, the first factor held fixed (LOLA, eq. 4.5).

    The other's naive update depends on my parameters, and it changes my value; this is the derivative of that effect.
    LOLA's update is the naive gradient plus c times this term, where c is the other's learning rate. apart: estimates
    of V_1 from other episodes than `values`; the product of two estimates from the same episodes is biased by their
    covariance.
    """
    fixed = lax.stop_gradient(jax.grad(lambda theirs: (apart or values)(mine, theirs)[0])(theirs))

    def agreement(mine: Mine) -> Array:
        products = jax.tree.map(lambda a, b: (a * b).sum(), fixed, their_gradient(values, mine, theirs))
        return jnp.stack(jax.tree.leaves(products)).sum()

    return jax.grad(agreement)(mine)


def stepped(values: Values, mine: Any, theirs: Theirs, rate: Any) -> Theirs:
    """The other's parameters after one naive update."""
    return jax.tree.map(lambda x, g: x + rate * g, theirs, their_gradient(values, mine, theirs))


def dice_objective(
    values: Values, mine: Any, theirs: Any, rate: Any, steps: int, apart: Sequence[Values] | None = None
) -> Array:
    """V_1(mine, theirs after `steps` naive updates), to be differentiated in full (LOLA-DiCE).

    apart: for each update estimates from episodes of their own; None: `values` for all updates.
    """
    for step in apart or [values] * steps:
        theirs = stepped(step, mine, theirs, rate)
    return values(mine, theirs)[0]


def dice_values(
    log_prob: Float[Array, "T B N"], reward: Float[Array, "T B N"], gamma: float | Float[Array, ""]
) -> Float[Array, " N"]:
    """mean_b sum_t gamma^t box(all actions up to t) r_t: returns whose derivatives of every order are unbiased.

    box(W) = exp(W - stop(W)), W the sum of all agents' log-probabilities so far (DiCE, arXiv 1802.05098, eq. 5). The
    episodes are data; gradients flow through `log_prob` only.
    """
    upto = jnp.cumsum(log_prob.sum(-1), 0)  # [T, B]
    box = jnp.exp(upto - lax.stop_gradient(upto))
    discount = gamma ** jnp.arange(len(reward))
    return (discount[:, None, None] * box[..., None] * reward).sum(0).mean(0)


def learning_path(values: Values, mine: Any, theirs: Any, rate: Any, steps: int) -> tuple[Array, Array]:
    """Returns (my values [M + 1], a naive learner's values [M + 1]), before its first and after each of M updates."""

    def step(theirs: Any, _: None) -> tuple[Any, tuple[Array, Array]]:
        return stepped(values, mine, theirs, rate), values(mine, theirs)

    last, earned = lax.scan(step, theirs, None, length=steps)
    return jax.tree.map(jnp.append, earned, values(mine, last))


def shaping_objective(values: Values, mine: Any, theirs: Any, rate: Any, steps: int) -> Array:
    """Sum of V_1 over the path of a naive learner (C.7), to be differentiated through all updates."""
    return learning_path(values, mine, theirs, rate, steps)[0].sum()
