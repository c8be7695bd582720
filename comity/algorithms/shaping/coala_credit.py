"""What COALA-PG's actions are worth, by whom they were done against, and how much each seat's rows weigh.

docs/algorithms/coala.md derives it; the recursion over joined inner games is in `learning/shaping.py`.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.learning.shaping import CREDITS, Estimator, batch_advantages, batch_lambda_returns
from comity.spec import MetaEpisodes


def credit(
    estimator: Estimator, reward: Array, value: Array, naive: Array, ends: Array, gamma, lambda_, lambda_target
) -> tuple[Array, Array]:
    """(advantages, targets of the critic), [L, B, S, b]. reward, value as these; naive [B]; ends [L].

    The critic is one for all: of the rest of its own game's M episodes (C.3), whoever the opponent is.
    """
    following = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])
    shaping = batch_advantages(reward, value, following, ends, gamma, lambda_, estimator)
    plain = batch_advantages(reward, value, following, ends, gamma, lambda_, "batch-unaware")
    target = batch_lambda_returns(reward, following, ends, gamma, lambda_target, CREDITS["batch-unaware"])
    return jnp.where(naive[:, None, None], shaping, plain), target


def parts(estimator: Estimator, reward: Array, value: Array, ends: Array) -> tuple[Array, Array]:
    """An action's advantage inside its own episode, and in later ones, [L, B, S, b], at discount 1 (figure 12).

    Together they are the whole advantage against a naive opponent.
    """
    games = reward.shape[-1]
    following = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])

    def step(carry: tuple[Array, Array], xs) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        own, later = carry
        error, ends = xs
        later = jnp.where(ends, own + later, later)  # what was ahead is another episode now
        own = jnp.where(ends, 0.0, own) + error
        return (own, later), (own, later)

    zeros = jnp.zeros_like(reward[0])
    own, later = lax.scan(step, (zeros, zeros), (reward + following - value, ends), reverse=True)[1]
    if CREDITS[estimator].averages:
        later = jnp.broadcast_to(later.mean(-1, keepdims=True), later.shape)
    return own / (games if CREDITS[estimator].normalises else 1), later


def standardised_by_kind(advantage: Array, naive: Array, seated: Array, chose: Array) -> Array:
    """Advantages [L, B, S, b] less the mean of their kind of opponent, naive [B], in deviations of all; seated [B, S],
    chose [L, B, S, b].

    What stands in seats that nobody learns from is not counted, nor are steps without a choice, as those that an inner
    game waits after an early end.
    """
    learnt = seated[..., None] & chose

    def less_mean(x: Array, of: Array) -> Array:
        chosen = learnt & of[:, None, None]
        mean = jnp.where(chosen, x, 0.0).sum() / jnp.maximum(chosen.sum(), 1)
        return jnp.where(of[:, None, None], x - mean, x)

    advantage = less_mean(less_mean(advantage, naive), ~naive)
    deviation = jnp.sqrt(jnp.where(learnt, jnp.square(advantage), 0.0).sum() / jnp.maximum(learnt.sum(), 1))
    return advantage / (deviation + 1e-5)


def learning_seats(naive: Array, seats: int) -> Array:
    """[B, S] bool: somebody learns from this seat. A learner's own seat, where it sits in one, teaches nobody."""
    return (jnp.arange(seats) == 0) | ~naive[:, None]


def weights(estimator: Estimator, meta: MetaEpisodes, share: float, naive: Array, player: Array) -> Array:
    """[B, S], how much a seat's rows count in their player's loss: seats against learners and against players, each
    kind's mean by its share of opponents.

    COALA's gradient is a sum over the b inner games, as M-FOS's; the plain one their mean (C.2).
    """
    seated = learning_seats(naive, meta.seats)
    same = jax.nn.one_hot(player, meta.players)  # [B, S, K]

    def mean_of(kind: Array, share: float) -> Array:
        chosen = (seated & kind[:, None]).astype(jnp.float32)
        count = (chosen[..., None] * same).sum((0, 1))  # [K]
        return share * chosen / jnp.maximum((count * same).sum(-1), 1.0)

    summed = 1 if estimator == "batch-unaware" else meta.games
    return summed * mean_of(naive, share) + mean_of(~naive, 1 - share)
