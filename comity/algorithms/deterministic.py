"""Deterministic policy gradients of several agents: MADDPG, DDPG and SQDDPG are members.

An actor is climbed through a critic of actions: grad_theta Q_i(o, a) at a_i = mu_i(o_i) (Lillicrap et al. 2016, arXiv
1509.02971; Lowe et al. 2017, arXiv 1706.02275). Members differ by what a critic reads of the others. All else is here:
play, a replay of single steps, target networks. Choices among actions become vectors by `learning/relaxed.py`; on
images every critic has convolutions of its own, which all the views that it reads pass through.
docs/algorithms/maddpg.md derives it and lists every departure.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms.deterministic_settings import LICA, LICA_PREDATOR, PAPER, Config
from comity.learning import clip_by_array, credited, if_ready, in_a_circle, replay, take_step, towards
from comity.learning.actions import Actions, actions
from comity.networks import MLP, JointNet, Part, Team, joint_net, numbers
from comity.rollout import shapes
from comity.spec import Spec, Vector
from comity.types import Algorithm, Environment, Experience, Key, Observation, PyTree, Transition

__all__ = [
    "LICA",
    "LICA_PREDATOR",
    "PAPER",
    "Config",
    "Member",
    "State",
    "learner",
]


RewardOf = Callable[[Experience], Array] | None


class Rows(NamedTuple):
    """Single steps, leaves [capacity, ...]."""

    observation: PyTree  # before the step, packed
    next_observation: PyTree
    action: PyTree  # [N] int8, int16 or int32, a tuple of those, or [N, A] float32
    reward: Array  # [N]
    terminated: Array  # [] bool


class State(NamedTuple):
    actors: MLP  # leaves [N, ...] if separate
    critics: JointNet
    target_actors: MLP
    target_critics: JointNet
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    replay: replay.Replay
    updates: Array  # [] int32


class Member(NamedTuple):
    """What makes an algorithm of the family.

    `reads(key, actions, mine)` is what critic i reads of actions, [..., N, K], or in several readings [M, ..., N, K],
    whose values are averaged: actions [..., N, A] of all, mine [..., N, A] in the place of i's own.
    """

    reads: Callable[[Key, Array, Array], Array]
    everyone: bool = True  # a critic reads all agents' views and actions, its own first, then in a circle; or its own
    adds_up: bool = False  # the sum of all critics is one value, of the mean reward, and learns as one


class Nets(NamedTuple):
    """The networks of a game, and how they learn."""

    acts: Actions
    actors: Team
    critics: Team
    member: Member
    actor_optimizer: optax.GradientTransformation
    critic_optimizer: optax.GradientTransformation


def updates_of(config: Config, transitions: int) -> int:
    """How many updates a rollout of so many transitions is worth, at least one."""
    return max(1, round(transitions / config.every))


def clipped_adam(config: Config, rate: Any) -> optax.GradientTransformation:
    """Adam after clipping, for the network of one agent."""
    kinds = {"norm": optax.clip_by_global_norm, "array": clip_by_array, "entry": optax.clip}
    return optax.chain(kinds[config.clip_by](config.clip), optax.adam(rate, eps=config.epsilon))


def nets_of(config: Config, spec: Spec, member: Member) -> Nets:
    acts = actions(spec.action, "point", noise=config.noise)
    widths, count = (config.hidden,) * 2, spec.agents if member.everyone else 1

    def new_actor(key: Key, inputs: int) -> MLP:
        return MLP(key, inputs, widths, acts.size, config.activation)

    def new_critic(key: Key, beside: int) -> JointNet:
        net = partial(MLP, hidden=widths, outputs=1, activation=config.activation)
        parts = Part(spec.view, count), numbers(beside)
        return joint_net(key, parts, net, config.hidden, config.convolutions, config.activation)

    team = partial(Team, agents=spec.agents, sharing=config.agents, activation=config.activation)
    sees = {"reads_id": config.agent_id, "convolutions": config.convolutions, "width": config.hidden}
    actors = team(new_actor, view=spec.view, actions=acts, **sees)
    critics = team(new_critic, view=Vector(count * spec.action.n))  # of a critic's own making are its eyes
    adam = partial(clipped_adam, config)
    optimizers = actors.optimizer(adam(config.learning_rate)), critics.optimizer(adam(config.critic_learning_rate))
    return Nets(acts, actors, critics, member, *optimizers)


def values(nets: Nets, key: Key, critics: JointNet, view: Array, actions: Array, mine: Array) -> Array:
    """[batch, N]: Q_i of joint actions [batch, N, A] in which each i's own are `mine`. view [batch, N, ...]."""
    views = in_a_circle(view, 1) if nets.member.everyone else view[:, :, None]  # [batch, N, n, ...]
    beside = nets.member.reads(key, actions, mine)[..., None, :]
    axis = beside.ndim - 3
    call = nets.critics.over(lambda net, *parts: net(*parts)[..., 0], (0, 1, axis), axis)
    q = call(critics, views, beside)
    return q if q.ndim == 2 else q.mean(0)


def policies(nets: Nets, actors: MLP, observation: Observation) -> tuple[Any, Array]:
    """(the policies, outputs [..., N, A])."""
    outputs = nets.actors.call(actors, observation.view)
    return nets.acts(outputs, observation.available), outputs


def rows_of(env: Environment, steps: Transition) -> Rows:
    """What a replay keeps of a rollout [T, B], leaves [T B, ...]. Critics do not read the state."""
    flat = lambda x: x.reshape(-1, *x.shape[2:])  # noqa: E731
    before, after, action, reward, terminated = jax.tree.map(
        flat, (steps.observation, steps.next_observation, steps.action, steps.reward, steps.terminated)
    )
    keep = lambda o: replay.packed(env, o, 1, stateless=True)  # noqa: E731
    return Rows(keep(before), keep(after), replay.small_actions(env, action), reward, terminated)


def drawn(config: Config, env: Environment, nets: Nets, key: Key, memories: replay.Replay, reward_of: RewardOf = None):
    """(what was seen before steps, what after, actions as numbers [batch, N, A], reward [batch, N], terminated).

    reward_of: what a bonus pays today beside the game's rewards.
    """
    rows: Rows = replay.draw(key, memories, config.batch)
    now, after = (replay.unpacked(env, x, 1) for x in (rows.observation, rows.next_observation))
    reward = rows.reward
    if reward_of is not None:
        reward = reward + reward_of(Experience(now, rows.action, after, jnp.ones_like(rows.terminated)))
    return now, after, nets.acts.encoded(rows.action), reward, rows.terminated


def critic_step(
    config: Config, env: Environment, nets: Nets, memories: replay.Replay, reward_of: RewardOf, state: State, key: Key
):
    """(state, loss []) after one step of the critics."""
    key_draw, key_policy, key_now, key_next = jax.random.split(key, 4)
    now, after, taken, reward, terminated = drawn(config, env, nets, key_draw, memories, reward_of)
    together = nets.member.adds_up
    of_all = lambda q: q.sum(-1, keepdims=True) if together else q  # noqa: E731
    policy, _ = policies(nets, state.target_actors, after)
    following = policy.relaxed(key_policy, config.relaxed, config.temperature)
    next_value = of_all(values(nets, key_next, state.target_critics, after.view, following, following))
    reward = credited(reward, "mean" if together else config.credit)[:, : next_value.shape[1]]
    target = lax.stop_gradient(reward + config.gamma * jnp.where(terminated[:, None], 0.0, next_value))

    def loss(critics: JointNet) -> tuple[Array, Array]:
        q = of_all(values(nets, key_now, critics, now.view, taken, taken))
        losses = jnp.square(target - q).mean(0)
        return nets.critics.total(losses), losses.mean()

    grads, error = jax.grad(loss, has_aux=True)(state.critics)
    critics, opt_state = take_step(nets.critic_optimizer, state.critics, state.critic_opt_state, grads)
    return state._replace(critics=critics, critic_opt_state=opt_state), error


def actor_step(config: Config, env: Environment, nets: Nets, memories: replay.Replay, state: State, key: Key):
    """(state, metrics) after one step of the actors."""
    key_draw, key_policy, key_values = jax.random.split(key, 3)
    now, _, taken, *_ = drawn(config, env, nets, key_draw, memories)
    exist = jnp.concatenate(jax.tree.leaves(now.available), -1).astype(jnp.float32)

    def loss(actors: MLP) -> tuple[Array, dict[str, Array]]:
        policy, outputs = policies(nets, actors, now)
        mine = policy.relaxed(key_policy, config.relaxed, config.temperature)
        others = lax.stop_gradient(mine) if nets.member.adds_up else taken
        q = values(nets, key_values, lax.stop_gradient(state.critics), now.view, others, mine)  # [batch, N]
        size = (exist * jnp.square(outputs)).sum(-1) / jnp.maximum(exist.sum(-1), 1.0)
        entropy = policy.entropy()
        climbed = q - config.logit_penalty * size + config.entropy_coefficient * entropy
        return -nets.actors.total(climbed.mean(0)), {"q": q.mean(), "entropy": entropy.mean()}

    grads, metrics = jax.grad(loss, has_aux=True)(state.actors)
    actors, opt_state = take_step(nets.actor_optimizer, state.actors, state.actor_opt_state, grads)
    metrics["gradient_norm"] = optax.tree.norm(grads)
    return state._replace(actors=actors, actor_opt_state=opt_state), metrics


def learner(config: Config, env: Environment, member: Member) -> Algorithm:
    """The family's algorithm with this member's critics."""
    nets = nets_of(config, env.spec, member)

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actors, critics = nets.actors.init(key_actor), nets.critics.init(key_critic)
        targets = jax.tree.map(jnp.copy, (actors, critics))  # a donated state may not hold an array twice
        opt_states = nets.actor_optimizer.init(actors), nets.critic_optimizer.init(critics)
        state = State(actors, critics, *targets, *opt_states, (), jnp.zeros((), jnp.int32))  # pyright: ignore
        steps = shapes(env, lambda key, memory, observation: act(key, state, memory, observation), ())
        rows = jax.eval_shape(partial(rows_of, env), steps)
        return state._replace(replay=replay.empty(rows, config.capacity))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        policy, _ = policies(nets, state.actors, observation)
        return policy.sample(key) if explore else policy.mode(), memory, policy.notes()

    def update(key: Key, state: State, steps: Transition, reward_of: RewardOf = None):
        memories = replay.push(state.replay, rows_of(env, steps))

        def step(state: State, key: Key) -> tuple[State, dict[str, Array]]:
            keys = jax.random.split(key, config.critic_updates + 1)
            state, losses = lax.scan(partial(critic_step, config, env, nets, memories, reward_of), state, keys[1:])
            state, metrics = actor_step(config, env, nets, memories, state, keys[0])
            count = state.updates + 1
            targets, present = (state.target_actors, state.target_critics), (state.actors, state.critics)
            targets = towards(targets, present, config.tau, count % config.target_period == 0)
            state = state._replace(target_actors=targets[0], target_critics=targets[1], updates=count)
            return state, {"critic_loss": losses.mean(), **metrics}

        def learn(state: State) -> tuple[State, dict[str, Array]]:
            state, metrics = lax.scan(step, state, jax.random.split(key, updates_of(config, steps.valid.size)))
            return state, jax.tree.map(lambda x: x.mean(0), metrics)

        learned = state._replace(replay=())  # pyright: ignore[reportArgumentType]
        learned, metrics = if_ready(memories.filled >= config.warmup, learn, learned)
        return learned._replace(replay=memories), {**metrics, "replay_steps": memories.filled}

    return Algorithm(init, act, update, steps=config.steps, replays=True)
