"""Transitions in which an agent saw and did the same as in one given transition: ALITA's sets D_t.

The functions give indices of rows of a replay, and their weights. docs/algorithms/alita.md says why there are three
readings.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.types import Key


def hashed(factors: Array, vectors: Array) -> Array:
    """Hash, [...] uint32, of vectors [..., V]: sum_i m_i xor (m_i >> 15) mod 2^32, with m_i = factors_i x_i mod 2^32.

    x_i: the vector's whole numbers, or the bits of its floats as float32. factors: odd numbers, [V] uint32. Equal
    vectors have equal hashes. Equal hashes prove nothing; `equal` compares the vectors themselves.
    """
    whole = jnp.issubdtype(vectors.dtype, jnp.integer)
    numbers = vectors if whole else lax.bitcast_convert_type(vectors.astype(jnp.float32), jnp.uint32)
    mixed = numbers.astype(jnp.uint32) * factors
    return (mixed ^ (mixed >> 15)).sum(-1, dtype=jnp.uint32)


def last_row(key: Key, position: Array, fresh: int, capacity: int) -> Array:
    """Index, [] int32, of a uniform one of the last `fresh` rows that were written to a `learning.replay.Replay`."""
    return (position - 1 - jax.random.randint(key, (), 0, fresh)) % (capacity // fresh * fresh)


BLOCK = 256  # rows of a block; a running sum over 100,000 rows would cost more than everything else here


def exact_rows(key: Key, hashes: Array, filled: Array, at: Array, count: int) -> Array:
    """Indices, [count] int32: `at`, then uniform draws from the first `filled` rows that have the same hash as `at`.

    hashes: [capacity] uint32. The n-th row of that hash is found by blocks: first its block, then its place in the
    block. Rows are compared twice, because an array of all results costs more than the comparison.
    """
    size = -(-len(hashes) // BLOCK)
    blocks = jnp.pad(hashes, (0, size * BLOCK - len(hashes))).reshape(size, BLOCK)

    def alike(rows: Array, number: Array) -> Array:
        """[K, BLOCK] bool, True for rows of the hash. rows: K blocks; number [K]: their numbers."""
        return (rows == hashes[at]) & (number[:, None] * BLOCK + jnp.arange(BLOCK) < filled)

    upto = jnp.cumsum(alike(blocks, jnp.arange(size)).sum(-1))
    wanted = jax.random.randint(key, (count,), 1, jnp.maximum(upto[-1], 1) + 1)
    block = jnp.searchsorted(upto, wanted, method="compare_all")
    before = jnp.where(block > 0, upto[jnp.maximum(block, 1) - 1], 0)
    place = (jnp.cumsum(alike(blocks[block], block), -1) < (wanted - before)[:, None]).sum(-1)
    return (block * BLOCK + place).astype(jnp.int32).at[0].set(at)


def nearest(vectors: Array, count: int) -> Array:
    """Indices, [count] int32, of those of vectors [C, V] that are nearest to the first one, itself first.

    Each number is measured in units of its standard deviation over the C vectors.
    """
    deviation = vectors.std(0)
    away = jnp.where(deviation > 0, (vectors - vectors[0]) / jnp.maximum(deviation, 1e-6), 0.0)
    return lax.top_k(-jnp.square(away).sum(-1), count)[1]


def equal(vectors: Array) -> Array:
    """[C] float32: 1 for those of vectors [C, V] that equal the first one, else 0."""
    return (vectors == vectors[0]).all(-1).astype(jnp.float32)
