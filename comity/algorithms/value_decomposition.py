"""Value decomposition: recurrent Q-learning of a team, of which IQL, VDN, QMIX and QTRAN are members.

Each agent has Q_i(history, a), chosen from greedily. A member says how the Q_i make up the team's value, and by which
loss they learn it: `Member`. All else is here: epsilon-greedy play, a replay of whole episodes, target networks,
TD(lambda) targets. docs/algorithms/vdn.md derives it and lists every departure from paper and code of "The challenge of
hidden gifts in multi-agent reinforcement learning" (Malenfant & Richards 2025, arXiv 2505.20579), tables 6-8.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.compatibility import require_discrete
from comity.learning import (
    Optimizer,
    Reward,
    chosen,
    credited,
    entropy,
    epsilon_greedy,
    lambda_returns,
    linear,
    masked,
    optimizer,
    replay,
    take_step,
    towards,
)
from comity.networks import Activation, RecurrentNet, per_agent, shared, stacked
from comity.rollout import shapes
from comity.settings import AT_LEAST_ONE, FRACTION, POSITIVE, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition

SLICE = 64  # episodes whose gradients are taken at once; more spill a CPU's cache (docs/performance.md)


@dataclass(frozen=True)
class Config:
    """Settings of every member. Paper: its tables 6-8; code: the authors' implementation."""

    agents: Literal["shared", "separate"] = "shared"  # one network for all agents, or one for each
    hidden: int = 64  # width of every layer; paper 64, code 128
    activation: Activation = "relu"  # paper ReLU, code GELU
    gamma: float = 0.99  # per step
    credit: Reward = "mean"  # whose reward is predicted: own (code), or the team's mean or sum
    td_lambda: float = 0.0  # of the targets; paper 1, code 0. Above 0 they lean to what the exploring policy earns
    double: bool = True  # next actions by the present network, their values by the target (van Hasselt et al. 2016)
    optimizer: Optimizer = "adam"  # paper Adam, code RMSprop
    learning_rate: float = 1e-3  # paper 1e-2, code 0.1
    last_learning_rate: float = 1e-3  # paper 1e-6
    learning_rate_steps: float = 10_000.0  # optimizer steps from the one to the other, linearly
    decay: float = 0.99  # RMSprop's alpha, per optimizer step
    epsilon: float = 1e-8  # of the optimizer, added to the root; code 1e-5. TD gradients are small: 1e-5 slows them
    clip: float = 10.0  # gradient norm, of all parameters together
    target_period: int = 1  # optimizer steps between two moves of the target; paper: each episode, code 200
    tau: float = 0.01  # how far the target moves towards the present parameters; 1 copies them, code 0.05
    capacity: int = 5_000  # episodes in the replay; paper and code: 1,000 rollouts of 32
    batch: int = 32  # episodes per update; paper and code: 32 rollouts of 32
    batch_of: Literal["episodes", "rollouts"] = "episodes"  # what is drawn one by one; rollouts stay together
    updates: int = 4  # per rollout; paper not stated, code 5
    warmup: int = 32  # episodes in the replay before the first update
    explore_start: float = 1.0  # epsilon of the epsilon-greedy policy at the start
    explore_end: float = 0.05  # and from explore_steps on
    explore_steps: float = 50_000.0  # steps of a batch; one rollout advances by T. Paper and code 3e6
    explore_together: bool = False  # code: one draw for all agents and games, and a random step leaves memory as it is
    entropy_bonus: float = 0.0  # c in r + c H(softmax Q), mean over agents; soft Q of the code: 0.03
    # What the released code also does, each a defect of its own:
    ends_teach: bool = True  # False: the last step of an episode, which carries the collective reward, is left out
    unavailable: Literal["never", "released"] = "never"  # released: worth 1e-10 to the greedy choice, so not never
    replay_restarts: bool = False  # True: a full replay forgets everything, and learning waits for the warm-up
    views_mixed: bool = False  # True: networks read the views of other games and agents, see `mix_up`

    def __post_init__(self):
        check(
            self,
            hidden=AT_LEAST_ONE,
            gamma=FRACTION,
            td_lambda=FRACTION,
            learning_rate=POSITIVE,
            last_learning_rate=POSITIVE,
            learning_rate_steps=POSITIVE,
            decay=FRACTION,
            epsilon=POSITIVE,
            clip=POSITIVE,
            target_period=AT_LEAST_ONE,
            tau=FRACTION,
            capacity=AT_LEAST_ONE,
            batch=AT_LEAST_ONE,
            updates=AT_LEAST_ONE,
            warmup=AT_LEAST_ONE,
            explore_start=FRACTION,
            explore_end=FRACTION,
            explore_steps=POSITIVE,
        )


@dataclass(frozen=True)
class CentralConfig(Config):
    """Settings of members that read more than one agent sees, in training."""

    mixer_reads: Literal["state", "views"] = "state"  # paper and code: all views side by side
    mixer_input: Literal["standard", "raw"] = "standard"
    # standard: each input vector with mean 0 and deviation 1. Raw (paper, code): Manitokan's codes reach 10, and with
    # them Q_tot begins near 10 where returns are near 1


PAPER = {
    "credit": "sum",
    "td_lambda": 1.0,
    "double": False,
    "learning_rate": 1e-2,
    "last_learning_rate": 1e-6,
    "tau": 1.0,
    "capacity": 32_000,
    "batch": 1_024,
    "batch_of": "rollouts",
    "updates": 1,
    "warmup": 1_024,
    "explore_steps": 3e6,
}
RELEASED = {
    "hidden": 128,
    "activation": "gelu",
    "credit": "own",
    "double": False,
    "optimizer": "rmsprop",
    "learning_rate": 0.1,
    "last_learning_rate": 0.1,
    "epsilon": 1e-5,
    "target_period": 200,
    "tau": 0.05,
    "capacity": 32_000,
    "batch": 1_024,
    "batch_of": "rollouts",
    "updates": 5,
    "warmup": 1_024,
    "explore_steps": 3e6,
    "explore_together": True,
    "ends_teach": False,
    "unavailable": "released",
    "replay_restarts": True,
    "views_mixed": True,
}
CENTRAL = {"mixer_reads": "views", "mixer_input": "raw"}  # of paper and code
RANDOMISED = {**PAPER, "explore_steps": 3e7}  # figure 10: so much exploration that little is learned
PRESETS = {"sound": {}, "paper": PAPER, "released": RELEASED, "randomised": RANDOMISED}


class Params(NamedTuple):
    agents: RecurrentNet  # leaves [N, ...] if separate
    mixer: PyTree  # of the member; () if it has none


class State(NamedTuple):
    params: PyTree  # Params, in most members
    target_params: PyTree
    opt_state: PyTree
    replay: replay.Replay
    time: Array  # [] int32, steps of a batch so far
    steps: Array  # [] int32, optimizer steps so far


class Values(NamedTuple):
    """What the agents' networks say of whole episodes."""

    q: Array  # [T + 1, B, N, A]
    memory: Array  # [T + 1, B, N, H], after the step


class Member(NamedTuple):
    """What makes an algorithm of the family.

    `loss(mixer, target_mixer, values, target_values, episodes, reward)` gives (loss of each step [T, B], metrics of
    each step: leaves [T, B]); reward [T, B, N] is what agents learn from. Only values and mixer carry gradient.
    """

    init: Callable[[Key], PyTree]  # (key) -> mixer
    loss: Callable[..., tuple[Array, dict[str, Array]]]


def greedy(q: Array, available: Array, unavailable: str = "never") -> Array:
    """argmax over available actions, [...] int32. q, available [..., A]; released: the others are worth 1e-10."""
    values = jnp.where(available, q, 1e-10) if unavailable == "released" else masked(q, available)
    return values.argmax(-1).astype(jnp.int32)


def td_targets(config: Config, reward: Array, following: Array, episodes: replay.Episodes) -> Array:
    """Peng's Q(lambda) targets [T, B, K]: `lambda_returns` of the reward with the target network's greedy values.

    reward [T, B, N or K]; following [T, B, K]: the value of what comes after each step.
    """
    reward, following = jnp.broadcast_arrays(reward, following)
    return lax.stop_gradient(
        lambda_returns(reward, following, episodes.terminated, episodes.ended, config.gamma, config.td_lambda)
    )


def td_member(config: Config, init: Callable[[Key], PyTree], mix: Callable[[PyTree, Array, Array], Array]) -> Member:
    """A member that learns by one TD loss on mixed values: (target - mix(Q_1, ..., Q_N))^2.

    mix(mixer, q [..., N], state [..., S]) -> [..., 1], the team's value, or [..., N], everyone's own.
    """

    def loss(mixer, target_mixer, values: Values, target: Values, episodes: replay.Episodes, reward: Array):
        central = central_view(config, episodes.observation)  # [T + 1, B, S]
        available = episodes.observation.available
        best = greedy((values if config.double else target).q[1:], available[1:], config.unavailable)
        following = mix(target_mixer, chosen(target.q[1:], best), central[1:])
        q_tot = mix(mixer, chosen(values.q[:-1], episodes.action), central[:-1])  # [T, B, 1 or N]
        error = td_targets(config, reward, following, episodes) - q_tot
        return jnp.square(error).mean(-1), {"td_error": jnp.abs(error).mean(-1), "q_tot": q_tot.mean(-1)}

    return Member(init, loss)


def central_view(config: Config, observation: Observation) -> Array:
    """What a mixer reads, [..., S] float: see `CentralConfig`. Empty for members whose mixers read nothing."""
    view = observation.view
    if not isinstance(config, CentralConfig):
        return jnp.zeros((*view.shape[:-2], 0))
    whole = observation.state if config.mixer_reads == "state" else view.reshape(*view.shape[:-2], -1)
    whole = whole.astype(jnp.float32)
    if config.mixer_input == "raw":
        return whole
    spread = jnp.sqrt(whole.var(-1, keepdims=True) + 1e-6)
    return (whole - whole.mean(-1, keepdims=True)) / spread


def central_size(config: CentralConfig, env: Environment) -> int:
    """S of `central_view`."""
    return env.state_size if config.mixer_reads == "state" else env.num_agents * env.view_size


def mix_up(x: Array) -> Array:
    """x [..., B, N, V] with games and agents exchanged and then read in the old order, as the released code does.

    Of 32 games' views three in a hundred land where they belong.
    """
    return x.swapaxes(-3, -2).reshape(x.shape)


def explore_rate(config: Config, time: Array) -> Array:
    """Epsilon of the epsilon-greedy policy, after `time` steps of a batch."""
    return linear(config.explore_start, config.explore_end, config.explore_steps, time)


def learner(config: Config, env: Environment, name: str, member: Member) -> Algorithm:
    """The algorithm of a member: one recurrent network for each agent, or one for all."""
    require_discrete(env, name)
    separate = config.agents == "separate"
    over_agents = per_agent if separate else shared
    memory = jnp.zeros((env.num_agents, config.hidden))

    def new_agent(key: Key) -> RecurrentNet:
        return RecurrentNet(key, env.view_size, config.hidden, env.num_actions, config.activation)

    def read(view: Array) -> Array:
        return mix_up(view) if config.views_mixed else view

    def act(key: Key, state: State, memory: Array, observation: Observation, explore: bool = True):
        available = observation.available
        axis = available.ndim - 2
        step = over_agents(lambda net, x, h: net(x, h), (0, axis, axis), (axis, axis))
        q, after = step(state.params.agents, read(observation.view), memory)
        action = greedy(q, available, config.unavailable)
        if explore:
            rate = explore_rate(config, state.time)
            action, random = epsilon_greedy(key, action, available, rate, config.explore_together)
            after = jnp.where(random, memory, after) if config.explore_together else after
        return action, after, {"values": q}

    def values(agents: RecurrentNet, view: Array) -> Values:
        def one(net: RecurrentNet, x: Array) -> tuple[Array, Array]:
            memories = net.memories(x, jnp.zeros((*x.shape[1:-1], config.hidden)))
            return net.head(memories), memories

        return Values(*over_agents(one, (0, 2), (2, 2))(agents, read(view)))

    def loss(params: Params, target_params: Params, episodes: replay.Episodes):
        now, target = (values(p.agents, episodes.observation.view) for p in (params, target_params))
        reward = learned_reward(config, episodes, now.q)
        return member.loss(params.mixer, target_params.mixer, now, target, episodes, reward)

    begin, update = learning(config, env, loss)

    def init(key: Key) -> State:
        key_agents, key_mixer = jax.random.split(key)
        agents: PyTree = stacked(new_agent, key_agents, env.num_agents) if separate else new_agent(key_agents)
        return begin(Params(agents, member.init(key_mixer)), act, memory)

    return Algorithm(init, act, update, memory=memory, whole_episodes=True)


def learned_reward(config: Config, episodes: replay.Episodes, q: Array) -> Array:
    """[T, B, N], whose reward `config` says, and the entropy bonus. q [T + 1, B, N, A] carries no gradient."""
    logits = masked(lax.stop_gradient(q[:-1]), episodes.observation.available[:-1])
    bonus = config.entropy_bonus * entropy(logits).mean(-1, keepdims=True)
    return credited(episodes.reward, config.credit) + bonus


def learning(config: Config, env: Environment, loss: Callable, extra: Callable[[Transition], PyTree] = lambda _: ()):
    """What all members share once they have a loss: `(begin, update)`.

    loss(params, target_params, episodes) -> (loss of each step [T, B], metrics of each step, leaves [T, B]);
    extra(steps) -> leaves [B, ...] that a row of the replay keeps beside the episode. `begin(params, act, memory)` is
    the first state, `update` that of `Algorithm`.
    """
    rate = lambda count: linear(config.learning_rate, config.last_learning_rate, config.learning_rate_steps, count)  # noqa: E731
    descent = optimizer(config.optimizer, rate, config.clip, config.decay, config.epsilon)

    def rows_of(steps: Transition) -> replay.Row:
        return replay.stored(env, steps, extra(steps))

    def begin(params: PyTree, act: Callable, memory: PyTree) -> State:
        zero = jnp.zeros((), jnp.int32)
        target = jax.tree.map(jnp.copy, params)  # a donated state may not hold an array twice
        state = State(params, target, descent.init(params), (), zero, zero)  # pyright: ignore[reportArgumentType]
        steps = shapes(env, lambda key, memory, observation: act(key, state, memory, observation), memory)
        return state._replace(replay=replay.empty(jax.eval_shape(rows_of, steps), config.capacity))

    def total(params: PyTree, target_params: PyTree, rows: replay.Row):
        """Sums over the steps that count, of the loss and of all metrics, and how many they are."""
        episodes = replay.restored(env, rows)
        losses, metrics = loss(params, target_params, episodes)
        counts = episodes.valid & (config.ends_teach | ~episodes.terminated)
        sums = jax.tree.map(lambda x: jnp.where(counts, x, 0.0).sum(), {"loss": losses, **metrics})
        return sums["loss"], (sums, counts.sum())

    def descend(key: Key, learned: tuple, memories: replay.Replay, games: int):
        params, target_params, opt_state, count = learned
        rows = replay.draw(key, memories, config.batch, games if config.batch_of == "rollouts" else 1)
        gradient = lambda rows: jax.grad(total, has_aux=True)(params, target_params, rows)  # noqa: E731
        grads, (sums, steps) = replay.in_slices(gradient, rows, SLICE)
        grads, metrics = jax.tree.map(lambda x: x / jnp.maximum(steps, 1), (grads, sums))
        params, opt_state = take_step(descent, params, opt_state, grads)
        count += 1
        target_params = towards(target_params, params, config.tau, count % config.target_period == 0)
        return (params, target_params, opt_state, count), metrics | {"gradient_norm": optax.tree.norm(grads)}

    def update(key: Key, state: State, steps: Transition):
        games = steps.valid.shape[1]
        if config.batch_of == "rollouts" and config.batch % games:
            raise ValueError(f"batch {config.batch} is not whole rollouts of {games} games: change batch or envs")
        memories = replay.push(state.replay, rows_of(steps), config.replay_restarts)
        learned = (state.params, state.target_params, state.opt_state, state.steps)

        def learn(learned):
            run = lambda learned, key: descend(key, learned, memories, games)  # noqa: E731
            learned, metrics = lax.scan(run, learned, jax.random.split(key, config.updates))
            return learned, jax.tree.map(lambda x: x.mean(0), metrics)

        def wait(learned):
            metrics = jax.eval_shape(learn, learned)[1]
            return learned, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)

        learned, metrics = lax.cond(memories.filled >= config.warmup, learn, wait, learned)
        params, target_params, opt_state, count = learned
        time = state.time + len(steps.valid)
        metrics |= {"epsilon": explore_rate(config, time), "replay_episodes": memories.filled}
        return State(params, target_params, opt_state, memories, time, count), metrics

    return begin, update
