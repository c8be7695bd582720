"""Deterministic policy gradients through critics of actions, the family of MADDPG, DDPG, SQDDPG, TD3 and SAC (Lillicrap
et al. 2016, arXiv 1509.02971; Lowe et al. 2017, arXiv 1706.02275).

    actor i:  ascends  mean grad_theta Q_i(o, a) at a_i = mu_i(o_i)
    critic i: descends mean (r_i + gamma Q_i'(o', mu'(o')) - Q_i(o, a))^2,   Q', mu' slowly moving targets

Members differ in the inputs and the number of critics, in the critics' targets, and in the actors' objective. This
module has the rest: play, a replay of single steps, updates. `learning/relaxed.py` turns discrete actions into vectors
with gradient. With image views every critic has its own convolutions, which encode all the views that it reads.
docs/algorithms/maddpg.md derives it and lists every departure.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.algorithms.additions import Addition, nothing
from comity.algorithms.off_policy.deterministic_nets import Member, Nets, each_value, nets_of, of_agents, policies
from comity.algorithms.off_policy.deterministic_settings import CONTROL, LICA, LICA_PREDATOR, PAPER, Config
from comity.learning import as_often, credited, if_ready, replay, take_step, towards
from comity.learning.actions import Actions
from comity.networks import MLP, JointNet
from comity.rollout import shapes
from comity.spec import Box
from comity.types import Algorithm, Environment, Experience, Key, Observation, PyTree, Transition

__all__ = [
    "CONTROL",
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
    beside: PyTree  # data that an addition stores with the step, or ()


class State(NamedTuple):
    actors: MLP  # leaves [N, ...] if separate
    critics: JointNet
    target_actors: MLP
    target_critics: JointNet
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    replay: replay.Replay
    updates: Array  # [] int32
    added: PyTree = ()  # state of an addition


def uniform(acts: Actions, key: Key, outputs: Array, available: PyTree) -> PyTree:
    """Draws uniformly from the available actions, or continuous actions from [-1, 1]. outputs: give the shape."""
    if isinstance(acts.space, Box):
        return jnp.where(available, jax.random.uniform(key, available.shape, minval=-1.0), 0.0)
    return acts(jnp.zeros_like(outputs), available).sample(key)


def rows_of(env: Environment, beside: PyTree, steps: Transition) -> Rows:
    """Returns the replay's rows of a rollout [T, B], leaves [T B, ...], without states. beside: leaves [T, B, ...]."""
    flat = lambda x: x.reshape(-1, *x.shape[2:])  # noqa: E731
    before, after, action, reward, terminated, beside = jax.tree.map(
        flat, (steps.observation, steps.next_observation, steps.action, steps.reward, steps.terminated, beside)
    )
    keep = lambda o: replay.packed(env, o, 1, stateless=True)  # noqa: E731
    return Rows(keep(before), keep(after), replay.small_actions(env, action), reward, terminated, beside)


def training_batch(
    config: Config, env: Environment, nets: Nets, key: Key, memories: replay.Replay, reward_of: RewardOf = None
):
    """Draws a batch from the replay, in the form of `training_rows`."""
    return training_rows(env, nets, replay.draw(key, memories, config.batch), reward_of)


def training_rows(env: Environment, nets: Nets, rows: Rows, reward_of: RewardOf = None):
    """Returns (observation before a step, after it, actions as vectors [batch, N, A], reward [batch, N], terminated).

    reward_of: computes additional rewards, such as a bonus, with its present state.
    """
    now, after = (replay.unpacked(env, x, 1) for x in (rows.observation, rows.next_observation))
    reward = rows.reward
    if reward_of is not None:
        valid = jnp.ones_like(rows.terminated)
        reward = reward + reward_of(Experience(now, rows.action, after, valid, reward, rows.terminated, {}))
    return now, after, nets.acts.encoded(rows.action), reward, rows.terminated


def relaxed_choice(config: Config, state: State, key: Key, policy: Any) -> tuple[Array, Array]:
    """Returns (the policy's relaxed action [batch, N, A], the entropy term of the actor's objective [batch, N])."""
    vector = policy.relaxed(key, config.relaxed, config.temperature)
    return vector, config.entropy_coefficient * policy.entropy()


def as_meant(config: Config, key: Key, policy: Any) -> Array:
    """Returns the policy's relaxed action for targets, [batch, N, A]."""
    return policy.relaxed(key, config.relaxed, config.temperature)


def targets(
    config: Config,
    nets: Nets,
    state: State,
    keys: tuple[Key, Key],
    after: Observation,
    who: Array | None = None,
    follows: Callable[[Config, Key, Any], Array] = as_meant,
) -> Array:
    """Returns the next value: the smallest of the target critics at the target actors' actions, [batch, N].

    who [K]: only of these agents. follows(config, key, policy) -> the actions.
    """
    actors = state.target_actors if config.target_policies else state.actors
    following = follows(config, keys[0], policies(nets, actors, after)[0])
    critics = state.target_critics if who is None else of_agents(nets, state.target_critics, who)
    return each_value(nets, keys[1], critics, after.view, following, following, who).min(-1)


def critic_step(
    config: Config, env: Environment, nets: Nets, memories: replay.Replay, reward_of: RewardOf, state: State, key: Key
):
    """Returns (state, loss []) after one step of the critics."""
    key_draw, key_policy, key_now, key_next = jax.random.split(key, 4)
    now, after, taken, reward, terminated = training_batch(config, env, nets, key_draw, memories, reward_of)
    together = nets.member.adds_up
    of_all = lambda q: q.sum(1, keepdims=True) if together else q  # noqa: E731
    follow = nets.member.target or targets
    next_value = of_all(follow(config, nets, state, (key_policy, key_next), after))
    reward = credited(reward, "mean" if together else config.credit)[:, : next_value.shape[1]]
    target = lax.stop_gradient(reward + config.gamma * jnp.where(terminated[:, None], 0.0, next_value))

    def loss(critics: JointNet) -> tuple[Array, Array]:
        q = of_all(each_value(nets, key_now, critics, now.view, taken, taken))
        losses = jnp.square(target[..., None] - q).mean(0)  # [N, critics]
        return nets.critics.total(losses.sum(-1)), losses.mean()

    grads, error = jax.grad(loss, has_aux=True)(state.critics)
    critics, opt_state = take_step(nets.critic_optimizer, state.critics, state.critic_opt_state, grads)
    return state._replace(critics=critics, critic_opt_state=opt_state), error


def actor_step(
    config: Config, env: Environment, nets: Nets, memories: replay.Replay, addition: Addition, state: State, key: Key
):
    """Returns (state, metrics) after one step of the actors."""
    key_draw, key_policy, key_values = jax.random.split(key, 3)
    now, after, taken, *_ = training_batch(config, env, nets, key_draw, memories)
    key_term = jax.random.fold_in(key, 1)
    exist = jnp.concatenate(jax.tree.leaves(now.available), -1).astype(jnp.float32)

    def loss(actors: MLP) -> tuple[Array, dict[str, Array]]:
        policy, outputs = policies(nets, actors, now)
        mine, worth = (nets.member.means or relaxed_choice)(config, state, key_policy, policy)
        others = lax.stop_gradient(mine) if nets.member.adds_up else taken
        each = each_value(nets, key_values, lax.stop_gradient(state.critics), now.view, others, mine)
        q = each.min(-1) if nets.member.climbs_least else each[..., 0]  # [batch, N]
        size = (exist * jnp.square(outputs[..., : exist.shape[-1]])).sum(-1) / jnp.maximum(exist.sum(-1), 1.0)
        if nets.member.weighs is not None:
            q, worth = nets.member.weighs(config, nets, state, now, q, worth)
        climbed = q - config.logit_penalty * size + worth
        term, more = addition.term(key_term, state, now, after, taken, mine)
        return -nets.actors.total(climbed.mean(0) - term), {"q": q.mean(), "entropy": policy.entropy().mean(), **more}

    grads, metrics = jax.grad(loss, has_aux=True)(state.actors)
    actors, opt_state = take_step(nets.actor_optimizer, state.actors, state.actor_opt_state, grads)
    metrics["gradient_norm"] = optax.tree.norm(grads)
    return state._replace(actors=actors, actor_opt_state=opt_state), metrics


def learner(config: Config, env: Environment, member: Member, adds: Callable[[Nets], Addition] = nothing) -> Algorithm:
    """Returns the family's algorithm for a member. adds: makes what it learns in addition, see `additions`."""
    nets = nets_of(config, env.spec, member)
    addition = adds(nets)

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actors, critics = nets.actors.init(key_actor), nets.critics.init(key_critic)
        targets = jax.tree.map(jnp.copy, (actors, critics))  # a donated state may not hold an array twice
        opt_states = nets.actor_optimizer.init(actors), nets.critic_optimizer.init(critics)
        state = State(actors, critics, *targets, *opt_states, (), jnp.zeros((), jnp.int32))  # pyright: ignore
        state = state._replace(added=addition.init(jax.random.fold_in(key, 1), state))
        steps = shapes(env, lambda key, memory, observation: act(key, state, memory, observation), ())
        rows = jax.eval_shape(lambda steps: rows_of(env, addition.beside(state.added, steps), steps), steps)
        return state._replace(replay=replay.empty(rows, config.capacity))

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        policy, outputs = policies(nets, state.actors, observation)
        action = policy.sample(key) if explore else policy.mode()
        if explore and config.first_actions == "uniform":
            anything = uniform(nets.acts, key, outputs, observation.available)
            action = jax.tree.map(lambda x, y: jnp.where(state.updates > 0, x, y), action, anything)
        return action, memory, policy.notes()

    def update(key: Key, state: State, steps: Transition, reward_of: RewardOf = None):
        rows = rows_of(env, addition.beside(state.added, steps), steps)
        memories = replay.push(state.replay, rows, warmup=config.warmup)

        def step(state: State, key: Key) -> tuple[State, dict[str, Array]]:
            keys = jax.random.split(key, config.critic_updates + 1)
            paid = addition.paid(state, reward_of)
            added, more = addition.learn(jax.random.fold_in(key, 1), state, memories, paid, steps.valid.size)
            state = state._replace(added=added)
            state, losses = lax.scan(partial(critic_step, config, env, nets, memories, paid), state, keys[1:])
            state, metrics = actor_step(config, env, nets, memories, addition, state, keys[0])
            count = state.updates + 1
            before, present = (state.target_actors, state.target_critics), (state.actors, state.critics)
            before = towards(before, present, config.tau, count % config.target_period == 0)
            state = state._replace(target_actors=before[0], target_critics=before[1], updates=count)
            return state, {"critic_loss": losses.mean(), **metrics, **more}

        learn = partial(as_often, config.every, key, steps.valid.size, step)
        added, more = addition.begin(jax.random.fold_in(key, 1), state, steps)
        learned = state._replace(replay=(), added=added)  # pyright: ignore[reportArgumentType]
        learned, metrics = if_ready(memories.filled >= config.warmup, learn, learned)
        return learned._replace(replay=memories), {**metrics, **more, "replay_steps": memories.filled}

    return Algorithm(init, act, update, steps=config.steps, replays=True)
