"""Training of the critics in the released PG and COMA of "hidden gifts" (arXiv 2505.20579). docs/algorithms/pg.md."""

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
    """Returns one optimizer, with one gradient clip, for the critics of all agents, leaves [N, ...].

    It takes the gradient of a sum over agents and descends the mean over agents.
    """
    mean = optax.stateless(lambda grads, _: jax.tree.map(lambda x: x / x.shape[0], grads))
    return optax.chain(mean, optimizer)


def longest(valid: Array) -> Array:
    """Returns the number of steps L of the longest game of a batch, [] int32, at which the code cuts the batch.

    valid [T, B].
    """
    return valid.any(1).sum(dtype=jnp.int32)


def end_value(values: Array, lengths: Array, until: Array) -> Array:
    """Returns V(o_L) x (1 - number of steps marked as ends), [B, N]: the code's value after the last step of a batch.

    values [B, N]: V(o_L), where o_L follows the batch's last step; lengths [B]: the number of steps of each game; until
    [] or [B]: the number of steps of the rollout in which it was played. A game that ends k steps before the longest
    game of its rollout is marked as ended until the rollout ends. That is k + 1 marks, so a factor of -k.
    """
    return (lengths - until)[..., None] * values


def marked_returns(reward: Array, end: Array, last: Array, gamma: Array | float) -> Array:
    """Returns R_t = r_t + gamma R_{t+1}, [T, B, N], with R_L = `end` at the batch's last step L.

    The sums do not stop where a game ends. reward [T, B, N], 0 in padding; end [B, N]; last: L, []. Returns after L are
    0 and are not learned from.
    """
    final = jnp.arange(len(reward)) == last - 1
    reward = reward + gamma * jnp.where(final[:, None, None], end, 0.0)
    return discounted_returns(reward, jnp.zeros(reward.shape[:2], bool), gamma)


# PG ------------------------------------------------------------------------------------------------------------------


def first_critic_targets(
    first_critic: Callable[[Array], Array], reward: Array, steps: Transition, gamma: Array | float
) -> Array:
    """Returns PG's targets of the critic, [T, B, N]. The actor's returns have no end value.

    first_critic: views [B, N, V] -> [B, N], the critic with its first parameters. It is the code's target network, to
    which the code never copies anything, because it does not register the container of its critics. reward [T, B, N].
    """
    until = longest(steps.valid)
    behind = first_critic(steps.next_observation.view[until - 1])
    return marked_returns(reward, end_value(behind, steps.valid.sum(0), until), until, gamma)


# COMA ----------------------------------------------------------------------------------------------------------------


class Ending(NamedTuple):
    """Data of the rollout in which an episode was played."""

    until: Array  # [B] int32, number of steps of the rollout's longest game
    action: Array  # [B, N] int32, the action chosen after the rollout's last step


def marked_targets(
    target_critic: Callable[[Observation, Array], Array],
    reward: Array,
    following: Array,
    episodes: Episodes,
    gamma: Array | float,
    lambda_: Array | float,
) -> Array:
    """Returns COMA's targets of the critic, lambda-returns that do not stop where a game ends, [T, B, N].

    target_critic: (observation, action [B, N]) -> Q_target of the action, [B, N]. reward, following [T, B, N]:
    following[t] is Q_target of the observation and action after step t. episodes.extra: `Ending`.

    After the last step L of the longest rollout drawn, the return is Q_target x (1 - number of steps marked as ends).
    Shorter rollouts are padded with zeros, so their observation at L is zeros and their action is 0.
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
