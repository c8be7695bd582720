"""Tiles of a grid world, drawn smoothly at any size: floor, walls, doors, keys, agents. Numpy and pillow only.

Shapes are given in units of one tile, from (0, 0) at its upper left corner to (1, 1). They are drawn four times too
large and then reduced, which smooths their edges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from comity.drawing.colours import Colour

Cell = tuple[float, float]  # (x, y), in tiles

OVERSAMPLING = 4
FLOOR, LINE, SEEN = (30, 32, 38), (54, 58, 68), (255, 255, 255)
WALL, WALL_LIGHT, WALL_DARK = (104, 110, 122), (126, 132, 145), (84, 89, 100)
UNSEEN = (17, 18, 22)
KEY = (82, 156, 255)


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """Mixes two colours. share: part of `other`, 0 to 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


class Canvas:
    """A grid of floor tiles to draw on; `pixels` returns the picture. tile: pixels per tile."""

    def __init__(self, columns: int, rows: int, tile: int):
        self.tile, self.unit = tile, tile * OVERSAMPLING
        self.size = (columns * tile, rows * tile)
        self.image = Image.new("RGB", (columns * self.unit, rows * self.unit), FLOOR)
        self.paint = ImageDraw.Draw(self.image)
        for column in range(columns):
            for row in range(rows):
                self.floor((column, row))

    def pixels(self) -> np.ndarray:
        """Returns the picture, uint8 [H, W, 3]."""
        return np.asarray(self.image.resize(self.size, Image.Resampling.BOX))

    def box(self, cell: Cell, left: float, top: float, right: float, bottom: float) -> list[float]:
        x, y = cell
        return [
            (x + left) * self.unit,
            (y + top) * self.unit,
            (x + right) * self.unit - 1,
            (y + bottom) * self.unit - 1,
        ]

    def floor(self, cell: Cell, colour: Colour = FLOOR) -> None:
        self.paint.rectangle(self.box(cell, 0, 0, 1, 1), LINE)
        self.paint.rectangle(self.box(cell, 0.015, 0.015, 0.985, 0.985), colour)

    def unseen(self, cell: Cell) -> None:
        self.floor(cell, UNSEEN)
        self.paint.ellipse(self.box(cell, 0.46, 0.46, 0.54, 0.54), LINE)

    def wall(self, cell: Cell) -> None:
        self.paint.rectangle(self.box(cell, 0, 0, 1, 1), WALL_DARK)
        self.paint.rectangle(self.box(cell, 0, 0, 0.97, 0.97), WALL_LIGHT)
        self.paint.rectangle(self.box(cell, 0.03, 0.03, 0.97, 0.97), WALL)

    def door(self, cell: Cell, colour: Colour) -> None:
        """Draws a locked door: frame, panel, and a lock."""
        dark = mixed(colour, FLOOR, 0.62)
        self.paint.rounded_rectangle(self.box(cell, 0.05, 0.05, 0.95, 0.95), 0.09 * self.unit, colour)
        self.paint.rounded_rectangle(self.box(cell, 0.13, 0.13, 0.87, 0.87), 0.05 * self.unit, dark)
        self.paint.rounded_rectangle(
            self.box(cell, 0.2, 0.2, 0.8, 0.8),
            0.03 * self.unit,
            outline=mixed(colour, FLOOR, 0.35),
            width=self.unit // 40,
        )
        self.paint.ellipse(self.box(cell, 0.605, 0.44, 0.715, 0.55), colour)
        self.paint.polygon(self.points(cell, [(0.645, 0.5), (0.675, 0.5), (0.705, 0.64), (0.615, 0.64)]), colour)

    def key(self, cell: Cell, centre: Cell = (0.5, 0.5), scale: float = 1.0, colour: Colour = KEY) -> None:
        """Draws a key, its bow up. centre: its place in the tile; scale: 1 fills the tile."""
        x, y = centre
        corner = (cell[0] + x - scale / 2, cell[1] + y - scale / 2)

        def scaled(*edges: float) -> list[float]:
            return self.box(corner, *(edge * scale for edge in edges))

        ground = self.image.getpixel((round((cell[0] + 0.5) * self.unit), round((cell[1] + 0.1) * self.unit)))
        self.paint.rectangle(scaled(0.46, 0.4, 0.54, 0.85), colour)
        self.paint.rectangle(scaled(0.54, 0.64, 0.68, 0.71), colour)
        self.paint.rectangle(scaled(0.54, 0.78, 0.64, 0.85), colour)
        self.paint.ellipse(scaled(0.345, 0.14, 0.655, 0.45), colour)
        self.paint.ellipse(scaled(0.435, 0.23, 0.565, 0.36), ground)

    def agent(self, cell: Cell, heading: int, colour: Colour, carries_key: bool = False) -> None:
        """Draws a triangle that points in the heading: 0 right, 1 down, 2 left, 3 up. A carried key lies on it."""
        quarter = [(0.86, 0.5), (0.17, 0.83), (0.27, 0.5), (0.17, 0.17)]
        for _ in range(heading):
            quarter = [(1 - y, x) for x, y in quarter]
        self.paint.polygon(self.points(cell, quarter), mixed(colour, FLOOR, 0.55))
        inner = [(0.5 + 0.88 * (x - 0.5), 0.5 + 0.88 * (y - 0.5)) for x, y in quarter]
        self.paint.polygon(self.points(cell, inner), colour)
        if carries_key:
            self.paint.ellipse(self.box(cell, 0.56, 0.56, 0.98, 0.98), FLOOR)
            self.paint.ellipse(self.box(cell, 0.56, 0.56, 0.98, 0.98), outline=KEY, width=self.unit // 45)
            self.key(cell, (0.77, 0.77), 0.4)

    def shade(self, cells: Sequence[Cell], colour: Colour = SEEN, strength: float = 0.1) -> None:
        """Tints whole tiles; a tile that is listed twice is tinted once. strength: 0 to 1."""
        mask = Image.new("L", self.image.size, 0)
        paint = ImageDraw.Draw(mask)
        for cell in cells:
            paint.rectangle(self.box(cell, 0, 0, 1, 1), round(255 * strength))
        self.image.paste(Image.new("RGB", self.image.size, colour), mask=mask)

    def points(self, cell: Cell, points: Sequence[Cell]) -> list[tuple[float, float]]:
        return [((cell[0] + x) * self.unit, (cell[1] + y) * self.unit) for x, y in points]
