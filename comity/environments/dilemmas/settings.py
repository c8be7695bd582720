"""The common settings of Harvest and Cleanup, and their statistics and pictures of views."""

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
    "laptop": {"length": 200, "radius": 5},  # a fifth of the time, a window half as large
}


@dataclass(frozen=True)
class Settings:
    """N agents on a map. They see windows of it and fire beams."""

    num_agents: Positive[int] = 5  # N, number of agents
    length: Positive[int] = 1000  # steps per episode
    map: str = ""  # rows of letters with "/" between them, see `maps`; empty: the map of the release
    obs: Literal["channels", "rgb"] = "channels"  # views as planes of 0 and 1, or in the colours of the release
    radius: Positive[int] = 7  # cells seen to each side
    rotation: Literal["ahead", "released"] = "ahead"
    # ahead: the heading is up in the window | released: up for agents that face up or down, else down
    beam_length: Positive[int] = 5  # length of every beam, in cells
    hit: NotNegative[float] = 50.0  # points that an agent loses for each penalty ray that ends on it
    fire_cost: NotNegative[float] = 1.0  # points that an agent loses when it fires the penalty beam
    shared_cells: bool = True  # True: in a crowd, two agents may end in one cell, as released; False: they never do
    clock_terminates: bool = False  # the time limit is a true end, of value 0

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Statistics of whole episodes, [B] or [B, N]. docs/tasks/harvest.md defines them."""
        return statistics.summary(reward, info, valid)

    def places(self, state: State) -> Array:
        """int32 [N, N, 2], row and column of agent j in agent i's window; outside the window: out of sight."""
        released = self.rotation == "released"
        return windows.places_of_others(state.position, state.heading, self.radius, released)

    def draw_view(self, view: Array, tile: int = 8) -> np.ndarray:
        """uint8 [H, W, 3], the window of one agent."""
        from comity.drawing import dilemmas

        return dilemmas.draw_view(np.asarray(view), tile)
