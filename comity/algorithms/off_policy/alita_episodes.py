"""ALITA on whole episodes, for agents with memory: drawn episodes as single steps, for critics and estimates.

docs/algorithms/alita.md.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.algorithms.off_policy import alita_estimates as estimates
from comity.algorithms.off_policy.alita_rewards import Parts, shared_out
from comity.algorithms.off_policy.alita_settings import Built
from comity.algorithms.off_policy.deterministic_nets import Nets, values
from comity.learning import alike, replay
from comity.spec import Spec, Vector
from comity.types import Environment, Key, Observation, PyTree


class Steps(NamedTuple):
    """Steps of drawn episodes, leaves [M, ...]. Views are the critics' inputs. They carry no gradient."""

    now: Observation
    after: Observation
    known: Array  # [M, N, V + A], the agents' views and actions, by which sets D_t are found
    taken: Array  # [M, N, A]
    following: Array  # [M, N, A], the next actions in targets
    reward: Array  # [M, N], with bonuses
    terminated: Array  # [M]
    counts: Array  # [M] float32, 0 after the end of an episode


def flat(x: Any) -> Any:
    """Returns leaves [T, B, ...] as [T B, ...]."""
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), x)


def centrally(env: Environment, observation: Observation) -> Observation:
    """Returns the observation with views replaced by the critics' input, [..., N, S].

    This is the state, or all agents' views if the game has no state.
    """
    agents, view = env.spec.agents, observation.view
    lead = view.shape[: -1 - len(env.spec.view.shape)]
    state = observation.state if env.spec.state.size else view.reshape(*lead, -1)
    return observation._replace(view=jnp.broadcast_to(state.reshape(*lead, 1, -1), (*lead, agents, state.shape[-1])))


def read_by(env: Environment) -> Spec:
    """Returns the game's spec with views replaced by the critics' input."""
    spec = env.spec
    return replace(spec, view=spec.state if spec.state.size else Vector(spec.agents * spec.view.size))


def with_rewards(parts: Parts, novelty: PyTree, episodes: replay.Episodes, meant: Array, reward: Array) -> Array:
    """Returns `reward` plus ALITA's own rewards, [T, B, N]. meant [T, B, N, A]: the present policies' actions."""
    if parts.bonus is None:
        return reward
    psi = parts.bonus.reward(novelty, episodes.experience)  # [T, B, influencers]
    away = jnp.square(meant - parts.nets.acts.encoded(episodes.action)).sum(-1)
    return reward + shared_out(parts.config, parts.roles, psi, away)


def steps_of(parts: Parts, episodes: replay.Episodes, following: Array, reward: Array) -> Steps:
    """Returns the steps of episodes. following [T, B, N, A], reward [T, B, N]: see `Steps`."""
    before, taken = episodes.before, parts.nets.acts.encoded(episodes.action)
    steps = Steps(
        now=centrally(parts.env, before),
        after=centrally(parts.env, episodes.after),
        known=jnp.concatenate([before.view.astype(jnp.float32), taken], -1),
        taken=taken,
        following=following,
        reward=reward,
        terminated=episodes.terminated,
        counts=episodes.valid.astype(jnp.float32),
    )
    return lax.stop_gradient(flat(steps))


def mean_over(counts: Array, x: Array) -> Array:
    """Returns the mean of x [M, ...] over the steps that count."""
    return jnp.tensordot(counts, x, 1) / jnp.maximum(counts.sum(), 1.0)


def targets(config: Built, nets: Nets, key: Key, target_critics: PyTree, steps: Steps) -> Array:
    """Returns the critics' targets, [M, N]."""
    follows = values(nets, key, target_critics, steps.after.view, steps.following, steps.following)
    return lax.stop_gradient(steps.reward + config.gamma * jnp.where(steps.terminated[:, None], 0.0, follows))


def critic_errors(nets: Nets, key: Key, critics: PyTree, steps: Steps, target: Array) -> Array:
    """Returns the critics' mean squared errors, [N]. target [M, N]."""
    away = target - values(nets, key, critics, steps.now.view, steps.taken, steps.taken)
    return mean_over(steps.counts, jnp.square(away))


def alike_steps(config: Built, exact: bool, key: Key, known: Array, counts: Array) -> tuple[Array, Array]:
    """Returns (rows of K sets D_t, [K, count]; their weights).

    A set has one step that counts and the steps in which the influencer's view and action are the same, or nearest.
    known [M, V + A]: the influencer's views and actions.
    """
    mean = mean_over(counts, known)
    deviation = jnp.sqrt(mean_over(counts, jnp.square(known - mean)))
    scaled = jnp.where(deviation > 0, known / jnp.maximum(deviation, 1e-6), 0.0)
    count = min(config.influence_batch, len(known))

    def rows(at: Array) -> tuple[Array, Array]:
        away = jnp.where(counts > 0, jnp.square(scaled - scaled[at]).sum(-1), jnp.inf).at[at].set(-1.0)
        found = lax.top_k(-away, count)[1]
        same = alike.equal(known[found]) if exact else jnp.ones(count)
        return found, same * counts[found]

    ats = jax.random.categorical(key, jnp.log(counts), shape=(config.influence_updates,))
    return lax.map(rows, ats)


def alike_sets(
    parts: Parts, key: Key, role: estimates.Role, steps: Steps, meant: Array, target: Array
) -> estimates.AlikeSet:
    """Returns sets D_t of an influencer, leaves [K, count, ...]. meant [M, N, A]: present actions; target [M, N]."""
    k, exact = role.influencer, estimates.reading(parts.config, parts.env) == "exact"
    rows, weights = alike_steps(parts.config, exact, key, steps.known[:, k], steps.counts)
    today = meant.at[:, k].set(steps.taken[:, k])
    read = steps.now.view, steps.taken, today, target[:, jnp.array(role.others)]
    view, taken, today, target = lax.stop_gradient(jax.tree.map(lambda x: x[rows], read))
    return estimates.AlikeSet(view, taken, today, target, weights)


def some_steps(config: Built, key: Key, steps: Steps, mine: Array) -> tuple[Observation, Observation, Array, Array]:
    """Draws `influence_batch` of the steps that count, and returns their (now, after, taken, mine). mine [M, N, A]."""
    some = jax.random.categorical(key, jnp.log(steps.counts), shape=(config.influence_batch,))
    return jax.tree.map(lambda x: x[some], (steps.now, steps.after, steps.taken, mine))
