"""Flags have fewer axes than what they speak of: a step ends [T, B], its rewards are [T, B, N]."""

from jax import Array


def aligned(flags: Array, x: Array) -> Array:
    """`flags` with trailing axes of size 1, so that it broadcasts against `x`, whose leading axes it shares."""
    return flags.reshape(flags.shape + (1,) * (x.ndim - flags.ndim))
