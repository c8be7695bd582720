"""SAF's networks: what agents make of what they see, tell each other, choose a policy by; what a critic knows."""

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

    encoder: PyTree  # what is read -> what an agent makes of it; an MLP, behind eyes if views are images
    message: Linear | MLP
    slots: Slots  # the shared knowledge
    read: Attention
    join: Linear | MLP  # own encoding and what was read -> exchanged
    query: Linear | MLP  # what a policy is chosen by
    keys: Array  # [P, W] of the policies
    pool: PyTree  # policies: MLPs, leaves [P, ...]
    latent: Linear | MLP  # exchanged -> mean and scale of the latent
    prior: Linear | MLP  # encoding of the step before -> mean and scale
    critic: MLP
    question: Linear | MLP | None = None  # own encoding -> what is asked of the slots; None: the encoding itself


class Encodings(NamedTuple):
    """What agents make of what they see."""

    own: Array  # [..., N, W] encoding of the own view
    exchanged: Array  # [..., N, W] the same after reading what all have written


def gaussian(outputs: Array, raw: bool = False) -> tuple[Array, Array]:
    """(mean, scale) [..., Z] of a network's outputs [..., 2 Z]; softplus keeps scales positive, 1e-3 away from 0.

    raw: scales are outputs as they are, of either sign, but none nearer to 0 than 1e-3, which would make a KL infinite.
    """
    mean, scale = jnp.split(outputs, 2, -1)
    if raw:
        return mean, jnp.where(jnp.abs(scale) < 1e-3, 1e-3, scale)
    return mean, jax.nn.softplus(scale) + 1e-3


def encoded(params: Params, read: PyTree, linear: bool = False) -> Array:
    """[..., N, W] of what agents read, [..., N, I] or a `Sight`; linear: without the last tanh."""
    own = params.encoder(read)
    return own if linear else jnp.tanh(own)


def look(params: Params, read: PyTree, linear: bool = False) -> Encodings:
    """Encodes what agents read, exchanges messages among the N of them, and reads these. linear: see `encoded`."""
    own = encoded(params, read, linear)
    slots = params.slots(params.message(own))  # [..., K, W]
    question = own if params.question is None else params.question(own)
    joined = params.join(jnp.concatenate([own, params.read(question, slots)], -1))
    return Encodings(own, joined if linear else jnp.tanh(joined))


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
    """Outputs [..., N, out] of the chosen policies; x [..., N, W], chosen [..., N, P]."""
    axis = x.ndim - 1
    every = per_agent(lambda net, x: net(x), (0, None), axis)(params.pool, x)  # [..., N, P, out], one after another
    return (chosen[..., None] * every).sum(-2)


def values(
    params: Params, encodings: Encodings, noise: Array, raw: bool = False, first: bool = False
) -> tuple[Array, tuple[Array, Array]]:
    """(V [..., N], (mean, scale) of the latents [..., N, Z]): each agent's own encoding and all agents' latents,
    its own first, those of the others in a circle. noise [..., N, Z], standard normal.

    raw: see `gaussian`; first: all agents have the value of agent 0.
    """
    mean, scale = gaussian(latents(params, encodings), raw)
    latent = mean + scale * noise
    inputs = jnp.concatenate([encodings.own, side_by_side(in_a_circle(latent, -2))], -1)
    value = params.critic(inputs[..., :1, :] if first else inputs)[..., 0]
    return jnp.broadcast_to(value, noise.shape[:-1]), (mean, scale)


def latents(params: Params, encodings: Encodings) -> Array:
    """[..., N, 2 Z], of what was exchanged, or with hidden layers of that behind the own encoding."""
    own, exchanged = encodings.own, encodings.exchanged
    read = exchanged if isinstance(params.latent, Linear) else jnp.concatenate([own, exchanged], -1)
    return params.latent(read)


def projector(key: Key, inputs: int, outputs: int, hidden: tuple[int, ...], uniform: bool = False) -> Linear | MLP:
    """A linear layer, or hidden ones with tanh before it; orthogonal, or uniform with biases."""
    gain = None if uniform else 1.0
    if not hidden:
        return Linear(key, inputs, outputs, gain)
    return MLP(key, inputs, hidden, outputs, "tanh", head_gain=gain)


def new_params(config: Settings, agents: int, encoder: Team, acts: Actions, key: Key) -> Params:
    """All networks as drawn; encoder: the team that draws it."""
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
