"""Free standard deviations: parameters that do not depend on the input, beside a network that outputs the means."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from comity.learning.actions import Actions
from comity.types import PyTree


class FreeDeviation(eqx.Module):
    """A network whose outputs contain means, and for each mean a log-deviation that does not depend on the input."""

    net: PyTree
    log_deviation: Array  # [A]

    def beside(self, outputs: Array) -> Array:
        """Appends the log-deviations to outputs [..., O], A of which are means: [..., O + A]."""
        deviations = jnp.broadcast_to(self.log_deviation, (*outputs.shape[:-1], len(self.log_deviation)))
        return jnp.concatenate([outputs, deviations], -1)

    def __call__(self, x: PyTree, *memory: PyTree) -> Any:
        if not memory:
            return self.beside(self.net(x))
        outputs, after = self.net(x, *memory)
        return self.beside(outputs), after

    def output(self, read: PyTree) -> Array:
        """Outputs from the result of `memories`, with log-deviations."""
        return self.beside(self.net.output(read))

    def memories(self, *arguments: PyTree) -> PyTree:
        """The network's `memories`."""
        return self.net.memories(*arguments)

    def unroll(self, *arguments: PyTree) -> Array:
        """Outputs with log-deviations, [T, ..., O + A]."""
        return self.beside(self.net.unroll(*arguments))


def with_deviations(net: PyTree, acts: Actions) -> PyTree:
    """Adds free deviations to the network if the policy has them (`Actions.free_deviations`); else returns it as is."""
    if not acts.free_deviations:
        return net
    return FreeDeviation(net, jnp.full(acts.size, math.log(acts.first_deviation), jnp.float32))
