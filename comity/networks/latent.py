"""A recurrent network whose last layer depends on a latent: the agents of MAVEN."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from comity.networks.cores import Cell, Core, new_cell
from comity.networks.dense import ACTIVATIONS, Activation, Linear, product
from comity.types import Key, PyTree


class LatentNet(eqx.Module):
    """A linear layer, an activation, a GRU, and a last layer h W(z, id), where W is a linear hypernetwork of one-hots.

    Such a hypernetwork is a table with one matrix for each z, to which one for each agent and the bias are added. So h
    is multiplied by all matrices, and z selects a result: a plain 2-D product instead of one small product per game.
    """

    encoder: Linear
    cell: Cell
    head: Array  # [H, Z A], one matrix for each z
    names: Array | None  # [N, H, A], one matrix for each agent, if one network serves all agents
    shift: Array | None  # [H, A], the hypernetwork's bias, if it has one
    latents: int = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)

    def __init__(
        self,
        key: Key,
        inputs: int,
        hidden: int,
        latents: int,
        actions: int,
        names: int = 0,
        activation: Activation = "relu",
        core: Core = "gru",
        hypernetwork: bool = False,
        encoder_width: int = 0,
    ):
        """names: number of agents that the network serves; 0: it is one agent's. hypernetwork: W has a bias, and it is
        initialised as a layer on the one-hots, not as layers on the memory. encoder_width: width of the first layer, 0:
        the same as `hidden`."""
        width = encoder_width or hidden
        keys = jax.random.split(key, 4)
        self.encoder = Linear(keys[0], inputs, width)
        self.cell = new_cell(core, keys[1], width, hidden, activation)
        self.head = Linear(keys[2], hidden, latents * actions).weight
        table = jax.vmap(lambda key: Linear(key, hidden, actions).weight)
        self.names = table(jax.random.split(keys[3], names)) if names else None
        self.shift = Linear(jax.random.fold_in(key, 4), hidden, actions).weight if hypernetwork else None
        if hypernetwork:
            times = math.sqrt(hidden / (latents + names))
            self.head, self.names, self.shift = jax.tree.map(lambda x: times * x, (self.head, self.names, self.shift))
        self.latents, self.activation = latents, activation

    def __call__(self, x: Array, memory: PyTree) -> tuple[Array, PyTree]:
        """x [..., in], memory leaves [..., H] -> (Q of every z and action [..., Z, A], next memory)."""
        read, memory = self.cell.advance(self.encode(x), memory)
        return self.output(read), memory

    def encode(self, x: Array) -> Array:
        """The input of the cell, [..., W]."""
        return ACTIVATIONS[self.activation](self.encoder(x))

    def memories(self, x: Array, memory: PyTree, starts: Array | None = None) -> Array:
        """The inputs of the last layer, [T, ..., H], after each step of x [T, ..., in]."""
        return self.cell.unroll(self.encode(x), memory, starts)

    def output(self, read: Array) -> Array:
        """Q of every z and action [..., Z, A]. read: [..., H], with N before H if one network serves all agents."""
        q = product(read, self.head).reshape(*read.shape[:-1], self.latents, -1)
        if self.shift is not None:
            q += product(read, self.shift)[..., None, :]
        if self.names is None:
            return q
        own = [product(read[..., k, :], table) for k, table in enumerate(self.names)]
        return q + jnp.stack(own, -2)[..., None, :]
