"""Encoders: they turn a view into a vector.

A vector needs no encoder: the first dense layer of a network reads it. An image passes through convolutions and one
dense layer first.
"""

from __future__ import annotations

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from comity.networks.dense import ACTIVATIONS, Activation, Linear, product
from comity.spec import Image, View
from comity.types import Key

Convolutions = Literal["small", "dilemma", "atari"]
STACKS: dict[str, tuple[tuple[int, int, int], ...]] = {  # (channels out, side of the kernel, stride) of each layer
    "small": ((16, 3, 2), (32, 3, 2)),  # comity's own, for windows of about 3 to 32 cells
    "dilemma": ((6, 3, 1),),  # sequential social dilemmas, RUSP on images: 6 of 3 x 3
    "atari": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),  # Mnih et al. 2015
}


class Convolution(eqx.Module):
    """A layer over pictures [..., h, w, c]; its output is as large as the picture divided by the stride."""

    weight: Array  # [k, k, in, out]
    bias: Array  # [out]
    stride: int = eqx.field(static=True)

    def __init__(self, key: Key, inputs: int, outputs: int, side: int, stride: int):
        bound = 1 / np.sqrt(side * side * inputs)
        drawn = jax.random.uniform(key, (side * side * inputs + 1, outputs), minval=-bound, maxval=bound)
        self.weight, self.bias = drawn[:-1].reshape(side, side, inputs, outputs), drawn[-1]
        self.stride = stride

    def __call__(self, x: Array) -> Array:
        """x [B, h, w, in] -> [B, h / stride, w / stride, out], rounded up."""
        return (_sums if jax.default_backend() == "cpu" else _convolved)(x, self.weight, self.stride) + self.bias


def _convolved(x: Array, weight: Array, stride: int) -> Array:
    layout, x = ("NHWC", "HWIO", "NHWC"), x.astype(weight.dtype)  # both factors are rounded on accelerators
    return lax.conv_general_dilated(x, weight, (stride,) * 2, "SAME", dimension_numbers=layout)


def _sums(x: Array, weight: Array, stride: int) -> Array:
    """Computes the same convolution as one matrix product, with the inputs under the kernel concatenated.

    On a CPU XLA's own gradients of convolutions take 8 to 40 times as long inside a loop (docs/performance.md).
    """
    side = len(weight)
    sizes = [-(-size // stride) for size in x.shape[1:3]]
    missing = [max((n - 1) * stride + side - size, 0) for n, size in zip(sizes, x.shape[1:3], strict=True)]
    x = jnp.pad(x, ((0, 0), *((n // 2, n - n // 2) for n in missing), (0, 0)))
    down, right = ((n - 1) * stride + 1 for n in sizes)
    under = [x[:, i : i + down : stride, j : j + right : stride] for i in range(side) for j in range(side)]
    return product(jnp.concatenate(under, -1), weight.reshape(-1, weight.shape[-1]))


class Eyes(eqx.Module):
    """Convolutions and a dense layer: a picture [..., h, w, c] of whole numbers becomes a vector [..., width]."""

    layers: tuple[Convolution, ...]
    dense: Linear
    high: int = eqx.field(static=True)  # the largest number of a pixel
    activation: Activation = eqx.field(static=True)

    def __init__(self, key: Key, view: Image, width: int, convolutions: Convolutions, activation: Activation = "relu"):
        stack = STACKS[convolutions]
        *keys, key_dense = jax.random.split(key, len(stack) + 1)
        channels, height, across, layers = view.channels, view.height, view.width, []
        for k, (outputs, side, stride) in zip(keys, stack, strict=True):
            layers.append(Convolution(k, channels, outputs, side, stride))
            channels, height, across = outputs, -(-height // stride), -(-across // stride)
        self.layers, self.dense = tuple(layers), Linear(key_dense, height * across * channels, width)
        self.high, self.activation = view.high, activation

    def __call__(self, x: Array) -> Array:
        """x [..., h, w, c] -> [..., width], after the activation."""
        act, lead = ACTIVATIONS[self.activation], x.shape[:-3]
        x = x.reshape(-1, *x.shape[-3:]).astype(self.dense.weight.dtype) / self.high
        for layer in self.layers:
            x = act(layer(x))
        return act(self.dense(x.reshape(len(x), -1))).reshape(*lead, -1)


def encoder(key: Key, view: View, width: int, convolutions: Convolutions, activation: Activation) -> Eyes | None:
    """Makes the encoder in front of a network; None for vectors, which need none."""
    return Eyes(key, view, width, convolutions, activation) if isinstance(view, Image) else None


def encoded_size(view: View, width: int) -> int:
    """Number of inputs of a network behind the encoder."""
    return width if isinstance(view, Image) else view.size
