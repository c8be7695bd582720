"""Axes of flags. Flags have fewer axes than the arrays that they select from: ends [T, B], rewards [T, B, N]."""

from jax import Array


def aligned(flags: Array, x: Array) -> Array:
    """Adds trailing axes of size 1 to `flags`, so that it broadcasts against `x`, which has the same leading axes."""
    return flags.reshape(flags.shape + (1,) * (x.ndim - flags.ndim))
