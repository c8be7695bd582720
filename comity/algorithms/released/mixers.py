"""Defects of the released VDN, QMIX and QTRAN of "hidden gifts" in views, values and the ends of episodes.

Every function is one defect. tests/algorithms/test_released_mixers.py checks them with recorded facts, except `mix_up`,
`greedy` and `epsilon`: they concern play, which was not recorded. S rollouts of B games are S B episodes, rollout by
rollout.
"""

import jax
import jax.numpy as jnp
from jax import Array

from comity.axes import aligned
from comity.learning.replay import Episodes
from comity.networks import Linear
from comity.types import Key, PyTree

WORTHLESS = -1e10  # value of an unavailable action in a target


def mix_up(view: Array, axes: int = 1) -> Array:
    """Returns the views [..., B, N, V] of play after games and agents were swapped and then read in the old order.

    axes: number of axes of one view. With 32 games, 3 % of the views reach the right agent.
    """
    return view.swapaxes(-2 - axes, -1 - axes).reshape(view.shape)


def greedy(q: Array, available: Array) -> Array:
    """Returns greedy actions in play, [...] int32. Unavailable actions have value 1e-10, so they beat negative ones."""
    return jnp.where(available, q, 1e-10).argmax(-1).astype(jnp.int32)


def epsilon(start: Array | float, end: Array | float, steps: Array | float, time: Array) -> Array:
    """Returns the exploration rate []: it falls by `start` over `steps`, and stops at `end`, before `steps`."""
    return jnp.maximum(end, start * (1 - time / steps))


def misread_values(q: Array, games: int) -> Array:
    """Returns q [T, S B, ...] after it was laid out as (S B, T) and read as (S, T, B), as actions and states are."""
    rows = q.swapaxes(0, 1).reshape(-1, len(q), games, *q.shape[2:])  # [S, T, B, ...]
    return jnp.moveaxis(rows, 1, 0).reshape(q.shape)


def misread_memories(memory: Array, games: int) -> Array:
    """Returns QTRAN's memory [T, S B, ...] after it was laid out as (T, S, B) and read as (S, T, B).

    This is wrong with one game, too.
    """
    return jnp.moveaxis(memory.reshape(-1, len(memory), games, *memory.shape[2:]), 1, 0).reshape(memory.shape)


def before_and_after(q: Array, memory: Array, games: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Returns ((q, memory) before each step, (q, memory) after it), leaves [T, S B, ...].

    q, memory [T + 1, S B, ...]. The code stores nothing after step T - 1, so only the entries before it are misread.
    Values are misread separately for the two results, memories once for both.
    """
    last, both = len(q) - 2, lambda misread, kept: jnp.concatenate([misread, kept])
    before = both(misread_values(q[:last], games), q[last:-1])
    after = both(misread_values(q[1 : last + 1], games), q[last + 1 :])
    memory = both(misread_memories(memory[:-1], games), memory[-1:])
    return (before, memory[:-1]), (after, memory[1:])


def padded(episodes: Episodes, games: int) -> tuple[Episodes, Array]:
    """Returns (the episodes with the code's padding after the end of a rollout, the padding that its loss counts).

    The second is bool [T, S B]. A rollout ends with its longest game. After that, all entries are 0 and no action is
    available, but only the first of these entries is marked as padding. The last step is never learned from, because
    nothing is stored after it.
    """
    steps, played = len(episodes.valid), episodes.valid.sum(0)  # [S B]
    end = jnp.repeat(played.reshape(-1, games).max(-1), games)
    time = jnp.arange(steps + 1)[:, None]
    empty = (time >= end) & (end < steps)  # [T + 1, S B]

    def cleared(x: Array) -> Array:
        return jnp.where(aligned(empty[: len(x)], x), jnp.zeros_like(x), x)

    observation, action = jax.tree.map(cleared, (episodes.observation, episodes.action))
    return episodes._replace(observation=observation, action=action), (time > end)[:-1] & (time[:-1] < steps - 1)


def worthless(q: Array, available: Array) -> Array:
    """Returns a target's q [..., A], set to `WORTHLESS` where no action is available, as in padding."""
    return jnp.where(available.any(-1, keepdims=True), q, WORTHLESS)


def orthogonal(key: Key, net: PyTree) -> PyTree:
    """Draws a network's layers anew, as in the code's hypernetworks of QMIX: orthogonal weights, biases 0."""
    is_layer = lambda x: isinstance(x, Linear)  # noqa: E731
    layers, tree = jax.tree.flatten(net, is_leaf=is_layer)
    drawn = [
        Linear(key, *layer.weight.shape, gain=1.0)
        for key, layer in zip(jax.random.split(key, len(layers)), layers, strict=True)
    ]
    return jax.tree.unflatten(tree, drawn)
