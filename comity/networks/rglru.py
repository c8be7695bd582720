"""A gated linear recurrence as a cell: one step for play, all steps at once for learning.

A step is linear in the memory, so steps compose associatively, and a rollout of T steps takes log2 T rounds instead of
T. On an accelerator, where each round costs the same, long episodes take a fraction of a GRU's time.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.axes import aligned
from comity.networks.dense import Linear
from comity.networks.hawk import HEADS, RGLRU
from comity.types import Key


class LinearState(NamedTuple):
    """The memory of a linear recurrence; zeros at the start of an episode."""

    memory: Array  # [..., H]
    begun: Array  # [..., 1] 1 after the first step; the first step has no square root, see `RGLRU`


def fresh_linear(size: int, agents: int) -> LinearState:
    """The memory of one game at the start of an episode: zeros, leaves [N, *]."""
    return LinearState(jnp.zeros((agents, size)), jnp.zeros((agents, 1)))


class LinearRecurrence(eqx.Module):
    """gelu(x W_g) times the memory of an `RGLRU` that reads x W_i (De et al. 2024, section 2.4, without convolution).

    h_t = a_t h_{t-1} + b_t, where a_t and b_t are functions of x_t alone. Pairs (a, b) compose as
    (a', b') after (a, b) = (a' a, a' b + b'), so `unroll` composes them in a tree. At a start a_t is 0, so the pair
    forgets everything before it, and restarts need no rounds of their own.
    """

    inputs: Linear
    gate: Linear
    recurrence: RGLRU

    def __init__(self, key: Key, inputs: int, size: int, gain: float | None = None):
        key_inputs, key_gate, key_recurrence = jax.random.split(key, 3)
        self.inputs, self.gate = Linear(key_inputs, inputs, size, gain), Linear(key_gate, inputs, size, gain)
        self.recurrence = RGLRU(key_recurrence, size, HEADS if size % HEADS == 0 else 1)

    def advance(self, x: Array, memory: LinearState) -> tuple[Array, LinearState]:
        """x [..., in], memory leaves [..., *] -> (output for other layers [..., H], the next memory)."""
        held = self.recurrence.step(self.recurrence.gates(self.inputs(x)), memory.memory, memory.begun[..., 0])
        return self._read(x, held), LinearState(held, jnp.ones_like(memory.begun))

    def unroll(self, x: Array, memory: LinearState, starts: Array | None = None) -> Array:
        """Outputs for other layers after each step, [T, ..., H]. x [T, ..., in], memory leaves [..., *], starts [T, B]
        (None: no restarts)."""
        decay, root, given = self.recurrence.gates(self.inputs(x))
        later = jnp.ones_like(given[1:, ..., :1])
        begun = jnp.concatenate([jnp.broadcast_to(memory.begun, given[:1, ..., :1].shape), later])
        if starts is not None:
            begun = jnp.where(aligned(starts, begun), 0.0, begun)
        decay, added = jnp.where(begun > 0, decay, 0.0), jnp.where(begun > 0, root * given, given)
        added = added.at[0].add(decay[0] * memory.memory)
        return self._read(x, lax.associative_scan(composed, (decay, added))[1])

    def _read(self, x: Array, held: Array) -> Array:
        return jax.nn.gelu(self.gate(x)) * held


def composed(first: tuple[Array, Array], then: tuple[Array, Array]) -> tuple[Array, Array]:
    """Composes two maps h -> a h + b, given as (a, b): `first`, then `then`."""
    return then[0] * first[0], then[0] * first[1] + then[1]
