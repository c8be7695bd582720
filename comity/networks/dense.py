"""Fully connected layers. Weights are [in, out]; inputs of any leading axes are flattened to 2-D before each matmul,
which on CPU is a quarter faster than a batched product (docs/performance.md)."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.types import Key

Activation = Literal["relu", "gelu", "tanh", "elu"]
Start = Literal["glorot", "he"]
ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": partial(jax.nn.gelu, approximate=False),  # x Phi(x); jax's default, with tanh, is up to 4.7e-4 off
    "tanh": jnp.tanh,
    "elu": jax.nn.elu,
}


def orthogonal(key: Key, inputs: int, outputs: int) -> Array:
    """Draws a matrix [in, out] uniformly among those whose rows, or columns if there are fewer, are orthonormal.

    It is the polar factor of a normal matrix, by Newton's iteration x <- (3 x - x x^T x) / 2. LAPACK's QR is not used,
    because it never returns when two threads call it for two seeds at once (jax 0.10.2, CPU).
    """
    drawn = jax.random.normal(key, (min(inputs, outputs), max(inputs, outputs)))
    drawn /= jnp.linalg.norm(drawn)  # singular values in (0, 1]; small ones grow by half in each of the iterations
    x = jax.lax.fori_loop(0, 50, lambda _, x: 1.5 * x - 0.5 * (x @ x.T) @ x, drawn)
    return x if inputs <= outputs else x.T


def product(x: Array, weight: Array) -> Array:
    """x [..., in] @ weight [in, out] -> [..., out].

    On several accelerators the leading axes are not flattened: with time and games in one axis the games could not be
    sharded over the accelerators (`training/seeds.py`).
    """
    if jax.default_backend() != "cpu" and jax.device_count() > 1:
        return multiplied(x, weight)
    return multiplied(x.reshape(-1, x.shape[-1]), weight).reshape(*x.shape[:-1], -1)


def multiplied(x: Array, weight: Array) -> Array:
    """x [..., in] @ weight [in, out]. With weights in bfloat16 both factors are rounded to it; sums are float32."""
    if weight.dtype != jnp.bfloat16:
        return x @ weight
    return jnp.matmul(x.astype(jnp.bfloat16), weight, preferred_element_type=jnp.float32)


class Linear(eqx.Module):
    """x @ weight + bias. Weights and biases are drawn uniformly from +-1/sqrt(in), unless `gain` or `start` is given.

    gain: orthogonal weights times the gain, biases 0. start: biases 0, weights uniform in +-sqrt(6 / (in + out)) for
    glorot (Glorot 2010) or +-sqrt(6 / in) for he (He et al. 2015).
    """

    weight: Array  # [in, out]
    bias: Array  # [out]

    def __init__(
        self, key: Key, inputs: int, outputs: int, gain: float | Array | None = None, start: Start | None = None
    ):
        if gain is not None:
            self.weight = gain * orthogonal(key, inputs, outputs)
            self.bias = jnp.zeros(outputs)
            return
        if start is not None:
            bound = math.sqrt(6 / (inputs + (outputs if start == "glorot" else 0)))
            self.weight = jax.random.uniform(key, (inputs, outputs), minval=-bound, maxval=bound)
            self.bias = jnp.zeros(outputs)
            return
        bound = 1 / math.sqrt(inputs)
        drawn = jax.random.uniform(key, (inputs + 1, outputs), minval=-bound, maxval=bound)  # a draw costs compile time
        self.weight, self.bias = drawn[:-1], drawn[-1]

    def __call__(self, x: Array) -> Array:
        """x [..., in] of any dtype -> [..., out] float."""
        return product(x.astype(self.weight.dtype), self.weight) + self.bias

    def of_parts(self, parts: Sequence[Array]) -> Array:
        """The layer's output for the concatenation of `parts` [..., in_k], whose leading axes are broadcast.

        A part that is broadcast is multiplied only once.
        """
        rows = np.cumsum([x.shape[-1] for x in parts])
        weights = jnp.split(self.weight, rows[:-1])
        return sum(map(self._product, parts, weights), self.bias)

    def _product(self, x: Array, weight: Array) -> Array:
        return product(x.astype(weight.dtype), weight)


class MLP(eqx.Module):
    """Linear layers with an activation between them, none after the last.

    head_gain: weights are orthogonal, times `head_gain` in the last layer and times sqrt 2 in the others; None: weights
    are uniform, see `Linear`.
    """

    layers: tuple[Linear, ...]
    activation: Activation = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        inputs: int,
        hidden: tuple[int, ...],
        outputs: int,
        activation: Activation = "relu",
        head_gain: float | None = None,
    ):
        sizes = (inputs, *hidden, outputs)
        keys = jax.random.split(key, len(sizes) - 1)
        gains = [None if head_gain is None else math.sqrt(2)] * len(hidden) + [head_gain]
        self.layers = tuple(Linear(*a) for a in zip(keys, sizes[:-1], sizes[1:], gains, strict=True))
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        """x [..., in] -> [..., out]."""
        return self.behind(self.layers[0](x))

    def behind(self, x: Array) -> Array:
        """x [..., hidden], the output of the first layer -> [..., out]."""
        for layer in self.layers[1:]:
            x = layer(ACTIVATIONS[self.activation](x))
        return x


class LayerNorm(eqx.Module):
    """Normalises each vector to mean 0 and variance 1, then scales and shifts it (Ba et al. 2016)."""

    scale: Array  # [size]
    shift: Array  # [size]

    def __init__(self, size: int):
        self.scale, self.shift = jnp.ones(size), jnp.zeros(size)

    def __call__(self, x: Array) -> Array:
        """x [..., size] -> [..., size]."""
        away = x - x.mean(-1, keepdims=True)
        return away * jax.lax.rsqrt(jnp.square(away).mean(-1, keepdims=True) + 1e-5) * self.scale + self.shift


class NormedMLP(eqx.Module):
    """Linear layers with a `LayerNorm` and an activation between them, neither after the last."""

    layers: tuple[Linear, ...]
    norms: tuple[LayerNorm, ...]
    activation: Activation = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        inputs: int,
        hidden: tuple[int, ...],
        outputs: int,
        activation: Activation = "relu",
        start: Start = "glorot",
    ):
        sizes = (inputs, *hidden, outputs)
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = tuple(Linear(*a, start=start) for a in zip(keys, sizes[:-1], sizes[1:], strict=True))
        self.norms = tuple(LayerNorm(size) for size in hidden)
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        """x [..., in] -> [..., out]."""
        return self.behind(self.layers[0](x))

    def behind(self, x: Array) -> Array:
        """x [..., hidden], the output of the first layer -> [..., out]."""
        for norm, layer in zip(self.norms, self.layers[1:], strict=True):
            x = layer(ACTIVATIONS[self.activation](norm(x)))
        return x


class Twins(eqx.Module):
    """Networks that read the same input. Their outputs are concatenated."""

    nets: tuple[eqx.Module, ...]

    def __call__(self, x: Array) -> Array:
        """x [..., in] -> [..., outputs of all]."""
        return jnp.concatenate([net(x) for net in self.nets], -1)  # pyright: ignore[reportCallIssue]
