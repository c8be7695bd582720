"""Learning with the other's learning in view, for two players whose values can be differentiated.

values(mine, theirs) -> (my value, theirs), both []; parameters are arrays or trees. Naive learners climb their own
value with the other fixed; LOLA (Foerster et al. 2018, arXiv 1709.04326) and LOLA-DiCE (arXiv 1802.05098)
climb through the other's next steps; a shaper climbs through a whole path of them (Meulemans et al. 2025, arXiv
2410.18636, section 4).
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
    """dV_1 / d mine, the other as it is."""
    return jax.grad(lambda mine: values(mine, theirs)[0])(mine)


def their_gradient(values: Values, mine: Any, theirs: Theirs) -> Theirs:
    """dV_2 / d theirs."""
    return jax.grad(lambda theirs: values(mine, theirs)[1])(theirs)


def lola_term(values: Values, mine: Mine, theirs: Any, apart: Values | None = None) -> Mine:
    """d / d mine of <dV_1 / d theirs, dV_2 / d theirs>, the first factor held fixed (LOLA, eq. 4.5).

    How the other's naive step, which depends on mine, changes what I get: LOLA's step is the naive gradient plus c
    times this, where c is the other's learning rate. apart: estimates of V_1 that do not share their play with
    `values`, since a product of two estimates from one play is off by their covariance.
    """
    fixed = lax.stop_gradient(jax.grad(lambda theirs: (apart or values)(mine, theirs)[0])(theirs))

    def agreement(mine: Mine) -> Array:
        products = jax.tree.map(lambda a, b: (a * b).sum(), fixed, their_gradient(values, mine, theirs))
        return jnp.stack(jax.tree.leaves(products)).sum()

    return jax.grad(agreement)(mine)


def stepped(values: Values, mine: Any, theirs: Theirs, rate: Any) -> Theirs:
    """The other after one naive step."""
    return jax.tree.map(lambda x, g: x + rate * g, theirs, their_gradient(values, mine, theirs))


def dice_objective(
    values: Values, mine: Any, theirs: Any, rate: Any, steps: int, apart: Sequence[Values] | None = None
) -> Array:
    """V_1(mine, theirs after `steps` naive steps), to be differentiated in full (LOLA-DiCE).

    apart: for each step estimates that do not share their play with the others'; without, `values` serve all.
    """
    for step in apart or [values] * steps:
        theirs = stepped(step, mine, theirs, rate)
    return values(mine, theirs)[0]


def dice_values(
    log_prob: Float[Array, "T B N"], reward: Float[Array, "T B N"], gamma: float | Float[Array, ""]
) -> Float[Array, " N"]:
    """mean_b sum_t gamma^t box(all actions up to t) r_t: discounted returns whose derivatives of every order are right.

    box(W) = exp(W - stop(W)), W the sum of all agents' log-probabilities so far (DiCE, arXiv 1802.05098, eq. 5). Play
    is data; what is differentiated is `log_prob`.
    """
    upto = jnp.cumsum(log_prob.sum(-1), 0)  # [T, B]
    box = jnp.exp(upto - lax.stop_gradient(upto))
    discount = gamma ** jnp.arange(len(reward))
    return (discount[:, None, None] * box[..., None] * reward).sum(0).mean(0)


def learning_path(values: Values, mine: Any, theirs: Any, rate: Any, steps: int) -> tuple[Array, Array]:
    """([M + 1], [M + 1]), what I earn and what a naive learner earns before its first step and after each of M."""

    def step(theirs: Any, _: None) -> tuple[Any, tuple[Array, Array]]:
        return stepped(values, mine, theirs, rate), values(mine, theirs)

    last, earned = lax.scan(step, theirs, None, length=steps)
    return jax.tree.map(jnp.append, earned, values(mine, last))


def shaping_objective(values: Values, mine: Any, theirs: Any, rate: Any, steps: int) -> Array:
    """Sum of V_1 over the path of a naive learner (C.7), to be differentiated through all steps."""
    return learning_path(values, mine, theirs, rate, steps)[0].sum()
