"""A recurrent network with dense layers before it and a layer norm after it."""

import equinox as eqx
import jax
from jax import Array

from comity.networks.dense import ACTIVATIONS, Activation, LayerNorm, Linear
from comity.networks.recurrent import GRU
from comity.types import Key


class DeepRecurrentNet(eqx.Module):
    """Dense layers, GRU, layer norm if asked for, linear: actor and critic of PPO. Orthogonal weights, biases 0."""

    layers: tuple[Linear, ...]
    cell: GRU
    norm: LayerNorm | None
    head: Linear
    activation: Activation = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        inputs: int,
        layers: tuple[int, ...],
        hidden: int,
        outputs: int,
        activation: Activation = "relu",
        norm: bool = True,
        head_gain: float | None = 1.0,
        gain: float | Array = 2**0.5,  # of `layers`: a rectifier halves the square
    ):
        *keys, key_cell, key_head = jax.random.split(key, len(layers) + 2)
        sizes = (inputs, *layers)
        self.layers = tuple(Linear(*a, gain) for a in zip(keys, sizes[:-1], sizes[1:], strict=True))
        self.cell = GRU(key_cell, sizes[-1], hidden, 1.0)
        self.norm = LayerNorm(hidden) if norm else None
        self.head = Linear(key_head, hidden, outputs, head_gain)
        self.activation = activation

    def encode(self, x: Array) -> Array:
        """x [..., in] -> what the GRU reads, [..., width of the last of `layers`], or x itself without layers."""
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
        return x

    def output(self, memory: Array) -> Array:
        """Outputs [..., out] of memories [..., H], through the layer norm if there is one."""
        return self.head(memory if self.norm is None else self.norm(memory))

    def __call__(self, x: Array, memory: Array) -> tuple[Array, Array]:
        """x [..., in], memory [..., H] -> (output [..., out], next memory)."""
        memory = self.cell(self.encode(x), memory)
        return self.output(memory), memory

    def memories(self, x: Array, memory: Array, starts: Array | None = None) -> Array:
        """Memories [T, ..., H] after each step of x [T, ..., in], from memory [..., H] before the first."""
        return self.cell.unroll(self.encode(x), memory, starts)

    def unroll(self, x: Array, memory: Array, starts: Array | None = None) -> Array:
        """Outputs [T, ..., out] for x [T, ..., in], from memory [..., H] before the first step."""
        return self.output(self.memories(x, memory, starts))
