"""What the released VDN, QMIX and QTRAN of "hidden gifts" do to views, values and the ends of episodes.

Every function is one slip, held by the recorded facts of tests/algorithms/test_released_mixers.py (`mix_up`, `greedy`
and `epsilon` are of play, which was not recorded). S rollouts of B games are S B episodes, rollout by rollout.
"""

import jax
import jax.numpy as jnp
from jax import Array

from comity.axes import aligned
from comity.learning.replay import Episodes
from comity.networks import Linear
from comity.types import Key, PyTree

WORTHLESS = -1e10  # an unavailable action in a target


def mix_up(view: Array, axes: int = 1) -> Array:
    """Views [..., B, N, V] in play, with games and agents exchanged and then read in the old order.

    axes: how many a view has. Of 32 games' views three in a hundred land where they belong.
    """
    return view.swapaxes(-2 - axes, -1 - axes).reshape(view.shape)


def greedy(q: Array, available: Array) -> Array:
    """Greedy actions in play, [...] int32: unavailable ones are worth 1e-10, so they beat whatever is negative."""
    return jnp.where(available, q, 1e-10).argmax(-1).astype(jnp.int32)


def epsilon(start: Array | float, end: Array | float, steps: Array | float, time: Array) -> Array:
    """Exploration [] that falls by `start` over `steps` and stays at `end` when it gets there, before `steps`."""
    return jnp.maximum(end, start * (1 - time / steps))


def misread_values(q: Array, games: int) -> Array:
    """q [T, S B, ...] laid out as (S B, T) and read as (S, T, B), beside actions and states that lie that way."""
    rows = q.swapaxes(0, 1).reshape(-1, len(q), games, *q.shape[2:])  # [S, T, B, ...]
    return jnp.moveaxis(rows, 1, 0).reshape(q.shape)


def misread_memories(memory: Array, games: int) -> Array:
    """memory [T, S B, ...] laid out as (T, S, B) and read as (S, T, B): QTRAN's, wrong with one game, too."""
    return jnp.moveaxis(memory.reshape(-1, len(memory), games, *memory.shape[2:]), 1, 0).reshape(memory.shape)


def before_and_after(q: Array, memory: Array, games: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """((q, memory) before each step, the same behind it), leaves [T, S B, ...], of q, memory [T + 1, S B, ...].

    Nothing is stored behind step T - 1, so only what comes before is misread; values apart for the two, memories once.
    """
    last, both = len(q) - 2, lambda misread, kept: jnp.concatenate([misread, kept])
    before = both(misread_values(q[:last], games), q[last:-1])
    after = both(misread_values(q[1 : last + 1], games), q[last + 1 :])
    memory = both(misread_memories(memory[:-1], games), memory[-1:])
    return (before, memory[:-1]), (after, memory[1:])


def padded(episodes: Episodes, games: int) -> tuple[Episodes, Array]:
    """Episodes as they are stored behind the end of a rollout, and the steps [T, S B] there that the loss counts.

    A rollout ends with its longest game. Behind it all is 0 and nothing available; only the first of these entries is
    marked as padding. The last step is never learned from, because nothing behind it is stored.
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
    """A target's q [..., A] where nothing is available, as in padding: the maximum is then that of no action."""
    return jnp.where(available.any(-1, keepdims=True), q, WORTHLESS)


def orthogonal(key: Key, net: PyTree) -> PyTree:
    """A network's layers drawn anew as QMIX's hypernetworks: orthogonal weights, biases 0."""
    is_layer = lambda x: isinstance(x, Linear)  # noqa: E731
    layers, tree = jax.tree.flatten(net, is_leaf=is_layer)
    drawn = [
        Linear(key, *layer.weight.shape, gain=1.0)
        for key, layer in zip(jax.random.split(key, len(layers)), layers, strict=True)
    ]
    return jax.tree.unflatten(tree, drawn)
