"""RUSP's learner: PPO with one recurrent policy for all agents, an omniscient critic, and opponents from the past.

Baker 2020, "Emergent reciprocity and team formation from randomized uncertain social preferences" (arXiv 2011.05373),
the appendix on training. The loss is PPO's:

    - mean min(rho A, clip(rho, 1 - epsilon, 1 + epsilon) A)  -  c_H H  +  c_V (V - target)^2

A are generalised advantages. In training, each agent is driven with probability `past_play` by an earlier version of
the policy for an episode; its steps are not learned from. The randomised preferences are a wrapper of the game.
docs/algorithms/rusp.md derives it and lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import actors
from comity.algorithms.ppo.rusp_networks import Player, new_players, require_columns
from comity.algorithms.ppo.rusp_settings import PRESETS, Settings
from comity.algorithms.sights import seen_by_critic, seen_by_policy, to_scale, updated_scale
from comity.learning import (
    Moments,
    critic_loss,
    cut,
    denormalised,
    divisor,
    fresh_moments,
    lambda_returns,
    mean_valid,
    normalised,
    optimizer,
    over_minibatches,
    picked,
    standardised,
    surrogate_loss,
    take_step,
    updated_moments,
)
from comity.learning.actions import Actions
from comity.learning.versions import recalled, remembered
from comity.networks import EntityView, fresh_core
from comity.rollout import starts
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

__all__ = ["PRESETS", "Config", "make"]

SELF, RIVAL = 1, 2  # the policy that drives an agent: the present one, or a past one; 0: not yet drawn


@dataclass(frozen=True)
class Config(Settings):
    """Settings of RUSP's learner, defined in `rusp_settings.py`."""


class State(NamedTuple):
    policy: Player
    critic: Player
    returns: Moments  # [1], running moments of returns
    opt_state: PyTree  # optimizer state of both networks
    past: Player | None  # leaves [versions, ...], a uniform sample of all versions so far
    rival: Player | None  # the past version that drives agents in the next rollout
    count: Array  # [] int32, number of versions so far


class Memory(NamedTuple):
    """The memory of an agent during an episode."""

    policy: PyTree  # [N, H]
    critic: PyTree  # [N, H]
    driver: Array  # [N] int32: SELF, RIVAL, or 0 before it is drawn


class Batch(NamedTuple):
    """A rollout cut into R = B N T / c pieces of c steps of one agent."""

    policy_seen: EntityView  # [c, R, ...]
    critic_seen: EntityView  # [c, R, ...]
    policy_memory: PyTree  # [R, H] before the first step
    critic_memory: PyTree  # [R, H]
    starts: Array  # [c, R] bool, memory restarts before this step
    available: PyTree  # of each head, [c, R, A]
    action: PyTree  # [c, R]
    log_prob: Array  # [c, R], by the policy that played
    advantage: Array  # [c, R], mean 0, variance 1
    target: Array  # [c, R], the critic's normalised target
    learnt: Array  # [c, R] bool, the step is learned from


PIECES = Batch(1, 1, 0, 0, *(1,) * 7)  # pyright: ignore[reportArgumentType]  # the axis R of each field


def loss(config: Config, acts: Actions, nets: tuple[PyTree, PyTree], batch: Batch) -> tuple[Array, dict[str, Array]]:
    """Returns (the sum of clipped surrogate loss, entropy loss and the critic's squared error; metrics)."""
    policy, critic = nets
    now = acts(policy.unroll(batch.policy_seen, batch.policy_memory, batch.starts), batch.available)
    log_probs = now.log_prob(batch.action)
    climbed = surrogate_loss(log_probs, batch.log_prob, batch.advantage, batch.learnt, config.clip)
    entropy = mean_valid(now.entropy(batch.action), batch.learnt)
    values = critic.unroll(batch.critic_seen, batch.critic_memory, batch.starts)[..., 0]
    error = critic_loss(values, batch.target, batch.learnt)
    moved = log_probs - batch.log_prob
    metrics = {
        "policy_loss": climbed,
        "critic_loss": error,
        "entropy": entropy,
        "kl": -mean_valid(moved, batch.learnt),  # KL(policy that played || present policy)
        "clipped": mean_valid((jnp.abs(jnp.exp(moved) - 1) > config.clip).astype(jnp.float32), batch.learnt),
    }
    return climbed - config.entropy_coefficient * entropy + config.value_weight * error, metrics


def rows_of(
    config: Config, env: Environment, state: State, steps: Transition, learnt: Array, target: Array, advantage: Array
) -> Batch:
    """Returns all pieces of the rollout. learnt, target, advantage [T, B, N]."""
    times = len(steps.valid)
    chunk = divisor(times, config.chunk)
    # Games and agents share one axis, because all agents have one policy.
    # No -1 in the shape: an agent that sees only a picture has 0 numbers, and an empty memory has size 0.
    pieces = lambda x: cut(x.reshape(times, learnt[0].size, *x.shape[3:]), chunk)  # noqa: E731
    count = learnt.size // chunk
    first = lambda x: x[::chunk].reshape(count, *x.shape[3:])  # noqa: E731
    every = partial(jax.tree.map, pieces)
    return Batch(
        every(to_scale(seen_by_policy(env, steps.observation), state.policy.scale, config.input_clip)),
        every(to_scale(seen_by_critic(env, steps.observation), state.critic.scale, config.input_clip)),
        jax.tree.map(first, steps.memory.policy),
        jax.tree.map(first, steps.memory.critic),
        pieces(jnp.broadcast_to(starts(steps)[..., None], learnt.shape)),
        every(steps.observation.available),
        every(steps.action),
        pieces(steps.notes["log_prob"]),
        pieces(advantage),
        pieces(target),
        pieces(learnt),
    )


def targets(
    config: Config, moments: Moments, steps: Transition, learnt: Array, next_value: Array, decay: Array | float
) -> tuple[Array, Array, Moments]:
    """Returns (the critic's normalised targets, advantages of mean 0 and variance 1, moments of returns after the
    rollout). learnt, next_value, targets and advantages: [T, B, N]."""
    returns = lambda_returns(steps.reward, next_value, steps.terminated, steps.ended, config.gamma, config.lambda_)
    side_by_side = lambda x: x.reshape(len(x), -1)  # noqa: E731  # [T, B, N] -> [T, B N]
    flat = side_by_side(learnt)
    advantage = standardised(side_by_side(returns - steps.notes["value"])[..., None], flat).reshape(returns.shape)
    moments = updated_moments(moments, side_by_side(returns)[..., None], flat, decay)
    return normalised(returns[..., None], moments)[..., 0], advantage, moments


def make(config: Config, env: Environment) -> Algorithm:
    require_columns(env)
    agents, acts = env.spec.agents, actors.actions_of(config, env)
    adam = optimizer("adam", config.learning_rate, config.gradient_clip, epsilon=config.epsilon)
    scaled = partial(to_scale, clip=config.input_clip)

    def init(key: Key) -> State:
        policy, critic = new_players(key, config, env, acts)
        past = rival = None
        if config.versions:
            past = jax.tree.map(lambda x: jnp.zeros((config.versions, *x.shape)), policy)
            rival = policy
        opt_state = adam.init((policy.net, critic.net))
        return State(policy, critic, fresh_moments(1), opt_state, past, rival, jnp.zeros((), jnp.int32))

    def evaluate(state: State, observation: Observation, memory: PyTree) -> tuple[Array, PyTree]:
        """Returns (V in reward units [..., N], next memory)."""
        outputs, memory = state.critic.net(scaled(seen_by_critic(env, observation), state.critic.scale), memory)
        return denormalised(outputs, state.returns)[..., 0], memory

    def choice(key: Key, state: State, memory: Memory, observation: Observation, explore: bool, rivals: bool):
        key_driver, key_action = jax.random.split(key)
        view, driver = seen_by_policy(env, observation), memory.driver
        outputs, core = state.policy.net(scaled(view, state.policy.scale), memory.policy)
        if rivals and state.rival is not None:
            chance = jnp.where(state.count > 0, config.past_play, 0.0)
            drawn = jnp.where(jax.random.uniform(key_driver, driver.shape) < chance, RIVAL, SELF)
            driver = jnp.where(driver > 0, driver, drawn).astype(jnp.int32)
            theirs = state.rival.net(scaled(view, state.rival.scale), memory.policy)
            by_rival = (driver == RIVAL)[..., None]
            outputs, core = jax.tree.map(lambda x, y: jnp.where(by_rival, x, y), theirs, (outputs, core))
        policy = acts(outputs, observation.available)
        action = policy.sample(key_action) if explore else policy.mode()
        value, critic_memory = evaluate(state, observation, memory.critic)
        notes = {**policy.notes(), "log_prob": policy.log_prob(action), "value": value}
        return action, Memory(core, critic_memory, driver), notes

    def act(key: Key, state: State, memory: Memory, observation: Observation, explore: bool = True):
        return choice(key, state, memory, observation, explore, rivals=False)

    def practise(key: Key, state: State, memory: Memory, observation: Observation):
        return choice(key, state, memory, observation, explore=True, rivals=True)

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        key_order, key_keep, key_rival = jax.random.split(key, 3)
        learnt = steps.valid[..., None] & (steps.next_memory.driver != RIVAL)  # [T, B, N]
        next_value, _ = evaluate(state, steps.next_observation, steps.next_memory.critic)
        count = learnt.size // divisor(len(learnt), config.chunk)
        minibatches = divisor(count, config.minibatches)
        decay = config.decay ** (config.epochs * minibatches)  # the setting is per gradient step
        target, advantage, moments = targets(config, state.returns, steps, learnt, next_value, decay)
        rows = rows_of(config, env, state, steps, learnt, target, advantage)

        def step(carry, chosen: Array | None):
            batch = rows if chosen is None else picked(rows, PIECES, chosen)
            grads, metrics = jax.grad(partial(loss, config, acts), has_aux=True)(carry[0], batch)
            metrics["gradient_norm"] = optax.tree.norm(grads)
            nets, opt_state = carry
            return take_step(adam, nets, opt_state, grads), metrics

        carry = (state.policy.net, state.critic.net), state.opt_state
        carry, metrics = over_minibatches(step, carry, key_order, count, config.epochs, minibatches)
        (policy, critic), opt_state = carry
        # The networks learned with the scale of the rollout. The scale of the next one differs only by 1 - decay.
        rescaled = lambda player, reads: updated_scale(player.scale, reads(env, steps.observation), learnt, decay)  # noqa: E731
        policy = Player(policy, rescaled(state.policy, seen_by_policy))
        critic = Player(critic, rescaled(state.critic, seen_by_critic))
        past = rival = None
        if state.past is not None:
            past = remembered(key_keep, state.past, state.count, policy)
            rival = recalled(key_rival, past, state.count + 1)
        metrics["driven_by_past"] = 1 - learnt.mean(dtype=jnp.float32)
        return State(policy, critic, moments, opt_state, past, rival, state.count + 1), metrics

    core = fresh_core(config.core, config.hidden, agents)
    memory = Memory(core, core, jnp.zeros(agents, jnp.int32))
    return Algorithm(init, act, update, memory, steps=config.steps or None, practise=practise)
