"""Networks of dense layers as matrices, and the Kronecker factors of each layer.

A layer is W [I + 1, O], its weights above its bias. Free deviations are a layer without inputs, [1, A]. Networks of
separate agents have a leading axis in every matrix.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from comity.learning.kronecker import Factors, watched_product
from comity.networks.dense import Linear
from comity.networks.deviations import FreeDeviation
from comity.types import PyTree

Matrices = tuple[Array, ...]


class Watched(eqx.Module):
    """A dense layer whose gradient contains its Kronecker factors, see `kronecker.watched_product`."""

    matrix: Array  # [I + 1, O]
    factors: Factors  # zeros

    def __call__(self, x: Array) -> Array:
        """x [..., I] of any dtype -> [..., O] float."""
        return watched_product(x.astype(self.matrix.dtype), self.matrix, self.factors)


class WatchedDeviation(FreeDeviation):
    """Free deviations as the outputs of a layer without inputs."""

    log_deviation: Watched  # pyright: ignore[reportIncompatibleVariableOverride]

    def beside(self, outputs: Array) -> Array:
        """Does the same as `FreeDeviation.beside`."""
        return jnp.concatenate([outputs, self.log_deviation(outputs[..., :0])], -1)


def is_layer(x: PyTree) -> bool:
    """True if a part of a network becomes a matrix."""
    return isinstance(x, Linear | FreeDeviation | Watched)


def matrices(net: PyTree) -> Matrices:
    """W of every layer. Raises ValueError if the network has other parameters, such as a memory or convolutions."""
    found: list[Array] = []
    for part in jax.tree.leaves(net, is_leaf=is_layer):
        if isinstance(part, FreeDeviation):
            found += [*matrices(part.net), part.log_deviation[..., None, :]]
        elif isinstance(part, Linear):
            found.append(jnp.concatenate([part.weight, part.bias[..., None, :]], -2))
        else:
            raise ValueError(f"Kronecker factors are those of dense layers, a network has {type(part).__name__} too")
    return tuple(found)


def with_matrices(net: PyTree, new: Matrices) -> PyTree:
    """The network with these W."""
    left = iter(new)

    def layer(old: Linear) -> Linear:
        w = next(left)
        return eqx.tree_at(lambda x: (x.weight, x.bias), old, (w[..., :-1, :], w[..., -1, :]))

    return _rebuilt(net, layer, lambda net, old: FreeDeviation(net, next(left)[..., 0, :]))


def factors_of(log_probs: Callable[[PyTree], Array], net: PyTree) -> tuple[Factors, ...]:
    """A and G of every layer, in the order of `matrices`.

    log_probs(net) -> log p of single samples, of any shape, where the samples are drawn from the network's own
    distribution.
    """

    def watched(w: Array) -> Watched:
        square = lambda n: jnp.zeros((*w.shape[:-2], n, n))  # noqa: E731
        return Watched(w, Factors(square(w.shape[-2]), square(w.shape[-1])))

    left = iter(matrices(net))
    new = _rebuilt(net, lambda _: watched(next(left)), lambda net, _: WatchedDeviation(net, watched(next(left))))
    grads = jax.grad(lambda net: log_probs(net).sum())(new)
    return tuple(part.factors for part in jax.tree.leaves(grads, is_leaf=lambda x: isinstance(x, Watched)))


def _rebuilt(net: PyTree, layer: Callable, deviation: Callable) -> PyTree:
    """Replaces the layers of a network, in the order of `matrices`."""

    def part(old: PyTree) -> PyTree:
        if isinstance(old, FreeDeviation):
            return deviation(_rebuilt(old.net, layer, deviation), old)
        return layer(old)

    return jax.tree.map(part, net, is_leaf=is_layer)
