"""Gated recurrent unit: one step for play, a whole rollout for learning."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from comity.axes import aligned
from comity.loops import over_time
from comity.networks.dense import Linear, multiplied
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
        """Takes one step. gates [..., 3H]: `self.inputs(x)`; memory [..., H]. Returns the next memory."""
        size = memory.shape[-1]
        recurrent = multiplied(memory.reshape(-1, size), self.weight) + self.bias
        recurrent = recurrent.reshape(*memory.shape[:-1], 3 * size)
        (given, fresh), (held, old) = (jnp.split(x, (2 * size,), axis=-1) for x in (gates, recurrent))
        reset, update = jnp.split(jax.nn.sigmoid(given + held), 2, axis=-1)
        new = jnp.tanh(fresh + reset * old)
        return new + update * (memory - new)

    def __call__(self, x: Array, memory: Array) -> Array:
        return self.step(self.inputs(x), memory)

    def advance(self, x: Array, memory: Array) -> tuple[Array, Array]:
        """x [..., in], memory [..., H] -> (output for other layers [..., H], the next memory), which are the same."""
        memory = self(x, memory)
        return memory, memory

    def unroll(self, x: Array, memory: Array, starts: Array | None = None) -> Array:
        """Memories [T, ..., H] after each step. x [T, ..., in], memory [..., H], starts [T, B] (None: no restarts).

        The input product is computed for all T at once; only the recurrent product is in the scan.
        """

        def step(memory, xs):
            gates, restart = xs
            if restart is not None:
                memory = jnp.where(aligned(restart, memory), 0.0, memory)
            memory = self.step(gates, memory)
            return memory, memory

        return over_time(step, memory, (self.inputs(x), starts))[1]
