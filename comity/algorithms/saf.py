"""SAF: a stateful active facilitator, PPO with messages and a pool of policies (Liu et al. 2022, arXiv 2210.03022).

All networks are shared. At every step each agent's message is written into a few slots and read back by all, and each
agent picks one policy of a pool by attention over learned keys. The critic knows the other agents only through small
latents, whose distance from what an agent could have known before is a price. Settings and presets are those of "The
challenge of hidden gifts in multi-agent reinforcement learning" (Malenfant & Richards 2025, arXiv 2505.20579).
docs/algorithms/saf.md derives it and lists every departure.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from comity.compatibility import require_discrete
from comity.learning import (
    Reward,
    credited,
    divisor,
    entropy,
    gaussian_kl,
    in_a_circle,
    lambda_returns,
    linear,
    log_prob,
    masked,
    mean_valid,
    optimizer,
    sample,
    side_by_side,
    standardised,
    straight_through,
    surrogate_loss,
    take_step,
    value_loss,
)
from comity.networks import MLP, Activation, Attention, Linear, Slots, per_agent, stacked
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key, Observation, PyTree, Transition


@dataclass(frozen=True)
class Config:
    """Settings of SAF. Paper: the text and tables of "hidden gifts"; code: its authors' implementation."""

    steps: NotNegative[int] = 0  # T of a rollout; 0: `Spec.length`
    epochs: Positive[int] = 4  # passes over a rollout; paper 15, code 10
    minibatches: Positive[int] = 5  # per epoch, at most: the largest divisor of the steps of a rollout; paper 5, code 1
    learning_rate: Positive[float] = 5e-4  # Adam's; paper and code 3e-4
    last_learning_rate: NotNegative[float] = 5e-4  # code 0
    learning_rate_steps: Positive[float] = 100_000.0  # optimizer steps from the one to the other, linearly
    epsilon: Positive[float] = 1e-5  # Adam's, added to the root
    gradient_clip: Positive[float] = 9.0  # gradient norm, of all parameters together
    clip: Positive[float] = 0.2  # of the ratio
    value_clip: Positive[float] = 0.2  # of what a value moves, reward units
    value_coefficient: NotNegative[float] = 1.0  # of the critic's loss, a square or Huber's with the factor 1/2
    huber: Positive[float] = 10.0  # reward units: where the critic's loss turns from a square into a line; code never
    entropy_coefficient: NotNegative[float] = 0.01  # of H in the loss
    kl_coefficient: NotNegative[float] = 0.01  # of the latents' KL in the loss; paper and code 1, as far as stated
    gamma: Fraction = 0.99  # per step
    lambda_: Fraction = 0.95  # of the advantages; paper and code 1: discounted returns
    credit: Reward = "own"  # whose reward an agent learns from
    policies: Positive[int] = 4  # in the pool
    policy_hidden: tuple[Positive[int], ...] = (64,)  # widths inside a policy; paper and code 128, 128
    policies_read: Literal["exchanged", "own"] = "exchanged"  # own: messages reach the critic only
    critic_hidden: tuple[Positive[int], ...] = (64,)  # widths inside the critic; paper and code 128, 128
    encoder: tuple[Positive[int], ...] = (64,)  # widths inside the encoder; paper 256, code 32, 64, 512, see docs
    width: Positive[int] = 64  # of encodings, messages and slots
    slots: Positive[int] = 4
    blocks: Positive[int] = 1  # how often the slots' layers are run through; paper and code 2
    layers: Positive[int] = 1  # of attention among the slots; paper and code 2
    latent: Positive[int] = 8  # numbers of an agent's latent
    projector_hidden: tuple[
        Positive[int], ...
    ] = ()  # tanh, before message, query, question, joining; paper, code 128, 128
    latent_hidden: tuple[Positive[int], ...] = ()  # tanh, before the latent, which then reads own and exchanged
    # paper and code 64, 64
    prior_hidden: tuple[Positive[int], ...] = ()  # tanh, before the prior; paper and code 64, 64
    encoding: Literal["tanh", "linear"] = "tanh"  # after the encoder's last layer; code linear
    critic_encoding: Literal["own", "first"] = "own"  # first: of agent 0, for all agents (code)
    choice: Literal["scores", "probabilities"] = "scores"  # what the Gumbel noise is added to; code: softmaxed scores
    latent_scale: Literal["softplus", "raw"] = "softplus"  # raw: outputs as they are, of either sign (code)
    activation: Activation = "tanh"  # of policies and critic
    mask: Literal["always", "learning"] = "always"  # learning: unavailable actions can be played (code)
    view_scale: Positive[float] = 1.0  # inputs are multiplied by it

    def __post_init__(self):
        check(self)


PAPER = {
    "epochs": 15,
    "learning_rate": 3e-4,
    "last_learning_rate": 3e-4,
    "lambda_": 1.0,
    "kl_coefficient": 1.0,
    "policy_hidden": (128, 128),
    "critic_hidden": (128, 128),
    "encoder": (256,),  # 64 channels, kernel 2, on a 3 x 3 window: 64 x 2 x 2 numbers
    "blocks": 2,
    "layers": 2,
    "projector_hidden": (128, 128),
    "latent_hidden": (64, 64),
    "prior_hidden": (64, 64),
}
RELEASED = {
    **PAPER,
    "epochs": 10,
    "minibatches": 1,
    "last_learning_rate": 0.0,
    "learning_rate_steps": 3e9,  # so in practice constant
    "huber": 1e6,
    "encoder": (32, 64, 512),  # a 3 x 3 kernel on the 3 x 3 window is a dense layer of 32, a 1 x 1 kernel one of 64
    "mask": "learning",
    "policies_read": "own",
    "encoding": "linear",
    "critic_encoding": "first",
    "choice": "probabilities",
    "latent_scale": "raw",
    "kl_coefficient": 1 / 128,  # the code divides the sum over latents by rows x agents x 128
    "value_coefficient": 0.5,  # 0.5 x 0.5 x squared error; `value_loss` has one of the halves
    "view_scale": 1 / 255,
}
PRESETS = {"sound": {}, "paper": PAPER, "released": RELEASED}


class Params(NamedTuple):
    """One network of each kind, for all agents."""

    encoder: MLP  # view -> what an agent makes of it
    message: Linear | MLP
    slots: Slots  # the shared knowledge
    read: Attention
    join: Linear | MLP  # own encoding and what was read -> exchanged
    query: Linear | MLP  # what a policy is chosen by
    keys: Array  # [P, W] of the policies
    pool: MLP  # leaves [P, ...]
    latent: Linear | MLP  # exchanged -> mean and scale of the latent
    prior: Linear | MLP  # encoding of the step before -> mean and scale
    critic: MLP
    question: Linear | MLP | None = None  # own encoding -> what is asked of the slots; None: the encoding itself


class State(NamedTuple):
    params: Params
    opt_state: PyTree
    count: Array  # [] int32, optimizer steps so far


class Seen(NamedTuple):
    """What agents make of what they see."""

    own: Array  # [..., N, W] encoding of the own view
    exchanged: Array  # [..., N, W] the same after reading what all have written


class Batch(NamedTuple):
    """What the loss reads of a rollout; leaves [1, R, N, ...] of R steps, or [1, R]."""

    view: Array
    before: Array  # [1, R, N, V] the view one step earlier, 0 at the start of an episode
    available: Array
    gumbel: Array  # [1, R, N, P] that chose the policy
    noise: Array  # [1, R, N, Z] of the latent
    action: Array
    log_prob: Array  # when it was played
    advantage: Array  # mean 0, variance 1
    value: Array  # as the critic gave it in play
    target: Array  # what it should give
    valid: Array


def gaussian(outputs: Array, raw: bool = False) -> tuple[Array, Array]:
    """(mean, scale) [..., Z] of a network's outputs [..., 2 Z]; softplus keeps scales positive, 1e-3 away from 0.

    raw: scales are outputs as they are, of either sign, but none nearer to 0 than 1e-3, which would make a KL infinite.
    """
    mean, scale = jnp.split(outputs, 2, -1)
    if raw:
        return mean, jnp.where(jnp.abs(scale) < 1e-3, 1e-3, scale)
    return mean, jax.nn.softplus(scale) + 1e-3


def encoded(params: Params, view: Array, linear: bool = False) -> Array:
    """[..., N, W] of views [..., N, V]; linear: without the last tanh."""
    own = params.encoder(view)
    return own if linear else jnp.tanh(own)


def look(params: Params, view: Array, linear: bool = False) -> Seen:
    """Encodes views [..., N, V], exchanges messages among the N agents, and reads. linear: see `encoded`."""
    own = encoded(params, view, linear)
    slots = params.slots(params.message(own))  # [..., K, W]
    question = own if params.question is None else params.question(own)
    joined = params.join(jnp.concatenate([own, params.read(question, slots)], -1))
    return Seen(own, joined if linear else jnp.tanh(joined))


def scores_of(params: Params, x: Array) -> Array:
    """q k^T / sqrt(W) [..., N, P] of each agent's query with each policy's key; x [..., N, W]."""
    query = params.query(x)  # [..., N, W]
    keys = jnp.swapaxes(params.keys, 0, 1)
    scores = (query.reshape(-1, query.shape[-1]) @ keys).reshape(*query.shape[:-1], -1)
    return scores / math.sqrt(query.shape[-1])


def choose(params: Params, x: Array, gumbel: Array, softened: bool = False) -> Array:
    """[..., N, P] one-hot of the policy that each agent plays by: softmax of the scores, with Gumbel noise.

    softened: the noise is added to the softmax of the scores, so that all policies play nearly as often (code).
    """
    scores = scores_of(params, x)
    return straight_through(jax.nn.softmax(scores) if softened else scores, gumbel)


def policy_outputs(params: Params, x: Array, chosen: Array) -> Array:
    """Logits [..., N, A] of the chosen policies; x [..., N, W], chosen [..., N, P]."""
    axis = x.ndim - 1
    every = per_agent(lambda net, x: net(x), (0, None), axis)(
        params.pool, x
    )  # [..., N, P, A]: one policy after another
    return (chosen[..., None] * every).sum(-2)


def values(
    params: Params, seen: Seen, noise: Array, raw: bool = False, first: bool = False
) -> tuple[Array, tuple[Array, Array]]:
    """(V [..., N], (mean, scale) of the latents [..., N, Z]): each agent's own encoding and all agents' latents,
    its own first, those of the others in a circle. noise [..., N, Z], standard normal.

    raw: see `gaussian`; first: all agents have the value of agent 0.
    """
    mean, scale = gaussian(latents(params, seen), raw)
    latent = mean + scale * noise
    inputs = jnp.concatenate([seen.own, side_by_side(in_a_circle(latent, -2))], -1)
    value = params.critic(inputs[..., :1, :] if first else inputs)[..., 0]
    return jnp.broadcast_to(value, noise.shape[:-1]), (mean, scale)


def latents(params: Params, seen: Seen) -> Array:
    """[..., N, 2 Z], of what was exchanged, or with hidden layers of that behind the own encoding."""
    read = seen.exchanged if isinstance(params.latent, Linear) else jnp.concatenate([seen.own, seen.exchanged], -1)
    return params.latent(read)


def projector(key: Key, inputs: int, outputs: int, hidden: tuple[int, ...], uniform: bool = False) -> Linear | MLP:
    """A linear layer, or hidden ones with tanh before it; orthogonal, or uniform with biases."""
    gain = None if uniform else 1.0
    if not hidden:
        return Linear(key, inputs, outputs, gain)
    return MLP(key, inputs, hidden, outputs, "tanh", head_gain=gain)


def make(config: Config, env: Environment) -> Algorithm:
    require_discrete(env, "saf")
    spec = env.spec
    agents, width, latent = spec.agents, config.width, config.latent
    rate = lambda count: linear(  # noqa: E731
        config.learning_rate, config.last_learning_rate, config.learning_rate_steps, count
    )
    adam = optimizer("adam", rate, config.gradient_clip, epsilon=config.epsilon)

    linear_encoding, first = config.encoding == "linear", config.critic_encoding == "first"
    raw, softened = config.latent_scale == "raw", config.choice == "probabilities"

    def read(view: Array) -> Array:
        return view.astype(jnp.float32) * config.view_scale

    def logits_of(params: Params, seen: Seen, available: Array | None, gumbel: Array) -> tuple[Array, Array]:
        """(logits [..., N, A], chosen policies [..., N, P])."""
        x = seen.exchanged if config.policies_read == "exchanged" else seen.own
        chosen = choose(params, x, gumbel, softened)
        logits = policy_outputs(params, x, chosen)
        return (logits if available is None else masked(logits, available)), chosen

    def init(key: Key) -> State:
        names = ("encoder", "message", "slots", "read", "join", "query", "keys", "pool", "latent", "prior", "critic")
        keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
        new_policy = lambda key: MLP(  # noqa: E731
            key, width, config.policy_hidden, spec.action.n, config.activation, head_gain=0.01
        )
        question = None
        if config.projector_hidden:
            question = projector(jax.random.fold_in(key, 1), width, width, config.projector_hidden)
        params = Params(
            MLP(keys["encoder"], spec.view.size, config.encoder, width, "relu", head_gain=1.0),
            projector(keys["message"], width, width, config.projector_hidden),
            Slots(keys["slots"], width, config.slots, width, config.blocks, config.layers),
            Attention(keys["read"], width, width, width),
            projector(keys["join"], 2 * width, width, config.projector_hidden),
            projector(keys["query"], width, width, config.projector_hidden),
            jax.random.normal(keys["keys"], (config.policies, width)),
            stacked(new_policy, keys["pool"], config.policies),
            projector(keys["latent"], width * (1 + bool(config.latent_hidden)), 2 * latent, config.latent_hidden, raw),
            projector(keys["prior"], width, 2 * latent, config.prior_hidden, raw),
            MLP(keys["critic"], width + agents * latent, config.critic_hidden, 1, config.activation, head_gain=1.0),
            question,
        )
        return State(params, adam.init(params), jnp.zeros((), jnp.int32))  # pyright: ignore[reportArgumentType]

    def act(key: Key, state: State, memory: Array, observation: Observation, explore: bool = True):
        key_policy, key_latent, key_action = jax.random.split(key, 3)
        lead = observation.available.shape[:-1]
        draw = lambda f, key, size: f(key, (*lead, size)) if explore else jnp.zeros((*lead, size))  # noqa: E731
        gumbel = draw(jax.random.gumbel, key_policy, config.policies)
        noise = draw(jax.random.normal, key_latent, latent)
        seen = look(state.params, read(observation.view), linear_encoding)
        at_play = observation.available if config.mask == "always" else None
        logits, chosen = logits_of(state.params, seen, at_play, gumbel)
        action = sample(key_action, logits) if explore else logits.argmax(-1).astype(jnp.int32)
        notes = {
            "probabilities": jax.nn.softmax(logits),
            "log_prob": log_prob(logits, action),
            "value": values(state.params, seen, noise, raw, first)[0],
            "policy": chosen.argmax(-1),
            "gumbel": gumbel,
            "noise": noise,
        }
        return action, read(observation.view), notes

    def loss(params: Params, batch: Batch):
        seen = look(params, batch.view, linear_encoding)
        logits, _ = logits_of(params, seen, batch.available, batch.gumbel)
        policy = surrogate_loss(
            log_prob(logits, batch.action), batch.log_prob, batch.advantage, batch.valid, config.clip
        ).mean()
        surprise = mean_valid(entropy(logits), batch.valid).mean()
        now, posterior = values(params, seen, batch.noise, raw, first)
        errors = value_loss(now, batch.value, batch.target, batch.valid, config.value_clip, config.huber).mean()
        prior = gaussian(params.prior(encoded(params, batch.before, linear_encoding)), raw)
        price = mean_valid(gaussian_kl(*posterior, *prior), batch.valid).mean()
        total = policy + config.value_coefficient * errors
        total += config.kl_coefficient * price - config.entropy_coefficient * surprise
        metrics = {"policy_loss": policy, "critic_loss": errors, "entropy": surprise, "latent_kl": price}
        return total, metrics

    def update(key: Key, state: State, steps: Transition):
        reward = credited(steps.reward, config.credit)
        after = look(state.params, read(steps.next_observation.view), linear_encoding)
        # The latent's noise is that of the step: what follows is worth the same on average, and nothing is drawn here.
        next_value, _ = values(state.params, after, steps.notes["noise"], raw, first)
        returns = lambda_returns(reward, next_value, steps.terminated, steps.ended, config.gamma, config.lambda_)
        advantage = standardised(returns - steps.notes["value"], steps.valid, together=True)

        by_step = lambda x: x.reshape(1, -1, *x.shape[2:])  # noqa: E731
        rows = Batch(
            read(steps.observation.view),
            steps.memory,
            steps.observation.available,
            steps.notes["gumbel"],
            steps.notes["noise"],
            steps.action,
            steps.notes["log_prob"],
            advantage,
            steps.notes["value"],
            returns,
            steps.valid,
        )
        rows = jax.tree.map(by_step, rows)
        count = steps.valid.size
        minibatches = divisor(count, config.minibatches)

        def step(carry, chosen):
            params, opt_state = carry
            batch = rows if chosen is None else jax.tree.map(lambda x: x.take(chosen, 1, mode="clip"), rows)
            grads, metrics = jax.grad(loss, has_aux=True)(params, batch)
            metrics["gradient_norm"] = optax.tree.norm(grads)
            return take_step(adam, params, opt_state, grads), metrics

        order, length = None, config.epochs * minibatches  # one minibatch is all steps, in any order
        if minibatches > 1:
            order = jax.vmap(partial(jax.random.permutation, x=count))(jax.random.split(key, config.epochs))
            order = order.reshape(length, -1)
        (params, opt_state), metrics = lax.scan(step, (state.params, state.opt_state), order, length)
        return State(params, opt_state, state.count + length), jax.tree.map(jnp.mean, metrics)

    memory = jnp.zeros((agents, spec.view.size))  # what was seen one step before
    return Algorithm(init, act, update, memory, steps=config.steps or None)
