"""What an algorithm adds to the family of deterministic gradients: a state of its own that learns beside actors and
critics, rewards, a term of the actors' loss. `nothing` is what MADDPG adds."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from comity.types import Experience, PyTree


class Addition(NamedTuple):
    """Pure functions over `State.added`. An update's step calls `learn`, then the critics', then the actors' step."""

    init: Callable[..., PyTree] = lambda key, state: ()  # (key, State without a replay) -> added
    beside: Callable[..., PyTree] = lambda added, steps: ()  # -> what is kept beside each row, leaves [T, B, ...]
    begin: Callable[..., tuple[PyTree, dict[str, Array]]] = lambda key, state, steps: ((), {})
    # (key, State, the rollout) -> (added, metrics), once for each rollout, warm-up included
    learn: Callable[..., tuple[PyTree, dict[str, Array]]] = lambda key, state, memories, paid, fresh: ((), {})
    # (key, State, replay, what is paid beside rewards, how many rows the rollout pushed) -> (added, metrics)
    reward: Callable[[Any, Experience], Array] | None = None  # (State, steps) -> [..., N], today's
    term: Callable[..., tuple[Array, dict[str, Array]]] = lambda *given: (jnp.zeros(()), {})
    # (key, State, before steps, after, actions taken [batch, N, A], the actors' own [batch, N, A], which carry
    # gradient) -> (what is added to each agent's loss, [N], metrics)

    def paid(self, state: Any, reward_of: Callable[[Experience], Array] | None):
        """What is paid beside the game's rewards today: its own, and a bonus's. None: nothing."""
        own = self.reward
        if own is None:
            return reward_of
        if reward_of is None:
            return lambda experience: own(state, experience)
        return lambda experience: own(state, experience) + reward_of(experience)


def nothing(nets: Any) -> Addition:
    """Adds nothing."""
    del nets
    return Addition()
