"""EDTI: an agent is paid for the value that its influence has for the others (Wang et al. 2020, arXiv 1910.05512,
section 4).

    b_i = sum over j of  b_re r_j + b_rc r^cnt_j  +  gamma c_ij (beta_ext V_j(o_j') + beta_int V^cnt_j(o_j'))
    c_ij = 1 - p(move_j | o_j, a_j) / p(move_j | o_j, a_j, o_i, a_i)

r_j is j's reward, r^cnt_j its novelty (a count bonus, or the error of random network distillation), and o_j' its next
view. V_j and V^cnt_j are the values of r_j and r^cnt_j; they are learned in the bonus's state. If agent i does not
affect j's move, c_ij is 0, and only the part of j's rewards is left. docs/algorithms/edti.md derives it and lists every
departure.
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

    weight: NotNegative[float] = 1.0  # weight of the whole bonus
    others_reward: NotNegative[float] = 0.1  # b_re, weight of the others' rewards
    others_novelty: NotNegative[float] = 0.1  # b_rc, weight of the others' novelty
    value: NotNegative[float] = 0.1  # beta_ext, weight of the others' values of rewards after the step
    novelty_value: NotNegative[float] = 1.0  # beta_int, weight of the others' values of novelty after the step
    eta: NotNegative[float] = 0.1  # factor of 1 / sqrt(N + 1), or of a prediction error; paper 10, rewards of 1,000
    gamma: Fraction = 0.99  # discount per step
    lambda_: Fraction = 0.95  # lambda of the values' targets
    value_hidden: tuple[Positive[int], ...] = (32, 32, 32)  # widths of the value networks, with tanh
    value_learning_rate: Positive[float] = 3e-4  # learning rate of the values (Adam)
    value_clip: Positive[float] = 0.5  # largest gradient norm, of each agent's value network
    value_decay: Fraction = 0.99  # decay of the running moments that normalise the targets, per rollout
    epochs: Positive[int] = 4  # steps of the values per rollout, each on the whole rollout

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": {"eta": 10.0}}


class State(NamedTuple):
    moves: PyTree  # state of the estimates of moves
    novelty: PyTree  # state of the novelty bonus
    values: PyTree  # networks with outputs V and V^cnt, normalised; leaves [N, ...]
    opt_state: PyTree
    moments: Moments  # [2N], moments of the values' targets


def new_to_each(config: Config, env: Environment) -> Bonus:
    """Returns the bonus r^cnt / eta: counts of cells if moves are counted, else random network distillation."""
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
        """Returns (V, V^cnt) of each agent, [..., N, 2], in reward units; 0 before the first update."""
        return pair(denormalised(flat(team.call(state.values, view)), state.moments, first=0.0))

    def rewards(state: State, experience: Any) -> Array:
        """Returns (r, r^cnt) of each agent, [..., N, 2]."""
        return jnp.stack([experience.reward, config.eta * new.reward(state.novelty, experience)], -1)

    def init(key: Key) -> State:
        key_moves, key_new, key_values = jax.random.split(key, 3)
        nets = team.init(key_values)
        return State(moves.init(key_moves), new.init(key_new), nets, adam.init(nets), fresh_moments(2 * agents))

    def reward(state: State, experience: Experience) -> Array:
        """Returns b, [..., N]."""
        theirs = rewards(state, experience) @ jnp.array([config.others_reward, config.others_novelty])  # [..., N]
        influence = 1 - jnp.exp(-moves.log_ratio(state.moves, experience))  # c [..., P]
        if not transitions.tabular(config, env):
            influence = jnp.clip(influence, -1.0, 1.0)
        worth = values(state, experience.next_observation.view) @ jnp.array([config.value, config.novelty_value])
        worth = config.gamma * jnp.where(aligned(experience.terminated, worth), 0.0, worth)
        paid = theirs.take(whom, -1) + influence * worth.take(whom, -1)
        return transitions.over_others(paid, agents)

    def learned(state: State, steps: Transition) -> tuple[State, Array]:
        """Returns (state, mean squared error of the normalised values) after the epochs of the values."""
        following = values(state, steps.next_observation.view)
        times = steps.terminated, steps.ended, config.gamma, config.lambda_
        targets = flat(lambda_returns(rewards(state, steps), following, *times))
        targets = jnp.where(aligned(steps.valid, targets), targets, 0.0)
        moments = updated_moments(state.moments, targets, steps.valid, config.value_decay)
        meant = normalised(targets, moments)

        def step(carry: tuple, _: None) -> tuple[tuple, Array]:
            def loss(nets: PyTree) -> Array:  # a sum of the agents' losses, which share no parameters
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
