"""A recurrent network for an agent among others: the entries about each of them pass through the same layers.

Baker 2020 (RUSP, arXiv 2011.05373), appendix on training. If the others are renumbered, only the order of the choices
among them changes.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from comity.networks.cores import Cell, Core, new_cell
from comity.networks.dense import MLP, LayerNorm, Linear, product
from comity.networks.encoders import Eyes
from comity.types import Key, PyTree


class EntityView(NamedTuple):
    """The view of an agent, in parts."""

    own: Array  # [..., O]
    others: Array | None  # [..., K, F]; None: the view has no entries about others
    picture: Array | None = None  # [..., h, w, c], the part that is an image


class EntityNet(eqx.Module):
    """Dense layers for each other agent (or for the agent alone if there are no others), the mean of their outputs, a
    dense layer, an LSTM, a layer norm, linear heads. A view that is only a picture goes from its eyes to the LSTM.

    One of the heads may be a pointer, which chooses one of the others: an MLP reads the memory and the embedding of
    each, and outputs one logit. The outputs [..., A] of all heads are concatenated.
    """

    embed: tuple[Linear, Linear] | None  # O + F -> W -> W, for each other with one's own; None: no numbers
    dense: Linear | None  # W -> W; None: no numbers
    cell: Cell
    norm: LayerNorm
    head: Linear  # H -> outputs of all heads but the pointer
    eyes: Eyes | None  # turns a picture into further numbers of the agent's own
    pointer: MLP | None  # H + W -> W -> 1
    before: int = eqx.field(static=True)  # number of outputs before the pointer's

    def __init__(
        self,
        key: Key,
        own: int,
        other: int,
        width: int,
        hidden: int,
        heads: tuple[int, ...],
        pointer: int | None = None,
        core: Core = "lstm",
        eyes: Eyes | None = None,
    ):
        """own, other: O, F; width: W; hidden: H; heads: number of outputs of each head; pointer: index of that head."""
        keys = jax.random.split(key, 6)
        read = 0 if eyes is None else eyes.dense.bias.shape[0]
        if eyes is not None and own + other == 0:  # Baker's network for pictures has no further dense layers
            self.embed = self.dense = None
            width = read
        else:
            self.embed = (Linear(keys[0], own + read + other, width), Linear(keys[1], width, width))
            self.dense = Linear(keys[2], width, width)
        self.cell = new_cell(core, keys[3], width, hidden, "relu")
        self.norm = LayerNorm(hidden)
        plain = [size for head, size in enumerate(heads) if head != pointer]
        self.head = Linear(keys[4], hidden, sum(plain))
        self.pointer = None if pointer is None else MLP(keys[5], hidden + width, (width,), 1)
        self.before = 0 if pointer is None else sum(heads[:pointer])
        self.eyes = eyes

    def encode(self, view: EntityView) -> tuple[Array, Array | None]:
        """Returns (the input of the LSTM [..., W], embeddings of the others [..., K, W] or None)."""
        if self.embed is None or self.dense is None:
            assert self.eyes is not None
            assert view.picture is not None
            return self.eyes(view.picture), None
        first, second = self.embed
        mine, own = view.own, view.own.shape[-1]
        if self.eyes is not None and view.picture is not None:
            mine = jnp.concatenate([mine, self.eyes(view.picture)], -1)
            own = mine.shape[-1]
        # The product with the agent's own numbers is the same for all others.
        mine = product(mine, first.weight[:own]) + first.bias
        if view.others is None:
            return jax.nn.relu(self.dense(jax.nn.relu(second(jax.nn.relu(mine))))), None
        theirs = product(view.others, first.weight[own:])
        embedded = jax.nn.relu(second(jax.nn.relu(mine[..., None, :] + theirs)))
        return jax.nn.relu(self.dense(embedded.mean(-2))), embedded

    def output(self, memory: Array, embedded: Array | None) -> Array:
        """Outputs of all heads [..., A] from the LSTM's output [..., H] and the embeddings of the others."""
        known = self.norm(memory)
        outputs = self.head(known)
        if self.pointer is None or embedded is None:
            return outputs
        beside = jnp.broadcast_to(known[..., None, :], (*embedded.shape[:-1], known.shape[-1]))
        choice = self.pointer(jnp.concatenate([beside, embedded], -1))[..., 0]
        return jnp.concatenate([outputs[..., : self.before], choice, outputs[..., self.before :]], -1)

    def __call__(self, view: EntityView, memory: PyTree) -> tuple[Array, PyTree]:
        """Takes one step. Returns (outputs [..., A], next memory)."""
        x, embedded = self.encode(view)
        read, memory = self.cell.advance(x, memory)
        return self.output(read, embedded), memory

    def unroll(self, view: EntityView, memory: PyTree, starts: Array | None = None) -> Array:
        """Outputs [T, ..., A] for a view with leaves [T, ...]. memory: before the first step; starts [T, B]."""
        x, embedded = self.encode(view)
        return self.output(self.cell.unroll(x, memory, starts), embedded)
