"""Transitions in which one agent saw and did the same as in one given transition: ALITA's sets D_t.

Indices of rows, and their weights. docs/algorithms/alita.md says why there are three readings.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.types import Key


def hashed(factors: Array, vectors: Array) -> Array:
    """[...] uint32 of vectors [..., V]: sum_i factors_i x_i mod 2^32, of whole numbers, or of the bits of others.

    factors [V] uint32, odd. Equal vectors have equal hashes; of what is equal here, `equal` is the proof.
    """
    whole = jnp.issubdtype(vectors.dtype, jnp.integer)
    numbers = vectors if whole else lax.bitcast_convert_type(vectors.astype(jnp.float32), jnp.uint32)
    mixed = numbers.astype(jnp.uint32) * factors
    return (mixed ^ (mixed >> 15)).sum(-1, dtype=jnp.uint32)


def last_row(key: Key, position: Array, fresh: int, capacity: int) -> Array:
    """[] int32: one of the `fresh` rows that a replay (`learning/replay.py`) was given last, uniformly."""
    return (position - 1 - jax.random.randint(key, (), 0, fresh)) % (capacity // fresh * fresh)


BLOCK = 256  # rows; a running sum over 100,000 rows costs more than all else here


def exact_rows(key: Key, hashes: Array, filled: Array, at: Array, count: int) -> Array:
    """[count] int32: row `at`, then rows of its hash, uniformly among the first `filled`. hashes [capacity] uint32.

    The n-th of those rows is found by blocks: in which one it is, then where in that. Whether a row is one of them is
    asked twice, for an array of all answers costs more than the comparison.
    """
    size = -(-len(hashes) // BLOCK)
    blocks = jnp.pad(hashes, (0, size * BLOCK - len(hashes))).reshape(size, BLOCK)

    def alike(rows: Array, number: Array) -> Array:
        """[K, BLOCK] bool of the blocks of these numbers [K]."""
        return (rows == hashes[at]) & (number[:, None] * BLOCK + jnp.arange(BLOCK) < filled)

    upto = jnp.cumsum(alike(blocks, jnp.arange(size)).sum(-1))
    wanted = jax.random.randint(key, (count,), 1, jnp.maximum(upto[-1], 1) + 1)
    block = jnp.searchsorted(upto, wanted, method="compare_all")
    before = jnp.where(block > 0, upto[jnp.maximum(block, 1) - 1], 0)
    place = (jnp.cumsum(alike(blocks[block], block), -1) < (wanted - before)[:, None]).sum(-1)
    return (block * BLOCK + place).astype(jnp.int32).at[0].set(at)


def nearest(vectors: Array, count: int) -> Array:
    """[count] int32: which of vectors [C, V] are nearest to the first one, itself first; each number in units of its
    deviation among them."""
    deviation = vectors.std(0)
    away = jnp.where(deviation > 0, (vectors - vectors[0]) / jnp.maximum(deviation, 1e-6), 0.0)
    return lax.top_k(-jnp.square(away).sum(-1), count)[1]


def equal(vectors: Array) -> Array:
    """[C] float32: 1 where vectors [C, V] equal the first one."""
    return (vectors == vectors[0]).all(-1).astype(jnp.float32)
