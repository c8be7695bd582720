"""Pictures of Harvest and Cleanup in the colours of the release, which views can have, too. Numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from comity.drawing.colours import AGENTS, Colour, agent_colour

FLOOR, WALL, APPLE, WASTE, WATER = (0, 0, 0), (180, 180, 180), (0, 255, 0), (99, 156, 194), (113, 75, 24)
PLAYERS = (  # agents' colours in the release, which has nine
    (0, 0, 255),
    (2, 81, 154),
    (204, 0, 204),
    (216, 30, 54),
    (254, 151, 0),
    (100, 255, 255),
    (99, 99, 255),
    (250, 204, 255),
    (238, 223, 16),
)
CHANNELS = ("wall", "apple", "waste", "river", "self", "others", "up", "right", "down", "left")
PENALTY_BEAM, CLEANING_BEAM, EYE = (255, 255, 0), (100, 255, 255), (255, 255, 255)

Layer = tuple[np.ndarray, Colour]  # cells [R, C] bool, and their colour


def player(k: int) -> tuple[int, int, int]:
    """Colour of agent k in views and pictures."""
    return PLAYERS[k] if k < len(PLAYERS) else agent_colour(k - len(PLAYERS) + len(AGENTS))


def enlarged(colours: np.ndarray, tile: int) -> np.ndarray:
    """uint8 [H, W, 3] with `tile` pixels for each cell of colours [R, C, 3]."""
    return np.repeat(np.repeat(colours, tile, 0), tile, 1).astype(np.uint8)


def draw(
    ground: Sequence[Layer], beams: Sequence[Layer], position: np.ndarray, heading: np.ndarray, tile: int
) -> np.ndarray:
    """uint8 [H, W, 3]: the ground, with later layers over earlier ones; transparent beams; agents.

    position [N, 2] (row, column), heading [N]: 0 up, 1 right, 2 down, 3 left. A light edge shows an agent's heading.
    """
    colours = np.zeros((*ground[0][0].shape, 3), np.int32)
    for where, colour in ground:
        colours[where] = colour
    for where, colour in beams:
        colours[where] = (colours[where] + 2 * np.array(colour)) // 3
    for k, (row, column) in enumerate(position):
        colours[row, column] = player(k)
    picture = enlarged(colours, tile)
    thick, inner = max(1, tile // 4), slice(tile // 4, tile - tile // 4)
    low, high = slice(0, thick), slice(-thick, None)
    edges = (low, inner), (inner, high), (high, inner), (inner, low)
    for k, (row, column) in enumerate(position):
        cell = picture[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]
        cell[edges[heading[k]]] = EYE
    return picture


def draw_view(view: np.ndarray, tile: int) -> np.ndarray:
    """uint8 [H, W, 3], one agent's window, from a view of colours or of planes."""
    if view.shape[-1] == 3:
        return enlarged(view, tile)
    names: dict[str, np.ndarray] = {name: view[..., k] for k, name in enumerate(CHANNELS)}
    colours = np.zeros((*view.shape[:2], 3), np.uint8)
    for name, colour in (
        ("wall", WALL),
        ("river", WATER),
        ("waste", WASTE),
        ("apple", APPLE),
        ("others", player(1)),
        ("self", player(0)),
    ):
        colours[names[name] > 0] = colour
    return enlarged(colours, tile)
