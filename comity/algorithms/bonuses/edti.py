"""EDTI: an agent is paid for what its influence is worth to the others (Wang et al. 2020, arXiv 1910.05512, section 4).

    b_i = sum over j of  b_re r_j + b_rc r^cnt_j  +  gamma c_ij (beta_ext V_j(o_j') + beta_int V^cnt_j(o_j'))
    c_ij = 1 - p(move_j | o_j, a_j) / p(move_j | o_j, a_j, o_i, a_i)

Where agents do not touch each other's moves, c is 0 and a part of the others' rewards is all that is left. V_j and
V^cnt_j are values of j's rewards and of what is new to j, which stand in the bonus's state. docs/algorithms/edti.md
derives it and lists every departure.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.algorithms.bonuses import counts, novelty, transitions
from comity.axes import aligned
from comity.learning import (
    Moments,
    denormalised,
    fresh_moments,
    lambda_returns,
    mean_valid,
    normalised,
    optimizer,
    take_step,
    updated_moments,
)
from comity.networks import MLP, Team
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Bonus, Environment, Experience, Key, PyTree, Transition

VERSION = 1


@dataclass(frozen=True)
class Config(transitions.Settings):
    """Settings of EDTI's bonus; those of the estimates are in `transitions.Settings`. Paper: its published command."""

    weight: NotNegative[float] = 1.0  # of all of it
    others_reward: NotNegative[float] = 0.1  # b_re, of the others' rewards
    others_novelty: NotNegative[float] = 0.1  # b_rc, of what is new to the others
    value: NotNegative[float] = 0.1  # beta_ext, of what they may expect where they were brought
    novelty_value: NotNegative[float] = 1.0  # beta_int, of what is new to them there and later
    eta: NotNegative[float] = 0.1  # of eta / sqrt(N + 1), or of an error of prediction; paper 10, with rewards of 1,000
    gamma: Fraction = 0.99  # per step
    lambda_: Fraction = 0.95  # of the targets of the values
    value_hidden: tuple[Positive[int], ...] = (32, 32, 32)  # tanh
    value_learning_rate: Positive[float] = 3e-4  # Adam
    value_clip: Positive[float] = 0.5  # gradient norm, of each agent's networks
    value_decay: Fraction = 0.99  # of the running moments that targets are normalised by, per rollout
    epochs: Positive[int] = 4  # steps of the values on each rollout, all of it at once

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": {"eta": 10.0}}


class State(NamedTuple):
    moves: PyTree  # estimates of moves
    novelty: PyTree  # what is new to each agent
    values: PyTree  # [..., N, 2]: V, V^cnt, in their deviations; leaves [N, ...]
    opt_state: PyTree
    moments: Moments  # [2N] of the values' targets


def new_to_each(config: Config, env: Environment) -> Bonus:
    """r^cnt / eta: of cells where moves are counted, else the error of who imitates a random network."""
    if transitions.tabular(config, env):
        return counts.make(counts.Config(counted="cell", bits=config.bits), env)
    return novelty.make(novelty.Config(kind="rnd", hidden=config.hidden), env)


def make(config: Config, env: Environment) -> Bonus:
    agents, moves = env.spec.agents, transitions.moves(config, env, "edti")
    _, whom = transitions.pairs(agents)
    new = new_to_each(config, env)
    net = partial(MLP, hidden=config.value_hidden, outputs=2, activation="tanh")
    team = Team(net, agents, env.spec.view)
    adam = team.optimizer(optimizer("adam", config.value_learning_rate, config.value_clip))
    pair = lambda x: x.reshape(*x.shape[:-1], agents, 2)  # noqa: E731
    flat = lambda x: x.reshape(*x.shape[:-2], -1)  # noqa: E731

    def values(state: State, view: Array) -> Array:
        """(V, V^cnt) of each agent, [..., N, 2] in reward units; 0 before anything was learned."""
        return pair(denormalised(flat(team.call(state.values, view)), state.moments, first=0.0))

    def rewards(state: State, experience: Any) -> Array:
        """(r, r^cnt) of each agent, [..., N, 2]."""
        return jnp.stack([experience.reward, config.eta * new.reward(state.novelty, experience)], -1)

    def init(key: Key) -> State:
        key_moves, key_new, key_values = jax.random.split(key, 3)
        nets = team.init(key_values)
        return State(moves.init(key_moves), new.init(key_new), nets, adam.init(nets), fresh_moments(2 * agents))

    def reward(state: State, experience: Experience) -> Array:
        """[..., N]."""
        theirs = rewards(state, experience) @ jnp.array([config.others_reward, config.others_novelty])  # [..., N]
        influence = 1 - jnp.exp(-moves.log_ratio(state.moves, experience))  # c [..., P]
        if not transitions.tabular(config, env):
            influence = jnp.clip(influence, -1.0, 1.0)
        worth = values(state, experience.next_observation.view) @ jnp.array([config.value, config.novelty_value])
        worth = config.gamma * jnp.where(aligned(experience.terminated, worth), 0.0, worth)
        paid = theirs.take(whom, -1) + influence * worth.take(whom, -1)
        return transitions.over_others(paid, agents)

    def learned(state: State, steps: Transition) -> tuple[State, Array]:
        """(state, mean squared error in deviations) after the epochs of the values."""
        following = values(state, steps.next_observation.view)
        times = steps.terminated, steps.ended, config.gamma, config.lambda_
        targets = flat(lambda_returns(rewards(state, steps), following, *times))
        targets = jnp.where(aligned(steps.valid, targets), targets, 0.0)
        moments = updated_moments(state.moments, targets, steps.valid, config.value_decay)
        meant = normalised(targets, moments)

        def step(carry: tuple, _: None) -> tuple[tuple, Array]:
            def loss(nets: PyTree) -> Array:  # each agent's own, so that the sum only collects them
                return mean_valid(jnp.square(flat(team.call(nets, steps.observation.view)) - meant), steps.valid).sum()

            error, grads = jax.value_and_grad(loss)(carry[0])
            return take_step(adam, carry[0], carry[1], grads), error / (2 * agents)

        (nets, opt_state), errors = lax.scan(step, (state.values, state.opt_state), None, config.epochs)
        after = state._replace(values=nets, opt_state=opt_state, moments=moments)
        return jax.tree.map(lambda now, old: jnp.where(steps.valid.any(), now, old), after, state), errors.mean()

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        key_moves, key_new = jax.random.split(key)
        state, error = learned(state, steps)
        known, about = moves.update(key_moves, state.moves, steps)
        after, _ = new.update(key_new, state.novelty, steps)
        return state._replace(moves=known, novelty=after), {**about, "value_error": error}

    return Bonus(init, reward, update)
