"""Players of games whose opponents learn: their networks, and the seats in which they sit.

docs/algorithms/coala.md.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.algorithms.shaping.tabular import require_exact_values
from comity.compatibility import require_discrete
from comity.networks import Team
from comity.networks.sequence import sequence_memory, sequence_net
from comity.spec import MetaEpisodes
from comity.types import Environment, Key, Observation, PyTree


class Players(NamedTuple):
    """The networks of K players, and the seats of a game."""

    team: Team  # K networks
    meta: MetaEpisodes
    fresh: PyTree  # memory of one game at the start of an episode, leaves [N, ...]

    def seated(self, x: Array, axis: int) -> Array:
        """Returns x [..., N, ...] as [..., S, b, ...]. axis: the axis N."""
        return x.reshape(*x.shape[:axis], self.meta.seats, self.meta.games, *x.shape[axis + 1 :])

    def step(self, net: PyTree, observation: Observation, memory: PyTree) -> tuple[Array, PyTree]:
        """Returns (outputs [..., N, A + 1], the next memory)."""
        lead = observation.available.ndim - 2
        x = self.team.reads(observation.view)
        step = lambda net, x, memory: net(x, memory)  # noqa: E731
        if self.meta.players == 1:
            return step(only(net), x, memory)
        sitting = observation.state[..., 1 : 1 + self.meta.seats].astype(jnp.int32)
        for _ in range(lead + 1):
            step = jax.vmap(step)
        nets = jax.tree.map(lambda x: x[sitting], net)  # [..., S, ...]
        outputs = step(nets, *jax.tree.map(lambda x: self.seated(x, lead), (x, memory)))
        return jax.tree.map(
            lambda x: x.reshape(*x.shape[:lead], x.shape[lead] * x.shape[lead + 1], *x.shape[lead + 2 :]), outputs
        )

    def unroll(self, net: PyTree, x: PyTree, player: Array) -> Array:
        """Returns outputs [L, B, S, b, A + 1] on whole episodes.

        x: inputs of the networks, leaves [L, B, S, b, ...]; player [B, S]: number of the player in each seat.
        """
        lead = (len(player), self.meta.seats, self.meta.games)
        memory = jax.tree.map(
            lambda x: jnp.broadcast_to(self.seated(jnp.asarray(x), 0), (*lead, *x.shape[1:])), self.fresh
        )
        if self.meta.players == 1:
            return only(net).unroll(x, memory)
        chosen = jax.tree.map(lambda x: x[player], net)
        unroll = lambda net, x, memory: net.unroll(x, memory)  # noqa: E731
        return jax.vmap(jax.vmap(unroll, (0, 1, 0), 1), (0, 1, 0), 1)(chosen, x, memory)


def only(net: PyTree) -> PyTree:
    """Returns the network of the only player."""
    return jax.tree.map(lambda x: x[0], net)


def players_of(config: Any, env: Environment) -> Players:
    """Returns the players of a game with learners inside. Raises ValueError if the game has none."""
    require_discrete(env, "coala", images=True)
    spec, meta = env.spec, env.spec.meta
    if meta is None:
        raise ValueError(
            f"coala plays games whose opponents learn, {type(env).__name__} is none: put learners into it, "
            "as in `comity train ipd+learners coala`"
        )
    if config.exact:
        if config.core != "table":
            raise ValueError(f"coala's exact values are those of tables, the core is {config.core}: set core")
        require_exact_values(env.game, "coala with exact values")  # pyright: ignore[reportAttributeAccessIssue]

    def new(key: Key, inputs: int) -> PyTree:
        return sequence_net(config.core, key, inputs, config.width, spec.action.n + 1)

    fresh = sequence_memory(config.core, config.width, spec.agents)
    team = Team(new, meta.players, spec.view, convolutions=config.convolutions, width=config.width)
    return Players(team, meta, fresh)
