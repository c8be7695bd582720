"""ALITA's roles and its own rewards: influencers are paid for novelty, and the other agents pay a penalty.

    influencer k: + lambda_pi psi(o_k, a_k)       other i: - beta exp(-omega psi(o_k, a_k)) |pi_i(o_i) - a_i|^2

psi is the novelty of k's view and action. docs/algorithms/alita.md.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.algorithms.bonuses import novelty
from comity.algorithms.off_policy import deterministic as family
from comity.algorithms.off_policy.alita_estimates import Role
from comity.algorithms.off_policy.alita_settings import Built
from comity.algorithms.off_policy.deterministic_nets import Nets, policies
from comity.algorithms.taking_turns import driver
from comity.settings import with_floats
from comity.types import Bonus, Environment, Experience, Transition


class Parts(NamedTuple):
    """The parts of ALITA in one game: settings, networks, roles, and the novelty bonus."""

    config: Built
    env: Environment
    nets: Nets
    roles: tuple[Role, ...]
    bonus: Bonus | None


def roles_of(config: Built, env: Environment) -> tuple[Role, ...]:
    """Returns the role of each influencer. It influences all agents that are no influencers, or all others if there are
    none. Raises ValueError for a game of one agent, or for wrong numbers."""
    agents = env.spec.agents
    chosen = config.influencers or tuple(range(agents))
    if agents < 2:
        raise ValueError("alita needs an influencer and others, this game has one agent: take maddpg")
    if max(chosen) >= agents or len({*chosen}) < len(chosen):
        raise ValueError(f"influencers {chosen} are not different agents of this game: give numbers below {agents}")
    plain = tuple(i for i in range(agents) if i not in chosen)
    return tuple(Role(k, plain or tuple(i for i in range(agents) if i != k)) for k in chosen)


def parts_of(config: Built, env: Environment, nets: Nets, every: int | None = None) -> Parts:
    """Returns the parts of ALITA. every: see `novelty_of`; None: the setting `every`."""
    roles = roles_of(config, env)
    who = tuple(role.influencer for role in roles)
    bonus = None if config.novelty_by == "none" else novelty_of(config, env, who, every or config.every)
    return Parts(config, env, nets, roles, bonus)


def novelty_of(config: Built, env: Environment, who: tuple[int, ...], every: int) -> Bonus:
    """Returns the novelty bonus of the agents `who`. every: transitions for one step of its network."""
    settings = novelty.Config(
        optimizer="rmsprop" if config.optimizer == "rmsprop" else "adam",
        kind="rnd" if config.novelty_by == "rnd" else "autoencoder",
        hidden=config.novelty_hidden,
        capacity=config.novelty_capacity,
        batch=config.novelty_batch,
        every=every,
    )
    settings = with_floats(settings, {"learning_rate": config.novelty_learning_rate})  # a traced value in training
    return novelty.make(settings, env, who)


def rewards(parts: Parts, state: family.State, experience: Experience) -> Array:
    """Returns ALITA's rewards, [..., N], with the present networks: novelty of influencers, penalties of the others."""
    assert parts.bonus is not None
    config, nets = parts.config, parts.nets
    psi = parts.bonus.reward(state.added.novelty, experience)  # [..., influencers]
    policy, _ = policies(nets, state.actors, experience.observation)
    meant = policy.relaxed(jax.random.key(0), "softmax")  # draws nothing
    away = jnp.square(meant - nets.acts.encoded(experience.action)).sum(-1)  # [..., N]
    return shared_out(config, parts.roles, psi, away)


def shared_out(config: Built, roles: tuple[Role, ...], psi: Array, away: Array) -> Array:
    """Returns ALITA's rewards, [..., N].

    psi [..., influencers]: novelty; away [..., N]: squared distance of the action taken from the present policy's.
    """
    paid, payers = jnp.zeros_like(away), jnp.zeros(away.shape[-1])
    for at, role in enumerate(roles):
        others = jnp.array(role.others)
        known = jnp.exp(-config.penalty_decay * psi[..., at, None])
        paid = paid.at[..., others].add(-config.penalty_weight * known * away[..., others])
        payers = payers.at[others].add(1.0)
    paid = paid / jnp.maximum(payers, 1.0)  # the mean over those who influence an agent
    return paid.at[..., jnp.array([role.influencer for role in roles])].add(config.novelty_weight * psi)


def own_steps(parts: Parts, steps: Transition) -> Transition:
    """Returns the rollout, in which only the steps of influencers are valid if agents are policies of one body."""
    if not parts.nets.member.one_body:
        return steps
    turns = jnp.isin(driver(steps), jnp.array([role.influencer for role in parts.roles]))
    return steps._replace(valid=steps.valid & turns)
