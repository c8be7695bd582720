"""Advantages of COALA-PG, which depend on the kind of opponent, and the weight of each seat in the loss.

docs/algorithms/coala.md derives them; `learning/shaping.py` has the recursion over joined inner games.
"""

import jax.numpy as jnp
from jax import Array, lax

from comity.learning.shaping import CREDITS, Estimator, batch_advantages, batch_lambda_returns
from comity.spec import MetaEpisodes


def credit(
    estimator: Estimator, reward: Array, value: Array, naive: Array, ends: Array, gamma, lambda_, lambda_target
) -> tuple[Array, Array]:
    """Returns (advantages, targets of the critic), [L, B, S, b].

    Advantages are those of `estimator` against naive learners, and "batch-unaware" against other players. The critic
    predicts the return of the rest of its own inner game's M episodes (C.3), for all kinds of opponents. reward, value
    [L, B, S, b]; naive [B]; ends [L].
    """
    following = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])
    shaping = batch_advantages(reward, value, following, ends, gamma, lambda_, estimator)
    plain = batch_advantages(reward, value, following, ends, gamma, lambda_, "batch-unaware")
    target = batch_lambda_returns(reward, following, ends, gamma, lambda_target, CREDITS["batch-unaware"])
    return jnp.where(naive[:, None, None], shaping, plain), target


def parts(estimator: Estimator, reward: Array, value: Array, ends: Array, gamma, lambda_) -> tuple[Array, Array]:
    """Returns (the part of an advantage from its own episode, the part from later episodes), [L, B, S, b] (figure 12).

    Their sum is the whole advantage against a naive learner, before it is normalised.
    """
    games, discount = reward.shape[-1], gamma * lambda_
    following = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])

    def step(carry: tuple[Array, Array], xs) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        own, later = carry
        error, ends = xs
        later = discount * jnp.where(ends, own + later, later)  # `own` of the next episode is now a later part
        own = discount * jnp.where(ends, 0.0, own) + error
        return (own, later), (own, later)

    zeros = jnp.zeros_like(reward[0])
    own, later = lax.scan(step, (zeros, zeros), (reward + gamma * following - value, ends), reverse=True)[1]
    if CREDITS[estimator].averages:
        later = jnp.broadcast_to(later.mean(-1, keepdims=True), later.shape)
    return own / (games if CREDITS[estimator].normalises else 1), later


def standardised_by_kind(advantage: Array, naive: Array, seated: Array, chose: Array) -> Array:
    """Returns the advantages [L, B, S, b] minus the mean over their kind of opponent, divided by the deviation of all.

    naive [B]: the kind of opponent; seated [B, S]: seats that are learned from; chose [L, B, S, b]: steps with more
    than one available action. Other seats and steps do not count; an inner game that ended early waits in such steps.
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
    """Returns the seats that players learn from, [B, S] bool. Against naive learners this is only the first seat."""
    return (jnp.arange(seats) == 0) | ~naive[:, None]


def weights(estimator: Estimator, meta: MetaEpisodes, naive: Array) -> Array:
    """Returns the weight of each seat in its player's loss, [B, S].

    They are the same in every minibatch, whoever plays in it: B episodes, S seats and K players give a seat against
    naive learners K / B, and a seat among players K / (B S). A player expects B / K episodes against naive learners
    times their share, and B S / K seats among players times the rest. So in the mean over minibatches its seats of
    each kind have that kind's share of the loss. All weights of a minibatch sum to K. Against naive learners, the
    gradients of COALA and M-FOS are sums over the b inner games, the batch-unaware gradient is a mean (C.2).
    """
    summed = 1 if estimator == "batch-unaware" else meta.games
    each = jnp.where(naive, summed, 1 / meta.seats) * meta.players / naive.size
    return learning_seats(naive, meta.seats) * each[:, None]
