"""PQN: parallelised Q-learning, without replay and target network (Gallici et al. 2024, arXiv 2407.04811).

Many games play T steps with epsilon-greedy policies. The rollout gives Q(lambda) targets, is learned for a few epochs,
and is then dropped:

    descend mean (G_t - Q(history_t, a_t))^2,   G_t = lambda-return with max over a of Q(history_{t+1}, a)     (eq. 9)

LayerNorm in the network replaces the target network (theorem 2). In `pqn` each agent learns its own value, in `pqn-vdn`
the team's value is the sum. docs/algorithms/pqn.md derives it and lists every departure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import actors
from comity.compatibility import require_discrete
from comity.learning import (
    Optimizer,
    Reward,
    chosen,
    credited,
    cut,
    divisor,
    epsilon_greedy,
    lambda_returns,
    linear,
    masked,
    mean_valid,
    optimizer,
    over_minibatches,
    picked,
    take_step,
)
from comity.networks import Activation, Core, DeepRecurrentNet, Team, fresh_core
from comity.rollout import starts
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Settings(actors.Products, actors.Reads):
    """Settings of both members. Paper: the authors' file of PQN-VDN for StarCraft-like battles, see `PAPER`."""

    agents: Literal["shared", "separate"] = "shared"  # one network for all agents, or one for each
    core: Core = "gru"  # memory of an agent
    encoder: tuple[Positive[int], ...] = (64,)  # widths of the dense layers before the memory; paper 512, 512
    hidden: Positive[int] = 64  # width of the memory; paper 512
    layer_norm: bool = True  # a LayerNorm after every layer; without it a target network would be needed
    activation: Activation = "relu"  # after every hidden layer
    gamma: Fraction = 0.99  # discount per step
    lambda_: Fraction = 0.85  # lambda of the targets
    credit: Reward = "own"  # the reward that is predicted: own, or the team's mean or sum
    reward_factor: Positive[float] = 1.0  # rewards are multiplied by it, for learning only; paper 10
    steps: NotNegative[int] = 0  # T of a rollout; 0: the game's length. Paper 128
    chunk: Positive[int] = 16  # most steps that a gradient goes back; rounded down to a divisor of T
    epochs: Positive[int] = 4  # passes over a rollout
    minibatches: Positive[int] = 4  # most minibatches per epoch; paper 16
    optimizer: Optimizer = "radam"  # paper radam, rectified Adam
    decay: Fraction = 0.99  # RMSprop's alpha, per optimizer step
    epsilon: Positive[float] = 1e-8  # is added to the optimizer's root
    learning_rate: Positive[float] = 1e-3  # paper 2.5e-4
    last_learning_rate: NotNegative[float] = 1e-4  # paper 0
    learning_rate_steps: Positive[float] = 20_000.0  # optimizer steps in which the rate changes linearly to the last
    clip: Positive[float] = 10.0  # largest gradient norm, of each network; paper 1
    explore_start: Fraction = 1.0  # epsilon of the epsilon-greedy policy at the start
    explore_end: Fraction = 0.05  # epsilon from explore_steps on; paper 0.01
    explore_steps: Positive[float] = 50_000.0  # steps of a batch; one rollout advances by T

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class Config(Settings):
    """Settings of PQN."""


PAPER = {
    "encoder": (512, 512),
    "hidden": 512,
    "reward_factor": 10.0,
    "steps": 128,
    "minibatches": 16,
    "learning_rate": 2.5e-4,
    "last_learning_rate": 0.0,
    "learning_rate_steps": 39_040.0,  # 64 for each of 610 rollouts, which are 10 million steps in 128 games
    "clip": 1.0,
    "explore_end": 0.01,
    "explore_steps": 7_808.0,  # a tenth of the training
}
PRESETS = {"sound": {}, "paper": PAPER}


class State(NamedTuple):
    net: PyTree  # leaves [N, ...] if separate
    opt_state: PyTree
    time: Array  # [] int32, steps of a batch so far


class Batch(NamedTuple):
    """A rollout cut into R = B T / c pieces of c steps."""

    view: Array  # [c, R, N, ...]
    memory: PyTree  # [R, N, H] before the first step
    starts: Array  # [c, R] bool, memory restarts before this step
    action: Array  # [c, R, N]
    target: Array  # [c, R, N]
    valid: Array  # [c, R]


PIECES = Batch(1, 0, *(1,) * 4)  # pyright: ignore[reportArgumentType]  # the axis R of each field


def targets(config: Settings, mix: Callable[[Array], Array], steps: Transition, next_q: Array) -> Array:
    """Returns Peng's Q(lambda) targets [T, B, N] (the paper's equation 9), in reward units times `reward_factor`.

    next_q [T, B, N, A]: the values after each step, by the network that played. mix(q [..., N]) -> [..., N or 1].
    """
    best = masked(next_q, steps.next_observation.available).max(-1)
    reward, following = jnp.broadcast_arrays(credited(config.reward_factor * steps.reward, config.credit), mix(best))
    return lambda_returns(reward, following, steps.terminated, steps.ended, config.gamma, config.lambda_)


def pieces(steps: Transition, target: Array, chunk: int) -> Batch:
    """Returns the rollout [T, B] in pieces of `chunk` steps."""
    count = steps.valid.size // chunk
    first = lambda x: x[::chunk].reshape(count, *x.shape[2:])  # noqa: E731
    parts = steps.observation.view, starts(steps), steps.action, target, steps.valid
    view, *rest = (cut(x, chunk) for x in parts)
    return Batch(view, jax.tree.map(first, steps.memory), *rest)


def objective(team: Team, mix: Callable[[Array], Array], net: PyTree, batch: Batch) -> tuple[Array, dict[str, Array]]:
    """Returns (loss, metrics). The loss is the mean of (target - mix(Q_1(a_1), ..., Q_N(a_N)))^2 over valid steps."""
    q = team.unroll(net, batch.view, batch.memory, batch.starts, batch.action)
    taken = mix(chosen(q, batch.action))  # [c, R, N or 1]
    error = batch.target - taken
    metrics = {"td_error": jnp.abs(error).mean(-1), "q": taken.mean(-1)}
    metrics = {name: mean_valid(x, batch.valid) for name, x in metrics.items()}
    return team.total(mean_valid(jnp.square(error), batch.valid)), metrics


def learner(config: Settings, env: Environment, name: str, mix: Callable[[Array], Array]) -> Algorithm:
    """Returns the algorithm of a member. mix(q [..., N]) -> each agent's own value [..., N], or the team's [..., 1]."""
    require_discrete(env, name, images=True)
    acts = actors.actions_of(actors.Numbers(config.convolutions), env)
    new = partial(DeepRecurrentNet, layers=config.encoder, hidden=config.hidden, outputs=acts.size, core=config.core)
    new = partial(new, activation=config.activation, norm=config.layer_norm, normed_layers=config.layer_norm)
    core = fresh_core(config.core, config.hidden, env.spec.agents)
    team = actors.team(config, env, acts, config.agents, new, core, config.hidden)
    rate = partial(linear, config.learning_rate, config.last_learning_rate, config.learning_rate_steps)
    descent = team.optimizer(optimizer(config.optimizer, rate, config.clip, config.decay, config.epsilon))

    def explore_rate(time: Array) -> Array:
        return linear(config.explore_start, config.explore_end, config.explore_steps, time)

    def init(key: Key) -> State:
        net = team.init(key)
        return State(net, descent.init(net), jnp.zeros((), jnp.int32))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        q, memory = team.step(state.net, observation.view, memory)
        action = masked(q, observation.available).argmax(-1).astype(jnp.int32)
        if explore:
            action, _ = epsilon_greedy(key, action, observation.available, explore_rate(state.time))
        return action, team.acted(memory, action), {"values": q}

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        next_q, _ = team.step(state.net, steps.next_observation.view, steps.next_memory)
        chunk = divisor(len(steps.valid), config.chunk)
        rows = pieces(steps, targets(config, mix, steps, next_q), chunk)
        count = steps.valid.size // chunk

        def step(carry: tuple, chosen: Array | None) -> tuple:
            (net, opt_state), batch = carry, rows if chosen is None else picked(rows, PIECES, chosen)
            grads, metrics = jax.grad(partial(objective, team, mix), has_aux=True)(net, batch)
            return take_step(descent, net, opt_state, grads), metrics | {"gradient_norm": optax.tree.norm(grads)}

        carry, minibatches = (state.net, state.opt_state), divisor(count, config.minibatches)
        (net, opt_state), metrics = over_minibatches(step, carry, key, count, config.epochs, minibatches)
        time = state.time + len(steps.valid)
        return State(net, opt_state, time), metrics | {"epsilon": explore_rate(time)}

    return Algorithm(init, act, update, team.memory, steps=config.steps or None)


def make(config: Config, env: Environment) -> Algorithm:
    return learner(config, env, "pqn", lambda q: q)
