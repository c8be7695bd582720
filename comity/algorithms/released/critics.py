"""How the released PG and COMA of "hidden gifts" (arXiv 2505.20579) train their critics. docs/algorithms/pg.md."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.learning import discounted_returns
from comity.types import Transition


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


def marked_returns(reward: Array, end: Array, valid: Array, gamma: Array | float) -> Array:
    """R_t = r_t + gamma R_{t+1}, cut at no game's end, and R_L = `end` at the batch's last step L: [T, B, N].

    reward [T, B, N], 0 in padding; end [B, N]; valid [T, B]. What stands behind L is 0 and is not learned from.
    """
    final = jnp.arange(len(valid)) == longest(valid) - 1
    reward = reward + gamma * jnp.where(final[:, None, None], end, 0.0)
    return discounted_returns(reward, jnp.zeros_like(valid), gamma)


def first_critic_targets(
    first_critic: Callable[[Array], Array], reward: Array, steps: Transition, gamma: Array | float
) -> Array:
    """PG's targets of the critic, [T, B, N]. The actor's returns have no end value.

    first_critic: views [B, N, V] -> [B, N], the critic as it was drawn. The code takes it for its target network, to
    which nothing is ever copied, because the container of its critics is not registered. reward [T, B, N].
    """
    until = longest(steps.valid)
    behind = first_critic(steps.next_observation.view[until - 1])
    return marked_returns(reward, end_value(behind, steps.valid.sum(0), until), steps.valid, gamma)
