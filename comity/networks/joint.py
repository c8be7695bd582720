"""A network that reads several parts at once: a state, views of several agents, their actions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from comity.networks.dense import MLP, Activation, NormedMLP, Twins
from comity.networks.encoders import Convolutions, Eyes, encoded_size, encoder
from comity.spec import Vector, View
from comity.types import Key, PyTree


class Part(NamedTuple):
    """One part of the input: `count` views of the same kind, [..., count, *view.shape]."""

    view: View
    count: int = 1


def numbers(size: int) -> Part:
    """Makes a part that is one vector, [..., 1, size]."""
    return Part(Vector(size))


class JointNet(eqx.Module):
    """A network that reads several parts. The pictures of a part pass through one image encoder."""

    eyes: tuple[Eyes | None, ...]
    net: PyTree

    def encode(self, *parts: Array) -> Array:
        """parts [..., count, *view.shape] -> [..., I], concatenated. Leading axes are broadcast."""
        return side_by_side(self.vectors(parts))

    def vectors(self, parts: tuple[Array, ...]) -> list[Array]:
        """The vector [..., I_k] of each part."""
        vectors = [x if eyes is None else eyes(x) for x, eyes in zip(parts, self.eyes, strict=True)]
        return [x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1]).astype(jnp.float32) for x in vectors]

    def __call__(self, *parts: Array, beside: tuple[Array, ...] = ()) -> Any:
        """The network's output for `encode(*parts)`. beside: its other arguments.

        A part that is broadcast, such as a view beside many joint actions, is multiplied only once in the first layer.
        """
        vectors = self.vectors(parts)
        shared = len({x.shape[:-1] for x in vectors}) > 1
        if shared and not beside and isinstance(self.net, MLP | NormedMLP | Twins):
            return of_parts(self.net, vectors)
        return self.net(side_by_side(vectors), *beside)


def side_by_side(vectors: list[Array]) -> Array:
    """Concatenates vectors [..., I_k], whose leading axes are broadcast: [..., I]."""
    lead = jnp.broadcast_shapes(*(x.shape[:-1] for x in vectors))
    return jnp.concatenate([jnp.broadcast_to(x, (*lead, x.shape[-1])) for x in vectors], -1)


def of_parts(net: Any, vectors: list[Array]) -> Array:
    """The output of dense layers for concatenated vectors."""
    if isinstance(net, Twins):
        return jnp.concatenate([of_parts(one, vectors) for one in net.nets], -1)
    return net.behind(net.layers[0].of_parts(vectors))


def joint_net(
    key: Key,
    parts: tuple[Part, ...],
    make: Callable[[Key, int], PyTree],
    width: int,
    convolutions: Convolutions = "small",
    activation: Activation = "relu",
) -> JointNet:
    """Makes a `JointNet`. make(key, inputs) -> the network that reads all parts; width: outputs of an image encoder."""
    net = make(key, sum(count * encoded_size(view, width) for view, count in parts))
    keys = [jax.random.fold_in(key, 1 + k) for k in range(len(parts))]
    eyes = [encoder(k, part.view, width, convolutions, activation) for k, part in zip(keys, parts, strict=True)]
    return JointNet(tuple(eyes), net)
