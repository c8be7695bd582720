"""Pictures of the sparse grids: Push-Box and Secret Room. Numpy and pillow only."""

from collections.abc import Sequence

import numpy as np

from comity.drawing.colours import agent_colour
from comity.drawing.gridworld import FLOOR, Canvas, mixed

BOX, DOOR, SWITCH = (190, 130, 70), (210, 90, 80), (110, 200, 120)
TILE = 20  # pixels of a cell's side


def discs(canvas: Canvas, agents: np.ndarray) -> None:
    """Draws agents [N, 2] (row, column) as discs. Agents in one cell stand side by side."""
    for k, (row, column) in enumerate(agents):
        here = [j for j in range(len(agents)) if (agents[j] == agents[k]).all()]
        shift = 0.0 if len(here) == 1 else 0.18 * (2 * here.index(k) - len(here) + 1)
        size = 0.36 if len(here) == 1 else 0.24
        middle = 0.5 + shift
        edges = middle - size, 0.5 - size, middle + size, 0.5 + size
        canvas.paint.ellipse(canvas.box((column, row), *edges), agent_colour(k))


def push_box(agents: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    """uint8 [H, W, 3]. agents [N, 2], box [2]: cells (row, column) of a size x size grid with an outer ring of wall."""
    canvas = Canvas(size, size, TILE)
    for row in range(size):
        for column in range(size):
            if row in (0, size - 1) or column in (0, size - 1):
                canvas.wall((column, row))
    place = (int(box[1]), int(box[0]))
    canvas.paint.rounded_rectangle(canvas.box(place, 0.08, 0.08, 0.92, 0.92), 0.1 * canvas.unit, BOX)
    canvas.paint.rectangle(canvas.box(place, 0.08, 0.44, 0.92, 0.56), mixed(BOX, FLOOR, 0.4))
    discs(canvas, agents)
    return canvas.pixels()


def secret_room(
    agents: np.ndarray,
    walls: np.ndarray,
    doors: Sequence[Sequence[tuple[int, int]]],
    opened: np.ndarray,
    switches: np.ndarray,
) -> np.ndarray:
    """uint8 [H, W, 3]. walls [H, W] bool; doors: cells (row, column) of each; opened: True for open doors."""
    canvas = Canvas(walls.shape[1], walls.shape[0], TILE)
    for row, column in np.argwhere(walls):
        canvas.wall((int(column), int(row)))
    for cells, is_open in zip(doors, opened, strict=True):
        for row, column in cells:
            colour = mixed(DOOR, FLOOR, 0.75) if is_open else DOOR
            canvas.floor((column, row), colour)
    for row, column in switches:
        canvas.paint.rectangle(canvas.box((int(column), int(row)), 0.22, 0.22, 0.78, 0.78), SWITCH)
    discs(canvas, agents)
    return canvas.pixels()
