"""The advantage of one agent's action, given the others' actions (COMA, Foerster et al. 2018, arXiv 1705.08926)."""

import jax
from jax import Array

from comity.learning.choices import chosen


def counterfactual_baseline(q: Array, logits: Array) -> Array:
    """sum_b pi_i(b) Q(s, (b, a_-i)), [..., N] (eq. 4): the expected Q if only agent i's own action were drawn again.

    q [..., N, A]: Q of each own action, given the others' actions; logits [..., N, A] of pi.
    """
    return (jax.nn.softmax(logits) * q).sum(-1)


def advantages(q: Array, logits: Array, action: Array) -> Array:
    """A_i = Q(s, a) - sum_b pi_i(b) Q(s, (b, a_-i)), [..., N] (eq. 4). q, logits [..., N, A]; action [..., N]."""
    return chosen(q, action) - counterfactual_baseline(q, logits)
