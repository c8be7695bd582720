"""Pictures of Manitokan: a game from above, and the view of one agent. Numpy and pillow only."""

from __future__ import annotations

from typing import Any

import numpy as np

from comity.drawing.colours import Colour, agent_colour
from comity.drawing.gridworld import Canvas

UNSEEN, WALL, DOOR, KEY, AGENT = 0, 2, 4, 5, 10  # first number of a cell's code, as in the game


def draw(state: Any, width: int, tile: int = 48, windows: tuple[Any, Any] | None = None) -> np.ndarray:
    """uint8 [H, W, 3], one game. state: its State; width: cells per side; tile: pixels per cell.

    windows: (cells of each agent's window [N, 3, 3, 2], the cells that it sees [N, 3, 3] bool). Cells that it sees are
    tinted in its colour.
    """
    canvas = Canvas(width, width, tile)
    for x in range(width):
        for y in range(width):
            if x in (0, width - 1) or y in (0, width - 1):
                canvas.wall((x, y))
    if windows is not None:
        for k, (cells, visible) in enumerate(zip(*(np.asarray(part) for part in windows), strict=True)):
            inside = ((cells >= 0) & (cells < width)).all(-1) & visible
            canvas.shade([(x, y) for x, y in cells[inside].tolist()], agent_colour(k), 0.13)
    for k, (x, y) in enumerate(np.asarray(state.doors).tolist()):
        if x >= 0:
            canvas.door((x, y), agent_colour(k))
    x, y = np.asarray(state.key).tolist()
    if x >= 0:
        canvas.key((x, y))
    positions, headings, holding = (np.asarray(x).tolist() for x in (state.position, state.heading, state.holding))
    for k, (x, y) in enumerate(positions):
        together = positions[:k].count([x, y])  # agents may share a cell: each further one is drawn a little aside
        canvas.agent((x + 0.1 * together, y + 0.1 * together), headings[k], agent_colour(k), holding[k])
    return canvas.pixels()


def draw_view(view: Any, tile: int = 48) -> np.ndarray:
    """uint8 [H, W, 3], the 3 x 3 window at the start of a view [view_size]; the agent faces up."""
    window = np.asarray(view)[:27].reshape(3, 3, 3)
    canvas = Canvas(3, 3, tile)
    for column in range(3):
        for row in range(3):
            kind, colour, _ = window[column, row].tolist()
            cell = (column, row)
            if kind == UNSEEN:
                canvas.unseen(cell)
            elif kind == WALL:
                canvas.wall(cell)
            elif kind == DOOR:
                canvas.door(cell, colour_of(colour))
            elif kind == KEY:
                canvas.key(cell)
            elif kind == AGENT:  # a view does not show the headings of others
                canvas.agent(cell, 3, colour_of(colour))
    return canvas.pixels()


def colour_of(code: int) -> Colour:
    """The colour of a colour code, 3, 4, 6, 7, 8, ... for agents 0, 1, 2, 3, 4, ..."""
    return agent_colour(code - 3 - (code > 5))
