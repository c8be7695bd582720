"""Replay. A row is a whole episode of one game (`Row`), stored without loss in the smallest dtypes, or another pytree
of an algorithm.

The replay is part of an algorithm's state. On a CPU it is updated in place, whatever its size, as long as the state is
donated. If the game packs observations (`comity.spec.Functions.pack`), only the codes of the T + 1 observations are
stored; observations are computed again when rows are drawn.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.spec import functions
from comity.types import Environment, Experience, Key, Observation, PyTree, Transition


class Row(NamedTuple):
    """One stored episode; `stored` gives leaves [B, ...], a replay has [capacity, ...]."""

    observation: PyTree  # [T + 1, ...], packed
    action: Array  # [T, N] int8, int16 or int32, depending on the number of actions
    reward: Array  # [T, N] float32
    length: Array  # [] int32, number of valid steps
    terminated: Array  # [] bool, the last valid step terminated the episode
    extra: PyTree  # further data of the algorithm, such as a latent


class Replay(NamedTuple):
    """The latest rows; the oldest are overwritten first."""

    rows: PyTree  # a `Row`, or another pytree: leaves [capacity, ...]
    position: Array  # [] int32, where the next rollout is written
    filled: Array  # [] int32, number of rows that hold episodes; they are the first ones


class Episodes(NamedTuple):
    """Episodes in the form that losses read, with the time axis first."""

    observation: Observation  # leaves [T + 1, B, ...]
    action: Array  # [T, B, N] int32
    reward: Array  # [T, B, N]
    terminated: Array  # [T, B] bool
    ended: Array  # [T, B] bool
    valid: Array  # [T, B] bool
    extra: PyTree  # [B, ...]

    @property
    def before(self) -> Observation:
        """The observation before each step, leaves [T, B, ...]."""
        return jax.tree.map(lambda x: x[:-1], self.observation)

    @property
    def after(self) -> Observation:
        """The observation after each step, leaves [T, B, ...]."""
        return jax.tree.map(lambda x: x[1:], self.observation)

    @property
    def experience(self) -> Experience:
        """The part of the episodes that a bonus reads."""
        steps = self.before, self.action, self.after, self.valid
        return Experience(*steps, self.reward, self.terminated, {})


def observed(steps: Transition) -> Observation:
    """All T + 1 observations of a rollout of whole episodes, leaves [T + 1, B, ...]."""
    join = lambda first, after: jnp.concatenate([first, after[-1:]])  # noqa: E731
    return jax.tree.map(join, steps.observation, steps.next_observation)


def of_rollout(steps: Transition) -> Episodes:
    """The episodes of a rollout in the form of episodes from a replay, with T + 1 observations in one array."""
    return Episodes(observed(steps), steps.action, steps.reward, steps.terminated, steps.ended, steps.valid, extra=())


def stored(env: Environment, steps: Transition, extra: PyTree = ()) -> Row:
    """Turns a rollout of whole episodes, leaves [T, B, ...], into rows, leaves [B, ...]. extra: leaves [B, ...]."""
    observation = observed(steps)
    last = steps.valid.sum(0, dtype=jnp.int32)
    action = small_actions(env, steps.action)
    by_time = Row(packed(env, observation), action, steps.reward, last, steps.terminated, ())
    rows = jax.tree.map(lambda x: x.swapaxes(0, 1), by_time._replace(length=(), terminated=()))
    return rows._replace(length=last, terminated=(steps.terminated & steps.valid).any(0), extra=extra)


def episodes_of(env: Environment, rows: Row) -> Episodes:
    """The episodes in rows with leaves [B, ...]."""
    observation, action, reward = jax.tree.map(lambda x: x.swapaxes(0, 1), (rows.observation, rows.action, rows.reward))
    time = jnp.arange(action.shape[0])[:, None]
    ended = time == rows.length - 1
    return Episodes(
        observation=unpacked(env, observation),
        action=action.astype(jnp.int32),
        reward=reward,
        terminated=ended & rows.terminated,
        ended=ended,
        valid=time < rows.length,
        extra=rows.extra,
    )


def paid(episodes: Episodes, reward_of: Callable[[Experience], Array] | None) -> Episodes:
    """Adds a bonus, computed now, to the episodes' rewards. reward_of: None leaves the episodes unchanged."""
    if reward_of is None:
        return episodes
    return episodes._replace(reward=episodes.reward + reward_of(episodes.experience))


def empty(row: PyTree, capacity: int) -> Replay:
    """An empty replay of `capacity` rows. row: shapes and dtypes of B rows, leaves [B, ...], for any B."""
    rows = jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape[1:]), x.dtype), row)
    return Replay(rows, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def push(replay: Replay, rows: PyTree, restart: bool = False, warmup: int = 0) -> Replay:
    """Writes B rows in one slice. The capacity that is used is the largest multiple of B that fits.

    restart: when the replay is full, it becomes empty (the code of "hidden gifts": its count wraps to 0).
    warmup: number of rows before the first update. Raises ValueError, one line, if B is larger than the capacity, or if
    the replay never holds `warmup` rows, so that nothing would ever be learned.
    """
    games, capacity = (jax.tree.leaves(x)[0].shape[0] for x in (rows, replay.rows))
    if games > capacity:
        raise ValueError(f"a replay of {capacity} rows cannot take the {games} of one rollout: raise its size")
    used = capacity // games * games
    most = used - games if restart else used
    if warmup > most:
        raise ValueError(
            f"a replay of {capacity} rows holds {most} at most, in rollouts of {games}, and never the {warmup} of its "
            "warm-up, so nothing would be learned: raise capacity, or lower warmup"
        )
    write = lambda old, new: lax.dynamic_update_slice_in_dim(old, new, replay.position, 0)  # noqa: E731
    position = replay.position + games
    filled = jnp.minimum(replay.filled + games, used)
    if restart:
        filled = jnp.where(position >= used, 0, filled)
    return Replay(jax.tree.map(write, replay.rows, rows), position % used, filled)


def draw(key: Key, replay: Replay, count: int, block: int = 1, replacement: bool = True) -> PyTree:
    """Draws `count` rows uniformly from the filled ones, leaves [count, ...]; without `replacement` each at most once.

    block: number of neighbouring rows that are drawn together (`count` is a multiple of it). An empty replay gives its
    first rows; a replay with fewer than `count` rows repeats them.
    """
    blocks = jnp.maximum(replay.filled // block, 1)
    if replacement:
        starts = jax.random.randint(key, (count // block, 1), 0, blocks) * block
    else:
        place = jnp.arange(jax.tree.leaves(replay.rows)[0].shape[0] // block)
        order = jnp.where(place < blocks, jax.random.uniform(key, place.shape), 2.0).argsort()
        starts = order[jnp.arange(count // block) % blocks][:, None] * block
    chosen = (starts + jnp.arange(block)).reshape(-1)
    return jax.tree.map(lambda x: x[chosen], replay.rows)


def in_slices(function: Callable[[PyTree], PyTree], rows: PyTree, size: int, block: int = 1) -> PyTree:
    """Sum of function(slice of rows) over slices of at most `size` rows, one after the other.

    rows: leaves [B, ...]. The size of a slice is the largest divisor of B that is at most `size` and a multiple of
    `block` (at least one block; B is a multiple of `block`). On a CPU more than about 64 episodes at once do not fit in
    the cache, and the function takes 1.5 times as long.
    """
    count = jax.tree.leaves(rows)[0].shape[0]
    blocks = count // block
    size = block * next(k for k in range(max(1, min(size // block, blocks)), 0, -1) if blocks % k == 0)
    if size == count:
        return function(rows)
    slices = jax.tree.map(lambda x: x.reshape(count // size, size, *x.shape[1:]), rows)
    zero = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, jax.tree.map(lambda x: x[0], slices))
    )
    add = lambda total, rows: (jax.tree.map(jnp.add, total, function(rows)), None)  # noqa: E731
    return lax.scan(add, zero, slices)[0]


def packed(env: Environment, observation: Observation, lead: int = 2, stateless: bool = False) -> PyTree:
    """Observations with `lead` leading axes in the form that a replay stores; unchanged if the game has no `pack`.

    stateless: nobody reads the state, so it is left out, unless the game has `pack`, which may include it.
    """
    pack = functions(env).pack
    return _over(lead, pack)(observation if pack or not stateless else observation._replace(state=()))


def unpacked(env: Environment, codes: PyTree, lead: int = 2) -> Observation:
    """The observations whose codes `packed` returned."""
    return _over(lead, functions(env).unpack)(codes)


def small_actions(env: Environment, action: PyTree) -> PyTree:
    """Discrete actions in the smallest integer dtype; continuous actions unchanged."""
    kinds = (jnp.int8, jnp.int16, jnp.int32)
    small = next(kind for kind in kinds if env.spec.action.n <= jnp.iinfo(kind).max)
    return jax.tree.map(lambda x: x.astype(small) if jnp.issubdtype(x.dtype, jnp.integer) else x, action)


def _over(lead: int, function: Callable[[PyTree], PyTree] | None) -> Callable[[PyTree], PyTree]:
    if function is None:
        return lambda x: x
    return jax.vmap(_over(lead - 1, function)) if lead else function
