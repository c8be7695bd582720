"""The table of units, in seconds of the game. A loop of the engine is a sixteenth of a second.

There are two balances: "base", the data module that SMAC's maps name, and "ladder410", that of the multiplayer game.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

LOOPS_PER_SECOND = 16
GROUND, COLOSSUS, AIR = range(3)  # layers; bodies of different layers do not touch
BALANCES = ("base", "ladder410")


class Kind(NamedTuple):
    """One type of unit. Lengths in cells, times in seconds, unless the name says otherwise."""

    hp: float
    shield: float
    armour: float
    speed: float
    radius: float
    separation: float  # radius of the body that others cannot enter
    cooldown_max: float  # loops; SMAC divides the cooldown that it shows by this number
    attributes: str  # some of light, armoured, biological
    damage: float = 0.0  # of one hit
    hits: int = 1  # hits of one attack
    bonus: float = 0.0  # more damage on targets with the attribute `bonus_on`
    bonus_on: str = ""
    period: float = 1.0  # from one attack to the next
    reach: float = 0.0  # from edge to edge
    windup: int = 0  # loops before the hit of an attack lands
    hits_air: bool = False
    layer: int = GROUND
    line: bool = False  # also hits units beside its target
    acceleration: float = 1000.0
    regeneration: float = 0.0  # hp per second
    heals: bool = False


BASE = {
    "marine": Kind(45, 0, 0, 2.25, 0.375, 0.375, 15, "light biological", 6, 1, 0, "", 0.8608, 5, 1, True),
    "marauder": Kind(125, 0, 1, 2.25, 0.5625, 0.5, 25, "armoured biological", 10, 1, 10, "armoured", 1.5, 6),
    "medivac": Kind(
        150, 0, 1, 2.75, 0.75, 0.75, 200, "armoured", reach=4, layer=AIR, acceleration=2.3125, heals=True
    ),
    "stalker": Kind(80, 80, 1, 2.9531, 0.625, 0.625, 35, "armoured", 10, 1, 4, "armoured", 1.44, 6, 3, True),
    "zealot": Kind(100, 50, 1, 2.25, 0.5, 0.375, 22, "light biological", 8, 2, 0, "", 1.2, 0.1),
    "colossus": Kind(200, 150, 1, 2.25, 1.0, 0.75, 24, "armoured", 20, 2, 0, "", 2.2, 6, 6, False, COLOSSUS, True),
    "zergling": Kind(
        35, 0, 0, 2.9531, 0.375, 0.375, 11, "light biological", 5, 1, 0, "", 0.696, 0.1, 3, regeneration=0.2734
    ),
}  # fmt: skip
LADDER410 = BASE | {
    "stalker": BASE["stalker"]._replace(damage=13, bonus=5, period=1.87),
    "colossus": BASE["colossus"]._replace(damage=10, bonus=5, bonus_on="light", period=1.5, reach=7),
}
SHIELD_DELAY, SHIELD_RATE = 160, 2.0  # loops without damage before a shield grows; points per second then
ENERGY_START, ENERGY_MAX, ENERGY_RATE, ENERGY_NEEDED = 50.0, 200.0, 0.5625, 5.0
HEAL_RATE, HEAL_PER_ENERGY = 9.0, 3.0  # hp per second, hp per energy
HEAL_REACH, HEAL_SCAN = 4.0, 6.0  # from edge to edge


class Table(NamedTuple):
    """The numbers that both balances share: arrays [N, 1], units first and games last."""

    hp: np.ndarray
    shield: np.ndarray
    armour: np.ndarray
    speed: np.ndarray  # cells per loop
    acceleration: np.ndarray  # cells per loop^2
    radius: np.ndarray
    separation: np.ndarray
    cooldown_max: np.ndarray
    hits: np.ndarray
    windup: np.ndarray  # int32
    hits_air: np.ndarray  # bool, like the next five
    line: np.ndarray
    heals: np.ndarray
    biological: np.ndarray
    armoured: np.ndarray
    light: np.ndarray
    layer: np.ndarray  # int32
    regeneration: np.ndarray  # hp per loop


class Weapons(NamedTuple):
    """The numbers in which the balances differ: [2, N, 1], a row per balance; of the balance in use: [N, 1 or B]."""

    damage: Any  # of one hit
    on_armoured: Any  # bonus on armoured targets
    on_light: Any  # bonus on light targets
    period: Any  # loops, int32
    reach: Any


def column(values: Iterable[Any], dtype: Any = np.float32) -> np.ndarray:
    """Returns the values as a column [N, 1]."""
    return np.array(list(values), dtype)[:, None]


def table_of(names: tuple[str, ...]) -> Table:
    kinds = [BASE[name] for name in names]
    has = lambda word: column((word in kind.attributes for kind in kinds), bool)  # noqa: E731
    return Table(
        hp=column(kind.hp for kind in kinds),
        shield=column(kind.shield for kind in kinds),
        armour=column(kind.armour for kind in kinds),
        speed=column(kind.speed / LOOPS_PER_SECOND for kind in kinds),
        acceleration=column(kind.acceleration / LOOPS_PER_SECOND**2 for kind in kinds),
        radius=column(kind.radius for kind in kinds),
        separation=column(kind.separation for kind in kinds),
        cooldown_max=column(kind.cooldown_max for kind in kinds),
        hits=column(kind.hits for kind in kinds),
        windup=column((kind.windup for kind in kinds), np.int32),
        hits_air=column((kind.hits_air for kind in kinds), bool),
        line=column((kind.line for kind in kinds), bool),
        heals=column((kind.heals for kind in kinds), bool),
        biological=has("biological"),
        armoured=has("armoured"),
        light=has("light"),
        layer=column((kind.layer for kind in kinds), np.int32),
        regeneration=column(kind.regeneration / LOOPS_PER_SECOND for kind in kinds),
    )


@lru_cache
def weapons_of(names: tuple[str, ...]) -> Weapons:
    """Returns the weapons of both balances, in the order of BALANCES."""
    both = [[balance[name] for name in names] for balance in (BASE, LADDER410)]

    def rows(value: Callable[[Kind], float], dtype: Any = np.float32) -> np.ndarray:
        return np.array([[value(kind) for kind in row] for row in both], dtype)[..., None]

    return Weapons(
        damage=rows(lambda kind: kind.damage),
        on_armoured=rows(lambda kind: kind.bonus * (kind.bonus_on == "armoured")),
        on_light=rows(lambda kind: kind.bonus * (kind.bonus_on == "light")),
        period=rows(lambda kind: round(kind.period * LOOPS_PER_SECOND), np.int32),
        reach=rows(lambda kind: kind.reach),
    )
