"""Networks for whole sequences, by name. They differ in the memory that a policy has of earlier steps."""

import math
from functools import partial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from comity.networks.cores import Core, fresh_core
from comity.networks.dense import product
from comity.networks.hawk import HEADS, HawkNet, fresh_trace
from comity.networks.recurrent import RecurrentNet
from comity.types import Key, PyTree

Sequence = Literal["gru", "lstm", "rg-lru", "none", "hawk", "table"]


class Table(eqx.Module):
    """A tabular policy: one row of outputs for each place of a one-hot view, without memory."""

    rows: Array  # [in, out], 0 at the start

    def __init__(self, key: Key, inputs: int, width: int, outputs: int):
        del key, width
        self.rows = jnp.zeros((inputs, outputs))

    def varied(self, key: Key, deviation: float) -> "Table":
        """Returns a table whose log-odds between two actions are normal, with this deviation. The last output, a value,
        stays 0."""
        noise = deviation / math.sqrt(2) * jax.random.normal(key, self.rows.shape)
        return eqx.tree_at(lambda table: table.rows, self, self.rows + noise.at[..., -1].set(0.0))

    def __call__(self, x: Array, memory: PyTree) -> tuple[Array, PyTree]:
        """x [..., in] -> (output [..., out], the same memory)."""
        return self.unroll(x, memory), memory

    def unroll(self, x: Array, memory: PyTree, starts: Array | None = None) -> Array:
        """x [T, ..., in] -> [T, ..., out]."""
        del memory, starts
        return product(x, self.rows)


PLAIN: dict[str, Core] = {"gru": "gru", "lstm": "lstm", "rg-lru": "rg-lru", "none": "none"}
NETS = {name: partial(RecurrentNet, core=core) for name, core in PLAIN.items()} | {"hawk": HawkNet, "table": Table}


def sequence_net(kind: Sequence, key: Key, inputs: int, width: int, outputs: int) -> PyTree:
    """Makes a network by name.

    gru, lstm, rg-lru: a dense layer, a memory, a dense layer | none: two hidden layers | hawk: one residual block
    around a gated linear recurrence | table: a row for each place of a one-hot view.
    """
    return NETS[kind](key, inputs, width, outputs)


def sequence_memory(kind: Sequence, width: int, agents: int) -> PyTree:
    """The memory at the start of an episode, leaves [N, ...]. Raises ValueError for a width that is not possible."""
    if kind == "hawk" and width % HEADS:
        raise ValueError(f"width {width} with network 'hawk', whose gates have {HEADS} blocks: give an even width")
    if kind == "hawk":
        return fresh_trace(1, width, agents)
    return fresh_core(PLAIN.get(kind, "none"), width, agents)
