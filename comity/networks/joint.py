"""A network that reads several things side by side: a state, views of several agents, what they did."""

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
    """One of the things it reads: `count` of the same kind, [..., count, *view.shape]."""

    view: View
    count: int = 1


def numbers(size: int) -> Part:
    """A part that is one vector, [..., 1, size]."""
    return Part(Vector(size))


class JointNet(eqx.Module):
    """A network behind the parts it reads. A part that is a picture passes through eyes, the same for its `count`."""

    eyes: tuple[Eyes | None, ...]
    net: PyTree

    def encode(self, *parts: Array) -> Array:
        """parts [..., count, *view.shape] -> [..., I], side by side; leading axes may be left out of the first."""
        return side_by_side(self.vectors(parts))

    def vectors(self, parts: tuple[Array, ...]) -> list[Array]:
        """[..., I_k] of each part."""
        vectors = [x if eyes is None else eyes(x) for x, eyes in zip(parts, self.eyes, strict=True)]
        return [x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1]).astype(jnp.float32) for x in vectors]

    def __call__(self, *parts: Array, beside: tuple[Array, ...] = ()) -> Any:
        """What the network says of `encode(*parts)`; beside: its other arguments.

        Views that stand beside many joint actions pass through their share of the first layer once.
        """
        vectors = self.vectors(parts)
        shared = len({x.shape[:-1] for x in vectors}) > 1
        if shared and not beside and isinstance(self.net, MLP | NormedMLP | Twins):
            return of_parts(self.net, vectors)
        return self.net(side_by_side(vectors), *beside)


def side_by_side(vectors: list[Array]) -> Array:
    """[..., I] of vectors [..., I_k] whose leading axes are broadcast."""
    lead = jnp.broadcast_shapes(*(x.shape[:-1] for x in vectors))
    return jnp.concatenate([jnp.broadcast_to(x, (*lead, x.shape[-1])) for x in vectors], -1)


def of_parts(net: Any, vectors: list[Array]) -> Array:
    """What dense layers say of vectors side by side."""
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
    """make(key, inputs) -> the network behind; width: of what eyes give."""
    net = make(key, sum(count * encoded_size(view, width) for view, count in parts))
    keys = [jax.random.fold_in(key, 1 + k) for k in range(len(parts))]
    eyes = [encoder(k, part.view, width, convolutions, activation) for k, part in zip(keys, parts, strict=True)]
    return JointNet(tuple(eyes), net)
