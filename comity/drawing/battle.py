"""Pictures of battles, seen from above: terrain, units with bars of life, shots. Numpy and pillow only."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from comity.drawing.colours import HOSTILE, Colour, agent_colour
from comity.drawing.gridworld import FLOOR, LINE, UNSEEN, WALL_DARK, mixed

OVERSAMPLING = 2
CELLS = 32
HEALTH, LOW, SHIELD, EMPTY = (96, 208, 112), (232, 96, 84), (92, 168, 255), (60, 62, 70)
LETTERS = {
    "marine": "M",
    "marauder": "R",
    "medivac": "+",
    "stalker": "S",
    "zealot": "Z",
    "colossus": "C",
}  # Zerglings: -
GROUND = mixed(FLOOR, LINE, 0.6)
CLIFF = mixed(WALL_DARK, FLOOR, 0.3)


class Field:
    """A square part of the world to paint on. It shows `reach` cells to each side of `middle`."""

    def __init__(self, size: int, middle: tuple[float, float], reach: float, colour: Colour = UNSEEN):
        self.size, self.middle, self.reach = size, middle, reach
        self.unit = size * OVERSAMPLING / (2 * reach)
        self.image = Image.new("RGB", (size * OVERSAMPLING, size * OVERSAMPLING), colour)
        self.paint = ImageDraw.Draw(self.image)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Returns the pixel of a position; y goes up in the world."""
        return (x - self.middle[0] + self.reach) * self.unit, (self.middle[1] + self.reach - y) * self.unit

    def circle(self, x: float, y: float, radius: float, fill: Colour | None, outline: Colour | None = None) -> None:
        px, py = self.at(x, y)
        r = max(radius * self.unit, 2 * OVERSAMPLING)
        self.paint.ellipse((px - r, py - r, px + r, py + r), fill, outline, OVERSAMPLING)

    def bar(self, x: float, y: float, width: float, share: float, colour: Colour) -> None:
        """Draws a bar, filled to `share`. Sizes are in cells, its lower left corner is (x, y)."""
        height = max(0.16, 2.2 * OVERSAMPLING / self.unit)
        for part, fill in ((1.0, EMPTY), (share, colour)):
            (left, top), (right, bottom) = self.at(x, y + height), self.at(x + width * part, y)
            if part > 0 and right - left >= 1:
                self.paint.rectangle((left, top, right, bottom), fill)

    def unit_at(
        self, x: float, y: float, radius: float, colour: Colour, letter: str, health: float, shield: float | None
    ) -> None:
        self.circle(x, y, radius, mixed(colour, FLOOR, 0.25), colour)
        if letter:
            self.paint.text(
                self.at(x, y), letter, (255, 255, 255), anchor="mm", font_size=max(8, 0.8 * radius * self.unit)
            )
        width, top = max(0.9, 2 * radius), y + radius + 0.12
        self.bar(x - width / 2, top, width, health, HEALTH if health > 0.35 else LOW)
        if shield is not None:
            self.bar(x - width / 2, top + 0.24, width, shield, SHIELD)

    def pixels(self) -> np.ndarray:
        """Returns the picture, uint8 [size, size, 3]."""
        return np.asarray(self.image.resize((self.size, self.size), Image.Resampling.BOX))


def colour_of(k: int, allies: int) -> Colour:
    return agent_colour(k) if k < allies else HOSTILE


def draw(rules: Any, state: Any, ranges: bool = False, size: int = 480) -> np.ndarray:
    """uint8 [size or less, size, 3] of one game. rules: its `Scenario`; ranges: also draws the range of each weapon."""
    field = Field(size, (CELLS / 2, CELLS / 2), CELLS / 2)
    ground(field, rules.terrain.walkable, rules.terrain.cliffwalk)
    units, n = state.units, rules.allies.size
    x, y, hp, shield, shot = (np.asarray(part) for part in (units.x, units.y, units.hp, units.shield, units.shot))
    table, names = rules.table, (*rules.allies.names, *rules.enemies.names)
    reach = np.asarray(rules.weapons.reach)[int(state.balance)]
    for k in range(len(x)):
        mates = bool(table.heals[k, 0])
        first = (0 if k < n else n) if mates else (n if k < n else 0)  # number of the first unit among its targets
        if shot[k] >= 0 and hp[k] > 0:
            target = first + int(shot[k])
            ends = (*field.at(x[k], y[k]), *field.at(x[target], y[target]))
            field.paint.line(ends, mixed(colour_of(k, n), (255, 255, 255), 0.3), 2 * OVERSAMPLING)
    for k in np.argsort(table.layer[:, 0], kind="stable"):
        if hp[k] <= 0:
            continue
        radius, colour = float(table.radius[k, 0]), colour_of(int(k), n)
        if ranges:
            field.circle(float(x[k]), float(y[k]), float(reach[k, 0]) + radius, None, mixed(colour, FLOOR, 0.5))
        armour = float(shield[k] / table.shield[k, 0]) if table.shield[k, 0] else None
        letter = LETTERS.get(names[k], "")
        field.unit_at(float(x[k]), float(y[k]), radius, colour, letter, float(hp[k] / table.hp[k, 0]), armour)
    rows = np.flatnonzero(rules.terrain.cliffwalk.any(0))  # from below; rows that no unit can enter are left out
    first, last = max(int(rows[0]) - 1, 0), min(int(rows[-1]) + 2, CELLS)
    return field.pixels()[size * (CELLS - last) // CELLS : size * (CELLS - first) // CELLS]


def ground(field: Field, walkable: np.ndarray, cliffwalk: np.ndarray) -> None:
    for i, j in np.argwhere(cliffwalk):
        colour = GROUND if walkable[i, j] else CLIFF
        field.paint.rectangle((*field.at(i, j + 1), *field.at(i + 1, j)), colour, LINE)


def draw_view(rules: Any, view: Any, sight: float, size: int = 200) -> np.ndarray:
    """uint8 [size, size, 3], the view of an ally, itself in the middle, with rings around the enemies it may attack.

    For a Medivac, rings mark the enemies with the numbers of the allies it may heal: a quirk of SMAC. The picture of a
    dead ally is black.
    """
    field = Field(size, (0.0, 0.0), sight + 1)
    if not view.any():
        return field.pixels()
    field.circle(0, 0, sight, GROUND, LINE)
    for way, (x, y) in enumerate(((0, 1), (0, -1), (1, 0), (-1, 0))):
        if view[way]:
            field.circle(1.4 * x, 1.4 * y, 0.2, LINE)
    bits, at = rules.allies.kinds.shape[1], 4
    for team, own in ((rules.enemies, False), (rules.allies, True)):
        width = 5 + team.shields + bits
        rows = view[at : at + (team.size - own) * width].reshape(-1, width)
        at += rows.size
        for k, row in enumerate(rows):
            if row[4] <= 0:
                continue
            x, y = float(sight * row[2]), float(sight * row[3])
            shield = float(row[5]) if team.shields else None
            radius = float(team.table.radius[k, 0])
            if row[0] and not own:
                field.circle(x, y, radius + 0.35, None, (255, 214, 92))
            field.unit_at(x, y, radius, (150, 200, 255) if own else HOSTILE, "", float(row[4]), shield)
    own_shield = float(view[at + 1]) if rules.allies.shields else None
    field.unit_at(0, 0, 0.5, (240, 242, 247), "", float(view[at]), own_shield)
    return field.pixels()
