"""Entropy terms whose gradient adapts to the entropy (Zhou et al. 2020, LICA, arXiv 2007.02529, section 4.2)."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.learning.choices import entropy

Entropy = Literal["batch", "per_agent", "l2", "fixed"]


def mean_choice(x: Array, available: Array, valid: Array) -> Array:
    """Mean [] of x [T, B, N] over valid steps and agents that have a choice. available [T, B, N, A], valid [T, B]."""
    counts = valid[..., None] & (available.sum(-1) > 1)
    return jnp.where(counts, x, 0.0).sum() / jnp.maximum(counts.sum(), 1)


def entropy_term(logits: Array, available: Array, valid: Array, kind: Entropy) -> Array:
    """The entropy term [] of the actors' objective, without its weight xi or beta (section 4.2).

    logits [T, B, N, A], masked. H is the entropy of an agent in a state (nats), sg stops the gradient, and means are
    over valid steps and agents that have a choice.
    batch: mean H / sg(mean H), whose gradient is that of log mean H (the authors' code);
    per_agent: mean (H / sg H), dH_k = -(log p_k + 1) / H (eq. 8);
    l2: mean (H sg |p - uniform|_2), which divides by the paper's other measure, 1 / |p - uniform|_2, instead of H;
    fixed: mean H.
    """
    each = entropy(logits)
    if kind == "per_agent":
        each = each / lax.stop_gradient(jnp.maximum(each, 1e-8))
    elif kind == "l2":
        uniform = available / jnp.maximum(available.sum(-1, keepdims=True), 1)
        each = each * lax.stop_gradient(jnp.linalg.norm(jax.nn.softmax(logits) - uniform, axis=-1))
    mean = mean_choice(each, available, valid)
    return mean / lax.stop_gradient(jnp.maximum(mean, 1e-8)) if kind == "batch" else mean
