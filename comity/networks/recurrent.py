"""A recurrent network: one step for play, a whole rollout for learning."""

import equinox as eqx
import jax
from jax import Array

from comity.networks.cores import Cell, Core, new_cell
from comity.networks.dense import ACTIVATIONS, Activation, Linear
from comity.types import Key, PyTree


class RecurrentNet(eqx.Module):
    """A linear layer, an activation, a GRU, a linear layer: the actor of the hidden-gifts paper (its section 2).

    hidden: width of the memory; encoder_width: width of the first layer, 0: the same as `hidden`; core: the kind of
    cell.
    """

    encoder: Linear
    cell: Cell
    head: Linear
    activation: Activation = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        inputs: int,
        hidden: int,
        outputs: int,
        activation: Activation = "relu",
        encoder_width: int = 0,
        core: Core = "gru",
    ):
        key_encoder, key_cell, key_head = jax.random.split(key, 3)
        self.encoder = Linear(key_encoder, inputs, encoder_width or hidden)
        self.cell = new_cell(core, key_cell, encoder_width or hidden, hidden, activation)
        self.head = Linear(key_head, hidden, outputs)
        self.activation = activation

    def encode(self, x: Array) -> Array:
        """x [..., in] -> the input of the cell [..., width]."""
        return ACTIVATIONS[self.activation](self.encoder(x))

    def __call__(self, x: Array, memory: PyTree) -> tuple[Array, PyTree]:
        """x [..., in], memory leaves [..., H] -> (output [..., out], next memory)."""
        read, memory = self.cell.advance(self.encode(x), memory)
        return self.output(read), memory

    def output(self, read: Array) -> Array:
        """Outputs [..., out] from the result of `memories`, [..., H]."""
        return self.head(read)

    def memories(self, x: Array, memory: PyTree, starts: Array | None = None) -> Array:
        """The inputs of the head, [T, ..., H], after each step of x [T, ..., in]. memory: before the first step."""
        return self.cell.unroll(self.encode(x), memory, starts)

    def unroll(self, x: Array, memory: PyTree, starts: Array | None = None) -> Array:
        """Outputs [T, ..., out] for x [T, ..., in]. memory: before the first step."""
        return self.output(self.memories(x, memory, starts))
