"""The part of COALA-PG's update whose cost grows with the history, a gradient through a player's views. For figures."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from comity.networks.sequence import Sequence, sequence_memory, sequence_net
from comity.types import Key, PyTree


def through_history(
    key: Key, core: Sequence, length: int, size: int, rows: int, width: int, outputs: int = 7
) -> tuple[Callable[[PyTree, jax.Array], PyTree], PyTree, jax.Array]:
    """Returns (f, net, views [L, rows, size]). f(net, views) is the gradient of the mean square of a net's outputs."""
    key_net, key_views = jax.random.split(key)
    net, memory = sequence_net(core, key_net, size, width, outputs), sequence_memory(core, width, rows)
    views = jax.random.normal(key_views, (length, rows, size))
    return jax.grad(lambda net, views: jnp.square(net.unroll(views, memory)).mean()), net, views
