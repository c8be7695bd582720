"""Value decomposition: recurrent Q-learning of a team, the family of IQL, VDN, QMIX and QTRAN.

Each agent has a value Q_i(history, a) and acts greedily by it. A member of the family (`Member`) defines how the Q_i
form the team's value Q_tot, and the loss. Most have one TD loss:

    (y - Q_tot(s, a))^2,   y = lambda-return of the reward, with the target network's values of greedy actions

This module has epsilon-greedy play and the targets, `value_networks.py` the networks, `value_learning.py` the replay
and the target networks. docs/algorithms/vdn.md derives it and lists every departure from paper and code of "The
challenge of hidden gifts in multi-agent reinforcement learning" (Malenfant & Richards 2025, arXiv 2505.20579), tables
6-8.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.algorithms.released import mixers as released
from comity.algorithms.values.value_learning import State, explore_rate, learning
from comity.algorithms.values.value_networks import (
    Params,
    StepValues,
    as_given,
    central_reader,
    episode_values,
    team_of,
)
from comity.algorithms.values.value_settings import Config
from comity.learning import chosen, credited, entropy, epsilon_greedy, lambda_returns, masked, replay
from comity.networks import RecurrentNet, Team
from comity.types import Algorithm, Environment, Key, Observation, PyTree


class Member(NamedTuple):
    """The definition of an algorithm of the family.

    `loss(mixer, target_mixer, present, target, episodes, reward)` returns (loss of each step [T, B], metrics of each
    step, leaves [T, B]). present and target are the `StepValues` of the two networks; reward [T, B, N] is the reward
    that agents learn from. Only `present` and mixer carry gradient.
    """

    init: Callable[[Key], PyTree]  # (key) -> mixer
    loss: Callable[..., tuple[Array, dict[str, Array]]]
    reads_memory: bool = False  # True if the loss reads `Values.memory`


def greedy(q: Array, available: Array) -> Array:
    """Returns the argmax over available actions, [...] int32. q, available [..., A]."""
    return masked(q, available).argmax(-1).astype(jnp.int32)


def play(
    config: Config,
    team: Team,
    key: Key,
    state: State,
    memory: PyTree,
    observation: Observation,
    explore: bool,
    q_of: Callable[[Array], Array] = as_given,
) -> tuple[Array, PyTree, Array]:
    """Plays one step epsilon-greedily: returns (action, next memory, q [..., N, A]). q_of(outputs) -> q."""
    view, available = observation.view, observation.available
    if config.views_mixed:
        view = released.mix_up(view, len(team.view.shape))
    outputs, after = team.step(state.params.agents, view, memory)
    q = q_of(outputs)
    action = (released.greedy if config.unavailable == "released" else greedy)(q, available)
    if explore:
        rate = explore_rate(config, state.time)
        action, random = epsilon_greedy(key, action, available, rate, config.explore_together)
        if config.explore_together:
            after = jax.tree.map(lambda old, new: jnp.where(random, old, new), memory, after)
    return action, team.acted(after, action), q


def td_targets(config: Config, reward: Array, following: Array, episodes: replay.Episodes) -> Array:
    """Returns Peng's Q(lambda) targets [T, B, K]: lambda-returns of the reward and the target network's greedy values.

    reward [T, B, N or K]; following [T, B, K]: the value after each step.
    """
    reward, following = jnp.broadcast_arrays(reward, following)
    return lax.stop_gradient(
        lambda_returns(reward, following, episodes.terminated, episodes.ended, config.gamma, config.td_lambda)
    )


def over_agents_loss(config: Config, error: Array) -> Array:
    """Returns the squares of the errors [T, B, K], summed or averaged over K: [T, B]."""
    return jnp.square(error).sum(-1) if config.agents_loss == "sum" else jnp.square(error).mean(-1)


def td_member(config: Config, init: Callable[[Key], PyTree], mix: Callable[[PyTree, Array, Array], Array]) -> Member:
    """Returns a member that learns by one TD loss on mixed values: (target - mix(Q_1, ..., Q_N))^2.

    mix(mixer, q [..., N], central [..., S]) -> [..., 1], the team's value, or [..., N], each agent's own value.
    """

    def loss(mixer, target_mixer, present: StepValues, target: StepValues, episodes: replay.Episodes, reward: Array):
        best = greedy((present if config.double else target).after.q, episodes.observation.available[1:])
        following = mix(target_mixer, chosen(target.after.q, best), target.after.central)
        q_tot = mix(mixer, chosen(present.before.q, episodes.action), present.before.central)  # [T, B, 1 or N]
        error = td_targets(config, reward, following, episodes) - q_tot
        return over_agents_loss(config, error), {"td_error": jnp.abs(error).mean(-1), "q_tot": q_tot.mean(-1)}

    return Member(init, loss)


def new_agent(config: Config, actions: int, key: Key, inputs: int) -> RecurrentNet:
    """Returns a new network of an agent. inputs: size of its input."""
    sizes = (inputs, config.hidden, actions)
    return RecurrentNet(key, *sizes, config.activation, config.encoder_width, config.core)


def learner(config: Config, env: Environment, name: str, member: Member, apart: bool = False) -> Algorithm:
    """Returns the algorithm of a member. apart: agents share no parameters and no loss; each has its own optimizer."""
    team = team_of(config, env, name, partial(new_agent, config, env.spec.action.n))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        action, memory, q = play(config, team, key, state, memory, observation, explore)
        return action, memory, {"values": q}

    def loss(params: Params, target_params: Params, episodes: replay.Episodes, games: int):
        now, target = (episode_values(config, env, team, x, episodes, games) for x in (params, target_params))
        reward = learned_reward(config, episodes, now.before.q)
        return member.loss(params.mixer, target_params.mixer, now, target, episodes, reward)

    begin, update = learning(config, env, loss, whole_draws=config.misread and member.reads_memory, apart=apart)

    def init(key: Key) -> State:
        key_agents, key_mixer = jax.random.split(key)
        reader = central_reader(config, env.spec, key_mixer)
        return begin(Params(team.init(key_agents), member.init(key_mixer), reader), act, team.memory)

    return Algorithm(init, act, update, memory=team.memory, whole_episodes=True, replays=True)


def learned_reward(config: Config, episodes: replay.Episodes, q: Array) -> Array:
    """Returns the rewards that agents learn from, [T, B, N], and the entropy bonus. q [T, B, N, A] gets no gradient."""
    logits = masked(lax.stop_gradient(q), episodes.observation.available[:-1])
    bonus = config.entropy_bonus * entropy(logits).mean(-1, keepdims=True)
    return credited(episodes.reward, config.credit) + bonus
