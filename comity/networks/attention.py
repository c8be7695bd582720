"""Attention with one head, for sets of a few members: agents, their messages, slots.

Queries and keys are multiplied as batched products. For four queries and four members on a CPU this is four times
faster than sums over a broadcast product, gradient included. Everything else is plain dense layers.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from comity.networks.dense import ACTIVATIONS, Activation, LayerNorm, Linear, orthogonal, product
from comity.types import Key


class Attention(eqx.Module):
    """Attention of queries to the members of a set: out(softmax(q k^T / sqrt(D)) v) (Vaswani et al. 2017, eq. 1).

    Queries and keys have no bias. A bias of the keys would shift all scores of a query alike and so change nothing.
    """

    query: Array  # [Q, D]
    key: Array  # [M, D]
    value: Linear  # [M, D]
    out: Linear  # [D, Q]

    def __init__(self, key: Key, queries: int, members: int, width: int):
        """queries, members: numbers in one query and in one member; width: D."""
        key_query, key_key, key_value, key_out = jax.random.split(key, 4)
        self.query = orthogonal(key_query, queries, width)
        self.key = orthogonal(key_key, members, width)
        self.value = Linear(key_value, members, width, 1.0)
        self.out = Linear(key_out, width, queries, 1.0)

    def weights(self, x: Array, members: Array) -> Array:
        """Attention weights of each of x [..., X, Q] for each of members [..., M, C]: [..., X, M], with sums 1."""
        query, key = product(x, self.query), product(members, self.key)
        scores = jnp.einsum("...xd,...md->...xm", query, key)
        return jax.nn.softmax(scores / math.sqrt(self.query.shape[-1]))

    def __call__(self, x: Array, members: Array) -> Array:
        """x [..., X, Q], members [..., M, C] -> [..., X, Q]; leading axes broadcast."""
        return self.out(jnp.einsum("...xm,...md->...xd", self.weights(x, members), self.value(members)))


class AttentionLayer(eqx.Module):
    """Adds attention to x, then two dense layers, each on normalised inputs. Without members x attends to itself."""

    norm: LayerNorm
    norm_members: LayerNorm | None
    attention: Attention
    norm_dense: LayerNorm
    dense: tuple[Linear, Linear]
    activation: Activation = eqx.field(static=True)

    def __init__(self, key: Key, queries: int, members: int | None, width: int, activation: Activation = "relu"):
        key_attention, key_first, key_last = jax.random.split(key, 3)
        self.norm, self.norm_dense = LayerNorm(queries), LayerNorm(queries)
        self.norm_members = None if members is None else LayerNorm(members)
        self.attention = Attention(key_attention, queries, members or queries, width)
        self.dense = (Linear(key_first, queries, width, math.sqrt(2)), Linear(key_last, width, queries, 1.0))
        self.activation = activation

    def __call__(self, x: Array, members: Array | None = None) -> Array:
        """x [..., X, Q], members [..., M, C] -> [..., X, Q]; leading axes broadcast."""
        queries = self.norm(x)
        members = queries if members is None or self.norm_members is None else self.norm_members(members)
        x = x + self.attention(queries, members)
        first, last = self.dense
        return x + last(ACTIVATIONS[self.activation](first(self.norm_dense(x))))


class Slots(eqx.Module):
    """A few learned slots that read a set and then each other (Perceiver, Jaegle et al. 2021).

    The same layers are applied `blocks` times, so that depth costs no parameters.
    """

    slots: Array  # [K, D], the slots before they read the set
    write: AttentionLayer
    layers: tuple[AttentionLayer, ...]
    blocks: int = eqx.field(static=True)

    def __init__(self, key: Key, members: int, slots: int, width: int, blocks: int, layers: int):
        key_slots, key_write, *keys = jax.random.split(key, 2 + layers)
        self.slots = jax.random.normal(key_slots, (slots, width))
        self.write = AttentionLayer(key_write, width, members, width)
        self.layers = tuple(AttentionLayer(k, width, None, width) for k in keys)
        self.blocks = blocks

    def __call__(self, members: Array) -> Array:
        """members [..., M, C], in any order -> slots [..., K, D]."""
        slots = self.write(self.slots, members)
        for _ in range(self.blocks):
            for layer in self.layers:
                slots = layer(slots)
        return slots
