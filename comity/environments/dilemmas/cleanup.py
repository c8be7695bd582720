"""Cleanup: apples grow only while some agent cleans the river, far from the apples (a public good).

The rules of the sequential social dilemma release, as RUSP used it (Baker 2020, arXiv 2011.05373, appendix; the games
of Hughes et al. 2018, arXiv 1803.08884). Other games bear the same name. docs/tasks/cleanup.md: the rules in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.environments.dilemmas import maps, play
from comity.environments.dilemmas.maps import Map
from comity.environments.dilemmas.play import Draws, State
from comity.environments.dilemmas.settings import PROFILES, Settings
from comity.settings import Fraction, check
from comity.spec import Spec
from comity.types import Key, Observation, PyTree, Timestep

__all__ = ["PROFILES", "VERSION", "Cleanup"]

VERSION = 1  # of the rules: raised whenever the same seed would give another game


@dataclass(frozen=True)
class Cleanup(Settings):
    """N agents, a river and an orchard. view uint8 [N, S, S, 10] (or 3 colours), S = 2 radius + 1."""

    apple_rate: Fraction = 0.05  # chance per step that an apple grows in a free cell while the river is clean
    waste_rate: Fraction = 0.5  # chance that a cell that is tried becomes waste; at most one does per step
    threshold: Fraction = 0.4  # from this share of waste in the river on, no apple grows and no cell becomes waste

    def __post_init__(self) -> None:
        check(self)
        play.check_map(self.land, self.num_agents)
        if not len(self.land.river_cells):
            raise ValueError("map has no river: give it H (waste) or R (clean) cells")

    @property
    def land(self) -> Map:
        """The map of the game."""
        return maps.read(self.map or maps.CLEANUP)

    @property
    def spec(self) -> Spec:
        return play.spec(self, actions=9)

    def reset(self, key: Key) -> tuple[State, Observation]:
        nothing = np.zeros_like(self.land.orchard)
        state = play.start(key, self.num_agents, self.land, nothing, self.grown)
        return state, play.observation(self, state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        return play.step(self, state, action, play.draws(key, self.num_agents, self.land))

    def grown(self, apples: Array, waste: Array, there: Array, draws: Draws) -> tuple[Array, Array]:
        """Returns apples and waste after growth. Both depend on the waste before it."""
        alive, chance = apple_chance(waste.sum() / len(self.land.river_cells), self.threshold, self.apple_rate)
        fouled = new_waste(self.land, waste, draws, self.waste_rate)
        return apples | play.new_apples(self.land, apples, there, draws, chance), waste | (fouled & alive)

    def draw(self, state: State, tile: int = 8) -> np.ndarray:
        """uint8 [H, W, 3] of one game; tile: pixels per cell."""
        return play.picture(self, state, tile)

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory, act) of a scripted player: a cooperator or a defector."""
        from comity.environments.dilemmas import scripts

        return scripts.cleanup(self, name)


def apple_chance(density: Array, threshold: float, rate: float) -> tuple[Array, Array]:
    """Returns ([] bool, True if apples grow and cells become waste; [] chance of an apple in a free cell).

    density: share of the river that is waste.
    """
    alive = density < threshold
    return alive, jnp.where(alive, rate * (1 - density / max(threshold, 1e-9)), 0.0)


def new_waste(land: Map, waste: Array, draws: Draws, rate: float) -> Array:
    """[R, C] bool, the cell that becomes waste, at most one: cells are tried in random order until one does.

    A cell under an agent may become waste, too. waste [R, C] bool.
    """
    number = jnp.asarray(maps.numbered(land.river))
    order = jnp.where(draws.waste < rate, draws.waste_order, 2.0)[number]
    order = jnp.where(jnp.asarray(land.river) & ~waste, order, 2.0)
    first = jnp.arange(order.size) == order.argmin()
    return first.reshape(order.shape) & (order < 2.0)
