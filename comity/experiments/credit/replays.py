"""What one action of one agent is worth in one state, by playing on from there, with common random numbers.

A situation is a game in the midst of an episode. From it K replays are played twice, by the same keys: in one the agent
does the action asked about, in the other any of its own alternatives, drawn by its policy. So both meet the same luck,
and what is left between them is the action:

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
    """A game in which an agent could do what is asked about. Leaves of one, or of S of them."""

    game: PyTree
    observation: Observation
    memory: PyTree  # of all agents
    who: Array  # [] int32, the agent that could
    there: Array  # [] bool; False: none was found in its place


def found(
    key: Key, env: Environment, algorithm: Algorithm, state: PyTree, possible: Callable[[PyTree], Array], count: int,
    games: int,
) -> Situation:  # fmt: skip
    """`count` situations of the present policies' play, leaves [count, ...], each from an episode of its own.

    possible(game) -> [N] bool. Of an episode one of its possible steps is taken, each as likely. games: how many are
    played; where fewer than `count` of them have such a step, `there` is False in the others' places.
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
    """K replays in which the action was done, and K by the same keys in which another was."""

    done: Transition  # leaves [T, K, ...]; step 0 is the action
    other: Transition
    chance: Array  # [] pi(a), the policy's chance of the action
    policy: Array  # [N, A] of all agents in the situation


def replayed(
    key: Key, env: Environment, algorithm: Algorithm, state: PyTree, situation: Situation, action: int, count: int
) -> Replays:
    """Of one situation."""
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
        """allowed [N, A]: what may be done in the first step."""
        begin = situation.game, situation.observation, (situation.memory, allowed)
        game, observation, memory = jax.tree.map(repeat, begin)
        start = rollout.Play(game, observation, memory, jnp.zeros(count, jnp.int32))
        steps = rollout.collect_episodes(key, env, act, start)
        return steps._replace(memory=steps.memory[0], next_memory=steps.next_memory[0])

    both = jax.vmap(played)(jnp.stack([~mine | only, ~mine | ~only]))
    done, other = (jax.tree.map(lambda x, k=k: x[k], both) for k in range(2))
    return Replays(done, other, policy[situation.who, action], policy)


class Worth(NamedTuple):
    """The counterfactual advantage of the action, and how well it is known."""

    advantage: Array  # []
    error: Array  # [] its standard error, by common random numbers
    unpaired: Array  # [] what it would be by independent ones


def worth(replays: Replays, reward: Callable[[Transition], Array], gamma: Any) -> Worth:
    """Of rewards [T, K] that `reward` reads of the replays."""
    done, other = (discounted_returns(reward(x), x.ended, gamma)[0] for x in (replays.done, replays.other))  # [K]
    factor, count = 1 - replays.chance, len(done)
    spread = lambda x: jnp.sqrt(x.var(ddof=1) / count)  # noqa: E731
    unpaired = jnp.sqrt((done.var(ddof=1) + other.var(ddof=1)) / count)
    return Worth(factor * (done - other).mean(), factor * spread(done - other), factor * unpaired)
