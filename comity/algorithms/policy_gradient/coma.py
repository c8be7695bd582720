"""COMA: counterfactual multi-agent policy gradients (Foerster et al. 2018, arXiv 1705.08926).

One central critic gives the value of every action b of agent i, given the others' actions: Q(s, (b, a_-i)). Each agent
ascends its policy gradient with a counterfactual advantage:

    grad = E[A_i grad log pi_i(a_i | history)],   A_i = Q(s, a) - sum over b of pi_i(b | history) Q(s, (b, a_-i))

The critic learns from TD(lambda) targets. Settings and presets are those of "The challenge of hidden gifts in
multi-agent reinforcement learning" (Malenfant & Richards 2025, arXiv 2505.20579). docs/algorithms/coma.md derives it
and lists every departure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import actors
from comity.algorithms.policy_gradient.coma_settings import PAPER, PYMARL, RELEASED, Settings
from comity.algorithms.released import critics
from comity.compatibility import require_discrete
from comity.learning import (
    chosen,
    credited,
    entropy,
    fit_backwards,
    in_a_circle,
    lambda_returns,
    mean_valid,
    optimizer,
    policy_loss,
    replay,
    side_by_side,
    take_step,
    towards,
)
from comity.learning.actions import Categorical, actions
from comity.learning.counterfactuals import advantages, counterfactual_baseline
from comity.networks import MLP, JointNet, Part, RecurrentNet, joint_net, numbers
from comity.rollout import shapes
from comity.spec import Spec
from comity.types import Algorithm, Environment, Experience, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(Settings):
    """Settings of COMA."""


PRESETS = {
    "sound": {},
    "paper": PAPER,
    "released": RELEASED,
    "released-max-entropy": {**RELEASED, "entropy_bonus": -1e-4},
    "pymarl": PYMARL,
}


RewardOf = Callable[[Experience], Array] | None  # a bonus, computed with its present state for steps of a replay


class State(NamedTuple):
    actor: RecurrentNet  # leaves [N, ...] if separate
    critic: JointNet  # one for all agents
    target_critic: JointNet
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    replay: replay.Replay | tuple[()]
    since: Array  # [] int32, critic steps since the last copy to the target
    time: Array  # [] int32, steps of a batch so far


def critic_loss(q: Array, action: Array, targets: Array, valid: Array) -> Array:
    """Returns the mean squared error of Q(s, a) against its targets over valid steps, per agent [N].

    q [T, B, N, A]; action, targets [T, B, N]; valid [T, B]. Only the values of the actions taken enter.
    """
    return mean_valid(jnp.square(chosen(q, action) - targets), valid)


def new_critic(config: Settings, spec: Spec, key: Key) -> JointNet:
    parts = (Part(actors.present(spec)),)
    if config.critic_reads == "joint":
        parts = Part(spec.state), Part(spec.view), numbers((spec.agents - 1) * spec.action.n + spec.agents)
    width = config.critic_hidden
    net = partial(MLP, hidden=(width, width), outputs=spec.action.n, activation=config.activation)
    return joint_net(key, parts, net, width, config.convolutions, config.activation)


def critic_reads(config: Settings, spec: Spec, observation: Observation, action: Array) -> tuple[Array, ...]:
    """Returns the inputs of the critic for each agent, leaves [..., N, 1, *]. action [..., N].

    They are the state, the agent's own view, the others' actions as one-hot, in a circle, and the agent's id; or the
    own view alone.
    """
    lead = action.shape  # [..., N]
    if config.critic_reads == "present":
        return (jnp.expand_dims(actors.present_view(actors.present(spec), observation.view), len(lead)),)
    taken = jax.nn.one_hot(action, spec.action.n)  # [..., N, A]
    name = jnp.broadcast_to(jnp.eye(spec.agents), (*lead, spec.agents))
    beside = jnp.concatenate([side_by_side(in_a_circle(taken, -2, own=False)), name], -1)
    return *actors.central(spec, observation), beside[..., None, :]


def learn_from(
    config: Settings,
    env: Environment,
    key: Key,
    memories: PyTree,
    steps: Transition,
    ending: PyTree,
    reward_of: RewardOf,
) -> tuple[PyTree, replay.Episodes]:
    """Returns (the replay, or (); the episodes of this update). ending: `critics.Ending`, or ()."""
    if config.learns_from == "rollout":
        return memories, replay.of_rollout(steps)._replace(extra=ending)
    memories = replay.push(memories, replay.stored(env, steps, ending))
    rows = replay.draw(key, memories, config.batch, replacement=config.replacement)
    return memories, replay.paid(replay.episodes_of(env, rows), reward_of)


def critic_rewards(config: Settings, episodes: replay.Episodes, logits: Array) -> Array:
    """Returns the rewards whose discounted sums the critic predicts, [T, B, N]. logits [T, B, N, A] of the policies."""
    reward = credited(episodes.reward, config.credit)
    if config.entropy_enters == "too-late":
        return reward
    return reward + jnp.where(episodes.valid[..., None], config.entropy_bonus * entropy(logits), 0.0)


def targets_of(
    config: Settings, spec: Spec, target: JointNet, episodes: replay.Episodes, action: Array, reward: Array
) -> Array:
    """Returns the critic's targets [T, B, N]. action [T + 1, B, N]: the actions taken, and one after the last step."""

    def worth(observation: Observation, did: Array) -> Array:
        return chosen(target(*critic_reads(config, spec, observation, did)), did)

    following = worth(episodes.after, action[1:])
    if config.last_value == "marked":
        return critics.marked_targets(worth, reward, following, episodes, config.gamma, config.lambda_)
    return lambda_returns(reward, following, episodes.terminated, episodes.ended, config.gamma, config.lambda_)


def critic_step(
    config: Settings,
    optimizer: optax.GradientTransformation,
    state: State,
    parts: tuple[Array, ...],
    action: Array,
    targets: Array,
    valid: Array,
) -> tuple[State, Array, Array]:
    """Returns (state after the critic's update, Q [T, B, N, A] just before each optimizer step, the loss []).

    parts: the inputs of the critic, leaves [T, B, N, ...].
    """

    def error(critic: JointNet, group: tuple) -> tuple[Array, Array]:
        parts, action, targets, valid = group
        q = critic(*parts)
        return critic_loss(q, action, targets, valid).mean(), q

    groups = len(valid) if config.critic_schedule == "each-step" else 1
    critic, opt_state, q = fit_backwards(
        error, optimizer, state.critic, state.critic_opt_state, (parts, action, targets, valid), valid, groups
    )
    since = state.since + valid.reshape(groups, -1).any(-1).sum(dtype=jnp.int32)
    copied = since >= config.target_period
    target = towards(state.target_critic, critic, 1, copied)
    since = jnp.where(copied, 0, since)
    state = state._replace(critic=critic, target_critic=target, critic_opt_state=opt_state, since=since)
    return state, q, critic_loss(q, action, targets, valid).mean()


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "coma", images=True)
    spec, acts, marked = env.spec, actions(env.spec.action), config.last_value == "marked"
    team = actors.recurrent_team(config, env, acts, config.actors, config.core, config.hidden, config.activation)
    rmsprop = lambda rate: optimizer("rmsprop", rate, config.clip, config.decay, config.epsilon)  # noqa: E731
    actor_optimizer = team.optimizer(rmsprop(config.learning_rate))
    critic_optimizer = rmsprop(config.critic_learning_rate)

    def ending_of(key: Key, state: State, steps: Transition) -> critics.Ending | tuple[()]:
        if not marked:
            return ()
        end, memory = jax.tree.map(lambda x: x[-1], (steps.next_observation, steps.next_memory))
        until = jnp.broadcast_to(critics.longest(steps.valid), steps.valid.shape[1:])
        return critics.Ending(until, act(key, state, memory, end)[0])

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actor, critic = team.init(key_actor), new_critic(config, spec, key_critic)
        target, zero = jax.tree.map(jnp.copy, critic), jnp.zeros((), jnp.int32)  # a donated state holds no array twice
        opt_states = actor_optimizer.init(actor), critic_optimizer.init(critic)  # pyright: ignore[reportArgumentType]
        state = State(actor, critic, target, *opt_states, (), zero, zero)
        if config.learns_from == "rollout":
            return state
        steps = shapes(env, lambda key, memory, observation: act(key, state, memory, observation), team.memory)
        rows = jax.eval_shape(lambda steps: replay.stored(env, steps, ending_of(key, state, steps)), steps)
        return state._replace(replay=replay.empty(rows, config.capacity))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, memory = team.step(state.actor, observation.view, memory)
        policy = acts(outputs, observation.available, actors.floor(config, state.time) if explore else None)
        action = policy.sample(key) if explore else policy.mode()
        q = state.critic(*critic_reads(config, spec, observation, action))
        notes = {**policy.notes(), "value": counterfactual_baseline(q, policy.logits)}
        return action, team.acted(memory, action), notes

    def update(key: Key, state: State, steps: Transition, reward_of: RewardOf = None):
        key_draw, key_last = jax.random.split(key)
        ending = ending_of(key_last, state, steps)
        memories, episodes = learn_from(config, env, key_draw, state.replay, steps, ending, reward_of)
        observation, valid = episodes.observation, episodes.valid  # leaves [T + 1, B, ...]; [T, B]
        before, floor = team.begin(valid.shape[1]), actors.floor(config, state.time)

        def policies(actor: RecurrentNet) -> Categorical:  # [T + 1, B, N]
            outputs = team.unroll(actor, observation.view, before, None, episodes.action)
            return acts(outputs, observation.available, floor)

        policy, pull_back = jax.vjp(policies, state.actor)
        # After a truncated episode comes Q of the policy's next action. It was not played, so it is drawn here.
        after = episodes.extra.action if marked else Categorical(policy.logits[-1]).sample(key_last)
        done, logits, action = jnp.concatenate([episodes.action, after[None]]), policy.logits[:-1], episodes.action
        reward = critic_rewards(config, episodes, logits)
        targets = targets_of(config, spec, state.target_critic, episodes, done, reward)
        parts = critic_reads(config, spec, jax.tree.map(lambda x: x[:-1], observation), action)
        state, q, error = critic_step(config, critic_optimizer, state, parts, action, targets, valid)

        advantage = advantages(q, logits, action)  # [T, B, N], carries no gradient
        loss = lambda policy: team.total(policy_loss(policy.log_prob(done)[:-1], advantage, valid))  # noqa: E731
        loss_policy, of_policy = jax.value_and_grad(loss)(policy)
        (grads,) = pull_back(of_policy)
        actor, opt_state = take_step(actor_optimizer, state.actor, state.actor_opt_state, grads)
        metrics = {
            "policy_loss": loss_policy,
            "critic_loss": error,
            "baseline": mean_valid(counterfactual_baseline(q, logits), valid).mean(),
            "entropy": mean_valid(entropy(logits), valid).mean(),
            "gradient_norm": optax.tree.norm(grads),
        }
        learned = {"actor": actor, "actor_opt_state": opt_state, "replay": memories, "time": state.time + len(valid)}
        return state._replace(**learned), metrics

    replays = config.learns_from == "replay"
    return Algorithm(init, act, update, memory=team.memory, whole_episodes=True, replays=replays)
