"""Measures the worth of one action of one agent in one state, by continued play with common random numbers.

A situation is a game in the middle of an episode. It is continued by K pairs of replays; both replays of a pair have
the same keys. In one the agent takes the action in question, in the other one of its alternatives, drawn by its
policy. Both have the same luck, so the difference between them is due to the action:

    A(s, a) = Q(s, a) - sum_b pi(b) Q(s, b) = (1 - pi(a)) (E[G | a] - E[G | not a])
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity import rollout
from comity.learning import discounted_returns
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


class Situation(NamedTuple):
    """A game in which an agent could take the action in question. Leaves of one situation, or of S of them."""

    game: PyTree
    observation: Observation
    memory: PyTree  # of all agents
    who: Array  # [] int32, the agent that could take the action
    there: Array  # [] bool; False: no situation was found for this place


def found(
    key: Key, env: Environment, algorithm: Algorithm, state: PyTree, possible: Callable[[PyTree], Array], count: int,
    games: int,
) -> Situation:  # fmt: skip
    """Returns `count` situations from play of the present policies, leaves [count, ...], each from another episode.

    possible(game) -> [N] bool. One of an episode's possible steps is drawn, all with equal probability. games: number
    of games played; if fewer than `count` of them have such a step, `there` is False in the remaining places.
    """
    key_start, key_play, key_step, key_game = jax.random.split(key, 4)
    play = rollout.start(key_start, env, algorithm.memory, games)

    def step(carry: tuple, key: Key) -> tuple[tuple, tuple]:
        game, observation, memory, over = carry
        key_act, key_step = jax.random.split(key)
        action, after, _ = algorithm.act(key_act, state, memory, observation)
        following, timestep = jax.vmap(env.step)(jax.random.split(key_step, games), game, action)
        can = jax.vmap(possible)(game) & ~over[:, None]  # [G, N]
        over = over | timestep.terminated | timestep.truncated
        return (following, timestep.observation, after, over), (game, observation, memory, can)

    carry = play.game, play.observation, play.memory, jnp.zeros(games, bool)
    _, (game, observation, memory, can) = jax.lax.scan(step, carry, jax.random.split(key_play, env.spec.length))
    some = can.any(-1)  # [T, G]
    when = jnp.where(some, jax.random.uniform(key_step, some.shape), -1.0).argmax(0)  # [G]
    has = some.any(0)
    chosen = jax.lax.top_k(jnp.where(has, jax.random.uniform(key_game, has.shape), -1.0), count)[1]  # [S]
    pick = lambda x: x[when[chosen], chosen]  # noqa: E731
    who = pick(can).argmax(-1).astype(jnp.int32)
    game, observation, memory = jax.tree.map(pick, (game, observation, memory))
    return Situation(game, observation, memory, who, has[chosen])


class Replays(NamedTuple):
    """K replays in which the action was taken, and K with the same keys in which another action was taken."""

    done: Transition  # leaves [T, K, ...]; step 0 is the action
    other: Transition
    chance: Array  # [] pi(a), the policy's probability of the action
    policy: Array  # [N, A] of all agents in the situation


def replayed(
    key: Key, env: Environment, algorithm: Algorithm, state: PyTree, situation: Situation, action: int, count: int
) -> Replays:
    """Replays one situation `count` times with the action and `count` times without it."""
    repeat = lambda x: jnp.broadcast_to(x, (count, *x.shape))  # noqa: E731
    policy = algorithm.act(key, state, situation.memory, situation.observation)[2]["probabilities"]  # [N, A]
    mine = (jnp.arange(len(policy)) == situation.who)[:, None]
    only = jax.nn.one_hot(action, policy.shape[-1], dtype=bool)

    def act(key: Key, memory: PyTree, observation: Observation) -> tuple[PyTree, PyTree, dict[str, Array]]:
        inner, allowed = memory
        seen = observation._replace(available=observation.available & allowed)
        action, inner, _ = algorithm.act(key, state, inner, seen)
        return action, (inner, jnp.ones_like(allowed)), {}

    def played(allowed: Array) -> Transition:
        """allowed [N, A]: the actions that are allowed in the first step."""
        begin = situation.game, situation.observation, (situation.memory, allowed)
        game, observation, memory = jax.tree.map(repeat, begin)
        start = rollout.Play(game, observation, memory, jnp.zeros(count, jnp.int32))
        steps = rollout.collect_episodes(key, env, act, start)
        return steps._replace(memory=steps.memory[0], next_memory=steps.next_memory[0])

    both = jax.vmap(played)(jnp.stack([~mine | only, ~mine | ~only]))
    done, other = (jax.tree.map(lambda x, k=k: x[k], both) for k in range(2))
    return Replays(done, other, policy[situation.who, action], policy)


class Worth(NamedTuple):
    """The counterfactual advantage of the action, and its standard errors."""

    advantage: Array  # []
    error: Array  # [] standard error with common random numbers
    unpaired: Array  # [] standard error with independent random numbers


def worth(replays: Replays, reward: Callable[[Transition], Array], gamma: Any) -> Worth:
    """Returns the worth of the action for the rewards [T, K] that `reward` reads from the replays."""
    done, other = (discounted_returns(reward(x), x.ended, gamma)[0] for x in (replays.done, replays.other))  # [K]
    factor, count = 1 - replays.chance, len(done)
    spread = lambda x: jnp.sqrt(x.var(ddof=1) / count)  # noqa: E731
    unpaired = jnp.sqrt((done.var(ddof=1) + other.var(ddof=1)) / count)
    return Worth(factor * (done - other).mean(), factor * spread(done - other), factor * unpaired)
