"""Hawk: a residual block around a gated linear recurrence, the sequence policy of COALA-PG.

De et al. 2024, "Griffin" (arXiv 2402.19427), section 2; sizes and weights as in Meulemans et al. 2025 (arXiv
2410.18636), appendix. The recurrence is linear in its memory, so gradients through many steps do not explode.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.axes import aligned
from comity.networks.dense import product
from comity.types import Key

WINDOW = 4  # steps in the window of the convolution over time
SHARPNESS = 8.0  # c: the factor of the gate in the exponent of the decay
HEADS = 2  # blocks of the gates' matrices


class Trace(NamedTuple):
    """The memory of a block; zeros at the start of an episode."""

    past: Array  # [..., WINDOW - 1, W] the last inputs of the convolution, the oldest first
    memory: Array  # [..., W]
    begun: Array  # [...] 1 after the first step


def fresh_trace(blocks: int, width: int, agents: int) -> tuple[Trace, ...]:
    """The memory at the start of an episode: a `Trace` for each block, leaves [N, ...]."""
    zeros = lambda *axes: jnp.zeros((agents, *axes))  # noqa: E731
    return tuple(Trace(zeros(WINDOW - 1, width), zeros(width), zeros()) for _ in range(blocks))


@jax.custom_jvp
def bounded_root(x: Array) -> Array:
    """sqrt(x) with its derivative, 1 / (2 sqrt(x)), limited to 1,000."""
    return jnp.sqrt(x)


@bounded_root.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    root = jnp.sqrt(primals[0])
    return root, tangents[0] * jnp.minimum(0.5 / jnp.maximum(root, 1e-30), 1000.0)


class Dense(eqx.Module):
    """x @ weight + bias. Weights begin normal with variance scale / inputs, biases at 0."""

    weight: Array  # [in, out]
    bias: Array  # [out]

    def __init__(self, key: Key, inputs: int, outputs: int, scale: float = 1.0):
        self.weight = math.sqrt(scale / inputs) * jax.random.normal(key, (inputs, outputs))
        self.bias = jnp.zeros(outputs)

    def __call__(self, x: Array) -> Array:
        return product(x.astype(self.weight.dtype), self.weight) + self.bias


class RootNorm(eqx.Module):
    """x / sqrt(mean x^2 + 1e-6), times 1 + scale."""

    scale: Array  # [size], 0 at the start

    def __init__(self, size: int):
        self.scale = jnp.zeros(size)

    def __call__(self, x: Array) -> Array:
        return x * lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6) * (1 + self.scale)


class RGLRU(eqx.Module):
    """Real-gated linear recurrent unit (De et al. 2024, eqs. 1 to 4): h_t = a_t h_{t-1} + sqrt(1 - a_t^2) (i_t x_t).

    a_t = exp(-8 r_t softplus(decay)); r_t, i_t: gates of x_t, with block-diagonal matrices. In the first step of an
    episode h_t = i_t x_t, without the square root.
    """

    recurrence_gate: Array  # [heads, W / heads, W / heads]
    recurrence_bias: Array  # [W]
    input_gate: Array
    input_bias: Array
    decay: Array  # [W], Lambda

    def __init__(self, key: Key, width: int, heads: int = HEADS):
        key_recurrence, key_input, key_decay = jax.random.split(key, 3)
        part = width // heads
        draw = lambda key: jax.random.normal(key, (heads, part, part)) / math.sqrt(part)  # noqa: E731
        self.recurrence_gate, self.input_gate = draw(key_recurrence), draw(key_input)
        self.recurrence_bias = self.input_bias = jnp.zeros(width)
        # The square of exp(-softplus(decay)), which is a_t at a gate of 1/8, is uniform between 0.9^2 and 0.999^2.
        square = jax.random.uniform(key_decay, (width,), minval=0.9**2, maxval=0.999**2)
        self.decay = jnp.log(jnp.expm1(-0.5 * jnp.log(square)))

    def gates(self, x: Array) -> tuple[Array, Array, Array]:
        """x [..., W] -> (a, sqrt(1 - a^2), i x), each [..., W]: everything that does not depend on the memory."""
        r = jax.nn.sigmoid(_in_blocks(x, self.recurrence_gate) + self.recurrence_bias)
        i = jax.nn.sigmoid(_in_blocks(x, self.input_gate) + self.input_bias)
        log_a = -SHARPNESS * r * jax.nn.softplus(self.decay)
        return jnp.exp(log_a), bounded_root(-jnp.expm1(2 * log_a)), i * x

    @staticmethod
    def step(gates: tuple[Array, Array, Array], memory: Array, begun: Array) -> Array:
        """The next memory [..., W]; begun [...]: 0 at the first step of an episode."""
        a, root, x = gates
        return jnp.where(begun[..., None] > 0, a * memory + root * x, x)


class HawkBlock(eqx.Module):
    """Adds to x a recurrence of the normalised x, then a gated dense layer of the normalised x."""

    norm: RootNorm
    into: Dense  # the layer before the convolution and the recurrence
    gate: Dense  # the gate of the recurrence's output
    taps: Array  # [WINDOW, W], weights of the convolution, which takes each number by itself; the oldest step first
    taps_bias: Array  # [W]
    recurrence: RGLRU
    out: Dense
    norm_dense: RootNorm
    dense: tuple[Dense, Dense, Dense]  # gate, value, back

    def __init__(self, key: Key, width: int, blocks: int):
        keys = jax.random.split(key, 8)
        self.norm, self.norm_dense = RootNorm(width), RootNorm(width)
        self.into, self.gate = Dense(keys[0], width, width), Dense(keys[1], width, width)
        self.taps = math.sqrt(0.01 / WINDOW) * jax.random.normal(keys[2], (WINDOW, width))
        self.taps_bias = jnp.zeros(width)
        self.recurrence = RGLRU(keys[3], width)
        self.out = Dense(keys[4], width, width, 2 / blocks)
        gate, value = Dense(keys[5], width, width), Dense(keys[6], width, width)
        self.dense = (gate, value, Dense(keys[7], width, width, 2 / blocks))

    def __call__(self, x: Array, trace: Trace) -> tuple[Array, Trace]:
        """Takes one step. x [..., W] -> (x [..., W], the trace after the step)."""
        z = self.norm(x)
        window = jnp.concatenate([trace.past, self.into(z)[..., None, :]], -2)  # [..., WINDOW, W]
        convolved = (window * self.taps).sum(-2) + self.taps_bias
        memory = self.recurrence.step(self.recurrence.gates(convolved), trace.memory, trace.begun)
        return self._after(x, z, memory), Trace(window[..., 1:, :], memory, jnp.ones_like(trace.begun))

    def unroll(self, x: Array, trace: Trace, starts: Array | None) -> Array:
        """Takes all steps. x [T, ..., W], the trace before the first step, starts [T, B] -> [T, ..., W]."""
        z = self.norm(x)
        into = self.into(z)
        before = jnp.moveaxis(trace.past, -2, 0)  # [WINDOW - 1, ..., W]
        whole = jnp.concatenate([before, into])
        convolved = self.taps_bias
        age = None if starts is None else _age(starts)  # [T, B] steps since the last start; WINDOW or more: no start
        for back in range(WINDOW):
            shifted = whole[WINDOW - 1 - back : len(whole) - back]  # `back` steps ago
            if age is not None:
                shifted = jnp.where(aligned(age >= back, shifted), shifted, 0.0)
            convolved = convolved + shifted * self.taps[WINDOW - 1 - back]
        gates = self.recurrence.gates(convolved)

        def step(carry: tuple[Array, Array], xs) -> tuple[tuple[Array, Array], Array]:
            memory, begun = carry
            gates, restart = xs
            if restart is not None:
                begun = jnp.where(aligned(restart, begun), 0.0, begun)
            memory = self.recurrence.step(gates, memory, begun)
            return (memory, jnp.ones_like(begun)), memory

        memories = lax.scan(step, (trace.memory, trace.begun), (gates, starts))[1]
        return self._after(x, z, memories)

    def _after(self, x: Array, z: Array, memory: Array) -> Array:
        # GELU in its tanh form, with which the recorded runs of this network were trained.
        x = x + self.out(jax.nn.gelu(self.gate(z)) * memory)
        gate, value, back = self.dense
        z = self.norm_dense(x)
        return x + back(jax.nn.gelu(gate(z)) * value(z))


class HawkNet(eqx.Module):
    """A dense layer, residual blocks, a norm, and a head whose weights begin at 0. Its memory is a tuple of `Trace`."""

    encoder: Dense
    blocks: tuple[HawkBlock, ...]
    norm: RootNorm
    head: Dense

    def __init__(self, key: Key, inputs: int, width: int, outputs: int, blocks: int = 1):
        key_encoder, key_head, *keys = jax.random.split(key, 2 + blocks)
        self.encoder = Dense(key_encoder, inputs, width)
        self.blocks = tuple(HawkBlock(k, width, blocks) for k in keys)
        self.norm = RootNorm(width)
        self.head = Dense(key_head, width, outputs, 0.0)

    def output(self, memory: Array) -> Array:
        """Outputs [..., out] from the result of `memories`, [..., W]; not from a `Trace`."""
        return self.head(memory)

    def __call__(self, x: Array, memory: tuple[Trace, ...]) -> tuple[Array, tuple[Trace, ...]]:
        """x [..., in] -> (output [..., out], next memory)."""
        x, traces = self.encoder(x), []
        for block, trace in zip(self.blocks, memory, strict=True):
            x, after = block(x, trace)
            traces.append(after)
        return self.output(self.norm(x)), tuple(traces)

    def memories(self, x: Array, memory: tuple[Trace, ...], starts: Array | None = None) -> Array:
        """The inputs of the head, [T, ..., W], for x [T, ..., in]. memory: before the first step."""
        x = self.encoder(x)
        for block, trace in zip(self.blocks, memory, strict=True):
            x = block.unroll(x, trace, starts)
        return self.norm(x)

    def unroll(self, x: Array, memory: tuple[Trace, ...], starts: Array | None = None) -> Array:
        """Outputs [T, ..., out] for x [T, ..., in]. memory: before the first step."""
        return self.output(self.memories(x, memory, starts))


def _age(starts: Array) -> Array:
    """[T, B] steps since the episode started inside the rollout, at most WINDOW; WINDOW if it did not start inside."""

    def step(age: Array, start: Array) -> tuple[Array, Array]:
        age = jnp.where(start, 0, jnp.minimum(age + 1, WINDOW))
        return age, age

    return lax.scan(step, jnp.full(starts.shape[1:], WINDOW), starts)[1]


def _in_blocks(x: Array, weight: Array) -> Array:
    """x [..., W] times a block-diagonal matrix, weight [heads, W / heads, W / heads]."""
    heads, part = weight.shape[:2]
    parts = x.reshape(-1, heads, part)
    return jnp.concatenate([parts[:, k] @ weight[k] for k in range(heads)], -1).reshape(x.shape)
