"""Settings that Harvest and Cleanup have in common, and what is seen and measured of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jax import Array

from comity.environments.dilemmas import statistics, windows
from comity.environments.dilemmas.play import State
from comity.settings import NotNegative, Positive

PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},
    "released": {"obs": "rgb", "rotation": "released"},
    "laptop": {"length": 200, "radius": 5},  # a fifth of the time and half of the picture
}


@dataclass(frozen=True)
class Settings:
    """N agents on a map, who see windows of it and fire beams."""

    num_agents: Positive[int] = 5  # how many play
    length: Positive[int] = 1000  # steps per episode
    map: str = ""  # rows of letters with "/" between them, see `maps`; empty: the release's
    obs: Literal["channels", "rgb"] = "channels"  # planes of 0 and 1, or the release's colours
    radius: Positive[int] = 7  # cells seen to each side
    rotation: Literal["ahead", "released"] = "ahead"  # released: facing left or right, ahead is at the bottom
    beam_length: Positive[int] = 5  # cells, of every beam
    hit: NotNegative[float] = 50.0  # points off for each penalty ray that ends on an agent
    fire_cost: NotNegative[float] = 1.0  # points off for who fires the penalty beam
    shared_cells: bool = True  # in a crowd the released rule may put two into one cell; False: none enters a taken one
    clock_terminates: bool = False  # the time limit is a true end, of value 0

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Statistics of whole episodes, [B] or [B, N]; defined in docs/tasks/harvest.md."""
        return statistics.summary(reward, info, valid)

    def places(self, state: State) -> Array:
        """int32 [N, N, 2], the row and column of i's window in which j stands; beyond its edges: out of sight."""
        released = self.rotation == "released"
        return windows.places_of_others(state.position, state.heading, self.radius, released)

    def draw_view(self, view: Array, tile: int = 8) -> np.ndarray:
        """uint8 [H, W, 3], the window of one agent."""
        from comity.drawing import dilemmas

        return dilemmas.draw_view(np.asarray(view), tile)
