"""Players that are five logits of cooperation: after the start, and after CC, CD, DC, DD, own action first.

What LOLA and the exact shaping of COALA-PG share: how such a player acts, what one of two sees of both their values.
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
    """Raises ValueError unless the game's values are known in closed form for such players."""
    if functions(env).exact_values is None or env.spec.action.n != 2 or env.spec.view.size != 5:
        raise ValueError(
            f"{name} needs a game of two players and two actions with exact values, in which they see the last "
            f"outcome; {type(env).__name__} is none: play ipd or repeated-matrix with sees 'outcome'"
        )


def table_logits(logits: Array, view: Array) -> Array:
    """[..., 2, A] of both players; logits [2, 5], view [..., 2, 5] one-hot."""
    cooperate = (view * logits).sum(-1)
    return jnp.stack([cooperate, jnp.zeros_like(cooperate)], -1)


def act_by_table(key: Key, logits: Array, memory: PyTree, observation: Observation, explore: bool = True):
    both = table_logits(logits, observation.view)
    action = sample(key, both) if explore else both.argmax(-1).astype(jnp.int32)
    return action, memory, {"probabilities": jax.nn.softmax(both)}


def seen_by(player: int | Array, values: Callable[[Array], Array]) -> Values:
    """values(logits [2, 5]) -> [2], as a function of (own logits, the other's) -> (own value, the other's)."""

    def swapped(mine: Array, theirs: Array) -> tuple[Array, Array]:
        both = jnp.stack([mine, theirs])
        found = values(jnp.where(player == 0, both, both[::-1]))
        found = jnp.where(player == 0, found, found[::-1])
        return found[0], found[1]

    return swapped
