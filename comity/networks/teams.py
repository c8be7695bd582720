"""The networks of all agents of a game, one for each agent or one for all, and their inputs.

    team = Team(make, spec, "separate", size)       # make(key, inputs) -> a network
    net = team.init(key)
    outputs, memory = team.step(net, observation.view, memory)
    outputs = team.unroll(net, steps.observation.view, memory, starts(steps), last)

A network reads its agent's view; images pass through convolutions first. It may also read the agent's number and last
action. `step` takes any leading axes, `unroll` takes [T, B].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array

from comity.axes import aligned
from comity.learning.actions import Actions
from comity.learning.optimizers import per_agent_optimizer
from comity.networks.agents import per_agent, shared, stacked
from comity.networks.dense import Activation
from comity.networks.deviations import with_deviations
from comity.networks.encoders import Convolutions, Eyes, encoded_size, encoder
from comity.spec import View
from comity.types import Key, PyTree

Sharing = Literal["separate", "shared"]


class Sight(NamedTuple):
    """A picture and further numbers."""

    view: Array  # [..., h, w, c]
    beside: Array | tuple[()]  # [..., I]


class Remembered(NamedTuple):
    """A memory, with the agent's last action."""

    core: PyTree  # memory of the network, leaves [N, ...]
    last: Array  # [N, A] as `Actions.encoded`, zeros at the start of an episode


class Seeing(eqx.Module):
    """A network with an image encoder in front. Each method encodes the picture, then calls the network's method."""

    eyes: Eyes
    net: PyTree

    def encode(self, x: Sight) -> Array:
        """The vector of the picture and the further numbers, [..., width + I]."""
        vector = self.eyes(x.view)
        return vector if isinstance(x.beside, tuple) else jnp.concatenate([vector, x.beside], -1)

    def __call__(self, x: Sight, *memory: PyTree) -> Any:
        return self.net(self.encode(x), *memory)

    def output(self, read: PyTree) -> Array:
        """The outputs, from what `memories` returned."""
        return self.net.output(read)

    def memories(self, x: Sight, *rest: PyTree) -> PyTree:
        """The inputs of the head, [T, ...]."""
        return self.net.memories(self.encode(x), *rest)

    def unroll(self, x: Sight, *rest: PyTree) -> Array:
        """Outputs [T, ...]."""
        return self.net.unroll(self.encode(x), *rest)


@dataclass(frozen=True)
class Team:
    """The networks of N agents. `make(key, inputs)` makes a network with that many inputs."""

    make: Callable[[Key, int], PyTree]
    agents: int
    view: View
    sharing: Sharing = "separate"
    actions: Actions | None = None  # outputs describe a policy over these; None: outputs are values
    core: PyTree = ()  # memory of the networks in one game at the start of an episode, leaves [N, ...]
    reads_id: bool = False  # the agent's number as a one-hot: for a shared network
    reads_last: bool = False  # the agent's last action
    convolutions: Convolutions = "small"
    width: int = 64  # size of the image encoder's output
    activation: Activation = "relu"  # activation of the convolutions
    products: Literal["float32", "bfloat16"] = "float32"  # dtype of the factors of matrix products

    @property
    def separate(self) -> bool:
        """True if each agent has its own network."""
        return self.sharing == "separate"

    @property
    def memory(self) -> PyTree:
        """The memory of one game at the start of an episode, with the last action if it is read."""
        return Remembered(self.core, self._nothing_done()) if self.reads_last else self.core

    def begin(self, games: int) -> PyTree:
        """The memories of `games` games at the start of an episode, leaves [B, N, ...]."""
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (games, *x.shape)), self.memory)

    def init(self, key: Key) -> PyTree:
        """Makes the networks; leaves [N, ...] if separate."""
        return stacked(self._one, key, self.agents) if self.separate else self._one(key)

    def step(self, net: PyTree, view: Array, memory: PyTree) -> tuple[Array, PyTree]:
        """Returns (outputs [..., N, out], the next memory) for views [..., N, ...]. `acted` then stores the action."""
        axis = view.ndim - 1 - len(self.view.shape)
        core, last = self.parts(memory)
        over = self.over(lambda net, x, h: net(x, h), (0, axis, axis), (axis, axis))
        outputs, core = over(net, self.reads(view, last), core)
        return outputs, core if last is None else Remembered(core, last)

    def acted(self, memory: PyTree, action: PyTree) -> PyTree:
        """Stores the action in the memory if it is read."""
        if not self.reads_last or self.actions is None:
            return memory
        return memory._replace(last=self.actions.encoded(action))

    def unroll(
        self, net: PyTree, view: Array, memory: PyTree, starts: Array | None = None, action: PyTree = None
    ) -> Array:
        """Outputs [T, B, N, out]. memory: before the first step; None: no memory of earlier steps.

        view [T, B, N, ...]. starts [T, B]: memory is reset before these steps. action: leaves [T, B, N, ...], read only
        with `reads_last`; the last step's action is not read and may be missing.
        """
        core, last = self.parts(memory)
        x = self.reads(view, self.last_actions(action, last, starts, len(view)))
        unroll = self.over(lambda net, x, h, s: net.unroll(x, h, s), (0, 2, 1, None), 2)
        return unroll(net, x, core, starts)

    def memories(
        self, net: PyTree, view: Array, memory: PyTree, starts: Array | None = None, action: PyTree = None
    ) -> Array:
        """The inputs of the networks' heads, [T, B, N, H]. The arguments are those of `unroll`."""
        core, last = self.parts(memory)
        x = self.reads(view, self.last_actions(action, last, starts, len(view)))
        memories = self.over(lambda net, x, h, s: net.memories(x, h, s), (0, 2, 1, None), 2)
        return memories(net, x, core, starts)

    def output(self, net: PyTree, memories: Array) -> Array:
        """Outputs [T, B, N, out], from what `memories` returned."""
        return self.over(lambda net, x: net.output(x), (0, 2), 2)(net, memories)

    def call(self, net: PyTree, view: Array) -> Array:
        """Outputs [..., N, out] of networks without memory."""
        axis = view.ndim - 1 - len(self.view.shape)
        return self.over(lambda net, x: net(x), (0, axis), axis)(net, self.reads(view))

    def over(self, f: Callable, in_axes: tuple, out_axes: int | tuple[int, ...]) -> Callable:
        """Applies `f(net, ...)` to every agent. in_axes, out_axes: the agent axis of each argument and result."""
        return (per_agent if self.separate else shared)(self.rounded(f), in_axes, out_axes)

    def rounded(self, f: Callable) -> Callable:
        """Returns `f(net, ...)` with the matrices of `net` rounded to the dtype `products`."""
        if self.products == "float32":
            return f
        less = lambda x: x.astype(jnp.bfloat16) if x.ndim > 1 else x  # noqa: E731
        return lambda net, *rest: f(jax.tree.map(less, net), *rest)

    def reads(self, view: Array, last: Array | None = None) -> Any:
        """The networks' inputs: [..., N, I], or a `Sight`."""
        lead = view.shape[: view.ndim - len(self.view.shape)]  # [..., N]
        beside = []
        if self.reads_last:
            beside.append(last)
        if self.reads_id:
            beside.append(jnp.broadcast_to(jnp.eye(self.agents), (*lead, self.agents)))
        if len(self.view.shape) == 3:
            return Sight(view, jnp.concatenate(beside, -1) if beside else ())
        return jnp.concatenate([view.astype(jnp.float32), *beside], -1) if beside else view

    def parts(self, memory: PyTree) -> tuple[PyTree, Array | None]:
        """Splits a memory into (the network's memory, the last action or None)."""
        if memory is None:
            return None, None
        return (memory.core, memory.last) if self.reads_last else (memory, None)

    def last_actions(self, action: PyTree, first: Array | None, starts: Array | None, steps: int) -> Array | None:
        """The action before each of `steps` steps, [T, B, N, A]: `first` [B, N, A] before the first step, zeros at the
        start of an episode; None if the action is not read."""
        if not self.reads_last or self.actions is None:
            return None
        done = self.actions.encoded(action)
        first = jnp.zeros_like(done[0]) if first is None else first
        last = jnp.concatenate([first[None], done])[:steps]
        return last if starts is None else jnp.where(aligned(starts, last), 0.0, last)

    def optimizer(self, one: optax.GradientTransformation) -> optax.GradientTransformation:
        """The optimizer of all networks. With separate networks a norm over parameters is taken for each agent."""
        return per_agent_optimizer(one) if self.separate else one

    def total(self, losses: Array) -> Array:
        """One loss [] of losses [..., N]: for a shared network the mean; for separate networks the sum, which gives
        each network the gradient of its own loss."""
        return losses.sum() if self.separate else losses.mean()

    def _one(self, key: Key) -> PyTree:
        beside = self.agents * self.reads_id
        if self.reads_last and self.actions is not None:
            beside += self.actions.space.n
        net = self.make(key, encoded_size(self.view, self.width) + beside)
        net = net if self.actions is None else with_deviations(net, self.actions)
        eyes = encoder(jax.random.fold_in(key, 1), self.view, self.width, self.convolutions, self.activation)
        return net if eyes is None else Seeing(eyes, net)

    def _nothing_done(self) -> Array:
        if self.actions is None:
            raise ValueError("a team that reads its last action needs to know what actions are: give `actions`")
        return jnp.zeros((self.agents, self.actions.space.n))
