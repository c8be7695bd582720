"""Shapley values: the worth that each agent adds to the agents before it, averaged over orders of arrival."""

from collections.abc import Callable
from itertools import permutations

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from comity.types import Key


def all_orders(agents: int) -> Int[Array, "M N"]:
    """All orders of arrival, as places: [m, i] is the number of agents that come before agent i."""
    return jnp.array(list(permutations(range(agents))), jnp.int32)


def drawn_orders(key: Key, count: int, agents: int) -> Int[Array, "M N"]:
    """Draws `count` orders of arrival uniformly, as places: [m, i] is the number of agents that come before agent i."""
    return jax.vmap(lambda key: jax.random.permutation(key, agents))(jax.random.split(key, count)).astype(jnp.int32)


def present(places: Int[Array, "*M N"]) -> Bool[Array, "*M N N"]:
    """[..., i, j]: True if agent j is present once agent i has joined; j = i is present."""
    return places[..., None, :] <= places[..., :, None]


def shapley_values(worth: Callable[[Array], Array], orders: Int[Array, "M N"]) -> Float[Array, " N"]:
    """Mean over orders of worth(i and the agents before i) - worth(the agents before i). worth(present [N] bool) -> [].

    The values add up to worth(all) - worth(nobody), within each order too.
    """
    agents = orders.shape[-1]
    there = present(orders).reshape(-1, agents)  # [M N, N]
    alone = jnp.tile(jnp.eye(agents, dtype=bool), (orders.shape[0], 1))
    added = jax.vmap(worth)(there) - jax.vmap(worth)(there & ~alone)
    return added.reshape(orders.shape).mean(0)
