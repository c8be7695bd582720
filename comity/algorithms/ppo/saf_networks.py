"""SAF's networks: encoder, messages and slots, choice of a policy, and the critic with its latents."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.algorithms.ppo.saf_settings import Settings
from comity.learning import in_a_circle, side_by_side, straight_through
from comity.learning.actions import Actions
from comity.networks import MLP, Attention, Linear, Slots, Team, per_agent, stacked
from comity.networks.deviations import with_deviations
from comity.types import Key, PyTree


class Params(NamedTuple):
    """One network of each kind, for all agents."""

    encoder: PyTree  # input -> encoding; an MLP, after convolutions if views are images
    message: Linear | MLP
    slots: Slots  # the shared memory
    read: Attention  # attention of agents to the slots
    join: Linear | MLP  # own encoding and the slots read -> exchanged encoding
    query: Linear | MLP  # encoding -> query that chooses a policy
    keys: Array  # [P, W], keys of the policies
    pool: PyTree  # policies: MLPs, leaves [P, ...]
    latent: Linear | MLP  # exchanged encoding -> mean and scale of the latent
    prior: Linear | MLP  # encoding of the step before -> mean and scale
    critic: MLP
    question: Linear | MLP | None = None  # own encoding -> query to the slots; None: the encoding itself


class Encodings(NamedTuple):
    """The encodings of all agents."""

    own: Array  # [..., N, W] encoding of the own view
    exchanged: Array  # [..., N, W] encoding after the agent has read the slots


def gaussian(outputs: Array, raw: bool = False) -> tuple[Array, Array]:
    """Returns (mean, scale), [..., Z], from a network's outputs [..., 2 Z]. Scales are softplus + 1e-3, so positive.

    raw: scales are the outputs themselves, of either sign, but no nearer to 0 than 1e-3, because 0 makes a KL infinite.
    """
    mean, scale = jnp.split(outputs, 2, -1)
    if raw:
        return mean, jnp.where(jnp.abs(scale) < 1e-3, 1e-3, scale)
    return mean, jax.nn.softplus(scale) + 1e-3


def encoded(params: Params, read: PyTree, linear: bool = False) -> Array:
    """Returns the encodings [..., N, W] of inputs [..., N, I] or a `Sight`. linear: without the last tanh."""
    own = params.encoder(read)
    return own if linear else jnp.tanh(own)


def look(params: Params, read: PyTree, linear: bool = False) -> Encodings:
    """Encodes the agents' inputs and exchanges messages through the slots. linear: see `encoded`."""
    own = encoded(params, read, linear)
    slots = params.slots(params.message(own))  # [..., K, W]
    question = own if params.question is None else params.question(own)
    joined = params.join(jnp.concatenate([own, params.read(question, slots)], -1))
    return Encodings(own, joined if linear else jnp.tanh(joined))


def scores_of(params: Params, x: Array) -> Array:
    """Returns q k^T / sqrt(W), [..., N, P], of each agent's query and each policy's key. x [..., N, W]."""
    query = params.query(x)  # [..., N, W]
    keys = jnp.swapaxes(params.keys, 0, 1)
    scores = (query.reshape(-1, query.shape[-1]) @ keys).reshape(*query.shape[:-1], -1)
    return scores / math.sqrt(query.shape[-1])


def choose(params: Params, x: Array, gumbel: Array, softened: bool = False) -> Array:
    """Returns the policy that each agent plays, one-hot [..., N, P]: the largest score with Gumbel noise.

    softened: the noise is added to the softmax of the scores, so that all policies play nearly as often (code).
    """
    scores = scores_of(params, x)
    return straight_through(jax.nn.softmax(scores) if softened else scores, gumbel)


def policy_outputs(params: Params, x: Array, chosen: Array) -> Array:
    """Returns the outputs [..., N, out] of the chosen policies. x [..., N, W], chosen [..., N, P]."""
    axis = x.ndim - 1
    every = per_agent(lambda net, x: net(x), (0, None), axis)(params.pool, x)  # [..., N, P, out]
    return (chosen[..., None] * every).sum(-2)


def values(
    params: Params, encodings: Encodings, noise: Array, raw: bool = False, first: bool = False
) -> tuple[Array, tuple[Array, Array]]:
    """Returns (V [..., N], (mean, scale) of the latents [..., N, Z]).

    The critic reads each agent's own encoding and all agents' latents, its own first, the others' in a circle. noise
    [..., N, Z], standard normal. raw: see `gaussian`; first: all agents have the value of agent 0.
    """
    mean, scale = gaussian(latents(params, encodings), raw)
    latent = mean + scale * noise
    inputs = jnp.concatenate([encodings.own, side_by_side(in_a_circle(latent, -2))], -1)
    value = params.critic(inputs[..., :1, :] if first else inputs)[..., 0]
    return jnp.broadcast_to(value, noise.shape[:-1]), (mean, scale)


def latents(params: Params, encodings: Encodings) -> Array:
    """Returns the latents' parameters, [..., N, 2 Z].

    A linear network reads the exchanged encoding; one with hidden layers reads the own encoding, too.
    """
    own, exchanged = encodings.own, encodings.exchanged
    read = exchanged if isinstance(params.latent, Linear) else jnp.concatenate([own, exchanged], -1)
    return params.latent(read)


def projector(key: Key, inputs: int, outputs: int, hidden: tuple[int, ...], uniform: bool = False) -> Linear | MLP:
    """Returns a linear layer, after hidden layers with tanh if `hidden` has any; orthogonal, or uniform with biases."""
    gain = None if uniform else 1.0
    if not hidden:
        return Linear(key, inputs, outputs, gain)
    return MLP(key, inputs, hidden, outputs, "tanh", head_gain=gain)


def new_params(config: Settings, agents: int, encoder: Team, acts: Actions, key: Key) -> Params:
    """Draws all networks. encoder: the team that draws the encoder."""
    parts = ("encoder", "message", "slots", "read", "join", "query", "keys", "pool", "latent", "prior", "critic")
    keys = dict(zip(parts, jax.random.split(key, len(parts)), strict=True))
    width, latent, activation = config.width, config.latent, config.activation
    dense = partial(projector, outputs=width, hidden=config.projector_hidden)
    gaussians = partial(projector, outputs=2 * latent, uniform=config.latent_scale == "raw")

    def new_policy(key: Key) -> PyTree:
        net = MLP(key, width, config.policy_hidden, acts.size, activation, head_gain=0.01)
        return with_deviations(net, acts)

    return Params(
        encoder.init(keys["encoder"]),
        dense(keys["message"], width),
        Slots(keys["slots"], width, config.slots, width, config.blocks, config.layers),
        Attention(keys["read"], width, width, width),
        dense(keys["join"], 2 * width),
        dense(keys["query"], width),
        jax.random.normal(keys["keys"], (config.policies, width)),
        stacked(new_policy, keys["pool"], config.policies),
        gaussians(keys["latent"], width * (1 + bool(config.latent_hidden)), hidden=config.latent_hidden),
        gaussians(keys["prior"], width, hidden=config.prior_hidden),
        MLP(keys["critic"], width + agents * latent, config.critic_hidden, 1, activation, head_gain=1.0),
        dense(jax.random.fold_in(key, 1), width) if config.projector_hidden else None,
    )
