"""ALITA: MADDPG in which one agent, the influencer, also raises the others' values and is paid for novelty (Fayad &
Ibrahim 2021, arXiv 2108.12581).

    k minimises  -J_k + lambda F,   F = mean over i of (q_i(s, a_k) - max_u Q_i(s, u))^2
    reward of k:      r_k + lambda_pi psi(o_k, a_k)
    reward of others: r_i - beta exp(-omega psi(o_k, a_k)) |pi_i(o_i) - a_i|^2

k is the influencer. q_i(s, a_k) is the value of another agent i after k has done a_k; an estimate learns it from
transitions with the same view and action of k (`alita_estimates.py`). psi is the novelty of k's view and action. Where
nothing is new to k, the others pay for actions that differ from their policies. docs/algorithms/alita.md derives it and
lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.algorithms.additions import Addition
from comity.algorithms.off_policy import alita_estimates as estimates
from comity.algorithms.off_policy import deterministic as family
from comity.algorithms.off_policy.alita_rewards import Parts, own_steps, parts_of, rewards
from comity.algorithms.off_policy.alita_settings import PRESETS, Built, Settings
from comity.algorithms.off_policy.deterministic_nets import Nets
from comity.algorithms.off_policy.maddpg import joint_actions
from comity.algorithms.taking_turns import driver
from comity.learning import towards
from comity.networks import JointNet
from comity.spec import Spec
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

__all__ = ["PRESETS", "Config", "make"]


@dataclass(frozen=True)
class Config(Settings):
    """Settings of ALITA, defined in `alita_settings.py`."""


class Judges(NamedTuple):
    """Critics of the game's rewards alone, which F uses if `influence_of` is "extrinsic"."""

    critics: JointNet
    target_critics: JointNet
    critic_opt_state: PyTree


class Added(NamedTuple):
    """The state that ALITA learns in addition to MADDPG."""

    novelty: PyTree  # state of the novelty bonus of the influencers
    estimates: tuple[estimates.Estimate, ...]  # one for each influencer
    factors: Array  # [V + A] uint32, factors of the hash that finds equal transitions
    judges: Judges | tuple[()] = ()


def with_judges(state: family.State) -> family.State:
    """Returns the state with the critics that F uses."""
    judges = state.added.judges
    return state._replace(**judges._asdict()) if judges else state


def gaps(
    parts: Parts, key: Key, state: family.State, at: int, now: Observation, where: Observation, joint: Array,
    first: Array,
) -> Array:  # fmt: skip
    """Returns (q_i(s, a_k) - max_u Q_i(s, u))^2, [batch, J], for the agents that influencer number `at` influences.

    joint: joint actions [batch, N, A]; where: the states of the maximum; first: see `estimates.best`. Only q carries
    gradient.
    """
    role, critics = parts.roles[at], with_judges(state).critics
    q = estimates.call(parts.config, parts.nets, role, state.added.estimates[at].net, now.view, joint)
    best = estimates.best(parts.config, parts.nets, role, jax.random.fold_in(key, at), critics, where, first)
    return jnp.square(q - jax.lax.stop_gradient(best))


def influence(
    parts: Parts, key: Key, state: family.State, now: Observation, after: Observation, taken: Array, mine: Array
) -> tuple[Array, dict[str, Array]]:
    """Returns (lambda F of each influencer, [N]; metrics). mine [batch, N, A]: the actors' actions, with gradient."""
    config, few = parts.config, lambda x: x[: parts.config.influence_batch]
    now, after, taken, mine = jax.tree.map(few, (now, after, taken, mine))
    total, found = jnp.zeros(mine.shape[1]), []
    for at, role in enumerate(parts.roles):
        joint = caused(parts.nets, role, mine)
        first = jnp.stack([jax.lax.stop_gradient(mine), taken])
        where = now if config.best_at == "now" else after
        gap = gaps(parts, key, state, at, now, where, joint, first).mean()
        total = total.at[role.influencer].add(config.influence_weight * gap)
        found.append(gap)
    return total, {"influence": jnp.stack(found).mean()}


def caused(nets: Nets, role: estimates.Role, mine: Array) -> Array:
    """Returns the joint action for F, [batch, N, A]: the actors' actions `mine`, with gradient only for the influencer.

    With one body it is the influencer's action in every row.
    """
    own = (jnp.arange(mine.shape[1]) == role.influencer)[:, None]
    if nets.member.one_body:
        return jnp.broadcast_to(mine[:, role.influencer, None], mine.shape)
    return jnp.where(own, mine, jax.lax.stop_gradient(mine))


def added_of(parts: Parts, key: Key, state: family.State, read: Spec | None = None) -> Added:
    """Returns the first state of ALITA's additions. read: a spec with the views that critics read; None: the game's."""
    config, spec = parts.config, read or parts.env.spec
    key_novelty, key_factors, key = jax.random.split(key, 3)
    new = () if parts.bonus is None else parts.bonus.init(key_novelty)
    each = [(r, jax.random.fold_in(key, r.influencer)) for r in parts.roles] if config.influence != "none" else []
    made = tuple(estimates.init(config, spec, parts.nets, role, k, state.critics) for role, k in each)
    factors = jax.random.bits(key_factors, (spec.view.size + spec.action.n,), jnp.uint32) | 1
    same = Judges(state.critics, state.target_critics, state.critic_opt_state)  # equal at the start
    separate = config.influence_of == "extrinsic" and config.influence != "none"
    return Added(new, made, factors, jax.tree.map(jnp.copy, same) if separate else ())


def begin(parts: Parts, key: Key, state: family.State, steps: Transition) -> tuple[Added, dict[str, Array]]:
    """Returns (the added state, metrics) after a rollout: novelty learns, and clones are copied if an episode ended."""
    added, metrics = state.added, {}
    if parts.bonus is not None:
        count = steps.valid.size
        some = jnp.arange(0, count, -(-count // parts.config.batch))  # at most `batch` steps of the rollout
        part = jax.tree.map(lambda x: x.reshape(count, *x.shape[2:])[some], steps.experience)
        earned = jnp.where(part.valid[..., None], rewards(parts, state, part), 0.0)
        metrics = {"intrinsic_reward": earned.sum() / jnp.maximum(part.valid.sum(), 1)}
        known, error = parts.bonus.update(key, added.novelty, own_steps(parts, steps))
        added = added._replace(novelty=known)
        metrics |= {"novelty_error": error["error"]}
    if parts.config.influence == "clones":
        anew = steps.ended.any()
        copy = partial(estimates.copied, parts.nets, critics=with_judges(state).critics, when=anew)
        made = tuple(copy(role, e) for role, e in zip(parts.roles, added.estimates, strict=True))
        added = added._replace(estimates=made)
    return added, metrics


def learn(parts: Parts, key: Key, state: family.State, memories: Any, paid: Any, fresh: int) -> tuple[Added, dict]:
    """Returns (the added state, metrics) after the estimates' steps of one update."""
    added = state.added
    if parts.config.influence == "none":
        return added, {}
    if added.judges:
        added, paid = added._replace(judges=judges_after(parts, key, state, memories)), None
    state = with_judges(state._replace(added=added))
    step = partial(estimates.after_fitting, parts.config, parts.env, parts.nets, state, memories, paid, fresh)
    found = []
    for at, role in enumerate(parts.roles):
        found.append(step(role, at, jax.random.fold_in(key, at), added.estimates[at]))
    metrics = jax.tree.map(lambda *xs: jnp.stack(xs).mean(), *(metrics for _, metrics in found))
    return added._replace(estimates=tuple(e for e, _ in found)), metrics


def judges_after(parts: Parts, key: Key, state: family.State, memories: Any) -> Judges:
    """Returns these critics after their steps of one update, on the game's rewards."""
    config = parts.config
    step = partial(family.critic_step, config, parts.env, parts.nets, memories, None)
    keys = jax.random.split(jax.random.fold_in(key, len(parts.roles)), config.critic_updates)
    after, _ = lax.scan(step, with_judges(state), keys)
    due = (state.updates + 1) % config.target_period == 0
    target = towards(after.target_critics, after.critics, config.tau, due)
    return Judges(after.critics, target, after.critic_opt_state)


def beside(parts: Parts, added: Added, steps: Transition) -> Any:
    """Returns what the replay stores with each step: hashes that find equal transitions, or the policy that acted."""
    if parts.config.influence != "none" and estimates.reading(parts.config, parts.env) == "exact":
        return estimates.hashes(parts.nets, parts.roles, added, steps)
    return driver(steps) if parts.nets.member.one_body else ()


def addition(config: Built, env: Environment, nets: Nets) -> Addition:
    """Returns ALITA's addition to a member of MADDPG's family."""
    parts = parts_of(config, env, nets)
    return Addition(
        init=partial(added_of, parts),
        beside=partial(beside, parts),
        begin=partial(begin, parts),
        learn=partial(learn, parts),
        reward=None if parts.bonus is None else partial(rewards, parts),
        **({} if config.influence == "none" else {"term": partial(influence, parts)}),
    )


def learner(config: Built, env: Environment, member: family.Member) -> Algorithm:
    """Returns ALITA on a member of the family."""
    return family.learner(config, env, member, partial(addition, config, env))


def make(config: Config, env: Environment) -> Algorithm:
    return learner(config, env, family.Member(joint_actions))
