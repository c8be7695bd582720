"""Statistics of episodes against learners: rewards and actions of both, first and last. docs/tasks/learners.md."""

import jax.numpy as jnp
from jax import Array

EACH = "each_"  # begins the names of what `info` says of every inner game


def shaping_statistics(
    info: dict[str, Array], naive: Array, length: int, episodes: int, seats: int, best: float | None = None
) -> dict[str, Array]:
    """Statistics of whole episodes, naive [B]. best: `Spec.best_symmetric`.

    Leaves of info are [M T, B, N] or [M T, B], means over the b inner games. Those whose name begins with EACH are of
    every inner game, [M T, B, N b], side by side.
    """
    absent = lambda x: jnp.where(naive, x, jnp.nan)  # noqa: E731
    among = lambda x: jnp.where(naive, jnp.nan, x)  # noqa: E731
    by_episode = lambda x: x.reshape(episodes, length, *x.shape[1:]).mean(1)  # noqa: E731  # [M, B, ...]
    played = by_episode(info["played"])  # a game that has ended waits; its steps of waiting do not count
    each = lambda x: by_episode(x) / (played[..., None] if x.ndim == 3 else played)  # noqa: E731
    games = lambda x: by_episode(x.reshape(*x.shape[:2], info["inner_reward"].shape[-1], -1))  # noqa: E731
    reward = each(info["inner_reward"])  # points per step of each inner episode
    others = reward[..., 1:].mean(-1)
    found = {
        "shaping_reward": absent(reward[..., 0].mean(0)),
        "naive_reward": absent(others.mean(0)),
        "shaping_reward_first": absent(reward[0, :, 0]),
        "shaping_reward_last": absent(reward[-1, :, 0]),
        "naive_reward_last": absent(others[-1]),
        "raw_return": info["inner_reward"].sum(0),  # [B, N]
    }
    if seats > 1:
        found["meeting_reward"] = among(reward.mean((0, 2)))
        found["meeting_reward_last"] = among(reward[-1].mean(-1))
    if best is not None and best > 0:  # a share of a loss would be smaller for those who earn more
        rewards = [name for name in ("shaping_reward", "meeting_reward") if name in found]
        found |= {name.replace("reward", "share"): found[name] / best for name in rewards}
    if "action_0" in info:
        defection = 1 - each(info["action_0"])  # [M, B, N]
        found |= {
            "defection": defection[..., 0].mean(0),
            "defection_first": absent(defection[0, :, 0]),
            "defection_last": absent(defection[-1, :, 0]),
            "cooperation": 1 - defection.mean((0, 2)),
        }
    for name, x in info.items():  # other events of the inner game, per step
        if name in ("played", "naive", "inner_reward") or name.startswith(("action_", EACH)):
            continue
        rate = each(x)
        if x.ndim == 2:
            found[f"inner_{name}"] = rate.mean(0)
            continue
        found |= {f"shaping_{name}": absent(rate[..., 0].mean(0)), f"naive_{name}": absent(rate[..., 1:].mean((0, 2)))}
        if seats > 1:
            found[f"meeting_{name}"] = among(rate.mean((0, 2)))
            found[f"meeting_{name}_equality"] = among(alike(rate.mean(0)))
            in_each = games(info[EACH + name]) / games(info[EACH + "played"])  # [M, B, N, b]
            found[f"meeting_{name}_difference"] = among((in_each.max(2) - in_each.min(2)).mean((0, 2)))
    return found


def alike(rates: Array) -> Array:
    """[B], equality of rates [B, N] among sides, 1 minus their Gini index: 1: all are equal; 1 / N: one side has all.

    NaN if all rates are 0.
    """
    apart = jnp.abs(rates[..., None] - rates[..., None, :]).sum((-2, -1))
    total = rates.sum(-1)
    return jnp.where(total > 0, 1 - apart / (2 * rates.shape[-1] * jnp.where(total > 0, total, 1.0)), jnp.nan)
