"""ALITA on whole episodes, for learners that remember: steps of drawn episodes, each by itself, and what critics and
estimates learn from them. docs/algorithms/alita.md.
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
    """Steps of drawn episodes, leaves [M, ...]. Views are what critics read. No gradient passes through them."""

    now: Observation
    after: Observation
    known: Array  # [M, N, V + A], what agents saw and did, by which sets D_t are found
    taken: Array  # [M, N, A]
    following: Array  # [M, N, A], what is done after it, in targets
    reward: Array  # [M, N], with bonuses
    terminated: Array  # [M]
    counts: Array  # [M] float32, 0 behind the end


def flat(x: Any) -> Any:
    """Leaves [T, B, ...] as [T B, ...]."""
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), x)


def centrally(env: Environment, observation: Observation) -> Observation:
    """What critics read in the place of each agent's view, [..., N, S]: the state, or all views if there is none."""
    agents, view = env.spec.agents, observation.view
    lead = view.shape[: -1 - len(env.spec.view.shape)]
    state = observation.state if env.spec.state.size else view.reshape(*lead, -1)
    return observation._replace(view=jnp.broadcast_to(state.reshape(*lead, 1, -1), (*lead, agents, state.shape[-1])))


def read_by(env: Environment) -> Spec:
    """The game's spec with what critics read in the place of views."""
    spec = env.spec
    return replace(spec, view=spec.state if spec.state.size else Vector(spec.agents * spec.view.size))


def with_rewards(parts: Parts, novelty: PyTree, episodes: replay.Episodes, meant: Array, reward: Array) -> Array:
    """[T, B, N]: these rewards, and ALITA's own. meant [T, B, N, A]: what agents would do there today."""
    if parts.bonus is None:
        return reward
    psi = parts.bonus.reward(novelty, episodes.experience)  # [T, B, influencers]
    away = jnp.square(meant - parts.nets.acts.encoded(episodes.action)).sum(-1)
    return reward + shared_out(parts.config, parts.roles, psi, away)


def steps_of(parts: Parts, episodes: replay.Episodes, following: Array, reward: Array) -> Steps:
    """The steps of episodes. following [T, B, N, A], reward [T, B, N]: see `Steps`."""
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
    """Of x [M, ...] over the steps that count."""
    return jnp.tensordot(counts, x, 1) / jnp.maximum(counts.sum(), 1.0)


def targets(config: Built, nets: Nets, key: Key, target_critics: PyTree, steps: Steps) -> Array:
    """[M, N]: what critics should say."""
    follows = values(nets, key, target_critics, steps.after.view, steps.following, steps.following)
    return lax.stop_gradient(steps.reward + config.gamma * jnp.where(steps.terminated[:, None], 0.0, follows))


def critic_errors(nets: Nets, key: Key, critics: PyTree, steps: Steps, target: Array) -> Array:
    """[N]: mean squares of how far critics are from targets [M, N]."""
    away = target - values(nets, key, critics, steps.now.view, steps.taken, steps.taken)
    return mean_over(steps.counts, jnp.square(away))


def alike_steps(config: Built, exact: bool, key: Key, known: Array, counts: Array) -> tuple[Array, Array]:
    """(rows [K, count] of sets D_t, each of one step that counts and of those in which the influencer saw and did the
    same, or nearly; their weights). known [M, V + A]."""
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
    """Sets D_t of an influencer, leaves [K, count, ...]. meant [M, N, A]: what agents would do today; target [M, N]."""
    k, exact = role.influencer, estimates.reading(parts.config, parts.env) == "exact"
    rows, weights = alike_steps(parts.config, exact, key, steps.known[:, k], steps.counts)
    today = meant.at[:, k].set(steps.taken[:, k])
    read = steps.now.view, steps.taken, today, target[:, jnp.array(role.others)]
    view, taken, today, target = lax.stop_gradient(jax.tree.map(lambda x: x[rows], read))
    return estimates.AlikeSet(view, taken, today, target, weights)


def some_steps(config: Built, key: Key, steps: Steps, mine: Array) -> tuple[Observation, Observation, Array, Array]:
    """(now, after, taken, mine) of steps that count, as many as the influence is averaged over. mine [M, N, A]."""
    some = jax.random.categorical(key, jnp.log(steps.counts), shape=(config.influence_batch,))
    return jax.tree.map(lambda x: x[some], (steps.now, steps.after, steps.taken, mine))
