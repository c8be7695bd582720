"""The recurrent cells of networks, by name: a gated unit, a long short-term memory, a linear recurrence, or none."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from comity.networks.dense import ACTIVATIONS, Activation, Linear
from comity.networks.gru import GRU
from comity.networks.lstm import LSTM, fresh_lstm
from comity.networks.rglru import LinearRecurrence, fresh_linear
from comity.types import Key, PyTree

Core = Literal["gru", "lstm", "rg-lru", "none"]


class Feedforward(eqx.Module):
    """A dense layer in the place of a recurrent cell."""

    layer: Linear
    activation: Activation = eqx.field(static=True)

    def advance(self, x: Array, memory: Array) -> tuple[Array, Array]:
        """x [..., in], memory [..., 0] -> (output [..., H], the same memory)."""
        return ACTIVATIONS[self.activation](self.layer(x)), memory

    def unroll(self, x: Array, memory: Array, starts: Array | None = None) -> Array:
        """x [T, ..., in] -> [T, ..., H]."""
        del memory, starts
        return ACTIVATIONS[self.activation](self.layer(x))


Cell = GRU | LSTM | LinearRecurrence | Feedforward


def new_cell(core: Core, key: Key, inputs: int, size: int, activation: Activation, gain: float | None = None) -> Cell:
    """Makes the cell that `core` names. gain: of orthogonal weights; None: uniform weights, as an LSTM always has."""
    if core == "gru":
        return GRU(key, inputs, size, gain)
    if core == "rg-lru":
        return LinearRecurrence(key, inputs, size, gain)
    return LSTM(key, inputs, size) if core == "lstm" else Feedforward(Linear(key, inputs, size, gain), activation)


def fresh_core(core: Core, size: int, agents: int) -> PyTree:
    """The memory of one game at the start of an episode: zeros, leaves [N, ...]."""
    if core == "lstm":
        return fresh_lstm(size, agents)
    if core == "rg-lru":
        return fresh_linear(size, agents)
    return jnp.zeros((agents, size if core == "gru" else 0))
