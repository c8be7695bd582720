"""LIIR: learning individual intrinsic rewards (Du et al. 2019, "LIIR: learning individual intrinsic reward in
multi-agent reinforcement learning").

Each agent has a proxy reward, the team's reward plus its own intrinsic one, and ascends its policy gradient:

    theta_i' = theta_i + alpha grad log pi_i(a_i) A_proxy_i     for the proxy reward r + w r_in_i          (eq. 6)
    eta'     = eta + beta grad_eta J_ex(theta')                 through the step of theta                  (eq. 9)

The intrinsic rewards r_in with parameters eta ascend the team's extrinsic objective J_ex at the policies *after* their
step, by the chain rule through that step. docs/algorithms/liir.md derives it and lists every departure.
"""

from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms import actors
from comity.algorithms.policy_gradient.liir_credit import Credit, credit, critic_reads, new_critic, value_errors
from comity.algorithms.policy_gradient.liir_settings import PYMARL, Settings
from comity.compatibility import require_discrete
from comity.learning import (
    differentiable_rmsprop,
    entropy,
    fit_backwards,
    log_prob,
    mean_valid,
    optimizer,
    replay,
    take_step,
    towards,
)
from comity.learning.actions import actions
from comity.networks import JointNet, RecurrentNet
from comity.spec import Spec
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(Settings):
    """Settings of LIIR."""


PRESETS = {"sound": {}, "paper": {}, "released": {}, "pymarl": PYMARL}


class Stepwise(NamedTuple):
    """The state that `critic_schedule` "each-step" needs in addition."""

    rewards_opt_state: PyTree  # of the intrinsic rewards' head
    copied: Array  # [] int32, `updates` at the last copy to the target


class State(NamedTuple):
    actor: RecurrentNet  # leaves [N, ...] if separate
    critic: JointNet  # encoders and a `Critic`, one for all agents
    target_critic: JointNet
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    updates: Array  # [] int32, steps of the values
    stepwise: Stepwise | tuple[()] = ()  # with critic_schedule "each-step"
    time: PyTree = ()  # [] int32, steps of a batch so far, with exploration


def policy_loss(logits: Array, action: Array, advantage: Array, valid: Array) -> Array:
    """Returns -(sum m A_i log pi(a_i)) / sum m, per agent [N], with the mask m of valid steps.

    The advantage carries gradient, because the intrinsic rewards learn through it.
    """
    return -mean_valid(advantage * log_prob(logits, action), valid)


def extrinsic_objective(logits: Array, before: Array, action: Array, advantage: Array, valid: Array) -> Array:
    """Returns the extrinsic objective of new policies, to first order, from data of the old ones (eq. 9), [].

    It is the mean over agents of (pi_i' / pi_i) A_ex. logits, before [T, B, N, A]: of the new and the old policies.
    """
    ratio = jnp.exp(log_prob(logits, action) - lax.stop_gradient(log_prob(before, action)))
    return mean_valid(ratio * advantage, valid).mean()


def value_steps(
    spec: Spec, optimizer: optax.GradientTransformation, state: State, episodes: replay.Episodes, found: Credit
) -> tuple[State, tuple[Array, Array]]:
    """Returns (state after one step of the values per time index, the last first; both values [T, B, N], each from
    just before the step on its time). The head of the intrinsic rewards gets no gradient."""

    def error(critic: JointNet, group: tuple) -> tuple[Array, tuple[Array, Array]]:
        observation, returns, valid = group
        _, proxy, extrinsic = critic(*critic_reads(spec, observation))
        return value_errors((proxy, extrinsic), returns, valid), (proxy, extrinsic)

    valid = episodes.valid
    data = episodes.before, (found.proxy_return, found.extrinsic_return), valid
    critic, opt_state, values = fit_backwards(
        error, optimizer, state.critic, state.critic_opt_state, data, valid, len(valid)
    )
    updates = state.updates + valid.any(-1).sum(dtype=jnp.int32)
    return state._replace(critic=critic, critic_opt_state=opt_state, updates=updates), values


def only_rewards(grads: JointNet) -> JointNet:
    """Returns the gradient of the intrinsic rewards' head, and 0 for all else."""
    return eqx.tree_at(lambda grads: grads.net.rewards, jax.tree.map(jnp.zeros_like, grads), grads.net.rewards)


def after_critic(config: Config, optimizer: optax.GradientTransformation, state: State, grads: JointNet) -> State:
    """Returns the state after the critic's optimizer step, and its copy to the target if it is due.

    optimizer: of the whole critic; of the intrinsic rewards' head with `critic_schedule` "each-step".
    """
    if isinstance(state.stepwise, Stepwise):
        grads, copied = only_rewards(grads), state.stepwise.copied
        critic, opt_state = take_step(optimizer, state.critic, state.stepwise.rewards_opt_state, grads)
        due = state.updates - copied >= config.target_period
        state = state._replace(stepwise=Stepwise(opt_state, jnp.where(due, state.updates, copied)))
    else:
        critic, opt_state = take_step(optimizer, state.critic, state.critic_opt_state, grads)
        state = state._replace(critic_opt_state=opt_state, updates=state.updates + 1)
        due = state.updates % config.target_period == 0
    return state._replace(critic=critic, target_critic=towards(state.target_critic, critic, 1, due))


def rmsprop(config: Config, clip: float) -> optax.GradientTransformation:
    """RMSprop of the critic, on gradients clipped to the norm `clip`."""
    return optimizer("rmsprop", config.critic_learning_rate, clip, config.decay, config.epsilon)


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "liir", images=True)
    spec, acts = env.spec, actions(env.spec.action)
    team = actors.recurrent_team(config, env, acts, config.actors, config.core, config.hidden, config.activation)
    actor_optimizer = team.optimizer(
        differentiable_rmsprop(config.learning_rate, config.clip, config.decay, config.epsilon)
    )
    critic_optimizer, rewards_optimizer = (rmsprop(config, clip) for clip in (config.clip, config.rewards_clip))
    each_step, timed = config.critic_schedule == "each-step", config.exploration != "none"

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor, critic = team.init(key_actor), new_critic(config, spec, key_critic)
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)  # pyright: ignore[reportArgumentType]
        zero = lambda needed: jnp.zeros((), jnp.int32) if needed else ()  # noqa: E731
        more = Stepwise(rewards_optimizer.init(critic), zero(True)) if each_step else ()  # pyright: ignore
        copy = jax.tree.map(jnp.copy, critic)
        return State(actor, critic, copy, *opt_states, zero(True), more, zero(timed))  # pyright: ignore

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = team.step(state.actor, observation.view, memory)
        policy = acts(outputs, observation.available, actors.floor(config, state.time) if explore else None)
        action = policy.sample(key) if explore else policy.mode()
        value = state.critic(*critic_reads(spec, observation))[2]
        return action, team.acted(memory, action), {**policy.notes(), "value": value}

    def logits_of(actor: RecurrentNet, state: State, steps: Transition) -> Array:
        """Returns log pi(. | history) up to a constant, [T, B, N, A], with the present share of the uniform policy."""
        before = jax.tree.map(lambda x: x[0], steps.memory)
        outputs = team.unroll(actor, steps.observation.view, before, None, steps.action)
        return acts(outputs, steps.observation.available, actors.floor(config, state.time)).logits

    def actor_step(state: State, steps: Transition, advantage: Array) -> tuple[RecurrentNet, PyTree, Array]:
        """Returns (actors, their optimizer state, loss []) after the step on the proxy advantages (eq. 6)."""

        def loss(actor: RecurrentNet) -> Array:
            logits = logits_of(actor, state, steps)
            losses = policy_loss(logits, steps.action, advantage, steps.valid)
            return team.total(losses - config.entropy_coefficient * mean_valid(entropy(logits), steps.valid))

        value, grads = jax.value_and_grad(loss)(state.actor)
        return *take_step(actor_optimizer, state.actor, state.actor_opt_state, grads), value

    def after_values(state: State, episodes: replay.Episodes) -> tuple[State, tuple[Array, Array] | None]:
        """Returns (the state after the values' own steps, both values in play); (state, None) if they have none."""
        if not each_step:
            return state, None
        found = credit(config, spec, state.critic, state.target_critic, episodes)
        return value_steps(spec, critic_optimizer, state, episodes, found)

    def update(key: Key, state: State, steps: Transition):
        episodes, valid = replay.of_rollout(steps), steps.valid
        before = logits_of(state.actor, state, steps)
        after, values = after_values(state, episodes)

        def loss(critic: JointNet):
            found = credit(config, spec, critic, state.target_critic, episodes, values)
            actor, opt_state, policy = actor_step(state, steps, found.proxy_advantage)
            now, advantage = logits_of(actor, state, steps), found.extrinsic_advantage
            earned = extrinsic_objective(now, before, steps.action, advantage, valid)
            _, *known = critic(*critic_reads(spec, steps.observation))
            returns = found.proxy_return, found.extrinsic_return
            error = value_errors(tuple(known) if values is None else values, returns, valid)
            metrics = {
                "policy_loss": policy,
                "critic_loss": error,
                "extrinsic_objective": earned,
                "intrinsic_reward": mean_valid(jnp.abs(found.intrinsic), valid).mean(),
            }
            return error - earned, (actor, opt_state, metrics)

        grads, (actor, actor_opt_state, metrics) = jax.grad(loss, has_aux=True)(state.critic)
        after = after._replace(actor=actor, actor_opt_state=actor_opt_state)
        after = after_critic(config, rewards_optimizer if each_step else critic_optimizer, after, grads)
        metrics["entropy"] = mean_valid(entropy(before), valid).mean()
        metrics["critic_gradient_norm"] = optax.tree.norm(grads)
        return after._replace(time=state.time + len(valid) if timed else ()), metrics

    return Algorithm(init, act, update, memory=team.memory, whole_episodes=True)
