"""Pictures of bodies: links as lines, joints as discs, goals as rings, seen from the side. Numpy and pillow only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from comity.drawing.colours import agent_colour
from comity.drawing.gridworld import FLOOR, LINE, OVERSAMPLING, WALL_LIGHT, mixed

HALO = (255, 214, 92)


def draw(links: Sequence[Any], joints: Sequence[Any], size: int, reach: float, goals: Sequence[Any] = ()) -> np.ndarray:
    """uint8 [size, size, 3]. links: pairs of ends (x, y), y up; reach: distance shown on each side of (0, 0)."""
    side = size * OVERSAMPLING
    unit = side / (2 * reach)
    image = Image.new("RGB", (side, side), FLOOR)
    paint = ImageDraw.Draw(image)
    at = lambda place: ((float(place[0]) + reach) * unit, (reach - float(place[1])) * unit)  # noqa: E731
    thick = max(2, side // 28)
    paint.line((0, side / 2, side, side / 2), fill=mixed(FLOOR, LINE, 0.8), width=max(1, thick // 8))

    def disc(place: Any, radius: float, **how: Any) -> None:
        x, y = at(place)
        paint.ellipse((x - radius, y - radius, x + radius, y + radius), **how)

    for goal in goals:
        disc(goal, 0.8 * thick, outline=HALO, width=max(2, thick // 5))
    for k, (start, end) in enumerate(links):
        colour = agent_colour(k)
        paint.line((*at(start), *at(end)), fill=colour, width=thick)
        disc(end, thick / 2, fill=colour)
        disc(start, thick / 2, fill=colour)
    for joint in joints:
        disc(joint, thick / 3, fill=WALL_LIGHT)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))
