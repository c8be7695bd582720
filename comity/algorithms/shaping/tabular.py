"""Tabular players: five logits of cooperation, at the start and after CC, CD, DC, DD, own action first.

LOLA and the exact shaping of COALA-PG share these functions: how such a player acts, and values by player.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from comity.learning import sample
from comity.learning.lookahead import Values
from comity.spec import functions
from comity.types import Environment, Key, Observation, PyTree


def require_exact_values(env: Environment, name: str) -> None:
    """Raises ValueError unless the game has exact values in closed form for tabular players."""
    if functions(env).exact_values is None or env.spec.action.n != 2 or env.spec.view.size != 5:
        raise ValueError(
            f"{name} needs a game of two players and two actions with exact values, in which they see the last "
            f"outcome; {type(env).__name__} is none: play ipd or repeated-matrix with sees 'outcome'"
        )


def table_logits(logits: Array, view: Array) -> Array:
    """Returns the logits of both players' actions, [..., 2, A]. logits [2, 5], view [..., 2, 5] one-hot."""
    cooperate = (view * logits).sum(-1)
    return jnp.stack([cooperate, jnp.zeros_like(cooperate)], -1)


def act_by_table(key: Key, logits: Array, memory: PyTree, observation: Observation, explore: bool = True):
    both = table_logits(logits, observation.view)
    action = sample(key, both) if explore else both.argmax(-1).astype(jnp.int32)
    return action, memory, {"probabilities": jax.nn.softmax(both)}


def seen_by(player: int | Array, values: Callable[[Array], Array]) -> Values:
    """Returns values(logits [2, 5]) -> [2] as a function (own logits, other's logits) -> (own value, other's value)."""

    def swapped(mine: Array, theirs: Array) -> tuple[Array, Array]:
        both = jnp.stack([mine, theirs])
        found = values(jnp.where(player == 0, both, both[::-1]))
        found = jnp.where(player == 0, found, found[::-1])
        return found[0], found[1]

    return swapped
