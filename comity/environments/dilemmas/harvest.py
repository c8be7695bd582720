"""Harvest: apples grow only near apples, so a patch that is eaten up stays empty (a tragedy of the commons).

The rules of the sequential social dilemma release, as RUSP used it (Baker 2020, arXiv 2011.05373, appendix; the games
of Hughes et al. 2018, arXiv 1803.08884). Other games bear the same name. docs/tasks/harvest.md: the rules in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

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

__all__ = ["PROFILES", "VERSION", "Harvest"]

VERSION = 1  # of the rules: raised whenever the same seed would give another game


@dataclass(frozen=True)
class Harvest(Settings):
    """N agents in an orchard. view uint8 [N, S, S, 10] (or 3 colours), S = 2 radius + 1. Points."""

    regrowth: tuple[Fraction, Fraction, Fraction, Fraction] = (0.0, 0.005, 0.02, 0.05)
    # chance per step that an apple grows in a cell with 0, 1, 2, and 3 or more apples near it
    neighbours: Literal["eight", "radius-2"] = "eight"  # cells that count as near; the release: squared distance <= 2

    def __post_init__(self) -> None:
        check(self)
        play.check_map(self.land, self.num_agents)

    @property
    def land(self) -> Map:
        """The map of the game."""
        return maps.read(self.map or maps.HARVEST)

    @property
    def spec(self) -> Spec:
        return play.spec(self, actions=8)

    def reset(self, key: Key) -> tuple[State, Observation]:
        state = play.start(key, self.num_agents, self.land, self.land.orchard, self.grown)
        return state, play.observation(self, state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        return play.step(self, state, action, play.draws(key, self.num_agents, self.land))

    def grown(self, apples: Array, waste: Array, there: Array, draws: Draws) -> tuple[Array, Array]:
        """Returns apples after growth, and waste. The chance in a cell depends on the number of apples near it."""
        chance = probabilities(apples, self.regrowth, self.neighbours)
        return apples | play.new_apples(self.land, apples, there, draws, chance), waste

    def draw(self, state: State, tile: int = 8) -> np.ndarray:
        """uint8 [H, W, 3] of one game; tile: pixels per cell."""
        return play.picture(self, state, tile)

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory, act) of a scripted player: a cooperator or a defector."""
        from comity.environments.dilemmas import scripts

        return scripts.harvest(self, name)


def probabilities(apples: Array, regrowth: tuple[float, ...], neighbours: str) -> Array:
    """[R, C] float32, chance that an apple grows in each cell, given apples [R, C]."""
    reach = 1 if neighbours == "eight" else 2
    rows, columns = apples.shape
    edge = jnp.pad(apples, reach).astype(jnp.int8)
    near = jnp.zeros_like(apples, jnp.int8)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if (down, right) != (0, 0) and (reach == 1 or down**2 + right**2 <= 4):
                near += edge[reach + down :, reach + right :][:rows, :columns]
    zero, one, two, more = regrowth
    return jnp.where(near == 0, zero, jnp.where(near == 1, one, jnp.where(near == 2, two, more)))
