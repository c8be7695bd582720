"""The parts that an algorithm can add to the family of deterministic policy gradients.

An addition has a state, which learns in addition to actors and critics. It can add rewards and a term to the actors'
loss. MADDPG adds `nothing`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from comity.types import Experience, PyTree


class Addition(NamedTuple):
    """Pure functions of `State.added`.

    Each step of an update calls `learn`, then takes the steps of the critics, then the step of the actors.
    """

    init: Callable[..., PyTree] = lambda key, state: ()  # (key, State without a replay) -> added
    beside: Callable[..., PyTree] = lambda added, steps: ()
    # (added, rollout) -> what the replay stores with each row, leaves [T, B, ...]
    begin: Callable[..., tuple[PyTree, dict[str, Array]]] = lambda key, state, steps: ((), {})
    # (key, State, rollout) -> (added, metrics), called once for each rollout, warm-up included
    learn: Callable[..., tuple[PyTree, dict[str, Array]]] = lambda key, state, memories, paid, fresh: ((), {})
    # (key, State, replay, function of the additional rewards, number of rows that the rollout pushed) -> (added,
    # metrics)
    reward: Callable[[Any, Experience], Array] | None = None
    # (State, steps) -> [..., N], additional rewards, computed with the present state
    term: Callable[..., tuple[Array, dict[str, Array]]] = lambda *given: (jnp.zeros(()), {})
    # (key, State, observation before each step, observation after it, actions taken [batch, N, A], the actors' present
    # actions [batch, N, A], which carry gradient) -> (term that is added to each agent's loss, [N], metrics)

    def paid(self, state: Any, reward_of: Callable[[Experience], Array] | None):
        """Returns the function that computes all rewards beside the game's: the addition's and the bonus's.

        Returns None if there are none.
        """
        own = self.reward
        if own is None:
            return reward_of
        if reward_of is None:
            return lambda experience: own(state, experience)
        return lambda experience: own(state, experience) + reward_of(experience)


def nothing(nets: Any) -> Addition:
    """Returns an addition that adds nothing."""
    del nets
    return Addition()
