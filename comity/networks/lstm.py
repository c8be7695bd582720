"""Long short-term memory: one step for play, a whole rollout for learning."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.axes import aligned
from comity.networks.dense import Linear, multiplied
from comity.types import Key

SHORT = 5  # steps up to which the loop is unrolled: it runs a fifth faster on a CPU and compiles as fast


class LSTMState(NamedTuple):
    """The memory of an LSTM; zeros at the start of an episode."""

    output: Array  # [..., H], which other layers read
    cell: Array  # [..., H]


def fresh_lstm(size: int, agents: int) -> LSTMState:
    """The memory of one game at the start of an episode: zeros, leaves [N, H]."""
    return LSTMState(jnp.zeros((agents, size)), jnp.zeros((agents, size)))


class LSTM(eqx.Module):
    """c' = f c + i g, h' = o tanh(c') (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

    i, f, o: sigmoid, g: tanh, of x W + h U + b. 1 is added to the forget gate's first bias (Jozefowicz et al. 2015).
    """

    inputs: Linear  # [in, 4H], gates in the order i, f, o, g
    weight: Array  # [H, 4H]

    def __init__(self, key: Key, inputs: int, size: int):
        key_inputs, key_memory = jax.random.split(key)
        layer = Linear(key_inputs, inputs, 4 * size)
        forget = jnp.zeros(4 * size).at[size : 2 * size].set(1.0)
        self.inputs = eqx.tree_at(lambda layer: layer.bias, layer, layer.bias + forget)
        self.weight = Linear(key_memory, size, 4 * size).weight

    def step(self, gates: Array, memory: LSTMState) -> LSTMState:
        """Takes one step. gates [..., 4H]: `self.inputs(x)`."""
        size = memory.cell.shape[-1]
        recurrent = multiplied(memory.output.reshape(-1, size), self.weight)
        gates = gates + recurrent.reshape(gates.shape)
        three, new = jnp.split(gates, (3 * size,), axis=-1)
        let_in, keep, show = jnp.split(jax.nn.sigmoid(three), 3, axis=-1)
        cell = keep * memory.cell + let_in * jnp.tanh(new)
        return LSTMState(show * jnp.tanh(cell), cell)

    def __call__(self, x: Array, memory: LSTMState) -> LSTMState:
        return self.step(self.inputs(x), memory)

    def advance(self, x: Array, memory: LSTMState) -> tuple[Array, LSTMState]:
        """x [..., in], memory leaves [..., H] -> (output for other layers [..., H], the next memory)."""
        memory = self(x, memory)
        return memory.output, memory

    def unroll(self, x: Array, memory: LSTMState, starts: Array | None = None) -> Array:
        """Outputs [T, ..., H] of each step. x [T, ..., in], memory leaves [..., H], starts [T, B] (None: no restarts).

        The input product is computed for all T at once; only the recurrent product is in the scan.
        """

        def step(memory: LSTMState, xs: tuple[Array, Array | None]) -> tuple[LSTMState, Array]:
            gates, restart = xs
            if restart is not None:
                memory = jax.tree.map(lambda m: jnp.where(aligned(restart, m), 0.0, m), memory)
            memory = self.step(gates, memory)
            return memory, memory.output

        return lax.scan(step, memory, (self.inputs(x), starts), unroll=len(x) <= SHORT)[1]
