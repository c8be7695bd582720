"""Statistics of episodes, from a game's rewards and `info`, and their means."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.axes import aligned
from comity.spec import functions
from comity.types import Environment, PyTree, Transition


def episode_statistics(env: Environment, steps: Transition) -> dict[str, Array]:
    """Statistics of whole episodes: return [B, N] in reward units, length [B] in steps, the game's own summary, and
    welfare if motives are mixed.

    steps: leaves [T, B, ...] of `collect_episodes`. Without a `summary` the sums of the game's `info` take its place.
    """
    own = functions(env).summary
    extra = own(steps.reward, steps.info, steps.valid) if own else {k: v.sum(0) for k, v in steps.info.items()}
    return with_welfare(env, {"return": steps.reward.sum(0), "length": steps.valid.sum(0), **extra})


def with_welfare(env: Environment, statistics: dict[str, Array]) -> dict[str, Array]:
    """Adds the welfare of all agents if motives are mixed: sum, minimum and equality of returns.

    Returns are in the game's own rewards, even if a wrapper redistributes them. Equality is
    1 - sum |R_i - R_j| / (2 N sum R) (Perolat et al. 2017, section 4), 1 minus Gini's coefficient. It is undefined
    (NaN) unless the sum is positive and no return is negative.
    """
    if not env.spec.mixed_motive:
        return statistics
    returns = own_returns(statistics)  # [..., N]
    return {
        **statistics,
        "welfare_sum": returns.sum(-1),
        "welfare_minimum": returns.min(-1),
        "welfare_equality": equality(returns),
    }


def equality(returns: Array) -> Array:
    """Equality of returns [..., N], see `with_welfare`."""
    total = returns.sum(-1)
    away = jnp.abs(returns[..., :, None] - returns[..., None, :]).sum((-1, -2))
    found = 1 - away / (2 * returns.shape[-1] * jnp.where(total > 0, total, 1.0))
    return jnp.where((total > 0) & (returns >= 0).all(-1), found, jnp.nan)


def of_each_policy(statistics: dict[str, Array], number: Array, policies: int) -> dict[str, Array]:
    """Adds `alone` [B, policies]: the mean return of the policy that played the episode, NaN for all other policies.

    number [B]: numbers of the episodes, by which policies take turns.
    """
    if policies == 1:
        return statistics
    mine = number[:, None] % policies == jnp.arange(policies)
    return {**statistics, "alone": jnp.where(mine, statistics["return"].mean(-1)[:, None], jnp.nan)}


def own_returns(statistics: dict[str, Any]) -> Any:
    """Returns in the game's own rewards, [..., N], even if a wrapper redistributes rewards."""
    return statistics[next(name for name in ("raw_return", "raw_reward", "return") if name in statistics)]


def fresh_totals(steps: Transition) -> PyTree:
    """Zeros for the sums that `finished_episodes` carries from one rollout to the next, leaves [B, ...]."""
    return jax.tree.map(lambda x: jnp.zeros_like(x[0]), _amounts(steps))


def finished_episodes(totals: PyTree, steps: Transition) -> tuple[PyTree, dict[str, Array]]:
    """Returns (totals to carry on, statistics [T, B, ...], NaN except where an episode ended), for continuing play.

    Statistics are sums over each episode, which may have begun in an earlier rollout.
    """

    def step(totals, xs):
        amounts, ended = xs
        totals = jax.tree.map(jnp.add, totals, amounts)
        done = jax.tree.map(lambda x: jnp.where(aligned(ended, x), x, jnp.nan), totals)
        return jax.tree.map(lambda x: jnp.where(aligned(ended, x), 0.0, x), totals), done

    return jax.lax.scan(step, totals, (_amounts(steps), steps.ended))


def means(statistics: dict[str, Array]) -> dict[str, Array]:
    """Scalars: the mean of each statistic over episodes (and agents), and per agent as `name.0`, `name.1`, ...

    Leaves are [..., B] or [..., B, N]; the shape of `length`, which has no agent axis, tells which. NaN is left out;
    the mean of no values is NaN.
    """
    episodes = statistics["length"].ndim
    columns, rows, first = [], {}, 0
    for name, x in statistics.items():
        columns.append(x.astype(jnp.float32).reshape(math.prod(x.shape[:episodes]), -1))
        end = first + columns[-1].shape[1]
        rows[name] = range(first, end)
        if x.ndim > episodes:
            rows |= {f"{name}.{agent}": range(at, at + 1) for agent, at in enumerate(rows[name])}
        first = end
    # All means are computed at once, in one table: one by one they would be a hundred kernels to compile.
    table = jnp.concatenate(columns, 1)  # [episodes, columns]
    known = ~jnp.isnan(table)
    sums, counts = jnp.where(known, table, 0.0).sum(0), known.sum(0)
    mine = np.array([[at in row for at in range(first)] for row in rows.values()])  # [means, columns]
    sums, counts = jnp.where(mine, sums, 0.0).sum(1), jnp.where(mine, counts, 0).sum(1)
    return dict(zip(rows, sums / jnp.where(counts > 0, counts, jnp.nan), strict=True))


def _amounts(steps: Transition) -> dict[str, Array]:
    length = jnp.ones(steps.valid.shape)
    amounts = {"return": steps.reward, "length": length, **steps.info}
    return jax.tree.map(lambda x: x.astype(jnp.float32), amounts)
