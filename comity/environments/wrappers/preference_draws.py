"""Random preferences: draws the weights of agents on each other, and the noise on them (Baker 2020, appendix B)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from comity.types import Key

if TYPE_CHECKING:
    from comity.environments.wrappers.preferences import Preferences


def partitions(n: int, smallest: int = 1, largest: int | None = None) -> list[tuple[int, ...]]:
    """All ways to write n as a sum of parts from `smallest` to `largest`. If these are equal, one part may be smaller.

    Parts have no order. All of it as in the authors' environments: 3 with parts up to 3 gives (3), (1, 2), (1, 1, 1).
    """

    def split(left: int, most: int) -> list[tuple[int, ...]]:
        if left == 0:
            return [()]
        return [(part, *rest) for part in range(min(left, most), 0, -1) for rest in split(left - part, part)]

    found = [tuple(sorted(parts)) for parts in split(n, largest or n)]
    return [parts for parts in found if sum(part < smallest for part in parts) <= (smallest == largest)]


def team_masks(n: int, smallest: int = 1, largest: int | None = None) -> np.ndarray:
    """[P, N, N] bool, for each partition True where two agents are in one team. Teams are consecutive agents."""
    teams = [np.repeat(np.arange(len(parts)), parts) for parts in partitions(n, smallest, largest)]
    return np.stack([team[:, None] == team for team in teams])


def draw_weights(key: Key, rules: Preferences) -> Float[Array, "N N"]:
    """Draws U (B.1): a uniform choice of partition, symmetric random weights inside teams, a permutation of agents."""
    n = rules.game.spec.agents
    if rules.sharing in ("selfish", "selfish-unsure"):
        return jnp.eye(n)
    key_team, key_weight, key_order = jax.random.split(key, 3)
    plain = rules.alpha == rules.beta == 1
    drawn = (
        jax.random.uniform(key_weight, (n, n))
        if plain
        else jax.random.beta(key_weight, rules.alpha, rules.beta, (n, n))
    )
    weight = jnp.triu(drawn) + jnp.triu(drawn, 1).T
    if rules.own_weight == "one":
        weight = jnp.where(jnp.eye(n, dtype=bool), 1.0, weight)
    if rules.sharing == "teams":
        masks = jnp.asarray(team_masks(n, rules.smallest_team, rules.largest_team or None))
        weight = jnp.where(masks[jax.random.randint(key_team, (), 0, len(masks))], weight, 0.0)
    order = jax.random.permutation(key_order, n)
    return weight[order][:, order]


def shares(weight: Float[Array, "*lead N N"]) -> Float[Array, "*lead N N"]:
    """T: U with rows that sum to 1. An agent without any weight gets weight 1 on itself."""
    total = weight.sum(-1, keepdims=True)
    return jnp.where(total > 0, weight / jnp.where(total > 0, total, 1.0), jnp.eye(weight.shape[-1]))


def draw_noise(key_level: Key, key_noise: Key, rules: Preferences) -> tuple[Array, Array]:
    """Draws (S, eps) for an episode, each [N, N, N]: observer, row, column (B.2)."""
    n = rules.game.spec.agents
    if rules.sharing == "selfish":
        return jnp.zeros((n, n, n)), jnp.zeros((n, n, n))

    def shape(whose: str) -> tuple[int, int, int]:
        return (n if whose == "own" else 1, n, n)

    uniform = (
        jnp.ones((n, n, n)) if rules.sharing == "selfish-unsure" else jax.random.uniform(key_level, shape(rules.levels))
    )
    level = jnp.broadcast_to(rules.uncertainty * uniform, (n, n, n))
    normal = jax.random.normal(key_noise, shape(rules.noises))
    return level, level * normal
