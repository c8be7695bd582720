"""What agents and critics know about preferences: numbers in views, planes of pictures (Baker 2020, appendix B.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.environments.wrappers.preference_draws import shares
from comity.spec import Image, functions
from comity.types import Observation

if TYPE_CHECKING:
    from comity.environments.wrappers.preferences import Preferences, State

# Planes of a picture: two for the agent's own cell, four for the cells of others.
PLANES = ("own weight", "its level", "weight on it", "its level", "its own weight", "its level")
STEPS = 2048  # steps between 0 and 1 of the numbers in a picture


class Beliefs(NamedTuple):
    """What each agent believes about preferences (B.3). own, own_level: [N]; other fields: [N, N], the row agent
    believes it about the column agent."""

    own: Array  # U[i, i] as i sees it
    own_level: Array
    mine: Array  # U[i, j] as i sees it: my weight on j
    mine_level: Array
    theirs: Array  # U[j, j] as i sees it: j's weight on itself
    theirs_level: Array
    of_me: Array  # U[j, i] as j sees it: j's weight on me, for the critic of i
    of_me_level: Array

    @property
    def about_self(self) -> Array:
        """[N, 2], numbers that an agent sees about itself."""
        return jnp.stack([self.own, self.own_level], -1)

    @property
    def about_others(self) -> Array:
        """[N, N, 4], numbers that the row agent sees about the column agent."""
        return jnp.stack([self.mine, self.mine_level, self.theirs, self.theirs_level], -1)


def beliefs(weight: Array, level: Array, noise: Array) -> Beliefs:
    i = jnp.arange(len(weight))
    seen = weight + noise  # [observer, row, column]
    mine, mine_level = seen[i, i], level[i, i]  # [i, j]
    theirs, theirs_level = seen[:, i, i], level[:, i, i]
    return Beliefs(
        jnp.diagonal(mine), jnp.diagonal(mine_level), mine, mine_level, theirs, theirs_level, mine.T, mine_level.T
    )


def others_of(offsets: tuple[int, ...]) -> np.ndarray:
    """[N, N - 1], numbers of the others of each agent, in order."""
    n = len(offsets) + 1
    return (np.arange(n)[:, None] + np.asarray(offsets)) % n


def of_others(table: Array, offsets: tuple[int, ...]) -> Array:
    """[N, N - 1, ...], the entries for the others, in order, from each row of table [N, N, ...]."""
    return table[jnp.arange(len(table))[:, None], others_of(offsets)]


def offset_in_view(rules: Preferences) -> int:
    """Index in a view at which the numbers about preferences begin. They stand before the agent's own past."""
    spec = rules.game.spec
    return spec.view.size - spec.history


def with_preferences(rules: Preferences, observation: Observation, state: State) -> Observation:
    """Adds what agents and critics know about preferences to the game's observation."""
    weight = shares(state.weight) if rules.observe == "shares" else state.weight
    believed = beliefs(weight, state.level, state.noise)
    if isinstance(rules.game.spec.view, Image):
        view = with_planes(rules, observation.view, believed, state)
    else:
        numbers, at = observation.view.astype(jnp.float32), offset_in_view(rules)
        view = jnp.concatenate([numbers[:, :at], seen_numbers(rules, believed), numbers[:, at:]], -1)
    private = critic_numbers(rules, weight, state, believed).reshape(-1)
    central = jnp.concatenate([observation.state.astype(jnp.float32), private])
    return Observation(view, central, observation.available)


def seen_numbers(rules: Preferences, believed: Beliefs) -> Array:
    """[N, 2 + 4 (N - 1)], numbers that an agent sees about itself, then about each other agent in order."""
    others = of_others(believed.about_others, rules.offsets)  # [N, N - 1, 4]
    return jnp.concatenate([believed.about_self, others.reshape(len(others), -1)], -1)


def fineness(view: Image) -> int:
    """Factor from the game's pixel values to those of a picture with preferences, in steps of 1/2048 (-16 to 16)."""
    return max(1, round(STEPS / view.high))


def with_planes(rules: Preferences, view: Array, believed: Beliefs, state: State) -> Array:
    """int16 [N, h, w, c + 6], the pictures with six more planes: what is known about an agent, in its cell.

    Of `PLANES`, the first two are filled in the agent's own cell, the others in the cells of other agents that it sees.
    If several agents share a cell, the last counts. All numbers are whole: a network divides pictures by `high`.
    """
    picture, n = rules.game.spec.view, rules.game.spec.agents
    assert isinstance(picture, Image)
    at = functions(rules.game).places(state.game)  # pyright: ignore[reportOptionalCall]  # [i, j, 2]
    high, me = picture.high * fineness(picture), jnp.arange(n)
    own, about = believed.about_self, believed.about_others  # [i, 2], [i, j, 4]
    planes = jnp.zeros((*view.shape[:-1], len(PLANES)))
    for j in range(n):
        itself = (me == j)[:, None]
        numbers = jnp.concatenate([jnp.where(itself, own, 0.0), jnp.where(itself, 0.0, about[:, j])], -1)  # [i, 6]
        row, column = (at[:, j, k, None, None] for k in range(2))
        here = (jnp.arange(picture.height)[:, None] == row) & (jnp.arange(picture.width) == column)  # [i, h, w]
        planes = jnp.where(here[..., None], numbers[:, None, None], planes)
    whole = jnp.clip(jnp.round(planes * high), -(2**15) + 1, 2**15 - 1).astype(jnp.int16)
    return jnp.concatenate([view.astype(jnp.int16) * fineness(picture), whole], -1)


def critic_numbers(rules: Preferences, weight: Array, state: State, believed: Beliefs) -> Array:
    """[N, P], numbers that the critic of one agent reads in addition to the game's state.

    pairs: the agent's true weight on itself; for each other agent four numbers: the true weight on it, its true weight
    on itself, its weight on me as it sees it, and the noise level of that. all: also T, and what others see.
    """
    n = rules.game.spec.agents
    others = jnp.broadcast_to(jnp.diagonal(weight), (n, n))
    pairs = jnp.stack([weight, others, believed.of_me, believed.of_me_level], -1)  # [N, N, 4]
    parts = [jnp.diagonal(weight)[:, None], of_others(pairs, rules.offsets).reshape(n, -1)]
    if rules.privileged == "all":
        whole = seen_numbers(rules, believed)[others_of(rules.offsets)]  # [N, N - 1, 4 N - 2]
        parts += [jnp.broadcast_to(shares(state.weight).reshape(-1), (n, n * n)), whole.reshape(n, -1)]
    return jnp.concatenate(parts, -1)
