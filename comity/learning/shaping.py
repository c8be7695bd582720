"""Credit for shaping others: advantages of actions in one inner game, whose opponent learns from all inner games.

COALA-PG (Meulemans et al. 2025, arXiv 2410.18636, section 3, appendix E). b inner games are played at once against one
learner, M episodes of T steps in a row. At the end of each episode the learner updates from all games. So an action
affects the rest of its own episode in its own game, and the later episodes of all games.
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float

Estimator = Literal["coala", "m-fos", "batch-unaware"]


class Credit(NamedTuple):
    """The weights of an estimator for an action of game b. cur_b: the rest of its episode; fut_b: later episodes."""

    averages: bool  # True: later episodes count by their mean over all games; False: by the own game
    normalises: bool  # True: the own episode is divided by the number of games b


CREDITS: dict[Estimator, Credit] = {
    "coala": Credit(averages=True, normalises=True),  # cur_b / b + mean fut: unbiased, summed over games
    "m-fos": Credit(averages=True, normalises=False),  # cur_b + mean fut
    "batch-unaware": Credit(averages=False, normalises=False),  # cur_b + fut_b, to be averaged over games
}


def batch_lambda_returns(
    reward: Float[Array, "L *B b"],
    value: Float[Array, "L *B b"],
    episode_ends: Bool[Array, " L"],
    gamma: float | Float[Array, ""],
    lambda_: float | Float[Array, ""],
    credit: Credit,
    last: float | Float[Array, "*B b"] = 0.0,
) -> Float[Array, "L *B b"]:
    """Lambda returns over M episodes in a row, which join the games of a batch where episodes end (appendix E,
    algorithm 1).

    value: of the observation after each step; episode_ends [L], L = M T: True for the last steps of inner episodes;
    last: the return after step L. With TD errors as reward, last 0 and lambda 1 the results are advantages. With
    rewards and a credit that does not average they are the targets of a critic.
    """
    games = reward.shape[-1]
    share = games if credit.normalises else 1
    start = jnp.broadcast_to(last, reward.shape[1:]).astype(reward.dtype)

    def step(carry: tuple[Array, Array], xs: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], Array]:
        own, shared = carry  # [*B, b], [*B, 1]
        reward, value, ends = xs
        own = jnp.where(ends & credit.averages, shared, own)
        own = reward / share + gamma * ((1 - lambda_) * value + lambda_ * own)
        follows = reward + gamma * ((1 - lambda_) * value + lambda_ * shared)
        return (own, follows.mean(-1, keepdims=True)), own

    first = start, start.mean(-1, keepdims=True)
    return lax.scan(step, first, (reward, value, episode_ends), reverse=True)[1]


def batch_advantages(
    reward: Float[Array, "L *B b"],
    value: Float[Array, "L *B b"],
    next_value: Float[Array, "L *B b"],
    episode_ends: Bool[Array, " L"],
    gamma: float | Float[Array, ""],
    lambda_: float | Float[Array, ""],
    estimator: Estimator,
) -> Float[Array, "L *B b"]:
    """Advantages of actions by one of the three estimators (C.3).

    value, next_value: the critic's, before and after each step. It predicts the return over the rest of its own game's
    M episodes; the ends of inner episodes do not cut it. gamma and lambda reduce the shaping signal by (gamma lambda)^T
    per episode, so keep both at 1.
    """
    errors = reward + gamma * next_value - value
    zeros = jnp.zeros_like(errors)
    return batch_lambda_returns(errors, zeros, episode_ends, gamma * lambda_, 1.0, CREDITS[estimator])
