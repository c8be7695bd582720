"""The learning loop of value decomposition for a given loss: replay of whole episodes, optimizer steps, targets."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms.released import mixers as released
from comity.algorithms.values.value_settings import Config
from comity.learning import if_ready, linear, optimizer, per_agent_optimizer, replay, take_step, towards
from comity.rollout import shapes
from comity.types import Environment, Key, PyTree, Transition

SLICE = 64  # episodes of one gradient computation; more do not fit into a CPU's cache (docs/performance.md)


class State(NamedTuple):
    params: PyTree  # `value_networks.Params`, in most members
    target_params: PyTree
    opt_state: PyTree
    replay: replay.Replay
    time: Array  # [] int32, steps of a batch so far
    steps: Array  # [] int32, optimizer steps so far


def explore_rate(config: Config, time: Array) -> Array:
    """Returns epsilon of the epsilon-greedy policy after `time` steps of a batch."""
    fall = released.epsilon if config.explore_shape == "floored" else linear
    return fall(config.explore_start, config.explore_end, config.explore_steps, time)


def target_is_due(config: Config, count: Array, ahead: bool) -> Array | bool:
    """Returns [] bool, True if the target moves before (`ahead`) or after the optimizer step number `count`, from 0."""
    if ahead != (config.target_moves == "before"):
        return False
    if ahead:
        return count % config.target_period == 0
    steps = count + (config.target_moves == "after")
    return (steps > 0) & (steps % config.target_period == 0)


def learning(
    config: Config,
    env: Environment,
    loss: Callable,
    extra: Callable[[Transition], PyTree] = lambda _: (),
    whole_draws: bool = False,
    apart: bool = False,
):
    """Returns (begin, update), which all members share: begin(params, act, memory) -> the first state, and
    `Algorithm.update`.

    loss(params, target_params, episodes, games) -> (loss of each step [T, B], metrics of each step, leaves [T, B]),
    where the B episodes are rollouts of `games`. extra(steps) -> leaves [B, ...], which the replay stores with each
    episode. whole_draws: the loss needs all episodes of an update at once. apart: all parameters belong to single
    agents, leaves [N, ...], so each agent has its own optimizer and gradient norm.
    """
    rate = partial(linear, config.learning_rate, config.last_learning_rate, config.learning_rate_steps)
    descent = optimizer(config.optimizer, rate, config.clip, config.decay, config.epsilon)
    descent = per_agent_optimizer(descent) if apart else descent

    def rows_of(steps: Transition) -> replay.Row:
        return replay.stored(env, steps, extra(steps))

    def begin(params: PyTree, act: Callable, memory: PyTree) -> State:
        zero = jnp.zeros((), jnp.int32)
        target = jax.tree.map(jnp.copy, params)  # a donated state may not hold an array twice
        state = State(params, target, descent.init(params), (), zero, zero)  # pyright: ignore[reportArgumentType]
        steps = shapes(env, lambda key, memory, observation: act(key, state, memory, observation), memory)
        return state._replace(replay=replay.empty(jax.eval_shape(rows_of, steps), config.capacity))

    def total(params: PyTree, target_params: PyTree, rows: replay.Row, games: int, reward_of: Callable | None):
        """Returns the sum of the loss over the steps that count, the sums of all metrics, and the number of steps."""
        episodes = replay.paid(replay.episodes_of(env, rows), reward_of)
        counts = episodes.valid & (config.ends_teach | ~episodes.ended)
        if config.padding == "released":
            episodes, behind = released.padded(episodes, games)
            counts |= behind
        losses, metrics = loss(params, target_params, episodes, games)
        sums = jax.tree.map(lambda x: jnp.where(counts, x, 0.0).sum(), {"loss": losses, **metrics})
        return sums["loss"], (sums, counts.sum())

    def descend(key: Key, learned: tuple, memories: replay.Replay, games: int, reward_of: Callable | None):
        params, target_params, opt_state, count = learned
        target_params = towards(target_params, params, config.tau, target_is_due(config, count, ahead=True))
        rows = replay.draw(key, memories, config.batch, games, config.replacement)
        objective = jax.grad(total, has_aux=True)
        gradient = lambda rows: objective(params, target_params, rows, games, reward_of)  # noqa: E731
        together = games if config.misread or config.padding == "released" else 1
        grads, (sums, steps) = replay.in_slices(gradient, rows, SLICE, config.batch if whole_draws else together)
        grads, metrics = jax.tree.map(lambda x: x / jnp.maximum(steps, 1), (grads, sums))
        params, opt_state = take_step(descent, params, opt_state, grads)
        target_params = towards(target_params, params, config.tau, target_is_due(config, count, ahead=False))
        return (params, target_params, opt_state, count + 1), metrics | {"gradient_norm": optax.tree.norm(grads)}

    def update(key: Key, state: State, steps: Transition, reward_of: Callable | None = None):
        games = steps.valid.shape[1] if config.batch_of == "rollouts" else 1
        if config.batch % games:
            raise ValueError(f"batch {config.batch} is not whole rollouts of {games} games: change batch or envs")
        memories = replay.push(state.replay, rows_of(steps), config.replay_restarts, config.warmup)
        learned = (state.params, state.target_params, state.opt_state, state.steps)

        def learn(learned):
            run = lambda learned, key: descend(key, learned, memories, games, reward_of)  # noqa: E731
            learned, metrics = lax.scan(run, learned, jax.random.split(key, config.updates))
            return learned, jax.tree.map(lambda x: x.mean(0), metrics)

        learned, metrics = if_ready(memories.filled >= config.warmup, learn, learned)
        params, target_params, opt_state, count = learned
        time = state.time + len(steps.valid)
        metrics |= {"epsilon": explore_rate(config, time), "replay_episodes": memories.filled}
        return State(params, target_params, opt_state, memories, time, count), metrics

    return begin, update
