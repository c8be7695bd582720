"""What credit rules say of one action: each rule uses its algorithm's own functions, with critics of a fixed team.

A rule learns from play of a fixed team by its algorithm's own update; after it, the team's actors are put back. So all
rules judge the same policies and have seen the same games. A rule's signal for an action has the units of an
advantage: it is the factor of the action's score in the gradient of its agent.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.algorithms.off_policy import alita, alita_rewards
from comity.algorithms.off_policy import deterministic_nets as of_actions
from comity.algorithms.off_policy.maddpg import joint_actions
from comity.algorithms.policy_gradient import coma, correction, lica, liir, liir_credit, pg
from comity.algorithms.terms import actor_of
from comity.algorithms.values import qmix, value_networks, vdn
from comity.learning import chosen, counterfactuals, discounted_returns, lambda_returns
from comity.types import Algorithm, Collective, Environment, Key, Observation, PyTree, Transition

LAMBDAS = (0.0, 0.5, 0.95)


class Case(NamedTuple):
    """Replays of one situation in which the action was taken."""

    steps: Transition  # leaves [T, K, ...]; step 0 is the action, rewards are those that the rule learned from
    other: Transition  # the same for replays in which another action was taken
    who: Array  # [] int32, the agent of the action
    action: int
    policy: Array  # [N, A] of all agents in the situation
    actors: PyTree  # the team's, leaves [N, ...]


class Rule(NamedTuple):
    """A credit rule. signals(key, state, case) -> {name: [K]}: several if they share a critic."""

    begin: Callable[[Key], PyTree]
    learn: Callable[[Key, PyTree, Transition], PyTree]
    signals: Callable[[Key, PyTree, Case], dict[str, Array]]
    credit: str = "own"  # the reward that the rule credits an agent with: own, the team's mean, or the others' mean


def taught(algorithm: Algorithm, actors: Mapping[str, PyTree], passes: int = 1):
    """Returns (begin, learn) of the algorithm, with the team's actors put back into these fields of its state after
    each update; their optimizer state stays as it is, too.

    passes: number of updates with the same rollout, for algorithms whose update is one small step.
    """

    def begin(key: Key) -> PyTree:
        return algorithm.init(key)._replace(**actors)

    def learn(key: Key, state: PyTree, steps: Transition) -> PyTree:
        held = {**actors, "actor_opt_state": state.actor_opt_state} if actors else {}

        def step(state: PyTree, key: Key) -> tuple[PyTree, None]:
            after, _ = algorithm.update(key, state, steps)
            return after._replace(**held), None

        return jax.lax.scan(step, state, jax.random.split(key, passes))[0]

    return begin, learn


def as_the_team(like: pg.Config, *names: str) -> dict[str, Any]:
    """Returns settings that all learners share with the team's."""
    return {name: getattr(like, name) for name in names or ("core", "hidden", "gamma", "actors")}


def first(x: PyTree) -> PyTree:
    """Returns the step of the action: leaves [T, K, ...] become [K, ...]."""
    return jax.tree.map(lambda x: x[0], x)


def above_average(each: Array, case: Case) -> Array:
    """Returns [K]: the value of the action in `each` [K, A] minus the policy's average."""
    return each[:, case.action] - each @ case.policy[case.who]


def instead(case: Case, observation: Observation, action: Array) -> Array:
    """Returns [A, K, N]: the joint actions, with each of the agent's own actions in its place."""
    count = observation.available.shape[-1]
    mine = jnp.arange(action.shape[-1]) == case.who
    return jnp.where(mine, jnp.arange(count)[:, None, None], action)


# Returns beside a value -----------------------------------------------------------------------------------------------


def of_returns(env: Environment, actors: PyTree, like: pg.Config) -> Rule:
    """Returns the rule of Monte-Carlo returns and generalised advantages with PG's critic, and the correction's weight.

    All come from PG with the correction `mixed`, whose average score is learned, too.
    """
    config = replace(like, correction="mixed")
    algorithm = pg.make(config, env)
    team, acts = pg.team_of(config, env), pg.actors.actions_of(config, env)

    def values(state: pg.State, observation: Observation, memory: PyTree) -> Array:
        return algorithm.act(jax.random.key(0), state, memory, observation)[2]["value"]

    def weights(state: pg.State, case: Case, steps: Transition) -> Array:
        """Returns the weights of the correction, [K]."""
        log_probs = lambda outputs: acts(outputs, steps.observation.available).log_prob(steps.action)  # noqa: E731
        actor = actor_of(team, case.actors, steps, first(steps.memory), log_probs, keep=False)
        giver = jnp.broadcast_to(jnp.arange(steps.reward.shape[-1]) == case.who, steps.reward.shape[1:])
        shared = Collective(steps.reward.mean(-1), giver, steps.valid)
        return correction.weighed(config, actor, shared, state.terms[0]).weight

    def signals(key: Key, state: pg.State, case: Case) -> dict[str, Array]:
        steps = case.steps
        here = lambda x: x[..., case.who]  # noqa: E731
        memory = jax.tree.map(lambda x: jnp.broadcast_to(x, (*steps.valid.shape, *x.shape)), algorithm.memory)
        value, after = (here(values(state, x, memory)) for x in (steps.observation, steps.next_observation))
        reward = here(steps.reward)
        by_name = {"monte-carlo": discounted_returns(reward, steps.ended, config.gamma)[0] - value[0]}
        for rate in LAMBDAS:
            returns = lambda_returns(reward, after, steps.terminated, steps.ended, config.gamma, rate)
            by_name[f"gae-{round(100 * rate)}"] = returns[0] - value[0]
        done, other = (weights(state, case, steps) for steps in (case.steps, case.other))
        # Its average in a situation changes no expected gradient. It has no critic, so the average is subtracted here.
        chance = case.policy[case.who, case.action]
        by_name["correction"] = done - chance * done.mean() - (1 - chance) * other.mean()
        return by_name

    return Rule(*taught(algorithm, {"actor": actors}), signals)


# Critics of actions ---------------------------------------------------------------------------------------------------


def of_coma(env: Environment, actors: PyTree, like: pg.Config) -> Rule:
    """Returns the rule of COMA: Q(s, a) - sum_b pi(b) Q(s, (b, a_-i)) of its critic."""
    config = coma.Config(**as_the_team(like))
    algorithm = coma.make(config, env)

    def signals(key: Key, state: coma.State, case: Case) -> dict[str, Array]:
        seen, action = first(case.steps.observation), first(case.steps.action)
        q = state.critic(*coma.critic_reads(config, env.spec, seen, action))  # [K, N, A]
        return {"coma": counterfactuals.advantages(q, jnp.log(case.policy), action)[:, case.who]}

    return Rule(*taught(algorithm, {"actor": actors}), signals, config.credit)


def of_values(name: str, passes: int, env: Environment, like: pg.Config) -> Rule:
    """Returns the rule of VDN or QMIX: Q_tot with the action minus the policy's average over the agent's actions."""
    module = {"vdn": vdn, "qmix": qmix}[name]
    config = module.Config(**as_the_team(like, "core", "hidden", "gamma"), updates=passes, capacity=1_024)
    algorithm = module.make(config, env)

    def signals(key: Key, state: Any, case: Case) -> dict[str, Array]:
        seen, action = first(case.steps.observation), first(case.steps.action)
        memory = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(action), *x.shape)), algorithm.memory)
        q = algorithm.act(key, state, memory, seen)[2]["values"]  # [K, N, A]
        central = value_networks.central_view(config, env.spec, state.params.reader, seen)
        worth = lambda joint: module.mixed(state.params.mixer, chosen(q, joint), central)[..., 0]  # noqa: E731
        return {name: above_average(jax.vmap(worth)(instead(case, seen, action)).T, case)}

    return Rule(*taught(algorithm, {}), signals, config.credit)


def of_lica(passes: int, env: Environment, actors: PyTree, like: pg.Config) -> Rule:
    """Returns the rule of LICA: the gradient of Q(s, pi) in the agent's logit of the action, divided by pi(a). It is
    the inner product of the gradient with the direction in which the action becomes more likely.
    """
    config = lica.Config(**as_the_team(like))
    algorithm = lica.make(config, env)

    def signals(key: Key, state: lica.State, case: Case) -> dict[str, Array]:
        seen = first(case.steps.observation)
        sees = lica.central(config, env.spec, seen)
        logits = jnp.broadcast_to(jnp.log(jnp.maximum(case.policy, 1e-9)), (len(sees), *case.policy.shape))
        worth = lambda logits: lica.worth_of_policies(config, key, state.critic, sees, logits).sum()  # noqa: E731
        slope = jax.grad(worth)(logits)[:, case.who, case.action]
        return {"lica": slope / case.policy[case.who, case.action]}

    return Rule(*taught(algorithm, {"actor": actors}, passes), signals, config.credit)


# Learned rewards, influence -------------------------------------------------------------------------------------------


def of_liir(passes: int, env: Environment, actors: PyTree, like: pg.Config) -> Rule:
    """Returns the rule of LIIR: w times the intrinsic reward of the action, minus the policy's average."""
    config = liir.Config(**as_the_team(like))
    algorithm = liir.make(config, env)

    def signals(key: Key, state: liir.State, case: Case) -> dict[str, Array]:
        raw, _, _ = state.critic(*liir_credit.critic_reads(env.spec, first(case.steps.observation)))
        each = config.intrinsic_weight * liir_credit.intrinsic_rewards(config, raw)[:, case.who]  # [K, A]
        return {"liir": above_average(each, case)}

    return Rule(*taught(algorithm, {"actor": actors}, passes), signals, config.credit)


def of_alita(env: Environment, actors: PyTree, like: pg.Config, **settings: Any) -> Rule:
    """Returns the rule of ALITA, minus its F: how much less than on average the others miss their best afterwards.

    All agents are influencers. ALITA's actors are networks without memory, so the team's must be, too.
    """
    config = alita.Config(
        hidden=like.hidden, gamma=like.gamma, agents=like.actors, layer_norm=False, influencers=(), novelty_by="none",
        **settings,
    )  # fmt: skip
    algorithm = alita.make(config, env)
    nets = of_actions.nets_of(config, env.spec, of_actions.Member(joint_actions))
    parts = alita_rewards.parts_of(config, env, nets)
    turned = of_actions.without_memory
    same = jax.vmap(turned)(actors) if like.actors == "separate" else turned(actors)

    def signals(key: Key, state: Any, case: Case) -> dict[str, Array]:
        seen, action = first(case.steps.observation), first(case.steps.action)
        joint = nets.acts.encoded(instead(case, seen, action))  # [A, K, N, A]

        def shortfall(at: int, joint: Array) -> Array:
            return alita.gaps(parts, key, state, at, seen, seen, joint, joint[None]).mean(-1)

        each = jnp.stack([jax.vmap(partial(shortfall, at))(joint) for at in range(len(parts.roles))])  # [N, A, K]
        return {"alita": -above_average(each[case.who].T, case)}

    return Rule(*taught(algorithm, {"actors": same, "target_actors": same}), signals, "others")


def rules(env: Environment, actors: PyTree, like: pg.Config, passes: int, capacity: int) -> tuple[Rule, ...]:
    """Returns all rules. passes: updates per rollout of critics that take one step each time; capacity: transitions."""
    return (
        of_returns(env, actors, like),
        of_coma(env, actors, like),
        of_values("vdn", passes, env, like),
        of_values("qmix", passes, env, like),
        of_lica(passes, env, actors, like),
        of_liir(passes, env, actors, like),
        of_alita(env, actors, like, capacity=capacity, every=300),
    )
