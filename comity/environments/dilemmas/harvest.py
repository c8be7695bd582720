"""Harvest: apples grow where apples are, and what all have eaten never comes back (a tragedy of the commons).

The rules of the sequential social dilemma release, as RUSP used it (Baker 2020, arXiv 2011.05373, appendix; the games
of Hughes et al. 2018, arXiv 1803.08884). Other games bear the same name. docs/tasks/harvest.md: the rules in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.environments.dilemmas import maps, play, statistics, windows
from comity.environments.dilemmas.maps import Map
from comity.environments.dilemmas.play import Draws, State
from comity.settings import Fraction, NotNegative, Positive, check
from comity.spec import Spec
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules: raised whenever the same seed would give another game

PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},
    "released": {"obs": "rgb", "rotation": "released"},
    "laptop": {"length": 200, "radius": 5},  # a fifth of the time and half of the picture
}


@dataclass(frozen=True)
class Harvest:
    """N agents in an orchard. view uint8 [N, S, S, 10] (or 3 colours), S = 2 radius + 1. Points."""

    num_agents: Positive[int] = 5  # how many play
    length: Positive[int] = 1000  # steps per episode
    map: str = ""  # rows of letters with "/" between them, see `maps`; empty: the release's, of 16 x 38 cells
    obs: Literal["channels", "rgb"] = "channels"  # planes of 0 and 1, or the release's colours
    radius: Positive[int] = 7  # cells seen to each side
    rotation: Literal["ahead", "released"] = "ahead"  # released: facing left or right, ahead is at the bottom
    beam_length: Positive[int] = 5  # cells
    hit: NotNegative[float] = 50.0  # points off for each ray that ends on an agent
    fire_cost: NotNegative[float] = 1.0  # points off for who fires
    regrowth: tuple[Fraction, Fraction, Fraction, Fraction] = (0.0, 0.005, 0.02, 0.05)
    # per step, where 0, 1, 2, and 3 or more apples are near
    neighbours: Literal["eight", "radius-2"] = "eight"  # what is near; the release compares 2 with the square
    shared_cells: bool = True  # in a crowd the released rule may put two into one cell; False: none enters a taken one
    clock_terminates: bool = False  # the time limit is a true end, of value 0

    def __post_init__(self) -> None:
        check(self)
        play.check_map(self.land, self.num_agents)

    @property
    def land(self) -> Map:
        """Its map."""
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
        """Apples after those that grow, each by how many are near it now."""
        chance = probabilities(apples, self.regrowth, self.neighbours)
        drawn = draws.apples[jnp.asarray(maps.numbered(self.land.orchard))] if draws.apples.size else 1.0
        free = jnp.asarray(self.land.orchard) & ~apples & ~there
        return apples | (free & (drawn < chance)), waste

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Statistics of whole episodes, [B] or [B, N]; defined in docs/tasks/harvest.md."""
        return statistics.summary(reward, info, valid)

    def places(self, state: State) -> Array:
        """int32 [N, N, 2], the row and column of i's window in which j stands; beyond its edges: out of sight."""
        released = self.rotation == "released"
        return windows.places_of_others(state.position, state.heading, self.radius, released)

    def draw(self, state: State, tile: int = 8) -> np.ndarray:
        """uint8 [H, W, 3] of one game; tile: pixels per cell."""
        return play.picture(self, state, tile)

    def draw_view(self, view: Array, tile: int = 8) -> np.ndarray:
        """uint8 [H, W, 3], the window of one agent."""
        from comity.drawing import dilemmas

        return dilemmas.draw_view(np.asarray(view), tile)

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """(memory, act) of a cooperator or a defector."""
        from comity.environments.dilemmas import scripts

        return scripts.harvest(self, name)


def probabilities(apples: Array, regrowth: tuple[float, ...], neighbours: str) -> Array:
    """[R, C] float32: how likely an apple is to grow in each cell, from apples [R, C]."""
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
