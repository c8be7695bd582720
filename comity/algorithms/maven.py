"""MAVEN: multi-agent variational exploration (Mahajan et al. 2019). QMIX that commits to one way of playing.

A latent z, drawn once per episode and known to all agents, chooses the last layer of every agent's network, so that
each z is a joint strategy of its own. The loss is QMIX's on (s, z) plus the cross-entropy of a discriminator that
tells z from state and policies: a bound of their mutual information, which keeps the strategies apart. Which z to play
is itself learned, from the returns of whole episodes. docs/algorithms/maven.md.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms import qmix
from comity.algorithms import value_decomposition as family
from comity.algorithms.value_decomposition import Seen
from comity.algorithms.value_learning import State as LearnedState
from comity.algorithms.value_learning import explore_rate, learning
from comity.compatibility import require_discrete
from comity.learning import chosen, credited, entropy, epsilon_greedy, log_prob, masked, sample, take_step
from comity.learning.replay import Episodes
from comity.networks import ACTIVATIONS, GRU, MLP, Activation, Linear, MonotoneMixer, per_agent, shared, stacked
from comity.settings import Fraction, NotNegative, Positive
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(qmix.Config):
    """Settings of MAVEN: QMIX's, and those of the latent."""

    latents: Positive[int] = 16  # values of z; paper of MAVEN 16, hidden gifts 2
    chooser: Literal["bandit", "policy", "uniform", "released"] = "bandit"
    # How z is drawn. bandit: from predicted returns (hidden gifts); policy: by REINFORCE (MAVEN); released: a bandit
    # that sees zeros and is never trained, so a fixed preference of its first weights
    chooser_reads: Literal["views", "nothing"] = "views"  # the agents' first views, side by side
    chooser_hidden: Positive[int] = 256  # width of its two hidden layers
    chooser_learning_rate: Positive[float] = 1e-3  # Adam; ours, neither paper says
    chooser_uniform: Fraction = 0.1  # weight of the uniform choice (bandit)
    chooser_temperature: Positive[float] = 0.1  # of the softmax over predicted returns, in reward units (bandit); ours
    chooser_entropy: NotNegative[float] = 1e-3  # weight of the entropy bonus (policy)
    head: Literal["table", "hypernetwork"] = "table"  # how last layers are drawn: as layers on the memory, or (code) as
    # a linear hypernetwork with a bias, +-1/sqrt(numbers that it reads)
    information_weight: NotNegative[float] = 1.0  # of the discriminator's cross-entropy in the loss; MAVEN 0.001 to 1
    discriminator_hidden: Positive[int] = 32  # width of its one hidden layer


TABLE = {
    "epsilon": 1e-5,
    "tau": 1.0,
    "updates": 1,
    "mixer_input": "raw",
    "optimizer": "rmsprop",
    "latents": 2,
    "capacity": 1_024,
    "mixer_layers": "one",
    "chooser_temperature": 1.0,
}
PRESETS = {
    "sound": {},
    "paper": {
        **TABLE,
        "credit": "sum",
        "td_lambda": 1.0,
        "learning_rate": 5e-5,
        "last_learning_rate": 5e-5,
    },
    "released": {
        **TABLE,
        "hidden": 128,
        "bias_activation": "gelu",
        "credit": "own",
        "learning_rate": 5e-4,
        "last_learning_rate": 5e-4,
        "target_period": 100,
        "target_moves": "late",
        "replacement": False,
        "head": "hypernetwork",
        "chooser": "released",
    },
}


class LatentNet(eqx.Module):
    """Linear, activation, GRU, and a last layer h W(z, id), where W is a linear hypernetwork of one-hots.

    Such a hypernetwork is a table with one matrix for each z (and one for each agent, and its bias, added), so h is
    multiplied by all of them and z picks: a plain 2-D product instead of one small product per game.
    """

    encoder: Linear
    cell: GRU
    head: Array  # [H, Z A], one matrix for each z
    names: Array | None  # [N, H, A], of the agents, where one network serves all
    shift: Array | None  # [H, A], the hypernetwork's bias, if it has one
    activation: Activation = eqx.field(static=True)

    def __init__(self, key: Key, config: Config, env: Environment, named: bool):
        keys = jax.random.split(key, 4)
        agents, actions, wide = env.spec.agents, env.spec.action.n, config.head == "hypernetwork"
        self.encoder = Linear(keys[0], env.spec.view.size, config.hidden)
        self.cell = GRU(keys[1], config.hidden, config.hidden)
        self.head = Linear(keys[2], config.hidden, config.latents * actions).weight
        table = jax.vmap(lambda key: Linear(key, config.hidden, actions).weight)
        self.names = table(jax.random.split(keys[3], agents)) if named else None
        self.shift = Linear(jax.random.fold_in(key, 4), config.hidden, actions).weight if wide else None
        if wide:  # its weights and bias are drawn by how many numbers it reads, not by the width of the memory
            times = math.sqrt(config.hidden / (config.latents + agents * named))
            self.head, self.names, self.shift = jax.tree.map(lambda x: times * x, (self.head, self.names, self.shift))
        self.activation = config.activation

    def encode(self, x: Array) -> Array:
        return ACTIVATIONS[self.activation](self.encoder(x))

    def q(self, memory: Array, z: Array, actions: int) -> Array:
        """Q_i of every action, [..., A]. memory [..., H] with N before H where one network serves all, z [..., Z]."""
        rows = memory.reshape(-1, memory.shape[-1]) @ self.head
        q = (rows.reshape(*memory.shape[:-1], -1, actions) * z[..., None]).sum(-2)
        if self.shift is not None:
            q += (memory.reshape(-1, memory.shape[-1]) @ self.shift).reshape(q.shape)
        if self.names is None:
            return q
        own = [memory[..., k, :].reshape(-1, memory.shape[-1]) @ table for k, table in enumerate(self.names)]
        return q + jnp.stack(own, -2).reshape(q.shape)


class Params(NamedTuple):
    agents: LatentNet  # leaves [N, ...] if separate
    mixer: MonotoneMixer  # of state and z
    discriminator: MLP  # (state, everyone's policy) -> logits of z


class State(NamedTuple):
    learned: LearnedState
    chooser: MLP  # first views -> [Z]: predicted returns, or logits
    chooser_opt_state: PyTree


class Memory(NamedTuple):
    """What an agent carries through an episode."""

    hidden: Array  # [N, H]
    latent: Array  # [N] int32: z + 1, the same for all agents; 0 before it is drawn


def latent_logits(config: Config, scores: Array) -> Array:
    """log of the probabilities [..., Z] that z is drawn with; scores [..., Z]: the chooser's output."""
    if config.chooser == "uniform":
        return jnp.zeros_like(scores)
    if config.chooser == "policy":
        return jax.nn.log_softmax(scores)
    softmax = jax.nn.softmax(scores / config.chooser_temperature)
    return jnp.log((1 - config.chooser_uniform) * softmax + config.chooser_uniform / scores.shape[-1])


def chooser_loss(config: Config, scores: Array, z: Array, returns: Array) -> Array:
    """Of one rollout: scores [B, Z], z [B] int32, returns [B] of whole episodes. Only the chosen z is heard.

    bandit: (score_z - R)^2. policy: -(R - mean R) log p(z) - c H(p), REINFORCE with the batch's mean as baseline.
    """
    if config.chooser == "bandit":
        return jnp.square(chosen(scores, z) - returns).mean()
    advantage = returns - returns.mean()
    return -(advantage * log_prob(scores, z) + config.chooser_entropy * entropy(scores)).mean()


def discriminator_input(central: Array, q: Array, available: Array) -> Array:
    """[..., S + N A]: what the mixer reads and everyone's softmax policy. q, available [..., N, A]."""
    policy = jax.nn.softmax(masked(q, available))
    return jnp.concatenate([central, policy.reshape(*central.shape[:-1], -1)], -1)


def information_loss(logits: Array, z: Array) -> Array:
    """-log of the discriminator's probability of the right z, [...]; logits [..., Z], z [...]."""
    return -log_prob(logits, z)


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "maven")
    agents, actions, latents = env.spec.agents, env.spec.action.n, config.latents
    separate = config.agents == "separate"
    over_agents = per_agent if separate else shared
    central = family.central_size(config, env)
    trained = config.chooser in ("bandit", "policy")
    adam = optax.adam(config.chooser_learning_rate)
    memory = Memory(jnp.zeros((agents, config.hidden)), jnp.zeros(agents, jnp.int32))
    choose, read = family.in_play(config)

    def scores(chooser: MLP, view: Array) -> Array:
        """[..., Z] from the first views [..., N, V]."""
        first = view.reshape(*view.shape[:-2], -1).astype(jnp.float32)
        if config.chooser_reads == "nothing" or config.chooser == "released":
            first = jnp.zeros_like(first)
        return chooser(first)

    def latent(key: Key, state: State, memory: Memory, view: Array, explore: bool) -> Array:
        """z + 1 of each agent [..., N]: what memory has, or at the start of an episode what is drawn now."""
        logits = latent_logits(config, scores(state.chooser, view))
        drawn = sample(key, logits) if explore else logits.argmax(-1)
        return jnp.where(memory.latent > 0, memory.latent, drawn[..., None] + 1).astype(jnp.int32)

    def act(key: Key, state: State, memory: Memory, observation: Observation, explore: bool = True):
        key_latent, key_action = jax.random.split(key)
        available = observation.available
        axis = available.ndim - 2
        z = latent(key_latent, state, memory, observation.view, explore)

        def step(net: LatentNet, x: Array, hidden: Array, z: Array) -> tuple[Array, Array]:
            hidden = net.cell(net.encode(x), hidden)
            return net.q(hidden, z, actions), hidden

        one_hot = jax.nn.one_hot(z - 1, latents)
        step = over_agents(step, (0, axis, axis, axis), (axis, axis))
        q, hidden = step(state.learned.params.agents, read(observation.view), memory.hidden, one_hot)
        action = choose(q, available)
        if explore:
            rate = explore_rate(config, state.learned.time)
            action, random = epsilon_greedy(key_action, action, available, rate, config.explore_together)
            hidden = jnp.where(random, memory.hidden, hidden) if config.explore_together else hidden
        return action, Memory(hidden, z), {"values": q, "latent": z - 1}

    def seen(net: LatentNet, observation: Observation, z: Array, games: int) -> Seen:
        """Of whole episodes: leaves [T + 1, B, ...], z [B, N, Z]."""

        def one(net: LatentNet, x: Array, z: Array) -> tuple[Array, Array]:
            memories = net.cell.unroll(net.encode(x), jnp.zeros((*x.shape[1:-1], config.hidden)))
            return net.q(memories, jnp.broadcast_to(z, (len(x), *z.shape)), actions), memories

        q, hidden = over_agents(one, (0, 2, 1), (2, 2))(net, observation.view, z)
        return family.split(config, q, hidden, observation.available, games)

    def mix(mixer: tuple[MonotoneMixer, Array], q: Array, state: Array) -> Array:
        network, z = mixer
        z = jnp.broadcast_to(z, (*state.shape[:-1], latents))
        return network(q, jnp.concatenate([state, z], -1))

    def loss(params: Params, target_params: Params, episodes: Episodes, games: int):
        z = jax.nn.one_hot(episodes.extra, latents)  # [B, Z]
        everyone = jnp.broadcast_to(z[:, None], (len(z), agents, latents))
        now, target = (seen(p.agents, episodes.observation, everyone, games) for p in (params, target_params))
        reward = family.learned_reward(config, episodes, now.before.q)
        member = family.td_member(config, lambda key: (), mix)
        losses, metrics = member.loss((params.mixer, z), (target_params.mixer, z), now, target, episodes, reward)
        earlier = jax.tree.map(lambda x: x[:-1], episodes.observation)
        reads = discriminator_input(family.central_view(config, earlier), now.before.q, earlier.available)
        told = params.discriminator(reads)  # [T, B, Z]
        information = information_loss(told, jnp.broadcast_to(episodes.extra, told.shape[:-1]))
        return losses + config.information_weight * information, metrics | {"information_loss": information}

    def latent_of(steps: Transition) -> Array:
        """[B] int32, the z of each episode."""
        return steps.next_memory.latent[0, :, 0] - 1

    begin, learn = learning(config, env, loss, latent_of)

    def init(key: Key) -> State:
        key_agents, key_mixer, key_discriminator, key_chooser = jax.random.split(key, 4)
        new_agent = partial(LatentNet, config=config, env=env, named=not separate)
        params = Params(
            stacked(new_agent, key_agents, agents) if separate else new_agent(key_agents),
            qmix.new_mixer(key_mixer, config, agents, central + latents),
            MLP(key_discriminator, central + agents * actions, (config.discriminator_hidden,), latents),
        )
        width = (config.chooser_hidden, config.chooser_hidden)
        chooser = MLP(key_chooser, agents * env.spec.view.size, width, latents)
        state = State(LearnedState(params, params, (), (), jnp.zeros((), jnp.int32), ()), chooser, ())  # pyright: ignore

        def play(key: Key, begun: LearnedState, memory: Memory, observation: Observation):
            return act(key, state._replace(learned=begun), memory, observation)

        return State(begin(params, play, memory), chooser, adam.init(chooser))  # pyright: ignore[reportArgumentType]

    def update(key: Key, state: State, steps: Transition, reward_of: Callable | None = None):
        learned, metrics = learn(key, state.learned, steps, reward_of)
        if reward_of is not None:
            steps = steps._replace(reward=steps.reward + reward_of(steps.experience))
        z = latent_of(steps)
        team = credited(steps.reward, "mean" if config.credit == "own" else config.credit)[..., 0]
        returns = jnp.where(steps.valid, team, 0.0).sum(0)  # [B], undiscounted
        chooser, opt_state = state.chooser, state.chooser_opt_state
        if trained:

            def loss(chooser: MLP) -> Array:
                return chooser_loss(config, scores(chooser, steps.observation.view[0]), z, returns)

            value, grads = jax.value_and_grad(loss)(chooser)
            chooser, opt_state = take_step(adam, chooser, opt_state, grads)
            metrics["chooser_loss"] = value
        spread = entropy(latent_logits(config, scores(state.chooser, steps.observation.view[0])))
        return State(learned, chooser, opt_state), metrics | {"latent_entropy": spread.mean()}

    return Algorithm(init, act, update, memory=memory, whole_episodes=True, replays=True)
