"""Normalisation of advantages, returns and inputs to mean 0 and variance 1."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float

from comity.axes import aligned
from comity.learning.returns import by_steps, mean_valid


class Sample(NamedTuple):
    """Mean and variance of all values so far."""

    mean: Array  # [...]
    variance: Array  # [...], 1 before the first value
    count: Array  # [] float32


def fresh_sample(*shape: int) -> Sample:
    """A sample without values: mean 0, variance 1."""
    return Sample(jnp.zeros(shape), jnp.ones(shape), jnp.zeros(()))


def with_sample(sample: Sample, x: Float[Array, "R *rest"], valid: Bool[Array, "R"]) -> Sample:
    """Adds the valid entries of x to the sample (Chan et al. 1979)."""
    new = valid.sum().astype(jnp.float32)
    over = lambda x: jnp.where(aligned(valid, x), x, 0.0).sum(0) / jnp.maximum(new, 1.0)  # noqa: E731
    mean = over(x)
    variance, away = over(jnp.square(x - mean)), mean - sample.mean
    count = sample.count + new
    share = new / jnp.maximum(count, 1.0)
    both = (1 - share) * sample.variance + share * variance + share * (1 - share) * jnp.square(away)
    return Sample(sample.mean + share * away, both, count)


def in_deviations(
    x: Float[Array, "*axes"], sample: Sample, least: float = 0.01, most: float = 5.0
) -> Float[Array, "*axes"]:
    """x in units of the sample's deviation from the sample's mean, clipped to [-most, most].

    least: the smallest deviation, in units of x, so that numbers that hardly vary are not blown up.
    """
    return jnp.clip((x - sample.mean) / jnp.sqrt(jnp.maximum(sample.variance, least**2)), -most, most)


class Moments(NamedTuple):
    """Exponential averages of x and x^2, not yet divided by their weight, because they begin at 0."""

    mean: Array  # [N]
    square: Array  # [N]
    weight: Array  # [] in [0, 1), 0 before the first batch


def fresh_moments(agents: int) -> Moments:
    """Moments before the first batch, of N agents: all 0."""
    return Moments(jnp.zeros(agents), jnp.zeros(agents), jnp.zeros(()))


def updated_moments(
    moments: Moments,
    x: Float[Array, "T B N"],
    valid: Bool[Array, "T B *own"],
    decay: float | Float[Array, ""],
    together: bool = False,
) -> Moments:
    """`moments` after one more batch, which weighs 1 - decay.

    Means of a batch are over valid steps, for each agent by itself, or over all agents `together`. A batch without a
    valid step changes nothing.
    """
    mean, square = mean_valid(x, valid), mean_valid(jnp.square(x), valid)
    if together:
        mean, square = (jnp.broadcast_to(m.mean(), m.shape) for m in (mean, square))
    new = jnp.where(valid.any(), 1 - decay, 0.0)
    average = lambda old, now: (1 - new) * old + new * now  # noqa: E731
    return Moments(average(moments.mean, mean), average(moments.square, square), average(moments.weight, 1.0))


def mean_and_deviation(
    moments: Moments, least: float = 0.1, first: float | Array = 1.0
) -> tuple[Float[Array, "N"], Float[Array, "N"]]:
    """Returns (mean, standard deviation), without the averages' bias towards 0; 0 and `first` before the first batch.

    least: the smallest deviation, in units of x, so that values that hardly vary are not blown up.
    """
    weight = jnp.maximum(moments.weight, 1e-30)
    mean = moments.mean / weight
    deviation = jnp.sqrt(jnp.maximum(moments.square / weight - jnp.square(mean), least**2))
    return mean, jnp.where(moments.weight > 0, deviation, first)


def normalised(x: Float[Array, "*axes N"], moments: Moments, first: float | Array = 1.0) -> Float[Array, "*axes N"]:
    """(x - mean) / deviation, by `moments`. first: the deviation before the first batch."""
    mean, deviation = mean_and_deviation(moments, first=first)
    return (x - mean) / deviation


def denormalised(x: Float[Array, "*axes N"], moments: Moments, first: float | Array = 1.0) -> Float[Array, "*axes N"]:
    """x * deviation + mean: the inverse of `normalised`."""
    mean, deviation = mean_and_deviation(moments, first=first)
    return x * deviation + mean


def standardised(
    x: Float[Array, "T B N"], valid: Bool[Array, "T B *own"], together: bool = False, everywhere: bool = False
) -> Float[Array, "T B N"]:
    """x with mean 0 and variance 1 over valid steps, for each agent by itself or over all `together`; 0 in padding.

    valid may be [T, B, N], each agent's own steps.
    everywhere: entries in padding are shifted and scaled like the rest, not set to 0.
    """

    def mean(x: Array) -> Array:
        means = mean_valid(x, valid)
        if not together:
            return means
        return (by_steps(means, valid) if valid.ndim == x.ndim else means).mean(keepdims=True)

    away = x - mean(x)
    chosen = jnp.where(aligned(valid, x), away, 0.0)
    return (away if everywhere else chosen) / (jnp.sqrt(mean(jnp.square(chosen))) + 1e-5)


def smoothly_standardised(advantage: Array, valid: Array) -> Array:
    """The advantage with mean 0, deviation 1 over valid steps and agents. Its gradient is finite if all are equal."""
    count = jnp.maximum(valid.sum() * advantage.shape[-1], 1)
    over = lambda x: jnp.where(valid[..., None], x, 0.0).sum() / count  # noqa: E731
    away = advantage - over(advantage)
    return away * lax.rsqrt(over(jnp.square(away)) + 1e-8)
