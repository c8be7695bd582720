"""What one agent's action was worth, given what the others did (Foerster et al. 2018, arXiv 1705.08926)."""

import jax
from jax import Array

from comity.learning.choices import chosen


def counterfactual_baseline(q: Array, logits: Array) -> Array:
    """sum_b pi_i(b) Q(s, (b, a_-i)), [..., N] (eq. 4): what agent i would earn if only its own action were redrawn.

    q [..., N, A]: the worth of each own action, given the others'; logits [..., N, A] of pi.
    """
    return (jax.nn.softmax(logits) * q).sum(-1)


def advantages(q: Array, logits: Array, action: Array) -> Array:
    """A_i = Q(s, a) - sum_b pi_i(b) Q(s, (b, a_-i)), [..., N] (eq. 4). q, logits [..., N, A]; action [..., N]."""
    return chosen(q, action) - counterfactual_baseline(q, logits)
