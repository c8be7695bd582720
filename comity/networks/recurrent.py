"""Gated recurrent networks: one step for play, a whole rollout for learning."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from comity.axes import aligned
from comity.loops import over_time
from comity.networks.dense import ACTIVATIONS, Activation, Linear
from comity.types import Key


class GRU(eqx.Module):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate after the recurrent product, as in cuDNN."""

    inputs: Linear  # [in, 3H], gates in the order reset, update, new
    weight: Array  # [H, 3H]
    bias: Array  # [3H]

    def __init__(self, key: Key, inputs: int, size: int, gain: float | None = None):
        key_inputs, key_memory = jax.random.split(key)
        self.inputs = Linear(key_inputs, inputs, 3 * size, gain)
        recurrent = Linear(key_memory, size, 3 * size, gain)
        self.weight, self.bias = recurrent.weight, recurrent.bias

    def step(self, gates: Array, memory: Array) -> Array:
        """One step. gates [..., 3H]: `self.inputs(x)`; memory [..., H]. Returns the next memory."""
        size = memory.shape[-1]
        recurrent = memory.reshape(-1, size) @ self.weight + self.bias
        recurrent = recurrent.reshape(*memory.shape[:-1], 3 * size)
        (given, fresh), (held, old) = (jnp.split(x, (2 * size,), axis=-1) for x in (gates, recurrent))
        reset, update = jnp.split(jax.nn.sigmoid(given + held), 2, axis=-1)
        new = jnp.tanh(fresh + reset * old)
        return new + update * (memory - new)

    def __call__(self, x: Array, memory: Array) -> Array:
        return self.step(self.inputs(x), memory)

    def unroll(self, x: Array, memory: Array, starts: Array | None = None) -> Array:
        """All memories after each step. x [T, ..., in], memory [..., H], starts [T, B] (None: no restarts inside).

        The input product is taken for all T at once; only the recurrent product is in the scan.
        """

        def step(memory, xs):
            gates, restart = xs
            if restart is not None:
                memory = jnp.where(aligned(restart, memory), 0.0, memory)
            memory = self.step(gates, memory)
            return memory, memory

        return over_time(step, memory, (self.inputs(x), starts))[1]


class RecurrentNet(eqx.Module):
    """Linear, activation, GRU, linear: the actor of the hidden-gifts paper (its section 2).

    hidden: width of the memory; encoder_width: of the layer before it, 0 for the same.
    """

    encoder: Linear
    cell: GRU
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
    ):
        key_encoder, key_cell, key_head = jax.random.split(key, 3)
        self.encoder = Linear(key_encoder, inputs, encoder_width or hidden)
        self.cell = GRU(key_cell, encoder_width or hidden, hidden)
        self.head = Linear(key_head, hidden, outputs)
        self.activation = activation

    def __call__(self, x: Array, memory: Array) -> tuple[Array, Array]:
        """x [..., in], memory [..., H] -> (output [..., out], next memory)."""
        memory = self.cell(ACTIVATIONS[self.activation](self.encoder(x)), memory)
        return self.output(memory), memory

    def output(self, memory: Array) -> Array:
        """Outputs [..., out] of memories [..., H]."""
        return self.head(memory)

    def memories(self, x: Array, memory: Array, starts: Array | None = None) -> Array:
        """Memories [T, ..., H] after each step of x [T, ..., in], from memory [..., H] before the first."""
        return self.cell.unroll(ACTIVATIONS[self.activation](self.encoder(x)), memory, starts)

    def unroll(self, x: Array, memory: Array, starts: Array | None = None) -> Array:
        """Outputs [T, ..., out] for x [T, ..., in], from memory [..., H] before the first step."""
        return self.output(self.memories(x, memory, starts))
