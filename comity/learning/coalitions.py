"""Shapley values: what each agent adds to those who came before it, averaged over orders of arrival."""

from collections.abc import Callable
from itertools import permutations

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from comity.types import Key


def all_orders(agents: int) -> Int[Array, "M N"]:
    """Every order of arrival, as places: [m, i] is how many come before agent i."""
    return jnp.array(list(permutations(range(agents))), jnp.int32)


def drawn_orders(key: Key, count: int, agents: int) -> Int[Array, "M N"]:
    """`count` orders of arrival as places, uniformly."""
    return jax.vmap(lambda key: jax.random.permutation(key, agents))(jax.random.split(key, count)).astype(jnp.int32)


def present(places: Int[Array, "*M N"]) -> Bool[Array, "*M N N"]:
    """[..., i, j]: agent j is there when i has joined, j = i included."""
    return places[..., None, :] <= places[..., :, None]


def shapley_values(worth: Callable[[Array], Array], orders: Int[Array, "M N"]) -> Float[Array, " N"]:
    """Mean over orders of worth(those before i, and i) - worth(those before i). worth(present [N] bool) -> [].

    The shares add up to worth(all) - worth(nobody), in each order alike.
    """
    agents = orders.shape[-1]
    there = present(orders).reshape(-1, agents)  # [M N, N]
    alone = jnp.tile(jnp.eye(agents, dtype=bool), (orders.shape[0], 1))
    added = jax.vmap(worth)(there) - jax.vmap(worth)(there & ~alone)
    return added.reshape(orders.shape).mean(0)
