"""A recurrent network with dense layers before it and a layer norm after it."""

import equinox as eqx
import jax
from jax import Array

from comity.networks.cores import Cell, Core, new_cell
from comity.networks.dense import ACTIVATIONS, Activation, LayerNorm, Linear
from comity.types import Key, PyTree


class DeepRecurrentNet(eqx.Module):
    """Dense layers, a cell such as a GRU, a layer norm if `norm`, a linear layer: the actor and the critic of PPO.

    Weights begin orthogonal, biases at 0. normed_layers: a layer norm is put between each dense layer and its
    activation.
    """

    layers: tuple[Linear, ...]
    norms: tuple[LayerNorm, ...]  # norms of `layers`; empty without `normed_layers`
    cell: Cell
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
        head_gain: float | Array | None = 1.0,
        gain: float | Array = 2**0.5,  # gain of `layers`: a rectifier halves the mean square
        core: Core = "gru",
        normed_layers: bool = False,
    ):
        *keys, key_cell, key_head = jax.random.split(key, len(layers) + 2)
        sizes = (inputs, *layers)
        self.layers = tuple(Linear(*a, gain) for a in zip(keys, sizes[:-1], sizes[1:], strict=True))
        self.norms = tuple(LayerNorm(size) for size in layers) if normed_layers else ()
        self.cell = new_cell(core, key_cell, sizes[-1], hidden, activation, 1.0)
        self.norm = LayerNorm(hidden) if norm else None
        self.head = Linear(key_head, hidden, outputs, head_gain)
        self.activation = activation

    def encode(self, x: Array) -> Array:
        """x [..., in] -> the input of the cell, [..., width of the last of `layers`], or x itself without layers."""
        for i, layer in enumerate(self.layers):
            x = layer(x)
            x = ACTIVATIONS[self.activation](self.norms[i](x) if self.norms else x)
        return x

    def output(self, read: Array) -> Array:
        """Outputs [..., out] from the result of `memories`, [..., H], through the layer norm if there is one."""
        return self.head(read if self.norm is None else self.norm(read))

    def __call__(self, x: Array, memory: PyTree) -> tuple[Array, PyTree]:
        """x [..., in], memory leaves [..., H] -> (output [..., out], next memory)."""
        read, memory = self.cell.advance(self.encode(x), memory)
        return self.output(read), memory

    def memories(self, x: Array, memory: PyTree, starts: Array | None = None) -> Array:
        """The inputs of the head, [T, ..., H], after each step of x [T, ..., in]. memory: before the first step."""
        return self.cell.unroll(self.encode(x), memory, starts)

    def unroll(self, x: Array, memory: PyTree, starts: Array | None = None) -> Array:
        """Outputs [T, ..., out] for x [T, ..., in]. memory: before the first step."""
        return self.output(self.memories(x, memory, starts))
