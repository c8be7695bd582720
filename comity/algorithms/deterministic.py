"""Deterministic policy gradients of several agents: MADDPG, DDPG and SQDDPG are members.

An actor is climbed through a critic of actions: grad_theta Q_i(o, a) at a_i = mu_i(o_i) (Lillicrap et al. 2016, arXiv
1509.02971; Lowe et al. 2017, arXiv 1706.02275). Members differ by what a critic reads of the others. All else is here:
play, a replay of single steps, target networks. Choices among actions become vectors by `learning/relaxed.py`.
docs/algorithms/maddpg.md derives it and lists every departure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.compatibility import require_one_head, require_vectors
from comity.learning import Reward, credited, entropy, masked, per_agent_optimizer, sample, take_step, towards
from comity.learning import replay as memory_of
from comity.learning.relaxed import Relaxed, relaxed
from comity.networks import MLP, Activation, per_agent, shared, stacked
from comity.rollout import shapes
from comity.settings import Fraction, NotNegative, Positive, check
from comity.spec import Box, functions
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    """Settings of every member. Paper: Lowe et al. 2017 and its code; LICA: the particle runs that it quotes."""

    agents: Literal["separate", "shared"] = "separate"  # an actor and a critic for each agent, or one for all
    hidden: Positive[int] = 64  # width of both hidden layers of actors and critics;
    # LICA 32 (navigation), 128 (predator-prey)
    activation: Activation = "relu"
    steps: Positive[int] = 25  # T of a rollout: steps of each game between two times of learning
    every: Positive[int] = 100  # transitions that are played for one update, see `updates_of`
    critic_updates: Positive[int] = 1  # steps of the critics for one of the actors; LICA 10
    gamma: Fraction = 0.95  # per step
    credit: Reward = "own"  # whose reward a critic predicts
    learning_rate: Positive[float] = 1e-3  # of actors, Adam; paper 1e-2
    critic_learning_rate: Positive[float] = 1e-3  # Adam; paper 1e-2
    epsilon: Positive[float] = 1e-8  # Adam's, added to the root
    clip: Positive[float] = 0.5  # of gradients, by what `clip_by` says
    clip_by: Literal["norm", "array", "entry"] = "norm"  # of an agent's network, each weight array (paper), each entry
    tau: Fraction = 0.01  # how far targets move towards the present networks
    target_period: Positive[int] = 1  # updates between two moves
    capacity: Positive[int] = 100_000  # transitions in the replay; paper 1e6
    batch: Positive[int] = 256  # transitions per step; paper 1,024
    warmup: Positive[int] = 2_000  # transitions in the replay before the first update; paper 25,600
    relaxed: Relaxed = "straight-through"  # how a choice becomes a vector in losses; paper gumbel, LICA softmax
    temperature: Positive[float] = 1.0  # of the Gumbel-softmax
    noise: NotNegative[float] = 0.1  # deviation of normal noise on continuous actions in play
    logit_penalty: NotNegative[float] = 1e-3  # weight of the mean square of an actor's outputs
    entropy_coefficient: NotNegative[float] = 0.0  # of the policy of choices; LICA 1e-3 to 1e-2

    def __post_init__(self):
        check(self)


PAPER = {
    "learning_rate": 1e-2,
    "critic_learning_rate": 1e-2,
    "clip_by": "array",
    "capacity": 1_000_000,
    "batch": 1_024,
    "warmup": 25_600,
    "relaxed": "gumbel",
}
LICA: dict[str, Any] = {  # the particle baselines that LICA quotes, navigation
    "hidden": 32,
    "critic_updates": 10,
    "gamma": 0.9,
    "learning_rate": 1e-4,
    "clip": 1.0,
    "clip_by": "entry",
    "tau": 0.1,
    "target_period": 2,
    "capacity": 10_000,
    "batch": 32,
    "warmup": 100,
    "relaxed": "softmax",
    "logit_penalty": 0.0,
    "entropy_coefficient": 1e-3,
}
LICA_PREDATOR = {
    "hidden": 128,
    "gamma": 0.99,
    "learning_rate": 1e-4,
    "critic_learning_rate": 5e-4,
    "batch": 128,
    "entropy_coefficient": 1e-3,
}


class Rows(NamedTuple):
    """Single steps, leaves [capacity, ...]."""

    observation: PyTree  # before the step, packed
    next_observation: PyTree
    action: Array  # [N] int8, int16 or int32, or [N, A] float32
    reward: Array  # [N]
    terminated: Array  # [] bool


class State(NamedTuple):
    actors: MLP  # leaves [N, ...] if separate
    critics: MLP
    target_actors: MLP
    target_critics: MLP
    actor_opt_state: PyTree
    critic_opt_state: PyTree
    replay: memory_of.Replay
    updates: Array  # [] int32


class Member(NamedTuple):
    """What makes an algorithm of the family.

    `inputs(key, view, actions, mine)` is what critic i reads, [..., N, I], or with several readings [M, ..., N, I],
    whose values are averaged: view [..., N, V], actions [..., N, A] of all, mine [..., N, A] in the place of i's own.
    """

    size: int  # I
    inputs: Callable[[Key, Array, Array, Array], Array]
    adds_up: bool = False  # the sum of all critics is one value, of the mean reward, and learns as one


def in_a_circle(x: Array) -> Array:
    """x [..., N, K] of all agents as each sees it, itself first and then i + 1, i + 2, ...: [..., N, N K]."""
    return jnp.concatenate([jnp.roll(x, -k, axis=-2) for k in range(x.shape[-2])], -1)


def updates_of(config: Config, transitions: int) -> int:
    """How many updates a rollout of so many transitions is worth, at least one."""
    return max(1, round(transitions / config.every))


def clipped_adam(config: Config, rate: Any) -> optax.GradientTransformation:
    """Adam after clipping, for the network of one agent."""
    kinds = {"norm": optax.clip_by_global_norm, "array": by_array, "entry": optax.clip}
    return optax.chain(kinds[config.clip_by](config.clip), optax.adam(rate, eps=config.epsilon))


def by_array(limit: Any) -> optax.GradientTransformation:
    """Each array of a gradient shortened to norm `limit`."""

    def shortened(x: Array) -> Array:
        return x * jnp.minimum(1.0, limit / jnp.maximum(jnp.linalg.norm(x), 1e-12))

    return optax.stateless(lambda updates, params=None: jax.tree.map(shortened, updates))


def kept(env: Environment, observation: Observation) -> PyTree:
    """What a replay keeps of observations [B, ...]: packed if the game can, else views and what is available."""
    pack = functions(env).pack
    return jax.vmap(pack)(observation) if pack else observation._replace(state=())


def restored(env: Environment, codes: PyTree) -> Observation:
    unpack = functions(env).unpack
    return jax.vmap(unpack)(codes) if unpack else codes


def learner(config: Config, env: Environment, name: str, member: Member) -> Algorithm:
    require_one_head(env, name)
    require_vectors(env, name)
    spec = env.spec
    agents, choices, continuous = spec.agents, spec.action.n, isinstance(spec.action, Box)
    separate = config.agents == "separate"
    over = per_agent if separate else shared
    widths = (config.hidden, config.hidden)
    adam = partial(clipped_adam, config)
    actor_optimizer, critic_optimizer = adam(config.learning_rate), adam(config.critic_learning_rate)
    if separate:
        actor_optimizer, critic_optimizer = map(per_agent_optimizer, (actor_optimizer, critic_optimizer))
    small = next(kind for kind in (jnp.int8, jnp.int16, jnp.int32) if choices <= jnp.iinfo(kind).max)

    def new(key: Key, inputs: int, outputs: int) -> MLP:
        make = lambda key: MLP(key, inputs, widths, outputs, config.activation)  # noqa: E731
        return stacked(make, key, agents) if separate else make(key)  # pyright: ignore[reportReturnType]

    def outputs_of(actors: MLP, view: Array) -> Array:
        """[..., N, A]: logits, or what tanh makes an action of."""
        axis = view.ndim - 2
        return over(lambda net, x: net(x.astype(jnp.float32)), (0, axis), axis)(actors, view)

    def policy(key: Key, outputs: Array, available: Array) -> Array:
        """Actions as vectors [..., N, A] that carry gradient."""
        if continuous:
            return jnp.where(available, jnp.tanh(outputs), 0.0)
        return relaxed(key, masked(outputs, available), config.relaxed, config.temperature)

    def values(key: Key, critics: MLP, view: Array, actions: Array, mine: Array) -> Array:
        """[batch, N]: Q_i of joint actions [batch, N, A] in which each i's own are `mine`."""
        inputs = member.inputs(key, view.astype(jnp.float32), actions, mine)
        axis = inputs.ndim - 2
        q = over(lambda net, x: net(x)[..., 0], (0, axis), axis)(critics, inputs)
        return q if q.ndim == 2 else q.mean(0)

    def act(key: Key, state: State, memory: PyTree, observation: Observation, explore: bool = True):
        outputs, available = outputs_of(state.actors, observation.view), observation.available
        if continuous:
            action = jnp.tanh(outputs)
            if explore:
                action = jnp.clip(action + config.noise * jax.random.normal(key, action.shape), -1.0, 1.0)
            return jnp.where(available, action, 0.0), memory, {}
        logits = masked(outputs, available)
        action = sample(key, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        return action, memory, {"probabilities": jax.nn.softmax(logits)}

    def rows_of(steps: Transition) -> Rows:
        flat = lambda x: x.reshape(-1, *x.shape[2:])  # noqa: E731
        before, after, action, reward, terminated = jax.tree.map(
            flat, (steps.observation, steps.next_observation, steps.action, steps.reward, steps.terminated)
        )
        action = action if continuous else action.astype(small)
        return Rows(kept(env, before), kept(env, after), action, reward, terminated)

    def init(key: Key) -> State:
        key_actor, key_critic = jax.random.split(key)
        actors, critics = new(key_actor, spec.view.size, choices), new(key_critic, member.size, 1)
        targets = jax.tree.map(jnp.copy, (actors, critics))  # a donated state may not hold an array twice
        opt_states = actor_optimizer.init(actors), critic_optimizer.init(critics)  # pyright: ignore[reportArgumentType]
        state = State(actors, critics, *targets, *opt_states, (), jnp.zeros((), jnp.int32))  # pyright: ignore
        steps = shapes(env, lambda key, memory, observation: act(key, state, memory, observation), ())
        return state._replace(replay=memory_of.empty(jax.eval_shape(rows_of, steps), config.capacity))

    def critic_step(state: State, memories: memory_of.Replay, key: Key) -> tuple[State, Array]:
        key_draw, key_policy, key_now, key_next = jax.random.split(key, 4)
        rows: Rows = memory_of.draw(key_draw, memories, config.batch)
        now, after = restored(env, rows.observation), restored(env, rows.next_observation)
        taken = rows.action if continuous else jax.nn.one_hot(rows.action, choices)
        following = policy(key_policy, outputs_of(state.target_actors, after.view), after.available)
        reward = credited(rows.reward, "mean" if member.adds_up else config.credit)  # [batch, N]
        next_value = values(key_next, state.target_critics, after.view, following, following)
        target = lambda reward, value: lax.stop_gradient(  # noqa: E731
            reward + config.gamma * jnp.where(rows.terminated[:, None], 0.0, value)
        )

        def loss(critics: MLP) -> tuple[Array, Array]:
            q = values(key_now, critics, now.view, taken, taken)
            if member.adds_up:
                error = target(reward[:, :1], next_value.sum(-1, keepdims=True)) - q.sum(-1, keepdims=True)
            else:
                error = target(reward, next_value) - q
            losses = jnp.square(error).mean(0)
            return losses.sum() if separate else losses.mean(), losses.mean()

        grads, told = jax.grad(loss, has_aux=True)(state.critics)
        critics, opt_state = take_step(critic_optimizer, state.critics, state.critic_opt_state, grads)
        return state._replace(critics=critics, critic_opt_state=opt_state), told

    def actor_step(state: State, memories: memory_of.Replay, key: Key) -> tuple[State, dict[str, Array]]:
        key_draw, key_policy, key_values = jax.random.split(key, 3)
        rows: Rows = memory_of.draw(key_draw, memories, config.batch)
        now = restored(env, rows.observation)
        taken = rows.action if continuous else jax.nn.one_hot(rows.action, choices)

        def loss(actors: MLP) -> tuple[Array, dict[str, Array]]:
            outputs = outputs_of(actors, now.view)
            mine = policy(key_policy, outputs, now.available)
            others = lax.stop_gradient(mine) if member.adds_up else taken
            q = values(key_values, lax.stop_gradient(state.critics), now.view, others, mine)  # [batch, N]
            exist = now.available.astype(jnp.float32)
            size = (exist * jnp.square(outputs)).sum(-1) / jnp.maximum(exist.sum(-1), 1.0)
            surprise = jnp.zeros(()) if continuous else entropy(masked(outputs, now.available))
            climbed = q - config.logit_penalty * size + config.entropy_coefficient * surprise
            total = climbed.mean(0).sum() if separate else climbed.mean()
            return -total, {"q": q.mean(), "entropy": surprise.mean()}

        grads, told = jax.grad(loss, has_aux=True)(state.actors)
        actors, opt_state = take_step(actor_optimizer, state.actors, state.actor_opt_state, grads)
        return state._replace(actors=actors, actor_opt_state=opt_state), told | {
            "gradient_norm": optax.tree.norm(grads)
        }

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        memories = memory_of.push(state.replay, rows_of(steps))
        learned = state._replace(replay=())  # pyright: ignore[reportArgumentType]

        def step(state: State, key: Key) -> tuple[State, dict[str, Array]]:
            keys = jax.random.split(key, config.critic_updates + 1)
            state, losses = lax.scan(lambda state, key: critic_step(state, memories, key), state, keys[1:])
            state, told = actor_step(state, memories, keys[0])
            count = state.updates + 1
            targets = towards(
                (state.target_actors, state.target_critics),
                (state.actors, state.critics),
                config.tau,
                count % config.target_period == 0,
            )
            state = state._replace(target_actors=targets[0], target_critics=targets[1], updates=count)
            return state, {"critic_loss": losses.mean(), **told}

        def learn(state: State):
            state, told = lax.scan(step, state, jax.random.split(key, updates_of(config, steps.valid.size)))
            return state, jax.tree.map(lambda x: x.mean(0), told)

        def wait(state: State):
            return state, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(learn, state)[1])

        learned, metrics = lax.cond(memories.filled >= config.warmup, learn, wait, learned)
        return learned._replace(replay=memories), {**metrics, "replay_steps": memories.filled}

    return Algorithm(init, act, update, steps=config.steps)
