"""Value decomposition: recurrent Q-learning of a team, of which IQL, VDN, QMIX and QTRAN are members.

Each agent has Q_i(history, a), chosen from greedily. A member says how the Q_i make up the team's value, and by which
loss they learn it: `Member`. All else is here: epsilon-greedy play, a replay of whole episodes, target networks,
TD(lambda) targets. docs/algorithms/vdn.md derives it and lists every departure from paper and code of "The challenge of
hidden gifts in multi-agent reinforcement learning" (Malenfant & Richards 2025, arXiv 2505.20579), tables 6-8.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from comity.algorithms.released import mixers as released
from comity.algorithms.value_learning import State, explore_rate, learning
from comity.algorithms.value_settings import CentralConfig, Config
from comity.compatibility import require_discrete
from comity.learning import chosen, credited, entropy, epsilon_greedy, lambda_returns, masked, replay
from comity.networks import RecurrentNet, per_agent, shared, stacked
from comity.types import Algorithm, Environment, Key, Observation, PyTree


class Params(NamedTuple):
    agents: RecurrentNet  # leaves [N, ...] if separate
    mixer: PyTree  # of the member; () if it has none


class Values(NamedTuple):
    """What the agents' networks say at every step of whole episodes."""

    q: Array  # [T, B, N, A]
    memory: Array  # [T, B, N, H], with the step's view read


class Seen(NamedTuple):
    """The same of what stands before a step, and of what follows it."""

    before: Values
    after: Values


class Member(NamedTuple):
    """What makes an algorithm of the family.

    `loss(mixer, target_mixer, seen, target, episodes, reward)` gives (loss of each step [T, B], metrics of each step:
    leaves [T, B]); seen and target are `Seen` by the present and the target networks, reward [T, B, N] is what agents
    learn from. Only `seen` and mixer carry gradient.
    """

    init: Callable[[Key], PyTree]  # (key) -> mixer
    loss: Callable[..., tuple[Array, dict[str, Array]]]
    reads_memory: bool = False  # whether the loss reads `Values.memory`


def greedy(q: Array, available: Array) -> Array:
    """argmax over available actions, [...] int32. q, available [..., A]."""
    return masked(q, available).argmax(-1).astype(jnp.int32)


def in_play(config: Config) -> tuple[Callable[[Array, Array], Array], Callable[[Array], Array]]:
    """(greedy action of q and available, views [..., B, N, V] as networks read them), of play."""
    choose = released.greedy if config.unavailable == "released" else greedy
    return choose, released.mix_up if config.views_mixed else lambda view: view


def td_targets(config: Config, reward: Array, following: Array, episodes: replay.Episodes) -> Array:
    """Peng's Q(lambda) targets [T, B, K]: `lambda_returns` of the reward with the target network's greedy values.

    reward [T, B, N or K]; following [T, B, K]: the value of what comes after each step.
    """
    reward, following = jnp.broadcast_arrays(reward, following)
    return lax.stop_gradient(
        lambda_returns(reward, following, episodes.terminated, episodes.ended, config.gamma, config.td_lambda)
    )


def over_agents_loss(config: Config, error: Array) -> Array:
    """Squared errors [T, B, K] of each step together: [T, B]."""
    return jnp.square(error).sum(-1) if config.agents_loss == "sum" else jnp.square(error).mean(-1)


def td_member(config: Config, init: Callable[[Key], PyTree], mix: Callable[[PyTree, Array, Array], Array]) -> Member:
    """A member that learns by one TD loss on mixed values: (target - mix(Q_1, ..., Q_N))^2.

    mix(mixer, q [..., N], state [..., S]) -> [..., 1], the team's value, or [..., N], everyone's own.
    """

    def loss(mixer, target_mixer, seen: Seen, target: Seen, episodes: replay.Episodes, reward: Array):
        central = central_view(config, episodes.observation)  # [T + 1, B, S]
        best = greedy((seen if config.double else target).after.q, episodes.observation.available[1:])
        following = mix(target_mixer, chosen(target.after.q, best), central[1:])
        q_tot = mix(mixer, chosen(seen.before.q, episodes.action), central[:-1])  # [T, B, 1 or N]
        error = td_targets(config, reward, following, episodes) - q_tot
        return over_agents_loss(config, error), {"td_error": jnp.abs(error).mean(-1), "q_tot": q_tot.mean(-1)}

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
    return env.spec.state.size if config.mixer_reads == "state" else env.spec.agents * env.spec.view.size


def split(config: Config, q: Array, memory: Array, available: Array, games: int) -> Seen:
    """`Seen` of q, available [T + 1, B, N, A] and memory [T + 1, B, N, H], where B are rollouts of `games`."""
    seen = Seen(Values(q[:-1], memory[:-1]), Values(q[1:], memory[1:]))
    if config.misread:
        seen = Seen(*(Values(*values) for values in released.before_and_after(q, memory, games)))
    if config.padding == "released":
        seen = seen._replace(after=seen.after._replace(q=released.worthless(seen.after.q, available[1:])))
    return seen


def learner(config: Config, env: Environment, name: str, member: Member) -> Algorithm:
    """The algorithm of a member: one recurrent network for each agent, or one for all."""
    require_discrete(env, name)
    spec = env.spec
    separate = config.agents == "separate"
    over_agents = per_agent if separate else shared
    memory = jnp.zeros((spec.agents, config.hidden))
    choose, read = in_play(config)

    def new_agent(key: Key) -> RecurrentNet:
        sizes = (spec.view.size, config.hidden, spec.action.n)
        return RecurrentNet(key, *sizes, config.activation, config.encoder_width)

    def act(key: Key, state: State, memory: Array, observation: Observation, explore: bool = True):
        available = observation.available
        axis = available.ndim - 2
        step = over_agents(lambda net, x, h: net(x, h), (0, axis, axis), (axis, axis))
        q, after = step(state.params.agents, read(observation.view), memory)
        action = choose(q, available)
        if explore:
            rate = explore_rate(config, state.time)
            action, random = epsilon_greedy(key, action, available, rate, config.explore_together)
            after = jnp.where(random, memory, after) if config.explore_together else after
        return action, after, {"values": q}

    def seen(agents: RecurrentNet, observation: Observation, games: int) -> Seen:
        def one(net: RecurrentNet, x: Array) -> tuple[Array, Array]:
            memories = net.memories(x, jnp.zeros((*x.shape[1:-1], config.hidden)))
            return net.head(memories), memories

        q, memory = over_agents(one, (0, 2), (2, 2))(agents, observation.view)
        return split(config, q, memory, observation.available, games)

    def loss(params: Params, target_params: Params, episodes: replay.Episodes, games: int):
        now, target = (seen(p.agents, episodes.observation, games) for p in (params, target_params))
        reward = learned_reward(config, episodes, now.before.q)
        return member.loss(params.mixer, target_params.mixer, now, target, episodes, reward)

    begin, update = learning(config, env, loss, whole_draws=config.misread and member.reads_memory)

    def init(key: Key) -> State:
        key_agents, key_mixer = jax.random.split(key)
        agents: PyTree = stacked(new_agent, key_agents, spec.agents) if separate else new_agent(key_agents)
        return begin(Params(agents, member.init(key_mixer)), act, memory)

    return Algorithm(init, act, update, memory=memory, whole_episodes=True, replays=True)


def learned_reward(config: Config, episodes: replay.Episodes, q: Array) -> Array:
    """[T, B, N], whose reward `config` says, and the entropy bonus. q [T, B, N, A] carries no gradient."""
    logits = masked(lax.stop_gradient(q), episodes.observation.available[:-1])
    bonus = config.entropy_bonus * entropy(logits).mean(-1, keepdims=True)
    return credited(episodes.reward, config.credit) + bonus
