"""Distributions over actions: masks, samples, log-probabilities, entropies."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from comity.types import Key

LARGE = 1e9  # finite, so that entropies and unused maxima stay finite; exp(-LARGE) is exactly 0


Logits = Float[Array, "*axes A"]
PerChoice = Float[Array, "*axes"]


def masked(logits: Logits, available: Bool[Array, "*axes A"]) -> Logits:
    """Logits [..., A] with those of unavailable actions at -1e9: probability and gradient exactly 0."""
    return jnp.where(available, logits, -LARGE)


def sample(key: Key, logits: Logits) -> Int[Array, "*axes"]:
    """Actions [...] int32 drawn from softmax(logits [..., A]), with one uniform number each, by inversion.

    The default Gumbel draw takes A numbers for each action. An action of probability 0 is never drawn: its step of the
    distribution function has no width.
    """
    upto = jnp.tril(jnp.ones((logits.shape[-1],) * 2, bool))
    # Not cumsum: a parallel one (GPU) adds in another order for each entry, and then the last bit of two entries may
    # differ with a probability of 0 between them. These sums all add A numbers in the same order.
    cumulative = jnp.where(upto, jax.nn.softmax(logits)[..., None, :], 0.0).sum(-1)
    uniform = jax.random.uniform(key, logits.shape[:-1])[..., None] * cumulative[..., -1:]
    return (cumulative <= uniform).sum(-1, dtype=jnp.int32)


def log_prob(logits: Logits, action: Int[Array, "*axes"]) -> PerChoice:
    """log softmax(logits [..., A]) of action [...]."""
    chosen = jnp.where(jnp.arange(logits.shape[-1]) == action[..., None], logits, 0.0).sum(-1)  # a gather, vectorised
    return chosen - jax.nn.logsumexp(logits, axis=-1)


def entropy(logits: Logits) -> PerChoice:
    """Entropy [...] of softmax(logits [..., A]), nats; unavailable actions add exactly 0."""
    log_probs = jax.nn.log_softmax(logits)
    return -(jnp.exp(log_probs) * log_probs).sum(-1)
