"""A recurrent network for an agent among others: what it knows of each of them passes through the same layers.

Baker 2020 (RUSP, arXiv 2011.05373), appendix on training. Renaming the others changes nothing but the order of the
choices among them.
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
    """What an agent sees, in parts."""

    own: Array  # [..., O]
    others: Array | None  # [..., K, F]; None: nothing is known of others
    picture: Array | None = None  # [..., h, w, c], what it sees as an image


class EntityNet(eqx.Module):
    """Dense layers for each other (without others: for oneself), their mean, dense, LSTM, layer norm, linear heads.

    One of the heads may be a pointer, which chooses one of the others: an MLP reads the memory and the embedding of
    each, and gives one logit.
    Outputs [..., A] are those of all heads, one after the other.
    """

    embed: tuple[Linear, Linear]  # O + F -> W -> W, for each other with the agent's own numbers
    dense: Linear  # W -> W
    cell: Cell
    norm: LayerNorm
    head: Linear  # H -> outputs of all heads but the pointer
    eyes: Eyes | None  # what makes W numbers of an agent's own of a picture
    pointer: MLP | None  # H + W -> W -> 1
    before: int = eqx.field(static=True)  # outputs that stand before the pointer's

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
        """own, other: O, F, how many numbers; width: W; hidden: H; heads: outputs of each; pointer: which of them."""
        keys = jax.random.split(key, 6)
        own += 0 if eyes is None else eyes.dense.bias.shape[0]
        self.embed = (Linear(keys[0], own + other, width), Linear(keys[1], width, width))
        self.dense = Linear(keys[2], width, width)
        self.cell = new_cell(core, keys[3], width, hidden, "relu")
        self.norm = LayerNorm(hidden)
        plain = [size for head, size in enumerate(heads) if head != pointer]
        self.head = Linear(keys[4], hidden, sum(plain))
        self.pointer = None if pointer is None else MLP(keys[5], hidden + width, (width,), 1)
        self.before = 0 if pointer is None else sum(heads[:pointer])
        self.eyes = eyes

    def encode(self, view: EntityView) -> tuple[Array, Array | None]:
        """(x [..., W] for the LSTM, embeddings [..., K, W])."""
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
        """All heads [..., A] from the LSTM's output [..., H]."""
        known = self.norm(memory)
        outputs = self.head(known)
        if self.pointer is None or embedded is None:
            return outputs
        beside = jnp.broadcast_to(known[..., None, :], (*embedded.shape[:-1], known.shape[-1]))
        choice = self.pointer(jnp.concatenate([beside, embedded], -1))[..., 0]
        return jnp.concatenate([outputs[..., : self.before], choice, outputs[..., self.before :]], -1)

    def __call__(self, view: EntityView, memory: PyTree) -> tuple[Array, PyTree]:
        """One step: (outputs [..., A], next memory)."""
        x, embedded = self.encode(view)
        read, memory = self.cell.advance(x, memory)
        return self.output(read, embedded), memory

    def unroll(self, view: EntityView, memory: PyTree, starts: Array | None = None) -> Array:
        """Outputs [T, ..., A] for leaves [T, ...], from the memory before the first step; starts [T, B]."""
        x, embedded = self.encode(view)
        return self.output(self.cell.unroll(x, memory, starts), embedded)
