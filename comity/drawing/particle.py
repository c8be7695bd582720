"""Pictures of the particle world: discs on a plane, seen from above. Numpy and pillow only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from comity.drawing.colours import Colour, agent_colour
from comity.drawing.gridworld import FLOOR, LINE, OVERSAMPLING, WALL, WALL_LIGHT, mixed

REACHES = (1.2, 1.6, 2.2, 3.0, 4.0, 5.5, 8.0, 12.0, 20.0, 40.0)  # half side of a picture: the first that fits
PLACE, HALO = (226, 229, 236), (255, 214, 92)
RED_GREEN_BLUE = ((235, 92, 92), (86, 204, 122), (82, 156, 255))


class Disc(NamedTuple):
    """A disc to draw, in the world's units. Later discs lie on top of earlier ones."""

    place: Any  # (x, y), y up
    radius: float
    colour: Colour
    motion: Any = (0.0, 0.0)  # velocity, a line from the centre
    halo: bool = False  # a ring around it, which marks the goal
    core: Colour | None = None  # colour of a smaller disc in the middle


def landmark(place: Any, radius: float, colour: Colour = PLACE, goal: bool = False) -> Disc:
    return Disc(place, radius, mixed(colour, FLOOR, 0.25), halo=goal)


def obstacle(place: Any, radius: float) -> Disc:
    return Disc(place, radius, mixed(WALL, FLOOR, 0.3))


def agents(position: Any, velocity: Any, radius: float, colours: Sequence[Colour] = ()) -> list[Disc]:
    """Returns a disc for each agent. position, velocity [N, 2]; colours [N], or none: each agent has its own."""
    colours = colours or [agent_colour(k) for k in range(len(position))]
    return [Disc(*one[:1], radius, *one[1:]) for one in zip(position, colours, velocity, strict=True)]


def draw(discs: Sequence[Disc], size: int = 360) -> np.ndarray:
    """uint8 [size, size, 3]. The square [-1, 1]^2 is marked; if a disc lies outside, the picture shows more."""
    far = max(max(abs(float(x)) for x in disc.place) + disc.radius for disc in discs)
    reach = next((reach for reach in REACHES if far <= reach), far)
    side = size * OVERSAMPLING
    unit = side / (2 * reach)
    image = Image.new("RGB", (side, side), FLOOR)
    paint = ImageDraw.Draw(image)
    at = lambda x, y: ((float(x) + reach) * unit, (reach - float(y)) * unit)  # noqa: E731
    fine = max(1, side // 300)

    def circle(disc: Disc, radius: float, fill: Colour | None = None, outline: Colour | None = None) -> None:
        x, y = at(*disc.place)
        r = max(radius * unit, 1.5 * OVERSAMPLING)  # a dot is visible at any scale
        paint.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=outline, width=fine)

    paint.rectangle((*at(-1, 1), *at(1, -1)), fill=mixed(FLOOR, LINE, 0.35), outline=LINE, width=fine)
    paint.line((*at(-1, 0), *at(1, 0)), fill=LINE, width=fine // 2 or 1)
    paint.line((*at(0, -1), *at(0, 1)), fill=LINE, width=fine // 2 or 1)
    for disc in discs:
        if disc.halo:
            circle(disc, disc.radius + 0.05, outline=HALO)
        circle(disc, disc.radius, disc.colour, mixed(disc.colour, WALL_LIGHT, 0.3))
        circle(disc, max(disc.radius - 2 * fine / unit, disc.radius / 2), mixed(disc.colour, FLOOR, 0.22))
        (x, y), (dx, dy) = disc.place, disc.motion
        if dx or dy:
            paint.line((*at(x, y), *at(x + 0.3 * float(dx), y + 0.3 * float(dy))), fill=disc.colour, width=2 * fine)
        circle(disc, disc.radius / (2 if disc.core else 6), disc.core or disc.colour)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def oasis(
    places: np.ndarray,
    headings: np.ndarray,
    passive: np.ndarray,
    hit: np.ndarray,
    food: np.ndarray,
    side: float,
    size: int,
) -> np.ndarray:
    """uint8 [size, size, 3]: a floor from 0 to `side`, with a margin of 1.2 around it.

    places, headings [N, 2]; passive, hit [N] bool; food [2]: a plate with the radius within which agents can eat.
    """
    pixels = size * OVERSAMPLING
    unit = pixels / (side + 2.4)
    image = Image.new("RGB", (pixels, pixels), FLOOR)
    paint = ImageDraw.Draw(image)
    at = lambda place: np.array([float(place[0]) + 1.2, side + 1.2 - float(place[1])]) * unit  # noqa: E731
    fine = max(1, pixels // 200)

    def circle(place: Any, radius: float, fill: Colour | None = None, outline: Colour | None = None) -> None:
        (x, y), r = at(place), radius * unit
        paint.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=outline, width=fine)

    paint.rectangle((*at((0, side)), *at((side, 0))), fill=mixed(FLOOR, LINE, 0.35), outline=LINE, width=fine)
    circle(food, 0.4, mixed(RED_GREEN_BLUE[1], FLOOR, 0.75))
    circle(food, 0.1, RED_GREEN_BLUE[1])
    for k, place in enumerate(places):
        colour = mixed(agent_colour(k), FLOOR, 0.65) if passive[k] else agent_colour(k)
        circle(place, 0.15, colour)
        end = np.asarray(place) + 0.32 * headings[k]
        paint.line((*at(place), *at(end)), fill=colour, width=2 * fine)
        if hit[k]:
            circle(place, 0.22, outline=RED_GREEN_BLUE[0])
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def message_colour(weights: Any) -> Colour | None:
    """Colour of a message, given weights [3] of red, green and blue; None if all are 0."""
    weights = np.clip(np.asarray(weights, float), 0, 1)
    if not weights.any():
        return None
    red, green, blue = (weights @ np.array(RED_GREEN_BLUE, float) / max(weights.sum(), 1)).round().astype(int).tolist()
    return red, green, blue
