"""Distributions over actions: masks, samples, log-probabilities, entropies."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from comity.types import Key

LARGE = 1e9  # finite, so that entropies and unused maxima stay finite; exp(-LARGE) is exactly 0


Logits = Float[Array, "*axes A"]
PerChoice = Float[Array, "*axes"]
Scalar = float | Float[Array, ""]


def masked(logits: Logits, available: Bool[Array, "*axes A"]) -> Logits:
    """Logits [..., A] with those of unavailable actions at -1e9: probability and gradient exactly 0."""
    return jnp.where(available, logits, -LARGE)


def policy_logits(logits: Logits, available: Bool[Array, "*axes A"], floor: Float[Array, ""] | None) -> Logits:
    """log pi(. | o), up to a constant: (1 - floor) softmax(z) + floor / A, restricted to available actions.

    logits, available [..., A]; floor: [] or None for plain softmax. The gradient flows through the mixture,
    which is how the code of "hidden gifts" explores.
    """
    if floor is None:
        return masked(logits, available)
    mixture = (1 - floor) * jax.nn.softmax(logits) + floor / logits.shape[-1]
    return masked(jnp.log(jnp.maximum(mixture, 1e-30)), available)


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
    return chosen(logits, action) - jax.nn.logsumexp(logits, axis=-1)


def entropy(logits: Logits) -> PerChoice:
    """Entropy [...] of softmax(logits [..., A]), nats; unavailable actions add exactly 0."""
    log_probs = jax.nn.log_softmax(logits)
    return -(jnp.exp(log_probs) * log_probs).sum(-1)


def linear(start: Scalar, end: Scalar, steps: Scalar, time: Int[Array, ""]) -> Float[Array, ""]:
    """A number that goes linearly from `start` to `end` over `steps`, then stays at `end`."""
    return start + (end - start) * jnp.minimum(time / steps, 1)


def epsilon_greedy(
    key: Key, greedy: Int[Array, "*axes"], available: Bool[Array, "*axes A"], epsilon: Scalar, together: bool = False
) -> tuple[Int[Array, "*axes"], Bool[Array, "*flags"]]:
    """Returns (actions [...] int32, explored [...] bool).

    With probability `epsilon` an action is uniform over those available, else it is `greedy`. together: one draw
    decides for all agents and games at once (as in the code of "hidden gifts"); then `explored` is [].
    """
    key_explore, key_action = jax.random.split(key)
    uniform = sample(key_action, masked(jnp.zeros(available.shape), available))
    explore = jax.random.uniform(key_explore, () if together else greedy.shape) < epsilon
    return jnp.where(explore, uniform, greedy).astype(jnp.int32), explore


def chosen(values: Logits, action: Int[Array, "*axes"]) -> PerChoice:
    """The entries [...] of values [..., A] that belong to action [...]."""
    # A sum over a mask instead of a gather: it becomes one vectorised kernel.
    return jnp.where(jnp.arange(values.shape[-1]) == action[..., None], values, 0.0).sum(-1)
