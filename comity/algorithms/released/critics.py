"""How the released PG and COMA of "hidden gifts" (arXiv 2505.20579) train their critics. docs/algorithms/pg.md."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.axes import aligned
from comity.learning import discounted_returns
from comity.learning.replay import Episodes
from comity.types import Observation, Transition


def joint_optimizer(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """One optimizer, with one clip, over the critics of all agents, leaves [N, ...]. It is given the gradient of a sum
    over agents and descends their mean."""
    mean = optax.stateless(lambda grads, _: jax.tree.map(lambda x: x / x.shape[0], grads))
    return optax.chain(mean, optimizer)


def longest(valid: Array) -> Array:
    """[] int32, steps L of the longest game of a batch, at which the code cuts it; valid [T, B]."""
    return valid.any(1).sum(dtype=jnp.int32)


def end_value(values: Array, lengths: Array, until: Array) -> Array:
    """V(o_L) x (1 - number of steps marked as ends), [B, N]: what the code puts behind the last step of a batch.

    values [B, N] of o_L, what follows the batch's last step; lengths [B], the steps of each game; until [] or [B], the
    steps of the rollout that it was played in. A game that ended k steps before the others of its rollout stays marked
    until that ends: k + 1 marks, a factor of -k.
    """
    return (lengths - until)[..., None] * values


def marked_returns(reward: Array, end: Array, last: Array, gamma: Array | float) -> Array:
    """R_t = r_t + gamma R_{t+1}, cut at no game's end, and R_L = `end` at the batch's last step L: [T, B, N].

    reward [T, B, N], 0 in padding; end [B, N]; last: L, []. What stands behind L is 0 and is not learned from.
    """
    final = jnp.arange(len(reward)) == last - 1
    reward = reward + gamma * jnp.where(final[:, None, None], end, 0.0)
    return discounted_returns(reward, jnp.zeros(reward.shape[:2], bool), gamma)


# PG ------------------------------------------------------------------------------------------------------------------


def first_critic_targets(
    first_critic: Callable[[Array], Array], reward: Array, steps: Transition, gamma: Array | float
) -> Array:
    """PG's targets of the critic, [T, B, N]. The actor's returns have no end value.

    first_critic: views [B, N, V] -> [B, N], the critic as it was drawn. The code takes it for its target network, to
    which nothing is ever copied, because the container of its critics is not registered. reward [T, B, N].
    """
    until = longest(steps.valid)
    behind = first_critic(steps.next_observation.view[until - 1])
    return marked_returns(reward, end_value(behind, steps.valid.sum(0), until), until, gamma)


# COMA ----------------------------------------------------------------------------------------------------------------


class Ending(NamedTuple):
    """What is kept of the rollout in which an episode was played."""

    until: Array  # [B] int32, its steps: those of its longest game
    action: Array  # [B, N] int32, chosen in what follows them


def marked_targets(
    target_critic: Callable[[Observation, Array], Array],
    reward: Array,
    following: Array,
    episodes: Episodes,
    gamma: Array | float,
    lambda_: Array | float,
) -> Array:
    """COMA's targets of the critic, lambda-returns that are cut at no game's end, [T, B, N].

    target_critic: (observation, action [B, N]) -> Q_target of the action, [B, N]. reward, following [T, B, N], where
    following[t] is Q_target of what was seen and done after step t. episodes.extra: `Ending`.

    Behind the last step L of the longest rollout drawn stands Q_target x (1 - number of steps marked as ends). Shorter
    rollouts are padded with zeros: what is read of them at L is an observation of zeros and action 0.
    """
    ending, valid = episodes.extra, episodes.valid
    last = ending.until.max()
    there = ending.until == last  # [B]
    at_last = lambda x: jnp.where(aligned(there, x[0]), x[last], jnp.zeros_like(x[0]))  # noqa: E731
    action = jnp.where(there[:, None], ending.action, 0)
    behind = target_critic(jax.tree.map(at_last, episodes.observation), action)
    goes_on = (valid & ~episodes.ended)[..., None]
    earned = reward + gamma * (1 - lambda_) * jnp.where(goes_on, following, 0.0)
    return marked_returns(earned, end_value(behind, valid.sum(0), ending.until), last, gamma * lambda_)
