"""Values, targets and advantages of a rollout for PPO, and the pieces of the rollout that its losses read."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.algorithms.policy_gradient import prediction
from comity.algorithms.ppo import trunk
from comity.algorithms.ppo.ppo_inputs import Critics, actor_sees, critic_sees
from comity.algorithms.ppo.ppo_settings import Config
from comity.algorithms.released import ppo as released
from comity.axes import aligned
from comity.learning import (
    Moments,
    by_steps,
    credited,
    cut,
    denormalised,
    lambda_returns,
    normalised,
    picked,
    standardised,
    updated_moments,
)
from comity.learning.actions import Actions
from comity.networks import Team
from comity.rollout import starts
from comity.types import Environment, Observation, PyTree, Transition


class Teams(NamedTuple):
    """The functions of the networks."""

    actors: Team
    critics: Team  # C = N or 1 networks
    actions: Actions
    kinds: Critics
    together: bool = False  # True: values are additional outputs of the actors' networks, see `trunk`


class State(NamedTuple):
    actor: PyTree  # leaves [N, ...] if separate
    critic: PyTree  # leaves [C, ...], C = N or 1; None: the actor's network has the value
    returns: Moments  # running moments of returns, per agent
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    predictor: prediction.Predictor | None


class Batch(NamedTuple):
    """A rollout cut into R = B T / c pieces of c steps."""

    actor_input: PyTree  # [N, c, R, V]
    critic_input: PyTree  # [C, c, R, S]
    actor_memory: PyTree  # [N, R, H] before the first step; None: it begins with an empty context
    critic_memory: PyTree  # [C, R, H]
    starts: Array  # [c, R] or [c, R, N] bool, memory restarts before this step
    available: PyTree  # [c, R, N, A]
    action: PyTree  # [c, R, N]
    log_prob: Array  # [c, R, N], by the policy that played
    advantage: Array  # [c, R, N], mean 0, variance 1
    value: Array  # [c, R, N], the critic's normalised value in play
    target: Array  # [c, R, N], the critic's normalised target; in reward units if `moments` is "minibatch"
    valid: Array  # [c, R] or [c, R, N]


PIECES = Batch(2, 2, 1, 1, *(1,) * 8)  # pyright: ignore[reportArgumentType]  # the axis R of each field
AGENTS = Batch(0, 0, 0, 0, *(2,) * 8)  # pyright: ignore[reportArgumentType]  # the axis N of each field


def choosing(config: Config, available: PyTree, valid: Array) -> Array:
    """Returns the steps that count for actors: `valid`, or with `skip_forced` [..., N], those with several actions.

    available: leaves [..., N, A]; valid [...] or [..., N].
    """
    if not config.skip_forced:
        return valid
    several = jnp.stack([head.sum(-1) > 1 for head in jax.tree.leaves(available)]).any(0)
    return several & aligned(valid, several)


def pooled(config: Config, counted: Array, means: Array) -> Array:
    """Returns the agents' means [N], weighted so that with one actor for all each of the counted steps weighs the same.

    counted: see `choosing`.
    """
    if not config.skip_forced or config.actors == "separate":
        return means
    return by_steps(means, counted)


def each_value(outputs: Array, agents: int) -> Array:
    """Returns the outputs of all critics [..., C, values] as one value per agent [..., N]."""
    lead = outputs.shape[:-2]
    return jnp.broadcast_to(outputs.reshape(*lead, -1), (*lead, agents))


def evaluate(
    config: Config, env: Environment, teams: Teams, state: State, observation: Observation, memory: PyTree
) -> tuple[Array, PyTree]:
    """Returns (V in reward units [..., N], next memory [..., N, H]). One critic's memory is repeated for all agents.

    memory: the critics' memory, or with a shared trunk the actors'.
    """
    if teams.together:
        outputs, after = teams.actors.step(state.actor, actor_sees(config, env, observation), memory)
        return in_reward_units(config, state, trunk.parted(outputs)[1]), after
    axis = jax.tree.leaves(observation.available)[0].ndim - 2  # the agents' axis
    held = jax.tree.map(lambda x: x[..., : teams.kinds.count, :], memory)
    outputs, after = teams.critics.step(state.critic, critic_sees(config, teams.kinds, observation), held)
    agents = teams.actors.agents
    value = in_reward_units(config, state, each_value(outputs, agents))
    return value, jax.tree.map(lambda x: jnp.broadcast_to(x, (*x.shape[:axis], agents, *x.shape[axis + 1 :])), after)


def in_reward_units(config: Config, state: State, value: Array) -> Array:
    """Returns the critics' outputs in reward units."""
    return denormalised(value, state.returns, config.first_deviation) if config.value_normalisation else value


def targets(config: Config, env: Environment, teams: Teams, state: State, steps: Transition) -> tuple[Array, Array]:
    """Returns (lambda-returns in reward units, advantages), [T, B, N]. Advantages are returns minus the baseline."""
    bonus = jnp.where(steps.valid[..., None], config.entropy_bonus * steps.notes["entropy"], 0.0)
    reward = credited(steps.reward, config.credit) + bonus
    next_memory = steps.next_memory[0 if teams.together else 1]
    next_value, _ = evaluate(config, env, teams, state, steps.next_observation, next_memory)
    terminated, ended = steps.terminated, steps.ended
    if config.padding_counts:
        terminated, ended = (released.cut_at_marks(flags, steps.valid) for flags in (terminated, ended))
    returns = lambda_returns(reward, next_value, terminated, ended, config.gamma, config.lambda_)
    baseline = steps.notes["value"]
    if config.baseline == "normalised":
        baseline = normalised(baseline, state.returns, config.first_deviation)
    return returns, returns - baseline


def after_rollout(config: Config, critics: Critics, state: State, returns: Array, valid: Array, steps: int) -> Moments:
    """Returns the moments of returns after a rollout. steps: number of optimizer steps on it."""
    if not config.value_normalisation or config.moments == "minibatch":
        return state.returns
    one_value = critics.one_value(returns.shape[-1])
    return updated_moments(state.returns, returns, valid, config.value_decay**steps, one_value)


def rows_of(
    config: Config,
    env: Environment,
    teams: Teams,
    state: State,
    steps: Transition,
    targets: tuple[Array, Array],
    moments: Moments,
    chunk: int,
) -> Batch:
    """Returns the rollout [T, B] as pieces of `chunk` steps. moments: those that normalise the targets."""
    target, advantage = targets
    value, restart, valid = steps.notes["value"], starts(steps), steps.valid
    if config.value_normalisation:
        value = normalised(value, state.returns, config.first_deviation)
        target = target if config.moments == "minibatch" else normalised(target, moments, config.first_deviation)
    if config.padding_counts:
        restart, valid = restart | ~valid, jnp.ones_like(valid)
    together = config.actors == "shared" or config.normalised_over == "team"
    advantage = standardised(
        advantage, choosing(config, steps.observation.available, steps.valid), together, config.padding_counts
    )
    read_by_critic: PyTree = ()
    if not teams.together:
        read_by_critic = teams.critics.reads(critic_sees(config, teams.kinds, steps.observation))
    core, last = teams.actors.parts(steps.memory[0])
    read_by_actor = teams.actors.reads(actor_sees(config, env, steps.observation), last)
    if config.rows == "alternating" or config.order == "own":
        restart, valid = (jnp.broadcast_to(x[..., None], value.shape) for x in (restart, valid))
    if config.rows == "alternating":
        pieces = partial(released.alternating, chunk=chunk)
        read_by_critic = jnp.broadcast_to(read_by_critic, (*value.shape, teams.kinds.view.size))
        critic_memory = jax.tree.map(lambda x: released.first_memories(x, chunk)[None], steps.memory[1])
        actor_memory = jax.tree.map(lambda x: jnp.moveaxis(pieces(x)[0], 1, 0), core)
    else:
        pieces = partial(cut, chunk=chunk)
        count = steps.valid.size // chunk  # not -1: an empty memory has size 0
        first = lambda x: jnp.moveaxis(x[::chunk].reshape(count, *x.shape[2:]), 1, 0)  # noqa: E731
        held = jax.tree.map(lambda x: x[..., : teams.kinds.count, :], steps.memory[1])
        critic_memory = jax.tree.map(first, held)
        # Whole episodes begin with an empty context. The context of every step would take T times the memory.
        actor_memory = None if config.core == "attention" else jax.tree.map(first, core)
    every = partial(jax.tree.map, pieces)
    agents_first = partial(jax.tree.map, lambda x: jnp.moveaxis(pieces(x), 2, 0))
    return Batch(
        agents_first(read_by_actor),
        agents_first(read_by_critic),
        actor_memory,
        critic_memory,
        pieces(restart),
        every(steps.observation.available),
        every(steps.action),
        pieces(steps.notes["log_prob"]),
        pieces(advantage),
        pieces(value),
        pieces(target),
        pieces(valid),
    )


def in_deviations(config: Config, teams: Teams, moments: Moments, batch: Batch) -> tuple[Moments, Batch]:
    """Returns (moments updated with a minibatch, the batch with targets normalised by them), if `moments` says so."""
    if not config.value_normalisation or config.moments != "minibatch":
        return moments, batch
    one_value = teams.kinds.one_value(teams.actors.agents)
    moments = updated_moments(moments, batch.target, batch.valid, config.value_decay, one_value)
    return moments, batch._replace(target=normalised(batch.target, moments, config.first_deviation))


def minibatch(config: Config, rows: Batch, chosen: Array | None) -> Batch:
    """Returns the chosen pieces in the order in which they are unrolled.

    chosen: numbers of pieces, [r], or for each agent [N, r]; None: all.
    """
    if chosen is None:
        batch = rows
    elif chosen.ndim == 1:
        batch = picked(rows, PIECES, chosen)
    else:
        of_agent = lambda axis: lambda x, one: jnp.take(x, one, axis, mode="clip")  # noqa: E731

        def pick(part: PyTree, axis: int, n: int) -> PyTree:
            each = lambda x: jax.vmap(of_agent(axis - (n < axis)), (n, 0), n)(x, chosen)  # noqa: E731
            return jax.tree.map(each, part)

        batch = Batch(*map(pick, rows, PIECES, AGENTS))  # pyright: ignore[reportArgumentType]
    if config.rows != "transposed":
        return batch
    mix = lambda x, name: released.transposed(x, axis=int(name.endswith("_input")))  # noqa: E731
    mixed = {name: jax.tree.map(partial(mix, name=name), part) for name, part in batch._asdict().items()}
    return Batch(**mixed | {name: getattr(batch, name) for name in ("actor_memory", "critic_memory")})
