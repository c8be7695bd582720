"""max_u Q(x, u) over joint actions: over all of them, or by a search."""

from collections.abc import Callable, Sequence
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.learning.actions import Actions
from comity.spec import Box
from comity.types import Key, PyTree

SWEEPS, STEPS, STEP = 2, 5, 0.2  # sweeps of coordinate ascent; number of gradient steps, and their length

Value = Callable[[Array], Array]  # joint actions [U, batch, J or 1, N, A] -> [U, batch, J], of J functions


def best_value(value: Value, acts: Actions, key: Key, first: Array, available: PyTree, all_up_to: int, drawn: int):
    """The largest value over available joint actions, [batch, J], for each of J functions by itself.

    If there are at most `all_up_to` joint actions, discrete with one head, all of them are evaluated. Otherwise a
    search begins with the joint actions first [K, batch, N, A], if they are available, and with `drawn` uniform ones.
    """
    _, _, agents, size = first.shape
    if not isinstance(acts.space, Box) and len(acts.space.heads) == 1 and size**agents <= all_up_to:
        every = np.array(list(product(range(size), repeat=agents)))  # [U, N]
        joint = jnp.broadcast_to(jnp.eye(size)[every][:, None], (len(every), *first.shape[1:]))
        allowed = jnp.take_along_axis(available[None], jnp.asarray(every)[:, None, :, None], -1)[..., 0].all(-1)
        return jnp.where(allowed[..., None], value(joint[:, :, None]), -jnp.inf).max(0)
    some = jnp.concatenate([first, uniform(acts, key, available, drawn)])[:, :, None]  # [U, batch, 1, N, A]
    values = jnp.where(legal(acts, some, available), value(some), -jnp.inf)
    best, chosen = values.max(0), some[values.argmax(0), jnp.arange(first.shape[1])[:, None], 0]
    if isinstance(acts.space, Box):
        return climbed(value, best, chosen, available)
    return swept(value, acts.space.heads, best, chosen, available)


def legal(acts: Actions, joint: Array, available: PyTree) -> Array:
    """Returns True where joint actions [U, batch, 1, N, A] have no part in an action that is not available: [U, batch,
    1]. Numbers are always legal."""
    if isinstance(acts.space, Box):
        return jnp.ones(joint.shape[:3], bool)
    masks = jnp.concatenate(jax.tree.leaves(available), -1)  # [batch, N, A]
    return ~((joint > 0) & ~masks[:, None]).any((-2, -1))


def uniform(acts: Actions, key: Key, available: PyTree, count: int) -> Array:
    """Draws joint actions uniformly among those available, as numbers: [count, batch, N, A]."""
    if isinstance(acts.space, Box):
        numbers = jax.random.uniform(key, (count, *available.shape), minval=-1.0, maxval=1.0)
        return jnp.where(available, numbers, 0.0)
    masks = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), available)
    lead = jax.tree.leaves(masks)[0].shape[:-1]
    return acts.encoded(acts(jnp.zeros((*lead, acts.size)), masks).sample(key))


def swept(value: Value, heads: Sequence[int], best: Array, chosen: Array, available: PyTree) -> Array:
    """The best value [batch, J] after coordinate ascent from chosen [batch, J, N, A].

    It optimises one head of one agent at a time.
    """
    masks = available if isinstance(available, tuple) else (available,)
    edges = np.cumsum((0, *heads))

    def of_agent(carry: tuple[Array, Array], agent: Array) -> tuple[tuple[Array, Array], None]:
        best, chosen = carry
        for head, n in enumerate(heads):
            options = jnp.broadcast_to(chosen, (n, *chosen.shape))
            place = slice(edges[head], edges[head + 1])
            options = options.at[..., agent, place].set(jnp.eye(n)[:, None, None, :])
            allowed = jnp.moveaxis(masks[head][:, agent], -1, 0)[..., None]  # [n, batch, 1]
            values = jnp.where(allowed, value(options), -jnp.inf)
            which = values.argmax(0)
            chosen = jnp.take_along_axis(options, which[None, ..., None, None], 0)[0]
            best = jnp.maximum(best, values.max(0))
        return (best, chosen), None

    order = jnp.tile(jnp.arange(chosen.shape[-2]), SWEEPS)  # a loop, because unrolled it would take minutes to compile
    return jax.lax.scan(of_agent, (best, chosen), order)[0][0]


def climbed(value: Value, best: Array, chosen: Array, available: Array) -> Array:
    """The best value [batch, J] after steps up the gradient from chosen [batch, J, N, A], numbers in [-1, 1]."""
    for _ in range(STEPS):
        slope = jax.grad(lambda u: value(u[None]).sum())(chosen) * available[:, None]
        size = jnp.sqrt(jnp.square(slope).sum((-2, -1), keepdims=True))
        chosen = jnp.clip(chosen + STEP * slope / jnp.maximum(size, 1e-8), -1.0, 1.0)
        best = jnp.maximum(best, value(chosen[None])[0])
    return best
