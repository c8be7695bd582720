"""Deviations that depend on nothing, beside the means that a network gives."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from comity.learning.actions import Actions
from comity.types import PyTree


class FreeDeviation(eqx.Module):
    """A network whose outputs are means, and one log-deviation for each number that depends on nothing."""

    net: PyTree
    log_deviation: Array  # [A]

    def beside(self, outputs: Array) -> Array:
        """outputs [..., O], of which A are means, -> [..., O + A]."""
        deviations = jnp.broadcast_to(self.log_deviation, (*outputs.shape[:-1], len(self.log_deviation)))
        return jnp.concatenate([outputs, deviations], -1)

    def __call__(self, x: PyTree, *memory: PyTree) -> Any:
        if not memory:
            return self.beside(self.net(x))
        outputs, after = self.net(x, *memory)
        return self.beside(outputs), after

    def output(self, read: PyTree) -> Array:
        """Outputs of what `memories` gives."""
        return self.beside(self.net.output(read))

    def memories(self, *arguments: PyTree) -> PyTree:
        """The network's."""
        return self.net.memories(*arguments)

    def unroll(self, *arguments: PyTree) -> Array:
        """Outputs [T, ..., O + A]."""
        return self.beside(self.net.unroll(*arguments))


def with_deviations(net: PyTree, acts: Actions) -> PyTree:
    """The network, with deviations beside it if actions are numbers whose deviations depend on nothing."""
    if not acts.free_deviations:
        return net
    return FreeDeviation(net, jnp.full(acts.size, math.log(acts.first_deviation), jnp.float32))
