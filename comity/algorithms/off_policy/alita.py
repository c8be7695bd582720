"""ALITA: MADDPG in which one agent, the influencer, also climbs the others' values, and is paid for what is new to it
(Fayad & Ibrahim 2021, arXiv 2108.12581). docs/algorithms/alita.md derives it and lists every departure.

The influencer k minimises -J_k + lambda F, F = mean over i of (q_i(s, a_k) - max_u Q_i(s, u))^2. What q_i is, an
estimate says that learns from transitions alike in what k saw and did (`alita_estimates.py`). k is paid lambda_pi psi,
psi the novelty of (o_k, a_k); the others pay beta exp(-omega psi) |pi_i(o_i) - a_i|^2 for their surprises where k knows
its way.
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
    """Settings of ALITA; they stand in `alita_settings.py`."""


class Judges(NamedTuple):
    """Critics of the game's rewards alone, by which influence is judged if it is `extrinsic`."""

    critics: JointNet
    target_critics: JointNet
    critic_opt_state: PyTree


class Added(NamedTuple):
    """What ALITA learns beside MADDPG."""

    novelty: PyTree  # of the influencers, in their order
    estimates: tuple[estimates.Estimate, ...]  # of each influencer's influence
    factors: Array  # [V + A] uint32, of the hash that finds equal transitions
    judges: Judges | tuple[()] = ()


def with_judges(state: family.State) -> family.State:
    """The state with those critics by which influence is judged."""
    judges = state.added.judges
    return state._replace(**judges._asdict()) if judges else state


def gaps(
    parts: Parts, key: Key, state: family.State, at: int, now: Observation, where: Observation, joint: Array,
    first: Array,
) -> Array:  # fmt: skip
    """(q_i(s, a_k) - max_u Q_i(s, u))^2 [batch, J] of those whom influencer number `at` influences, for joint actions
    [batch, N, A]; where: the states of the maximum; first: see `estimates.best`. Gradient passes through q alone."""
    role, critics = parts.roles[at], with_judges(state).critics
    q = estimates.call(parts.config, parts.nets, role, state.added.estimates[at].net, now.view, joint)
    best = estimates.best(parts.config, parts.nets, role, jax.random.fold_in(key, at), critics, where, first)
    return jnp.square(q - jax.lax.stop_gradient(best))


def influence(
    parts: Parts, key: Key, state: family.State, now: Observation, after: Observation, taken: Array, mine: Array
) -> tuple[Array, dict[str, Array]]:
    """(lambda F of each influencer, [N], metrics). mine [batch, N, A]: the actors' actions, with gradient."""
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
    """[batch, N, A]: what is done if the influencer acts as it means to, of the actors' actions `mine`. The gradient is
    its own; of one body it is what the body does."""
    own = (jnp.arange(mine.shape[1]) == role.influencer)[:, None]
    if nets.member.one_body:
        return jnp.broadcast_to(mine[:, role.influencer, None], mine.shape)
    return jnp.where(own, mine, jax.lax.stop_gradient(mine))


def added_of(parts: Parts, key: Key, state: family.State, read: Spec | None = None) -> Added:
    """What is learned beside MADDPG, at the start. read: whose views critics read, None: the game's."""
    config, spec = parts.config, read or parts.env.spec
    key_novelty, key_factors, key = jax.random.split(key, 3)
    new = () if parts.bonus is None else parts.bonus.init(key_novelty)
    each = [(r, jax.random.fold_in(key, r.influencer)) for r in parts.roles] if config.influence != "none" else []
    made = tuple(estimates.init(config, spec, parts.nets, role, k, state.critics) for role, k in each)
    factors = jax.random.bits(key_factors, (spec.view.size + spec.action.n,), jnp.uint32) | 1
    same = Judges(state.critics, state.target_critics, state.critic_opt_state)  # to begin with
    separate = config.influence_of == "extrinsic" and config.influence != "none"
    return Added(new, made, factors, jax.tree.map(jnp.copy, same) if separate else ())


def begin(parts: Parts, key: Key, state: family.State, steps: Transition) -> tuple[Added, dict[str, Array]]:
    """(what is added, metrics) after a rollout: novelty learns; where episodes began anew, clones are copied anew."""
    added, metrics = state.added, {}
    if parts.bonus is not None:
        count = steps.valid.size
        some = jnp.arange(0, count, -(-count // parts.config.batch))  # of the rollout, no more than a batch
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
    """(what is added, metrics) after the steps of an update."""
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
    """After the critics' steps of an update, on the game's rewards."""
    config = parts.config
    step = partial(family.critic_step, config, parts.env, parts.nets, memories, None)
    keys = jax.random.split(jax.random.fold_in(key, len(parts.roles)), config.critic_updates)
    after, _ = lax.scan(step, with_judges(state), keys)
    due = (state.updates + 1) % config.target_period == 0
    target = towards(after.target_critics, after.critics, config.tau, due)
    return Judges(after.critics, target, after.critic_opt_state)


def beside(parts: Parts, added: Added, steps: Transition) -> Any:
    """What the replay keeps beside each step: hashes, by which equal ones are found; of one body, who moved it."""
    if parts.config.influence != "none" and estimates.reading(parts.config, parts.env) == "exact":
        return estimates.hashes(parts.nets, parts.roles, added, steps)
    return driver(steps) if parts.nets.member.one_body else ()


def addition(config: Built, env: Environment, nets: Nets) -> Addition:
    """What ALITA adds to MADDPG, and to its like."""
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
    """ALITA on a member of the family."""
    return family.learner(config, env, member, partial(addition, config, env))


def make(config: Config, env: Environment) -> Algorithm:
    return learner(config, env, family.Member(joint_actions))
