"""Latent variables of networks: categorical ones that carry gradient, and the KL divergence of Gaussian ones."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float


def straight_through(scores: Float[Array, "*axes K"], noise: Float[Array, "*axes K"]) -> Float[Array, "*axes K"]:
    """One-hot of argmax(scores + noise), with the gradient of softmax(scores + noise) (Jang et al. 2017, eq. 2).

    With noise from `jax.random.gumbel` k is chosen with probability softmax(scores)_k; with noise 0 the best is chosen.
    """
    soft = jax.nn.softmax(scores + noise)
    # By argmax, not by comparison with the largest value: of two equal scores exactly one is chosen.
    hard = jax.nn.one_hot((scores + noise).argmax(-1), scores.shape[-1], dtype=soft.dtype)
    return hard + (soft - lax.stop_gradient(soft))  # in this order the value of the added term is exactly 0


def gaussian_kl(
    mean: Float[Array, "*axes Z"],
    scale: Float[Array, "*axes Z"],
    prior_mean: Float[Array, "*axes Z"],
    prior_scale: Float[Array, "*axes Z"],
) -> Float[Array, "*axes"]:
    """KL(N(mean, scale^2) || N(prior_mean, prior_scale^2)) of independent numbers, summed, [...], nats."""
    ratio = jnp.square(scale / prior_scale)
    away = jnp.square((mean - prior_mean) / prior_scale)
    return 0.5 * (ratio + away - 1 - jnp.log(ratio)).sum(-1)
