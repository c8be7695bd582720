"""A long memory: attention over all earlier steps of the episode, one step for play, a whole rollout for learning.

For play a layer keeps its normalised inputs, one row per step, instead of keys and values. As
q k^T = y (W_q W_k^T) y'^T, the rows are enough, and they have half as many numbers. For learning keys and values are
computed as usual, for all steps at once.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.networks.dense import ACTIVATIONS, Activation, LayerNorm, Linear, orthogonal, product
from comity.types import Key


class Context(NamedTuple):
    """The memory of an agent: its inputs in the steps of its episode so far."""

    rows: tuple[Array, ...]  # one for each layer: [..., L, H], a row for every step so far, then zeros
    time: Array  # [...] int32, number of steps so far


def fresh_context(layers: int, length: int, size: int, agents: int) -> Context:
    """The context at the start of an episode of at most `length` steps: zeros, leaves [N, ...]."""
    return Context(tuple(jnp.zeros((agents, length, size)) for _ in range(layers)), jnp.zeros(agents, jnp.int32))


def positions(length: int, size: int) -> np.ndarray:
    """Sines and cosines of the time, [L, H], with wavelengths from 2 pi to 2 pi L steps (Vaswani et al. 2017, 3.5)."""
    waves = -(-size // 2)
    rates = length ** -(np.arange(waves) / max(waves - 1, 1))
    angles = np.arange(length)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], -1)[:, :size].astype(np.float32)


class ContextLayer(eqx.Module):
    """Adds attention to this and all earlier steps to x, then two dense layers, each on normalised inputs.

    With y = norm(x), head h gives softmax(y W_q^h (y' W_k^h)^T / sqrt(d)) y' W_v^h (Vaswani et al. 2017, eq. 1). Keys
    and values have no biases. A bias of the keys would shift all scores alike; a bias of the values is part of the bias
    of `out`.
    """

    norm: LayerNorm
    query: Array  # [H, H], heads side by side
    key: Array  # [H, H]
    value: Array  # [H, H]
    out: Linear  # [H, H]
    norm_dense: LayerNorm
    dense: tuple[Linear, Linear]  # to 2 H and back
    heads: int = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)

    def __init__(self, key: Key, size: int, heads: int, activation: Activation):
        keys = jax.random.split(key, 6)
        self.query, self.key, self.value = (orthogonal(k, size, size) for k in keys[:3])
        self.out = Linear(keys[3], size, size, 1.0)
        self.dense = (Linear(keys[4], size, 2 * size, math.sqrt(2)), Linear(keys[5], 2 * size, size, 1.0))
        self.norm, self.norm_dense = LayerNorm(size), LayerNorm(size)
        self.heads, self.activation = heads, activation

    def __call__(self, x: Array, rows: Array, time: Array) -> tuple[Array, Array]:
        """Takes one step. x [..., H], rows [..., L, H] before the step, time [...] -> (x [..., H], rows)."""
        size, y, steps = x.shape[-1], self.norm(x), jnp.arange(rows.shape[-2])
        by_head = lambda weight: weight.reshape(size, self.heads, -1)  # noqa: E731
        # These products of weights are the same at every step, so the compiler moves them out of the loop over time.
        asked = jnp.einsum("ihd,jhd->ihj", by_head(self.query), by_head(self.key)).reshape(size, -1)
        given = jnp.einsum("ihd,hdj->hij", by_head(self.value), self.out.weight.reshape(self.heads, -1, size))
        # A select, not an update in place: games are at different times, and a select fuses with freezes and resets.
        rows = jnp.where((steps == time[..., None])[..., None], y[..., None, :], rows)
        query = product(y, asked).reshape(*y.shape[:-1], self.heads, size)
        scores = jnp.einsum("...hi,...ti->...ht", query, rows)
        found = jnp.einsum("...ht,...ti->...hi", self._weights(scores, steps <= time[..., None, None]), rows)
        x = x + product(found.reshape(*y.shape[:-1], -1), given.reshape(-1, size)) + self.out.bias
        return self._dense(x), rows

    def unroll(self, x: Array, rows: Array | None, mask: Array) -> Array:
        """Takes all steps. x [..., T, H]; rows [..., L, H] of earlier steps, or None; mask [..., T, L + T]: True for
        steps that are attended to."""
        y = self.norm(x)
        read = y if rows is None else jnp.concatenate([rows, y], -2)
        by_head = lambda x: x.reshape(*x.shape[:-1], self.heads, -1)  # noqa: E731
        query, key, value = (by_head(product(*a)) for a in ((y, self.query), (read, self.key), (read, self.value)))
        scores = jnp.einsum("...thd,...shd->...hts", query, key)
        found = jnp.einsum("...hts,...shd->...thd", self._weights(scores, mask[..., None, :, :]), value)
        return self._dense(x + self.out(found.reshape(y.shape)))

    def _weights(self, scores: Array, mask: Array) -> Array:
        width = self.query.shape[-1] // self.heads
        return jax.nn.softmax(jnp.where(mask, scores / math.sqrt(width), -1e9))

    def _dense(self, x: Array) -> Array:
        first, last = self.dense
        return x + last(ACTIVATIONS[self.activation](first(self.norm_dense(x))))


class ContextNet(eqx.Module):
    """An actor that forgets nothing: dense layers, the time, layers of attention to all earlier steps, a linear layer.

    It is the counterpart of `RecurrentNet` and `DeepRecurrentNet`. Its memory is a `Context`. Weights begin orthogonal,
    biases at 0.
    """

    encoder: tuple[Linear, ...]
    embed: Linear
    layers: tuple[ContextLayer, ...]
    norm: LayerNorm
    head: Linear
    length: int = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        inputs: int,
        encoder: tuple[int, ...],
        hidden: int,
        outputs: int,
        length: int,
        layers: int = 1,
        heads: int = 1,
        activation: Activation = "relu",
        head_gain: float = 0.01,
    ):
        """encoder: widths of the dense layers; hidden: H; length: largest number of steps of an episode."""
        *keys, key_embed, key_layers, key_head = jax.random.split(key, len(encoder) + 3)
        sizes = (inputs, *encoder)
        self.encoder = tuple(Linear(*a, math.sqrt(2)) for a in zip(keys, sizes[:-1], sizes[1:], strict=True))
        self.embed = Linear(key_embed, sizes[-1], hidden, 1.0)
        self.layers = tuple(ContextLayer(k, hidden, heads, activation) for k in jax.random.split(key_layers, layers))
        self.norm = LayerNorm(hidden)
        self.head = Linear(key_head, hidden, outputs, head_gain)
        self.length, self.activation = length, activation

    def encode(self, x: Array, time: Array) -> Array:
        """x [..., in] at time [...] of its episode -> inputs of the first layer of attention [..., H]."""
        for layer in self.encoder:
            x = ACTIVATIONS[self.activation](layer(x))
        return self.embed(x) + jnp.asarray(positions(self.length, self.norm.scale.shape[-1])).take(time, 0, mode="clip")

    def output(self, memory: Array) -> Array:
        """Outputs [..., out] from the result of `memories`, [..., H]; not from a `Context`."""
        return self.head(memory)

    def __call__(self, x: Array, memory: Context) -> tuple[Array, Context]:
        """x [..., in], memory [...] -> (output [..., out], next memory)."""
        x, rows = self.encode(x, memory.time), []
        for layer, before in zip(self.layers, memory.rows, strict=True):
            x, after = layer(x, before, memory.time)
            rows.append(after)
        return self.output(self.norm(x)), Context(tuple(rows), memory.time + 1)

    def memories(self, x: Array, memory: Context | None = None, starts: Array | None = None) -> Array:
        """The inputs of the head at each step, [T, ..., H], for x [T, B, ..., in].

        memory: before the first step, leaves [B, ...]; None: an episode begins. starts [T, B]: True where an episode
        begins inside the rollout; its steps do not attend to steps before it.
        """
        times, lead = len(x), x.shape[1:-1]
        clock = jnp.arange(times).reshape(times, *(1,) * len(lead))  # [T, 1, ...]
        begun = jnp.zeros_like(clock) if starts is None else _flags(starts, len(lead)) * clock
        episode = None if starts is None else jnp.cumsum(_flags(starts, len(lead)), 0)  # [T, B, 1, ...]
        begun = jax.lax.cummax(begun)
        time = clock - begun
        if memory is not None:
            earlier = memory.time if episode is None else jnp.where(episode == 0, memory.time, 0)
            time = time + earlier
        x = jnp.moveaxis(self.encode(x, jnp.broadcast_to(time, (times, *lead))), 0, -2)  # [B, ..., T, H]

        mask = jnp.tril(jnp.ones((times, times), bool))
        if episode is not None:
            episode = jnp.moveaxis(episode, 0, -1)  # [B, 1, ..., T]
            mask = mask & (episode[..., :, None] == episode[..., None, :])
        if memory is not None:
            known = jnp.arange(self.length) < memory.time[..., None, None]  # [B, ..., 1, L]
            known = known if episode is None else known & (episode == 0)[..., None]
            known, mask = (jnp.broadcast_to(m, (*lead, times, m.shape[-1])) for m in (known, mask))
            mask = jnp.concatenate([known, mask], -1)
        for k, layer in enumerate(self.layers):
            x = layer.unroll(x, None if memory is None else memory.rows[k], mask)
        return jnp.moveaxis(self.norm(x), -2, 0)

    def unroll(self, x: Array, memory: Context | None = None, starts: Array | None = None) -> Array:
        """Outputs [T, ..., out] for x [T, ..., in], from memory [...] before the first step; see `memories`."""
        return self.output(self.memories(x, memory, starts))


def _flags(starts: Array, axes: int) -> Array:
    """starts [T, B] as whole numbers [T, B, 1, ...], with `axes` axes after the first."""
    return starts.astype(jnp.int32).reshape(*starts.shape, *(1,) * (axes + 1 - starts.ndim))
