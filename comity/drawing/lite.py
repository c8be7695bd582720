"""Pictures of the small social dilemmas: CleanUp-lite and the coin game. Numpy and pillow only."""

from collections.abc import Sequence

import numpy as np

from comity.drawing.colours import Colour, agent_colour
from comity.drawing.gridworld import FLOOR, Canvas, mixed
from comity.drawing.sparse import discs

TILE = 40  # pixels of a cell's side
GRASS, WATER, APPLE, MUD, ICE = (44, 66, 48), (38, 62, 96), (226, 76, 70), (124, 92, 58), (190, 226, 255)


def cleanup_lite(
    agents: np.ndarray, frozen: np.ndarray, apples: np.ndarray, dirt: np.ndarray, columns: int
) -> np.ndarray:
    """uint8 [H, W, 3]. agents [N, 2] (row, column); frozen [N]: these get a ring of ice; apples [rows], in the first
    column, the orchard; dirt [rows], in the last column, the river."""
    canvas = Canvas(columns, len(apples), TILE)
    for row in range(len(apples)):
        canvas.floor((0, row), GRASS)
        canvas.floor((columns - 1, row), WATER)
        if apples[row]:
            canvas.paint.ellipse(canvas.box((0, row), 0.1, 0.1, 0.4, 0.4), APPLE)
        if dirt[row]:
            for left, top in ((0.06, 0.1), (0.5, 0.04), (0.3, 0.55), (0.64, 0.5)):
                canvas.paint.ellipse(canvas.box((columns - 1, row), left, top, left + 0.3, top + 0.3), MUD)
    discs(canvas, agents)
    for row, column in agents[frozen > 0]:
        canvas.paint.ellipse(
            canvas.box((int(column), int(row)), 0.05, 0.05, 0.95, 0.95), outline=ICE, width=canvas.unit // 20
        )
    return canvas.pixels()


def coin_game(agents: np.ndarray, coins: Sequence[tuple[int, int, int]], size: int) -> np.ndarray:
    """uint8 [H, W, 3]. agents [2, 2] (row, column); coins: (row, column, owner)."""
    canvas = Canvas(size, size, TILE)
    for row, column, owner in coins:
        colour: Colour = agent_colour(owner)
        canvas.paint.ellipse(canvas.box((column, row), 0.04, 0.04, 0.96, 0.96), mixed(colour, FLOOR, 0.35))
        canvas.paint.ellipse(canvas.box((column, row), 0.1, 0.1, 0.9, 0.9), FLOOR)
        canvas.paint.ellipse(canvas.box((column, row), 0.1, 0.1, 0.9, 0.9), outline=colour, width=canvas.unit // 16)
    discs(canvas, agents)
    return canvas.pixels()
