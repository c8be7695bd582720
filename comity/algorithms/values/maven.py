"""MAVEN: multi-agent variational exploration (Mahajan et al. 2019), QMIX with a latent variable for each episode.

A latent z is drawn once per episode and known to all agents. It chooses the last layer of every agent's network, so
each z is a joint strategy. A chooser learns from the returns of whole episodes which z to draw. The loss is

    QMIX's TD loss on (s, z)  -  weight * log p(z | s, softmax Q_1, ..., softmax Q_N)

The second term is the cross-entropy of a discriminator p. It bounds the mutual information of z and the policies from
below, and keeps the strategies different. docs/algorithms/maven.md lists every departure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.algorithms.values import qmix
from comity.algorithms.values import value_decomposition as family
from comity.algorithms.values import value_networks as networks
from comity.algorithms.values.value_learning import State as LearnedState
from comity.algorithms.values.value_learning import learning
from comity.algorithms.values.value_settings import PYMARL
from comity.learning import chosen, credited, entropy, log_prob, masked, sample, take_step
from comity.learning.replay import Episodes
from comity.networks import MLP, JointNet, LatentNet, MonotoneMixer, Part, joint_net
from comity.settings import Fraction, NotNegative, Positive
from comity.spec import Spec
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config(qmix.Config):
    """Settings of MAVEN: QMIX's, and those of the latent."""

    latents: Positive[int] = 16  # number of values of z; paper of MAVEN 16, hidden gifts 2
    chooser: Literal["bandit", "policy", "uniform", "released"] = "bandit"
    # what draws z. bandit: predicted returns (hidden gifts); policy: a policy learned by REINFORCE (MAVEN); released: a
    # bandit that reads zeros and is never trained, so its first weights fix the probabilities
    chooser_reads: Literal["views", "nothing"] = "views"  # the agents' first views, side by side
    chooser_hidden: Positive[int] = 256  # width of the chooser's two hidden layers
    chooser_learning_rate: Positive[float] = 1e-3  # Adam's learning rate; ours, neither paper gives it
    chooser_uniform: Fraction = 0.1  # weight of the uniform choice (bandit)
    chooser_temperature: Positive[float] = 0.1  # temperature of the softmax of predicted returns, reward units; ours
    chooser_entropy: NotNegative[float] = 1e-3  # weight of the entropy bonus (policy)
    head: Literal["table", "hypernetwork"] = "table"  # the first weights of the last layers. table: as layers on the
    # memory; hypernetwork (code): as a linear hypernetwork with a bias, within +-1/sqrt(its number of inputs)
    information_weight: NotNegative[float] = 1.0  # weight of the discriminator's cross-entropy; MAVEN 0.001 to 1
    discriminator_hidden: Positive[int] = 32  # width of the discriminator's hidden layers
    discriminator_layers: Positive[int] = 1  # number of these layers; code of MAVEN on SMAC: 3 of 64


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
    "pymarl": {
        **PYMARL,
        "mixer_input": "raw",
        "chooser": "policy",
        "head": "hypernetwork",
        "discriminator_hidden": 64,
        "discriminator_layers": 3,
    },
}


def of_latent(outputs: Array, z: Array) -> Array:
    """Returns Q_i of every action, [..., A], for the latent z. outputs [..., Z, A], z [..., Z] one-hot."""
    return (outputs * z[..., None]).sum(-2)


class Params(NamedTuple):
    agents: PyTree  # `LatentNet`, leaves [N, ...] if separate
    mixer: MonotoneMixer  # it reads state and z
    discriminator: MLP  # (state, all agents' policies) -> logits of z
    reader: JointNet | None  # the encoder of the state, for mixer and discriminator


class State(NamedTuple):
    learned: LearnedState
    chooser: JointNet  # first views [N, V] -> predicted returns or logits, [Z]
    chooser_opt_state: PyTree


class Memory(NamedTuple):
    """The memory of an agent during an episode."""

    hidden: PyTree  # memory of its network, leaves [N, ...]
    latent: Array  # [N] int32: z + 1, the same for all agents; 0 before it is drawn


def latent_logits(config: Config, scores: Array) -> Array:
    """Returns the log of the probabilities of z, [..., Z]. scores [..., Z]: the chooser's output."""
    if config.chooser == "uniform":
        return jnp.zeros_like(scores)
    if config.chooser == "policy":
        return jax.nn.log_softmax(scores)
    softmax = jax.nn.softmax(scores / config.chooser_temperature)
    return jnp.log((1 - config.chooser_uniform) * softmax + config.chooser_uniform / scores.shape[-1])


def chooser_loss(config: Config, scores: Array, z: Array, returns: Array) -> Array:
    """Returns the chooser's loss on a rollout, []. scores [B, Z], z [B] int32, returns [B] of whole episodes.

    bandit: (score_z - R)^2 of the z that was played. policy: -(R - mean R) log p(z) - c H(p), REINFORCE with the
    batch's mean as baseline.
    """
    if config.chooser == "bandit":
        return jnp.square(chosen(scores, z) - returns).mean()
    advantage = returns - returns.mean()
    return -(advantage * log_prob(scores, z) + config.chooser_entropy * entropy(scores)).mean()


def discriminator_input(central: Array, q: Array, available: Array) -> Array:
    """Returns [..., S + N A]: the mixer's input and all agents' softmax policies. q, available [..., N, A]."""
    policy = jax.nn.softmax(masked(q, available))
    return jnp.concatenate([central, policy.reshape(*central.shape[:-1], -1)], -1)


def information_loss(logits: Array, z: Array) -> Array:
    """Returns -log of the discriminator's probability of the true z, [...]. logits [..., Z], z [...]."""
    return -log_prob(logits, z)


def latent_of(steps: Transition) -> Array:
    """Returns the z of each episode of a rollout, [B] int32."""
    return steps.next_memory.latent[0, :, 0] - 1


def new_chooser(config: Config, spec: Spec, key: Key) -> JointNet:
    """Returns a new chooser, the network that scores every z from the views of all agents."""
    width = config.chooser_hidden
    net = partial(MLP, hidden=(width, width), outputs=config.latents)
    return joint_net(key, (Part(spec.view, spec.agents),), net, width, config.convolutions)


def scores(config: Config, chooser: JointNet, view: Array) -> Array:
    """Returns the chooser's scores, [..., Z], of the first views [..., N, V]."""
    if config.chooser_reads == "nothing" or config.chooser == "released":
        view = jnp.zeros_like(view)
    return chooser(view)


def mix(mixer: tuple[MonotoneMixer, Array], q: Array, central: Array) -> Array:
    """Returns Q_tot, [..., 1], of the agents' values q [..., N]. mixer: the network and z [B, Z]."""
    network, z = mixer
    z = jnp.broadcast_to(z, (*central.shape[:-1], z.shape[-1]))
    return network(q, jnp.concatenate([central, z], -1))


def make(config: Config, env: Environment) -> Algorithm:
    spec, latents = env.spec, config.latents
    agents, actions = spec.agents, spec.action.n
    sizes = {"hidden": config.hidden, "latents": latents, "actions": actions}
    named = agents if config.agents == "shared" else 0
    kinds = {"activation": config.activation, "core": config.core, "encoder_width": config.encoder_width}
    new_agent = partial(LatentNet, **sizes, **kinds, names=named)
    team = networks.team_of(config, env, "maven", partial(new_agent, hypernetwork=config.head == "hypernetwork"))
    central = networks.central_size(config, spec)
    score = partial(scores, config)
    adam = optax.adam(config.chooser_learning_rate)
    memory = Memory(team.memory, jnp.zeros(agents, jnp.int32))
    member = family.td_member(config, lambda key: (), mix)

    def act(key: Key, state: State, memory: Memory, observation: Observation, explore: bool = True):
        key_latent, key_action = jax.random.split(key)
        logits = latent_logits(config, score(state.chooser, observation.view))
        drawn = sample(key_latent, logits) if explore or config.chooser == "uniform" else logits.argmax(-1)
        latent = jnp.where(memory.latent > 0, memory.latent, drawn[..., None] + 1).astype(jnp.int32)  # [..., N]
        q_of = partial(of_latent, z=jax.nn.one_hot(latent - 1, latents))
        stands = state.learned, memory.hidden, observation
        action, hidden, q = family.play(config, team, key_action, *stands, explore, q_of)
        return action, Memory(hidden, latent), {"values": q, "latent": latent - 1}

    def loss(params: Params, target_params: Params, episodes: Episodes, games: int):
        z = jax.nn.one_hot(episodes.extra, latents)  # [B, Z]
        see = partial(networks.episode_values, config, env, team, episodes=episodes, games=games)
        now, target = (see(x, q_of=partial(of_latent, z=z[:, None])) for x in (params, target_params))
        reward = family.learned_reward(config, episodes, now.before.q)
        losses, metrics = member.loss((params.mixer, z), (target_params.mixer, z), now, target, episodes, reward)
        available = episodes.observation.available[:-1]
        told = params.discriminator(discriminator_input(now.before.central, now.before.q, available))  # [T, B, Z]
        information = information_loss(told, jnp.broadcast_to(episodes.extra, told.shape[:-1]))
        return losses + config.information_weight * information, metrics | {"information_loss": information}

    begin, learn = learning(config, env, loss, latent_of)

    def init(key: Key) -> State:
        key_agents, key_mixer, key_discriminator, key_chooser = jax.random.split(key, 4)
        reads = central + agents * actions
        params = Params(
            team.init(key_agents),
            qmix.new_mixer(key_mixer, config, agents, central + latents),
            MLP(key_discriminator, reads, (config.discriminator_hidden,) * config.discriminator_layers, latents),
            networks.central_reader(config, spec, key_mixer),
        )
        net = new_chooser(config, spec, key_chooser)
        play = lambda key, learned, *stands: act(key, State(learned, net, ()), *stands)  # noqa: E731
        return State(begin(params, play, memory), net, adam.init(net))  # pyright: ignore[reportArgumentType]

    def update(key: Key, state: State, steps: Transition, reward_of: Callable | None = None):
        learned, metrics = learn(key, state.learned, steps, reward_of)
        if reward_of is not None:
            steps = steps._replace(reward=steps.reward + reward_of(steps.experience))
        first, z = steps.observation.view[0], latent_of(steps)
        team_reward = credited(steps.reward, "mean" if config.credit == "own" else config.credit)[..., 0]
        returns = jnp.where(steps.valid, team_reward, 0.0).sum(0)  # [B], undiscounted
        spread = entropy(latent_logits(config, score(state.chooser, first)))
        net, opt_state = state.chooser, state.chooser_opt_state
        if config.chooser in ("bandit", "policy"):
            objective = lambda net: chooser_loss(config, score(net, first), z, returns)  # noqa: E731
            metrics["chooser_loss"], grads = jax.value_and_grad(objective)(net)
            net, opt_state = take_step(adam, net, opt_state, grads)
        return State(learned, net, opt_state), metrics | {"latent_entropy": spread.mean()}

    return Algorithm(init, act, update, memory=memory, whole_episodes=True, replays=True)
