"""What PPO's networks read, what a rollout is worth, and the pieces of it that its losses are taken of."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.algorithms import prediction
from comity.algorithms.ppo_settings import Config
from comity.algorithms.released import ppo as released
from comity.learning import (
    Moments,
    credited,
    cut,
    lambda_returns,
    normalised,
    restored,
    standardised,
    updated_moments,
)
from comity.networks import ContextNet, DeepRecurrentNet, per_agent
from comity.rollout import starts
from comity.types import Environment, Observation, PyTree, Transition


class Critics(NamedTuple):
    """What members of the family differ in."""

    count: int  # networks: N, or 1
    values: int  # that each of them gives: 1, or N
    reads: Callable[[Observation], Array]  # what they read, [..., count or 1, size]
    size: int

    def one_value(self, agents: int) -> bool:
        """One value for all agents."""
        return self.count * self.values < agents


class State(NamedTuple):
    actor: DeepRecurrentNet | ContextNet  # leaves [N, ...] if separate
    critic: DeepRecurrentNet  # leaves [C, ...], C = N or 1
    returns: Moments  # mean and variance of returns so far, per agent
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    predictor: prediction.Predictor | None


class Batch(NamedTuple):
    """A rollout cut into R = B T / c pieces of c steps."""

    actor_input: Array  # [N, c, R, V]
    critic_input: Array  # [C, c, R, S]
    actor_memory: Array | None  # [N, R, H] before the first step; None: it begins with no context
    critic_memory: Array  # [C, R, H]
    starts: Array  # [c, R] or [c, R, N] bool, memory restarts before this step
    available: Array  # [c, R, N, A]
    action: Array  # [c, R, N]
    log_prob: Array  # [c, R, N], when it was played
    advantage: Array  # [c, R, N], mean 0, variance 1
    value: Array  # [c, R, N], as the critic gave it in play
    target: Array  # [c, R, N], what it should give; reward units if `moments` is "minibatch"
    valid: Array  # [c, R] or [c, R, N]


PIECES = Batch(2, 2, 1, 1, *(1,) * 8)  # pyright: ignore[reportArgumentType]  # which axis of each is R
AGENTS = Batch(0, 0, 0, 0, *(2,) * 8)  # pyright: ignore[reportArgumentType]  # which is N


def own_views(observation: Observation) -> Array:
    """[..., N, V] what each agent sees."""
    return observation.view


def all_views(env: Environment, observation: Observation) -> Array:
    """[..., 1, N V'] what all agents see, one after the other, without their own pasts (`Spec.history`)."""
    spec = env.spec
    view = observation.view[..., : spec.view.size - spec.history]
    return view.reshape(*view.shape[:-2], 1, -1)


def views_size(env: Environment) -> int:
    """How many numbers `all_views` gives."""
    spec = env.spec
    return spec.agents * (spec.view.size - spec.history)


def actor_input(config: Config, env: Environment, observation: Observation) -> Array:
    """[..., N, V], float."""
    spec, view = env.spec, observation.view
    if config.actor_reads == "views":
        everyone = all_views(env, observation)
        everyone = jnp.broadcast_to(everyone, (*view.shape[:-1], everyone.shape[-1]))
        view = jnp.concatenate([everyone, view[..., spec.view.size - spec.history :]], -1)
    return view.astype(jnp.float32) * config.view_scale


def critic_input(config: Config, critics: Critics, observation: Observation) -> Array:
    """[..., C, S], float."""
    read = critics.reads(observation)
    read = jnp.broadcast_to(read, (*read.shape[:-2], critics.count, critics.size))
    return read.astype(jnp.float32) * config.view_scale


def each_value(outputs: Array, agents: int) -> Array:
    """Outputs of all critics [..., C, values] as one value per agent [..., N]."""
    lead = outputs.shape[:-2]
    return jnp.broadcast_to(outputs.reshape(*lead, -1), (*lead, agents))


def evaluate(
    config: Config, critics: Critics, state: State, observation: Observation, memory: Array
) -> tuple[Array, Array]:
    """(V in reward units [..., N], next memory [..., N, H]). One critic's memory is repeated for all agents."""
    axis = observation.available.ndim - 2
    step = per_agent(lambda net, x, h: net(x, h), (0, axis, axis), (axis, axis))
    outputs, after = step(state.critic, critic_input(config, critics, observation), memory[..., : critics.count, :])
    value = each_value(outputs, memory.shape[-2])
    if config.value_normalisation:
        value = restored(value, state.returns, config.first_deviation)
    return value, jnp.broadcast_to(after, memory.shape)


def targets(config: Config, critics: Critics, state: State, steps: Transition) -> tuple[Array, Array]:
    """(returns, advantages) [T, B, N]: lambda-returns in reward units, and what they are above the critic."""
    surprise = jax.scipy.special.entr(steps.notes["probabilities"]).sum(-1)
    bonus = jnp.where(steps.valid[..., None], config.entropy_bonus * surprise, 0.0)
    reward = credited(steps.reward, config.credit) + bonus
    next_value, _ = evaluate(config, critics, state, steps.next_observation, steps.next_memory[1])
    terminated, ended = steps.terminated, steps.ended
    if config.padding_counts:
        terminated, ended = (released.cut_at_marks(flags, steps.valid) for flags in (terminated, ended))
    returns = lambda_returns(reward, next_value, terminated, ended, config.gamma, config.lambda_)
    baseline = steps.notes["value"]
    if config.baseline == "normalised":
        baseline = normalised(baseline, state.returns, config.first_deviation)
    return returns, returns - baseline


def after_rollout(config: Config, critics: Critics, state: State, returns: Array, valid: Array, steps: int) -> Moments:
    """Moments of returns after a rollout that is learned from in so many optimizer steps."""
    if not config.value_normalisation or config.moments == "minibatch":
        return state.returns
    one_value = critics.one_value(returns.shape[-1])
    return updated_moments(state.returns, returns, valid, config.value_decay**steps, one_value)


def rows_of(
    config: Config,
    env: Environment,
    critics: Critics,
    state: State,
    steps: Transition,
    targets: tuple[Array, Array],
    moments: Moments,
    chunk: int,
) -> Batch:
    """The rollout [T, B] as pieces of `chunk` steps. moments: in which targets are normalised."""
    target, advantage = targets
    value, restart, valid = steps.notes["value"], starts(steps), steps.valid
    if config.value_normalisation:
        value = normalised(value, state.returns, config.first_deviation)
        target = target if config.moments == "minibatch" else normalised(target, moments, config.first_deviation)
    if config.padding_counts:
        restart, valid = restart | ~valid, jnp.ones_like(valid)
    together = config.actors == "shared" or config.normalised_over == "team"
    advantage = standardised(advantage, steps.valid, together, config.padding_counts)
    read_by_critic = critic_input(config, critics, steps.observation)
    critic_memory = steps.memory[1]
    if config.rows == "alternating" or config.order == "own":
        restart, valid = (jnp.broadcast_to(x[..., None], value.shape) for x in (restart, valid))
    first = lambda memory: jnp.moveaxis(memory[::chunk].reshape(-1, *memory.shape[2:]), 1, 0)  # noqa: E731
    if config.rows == "alternating":
        pieces = partial(released.alternating, chunk=chunk)
        read_by_critic = jnp.broadcast_to(read_by_critic, (*value.shape, critics.size))
        critic_memory = released.first_memories(critic_memory, chunk)[None]
        actor_memory = jnp.moveaxis(pieces(steps.memory[0])[0], 1, 0)
    else:
        pieces = partial(cut, chunk=chunk)
        critic_memory = first(critic_memory[..., : critics.count, :])
        # Whole episodes begin with no context; that of every step would be T times too much to keep.
        actor_memory = first(steps.memory[0]) if config.network == "gru" else None
    agents_first = lambda x: jnp.moveaxis(pieces(x), 2, 0)  # noqa: E731
    return Batch(
        agents_first(actor_input(config, env, steps.observation)),
        agents_first(read_by_critic),
        actor_memory,
        critic_memory,
        pieces(restart),
        pieces(steps.observation.available),
        pieces(steps.action),
        pieces(steps.notes["log_prob"]),
        pieces(advantage),
        pieces(value),
        pieces(target),
        pieces(valid),
    )


def picked(config: Config, rows: Batch, chosen: Array | None) -> Batch:
    """The pieces [R] that are `chosen`, [r] or for each agent [N, r], as they are unrolled; None: all."""
    if chosen is None:
        batch = rows
    elif chosen.ndim == 1:
        axes = PIECES._replace(actor_memory=None) if rows.actor_memory is None else PIECES
        batch = jax.tree.map(lambda x, axis: jnp.take(x, chosen, axis, mode="clip"), rows, axes)
    else:
        of_agent = lambda axis: lambda x, one: jnp.take(x, one, axis, mode="clip")  # noqa: E731
        pick = lambda x, axis, n: jax.vmap(of_agent(axis - (n < axis)), (n, 0), n)(x, chosen)  # noqa: E731
        batch = jax.tree.map(pick, rows, PIECES, AGENTS)
    if config.rows != "transposed":
        return batch
    mixed = {name: released.transposed(x, axis=int(name.endswith("_input"))) for name, x in batch._asdict().items()}
    return Batch(**mixed | {name: getattr(batch, name) for name in ("actor_memory", "critic_memory")})
