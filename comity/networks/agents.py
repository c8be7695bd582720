"""Parameters of several agents, stacked on a leading agent axis, and functions applied to each agent."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from comity.types import Key, PyTree


def stacked(make: Callable[[Key], PyTree], key: Key, agents: int) -> PyTree:
    """Makes one network per agent: leaves [N, ...]."""
    return jax.vmap(make)(jax.random.split(key, agents))


def per_agent(
    f: Callable, in_axes: Sequence[int | None], out_axes: int | Sequence[int] = 0, batched: bool | None = None
) -> Callable:
    """Maps `f` over agents, as `jax.vmap(f, in_axes, out_axes)` does; on a CPU the agents run in turn.

    A batch axis makes a CPU matmul a third slower than plain 2-D products (docs/performance.md). in_axes: for each
    argument the agent axis of all its leaves; None: the same for every agent. out_axes: the agent axis of the result,
    one number, or one for each entry of a tuple. batched: True maps by `jax.vmap`, False runs in turn, None decides by
    the default backend. The result raises ValueError when it is called with agent axes of different sizes.
    """
    if jax.default_backend() != "cpu" if batched is None else batched:
        return jax.vmap(f, tuple(in_axes), out_axes if isinstance(out_axes, int) else tuple(out_axes))

    def in_turn(*arguments):
        mapped = [(x, axis) for x, axis in zip(arguments, in_axes, strict=True) if axis is not None]
        agents = {leaf.shape[axis] for x, axis in mapped for leaf in jax.tree.leaves(x)}
        if len(agents) != 1:
            raise ValueError(f"per_agent needs one agent axis of one size, got sizes {sorted(agents)} on {in_axes}")
        results = [f(*map(partial(_of_agent, agent), arguments, in_axes)) for agent in range(agents.pop())]
        if isinstance(out_axes, int):
            return _stack(results, out_axes)
        return tuple(map(_stack, zip(*results, strict=True), out_axes))

    return in_turn


def _of_agent(agent: int, x: PyTree, axis: int | None) -> PyTree:
    return x if axis is None else jax.tree.map(lambda leaf: lax.index_in_dim(leaf, agent, axis, keepdims=False), x)


def _stack(results: Sequence[PyTree], axis: int) -> PyTree:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis), *results)


def shared(f: Callable, in_axes: Sequence[int | None], out_axes: int | Sequence[int] = 0) -> Callable:
    """The counterpart of `per_agent` if all agents use one network. Returns `f`: networks take any leading axes."""
    del in_axes, out_axes
    return f
