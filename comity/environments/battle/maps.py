"""The eleven maps: their units, ground and time limit, and the constants that follow from them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from comity.environments.battle.terrain import SIZE, Terrain, packed, terrain
from comity.environments.battle.units import BASE, Table, Weapons, table_of, weapons_of

ORDER = ("colossus", "stalker", "zealot", "marauder", "marine", "medivac", "zergling")  # by SMAC's type numbers
# Order of the enemies' types in the maps in which SMAC's is a different one.
SWAPPED = {name: ("zealot", "stalker") for name in ("2s3z", "3s5z", "3s5z_vs_3s6z")}
WEST, EAST = (9.0, 16.0), (23.0, 16.0)
DEATH, VICTORY, SCALE = 10.0, 200.0, 20.0  # points for a dead enemy, for a victory; of a won episode, scaled


class Map(NamedTuple):
    """A map. Units stand in the order in which they are created."""

    allies: tuple[tuple[str, int], ...]
    enemies: tuple[tuple[str, int], ...]
    length: int
    ground: str = "arena"
    ally_start: tuple[float, float] = WEST
    enemy_start: tuple[float, float] = EAST
    goal: tuple[float, float] | None = WEST  # goal of enemies; None: the nearest ally anywhere


MAPS = {
    "3m": Map((("marine", 3),), (("marine", 3),), 60),
    "8m": Map((("marine", 8),), (("marine", 8),), 120),
    "2s3z": Map(
        (("stalker", 2), ("zealot", 3)),
        (("stalker", 2), ("zealot", 3)),
        120,
    ),
    "3s5z": Map(
        (("stalker", 3), ("zealot", 5)),
        (("stalker", 3), ("zealot", 5)),
        150,
    ),
    "1c3s5z": Map(
        (("colossus", 1), ("stalker", 3), ("zealot", 5)),
        (("colossus", 1), ("stalker", 3), ("zealot", 5)),
        180,
    ),
    "5m_vs_6m": Map((("marine", 5),), (("marine", 6),), 70),
    "3s_vs_5z": Map((("stalker", 3),), (("zealot", 5),), 250, "open"),
    "2c_vs_64zg": Map(
        (("colossus", 2),),
        (("zergling", 64),),
        400,
        "ravine",
        (16.0, 16.0),
        (16.0, 9.0),
        None,
    ),
    "corridor": Map(
        (("zealot", 6),),
        (("zergling", 24),),
        400,
        "corridor",
        (19.04, 19.12),
        (27.91, 28.24),
        (4.47, 4.33),
    ),
    "MMM2": Map(
        (("marine", 7), ("marauder", 2), ("medivac", 1)),
        (("marine", 8), ("marauder", 3), ("medivac", 1)),
        180,
    ),
    "3s5z_vs_3s6z": Map(
        (("stalker", 3), ("zealot", 5)),
        (("stalker", 3), ("zealot", 6)),
        170,
    ),
}


class Team(NamedTuple):
    """One side's part of a scenario."""

    units: slice  # place among all units
    size: int
    names: tuple[str, ...]  # types of its units
    table: Table
    shields: bool  # True if views show its shields
    heals: bool  # True if it has a Medivac
    kinds: np.ndarray  # [size, u] float32, one-hot types as SMAC shows them
    can_hit: np.ndarray  # [size, foes, 1] bool


class Scenario(NamedTuple):
    """The constants of a map. Arrays of numpy, units first: n allies, then m enemies."""

    name: str
    map: Map
    allies: Team
    enemies: Team
    table: Table
    weapons: Weapons  # of both balances
    terrain: Terrain
    start: np.ndarray  # [N, 2] float32
    crowded: bool  # True: bodies are pushed apart more often

    @property
    def size(self) -> int:
        """N, the number of units."""
        return self.allies.size + self.enemies.size

    @property
    def reward_max(self) -> float:
        """R, the points for hp and shields of all enemies, their deaths, and a victory."""
        table = self.enemies.table
        return float((table.hp + table.shield).sum() + DEATH * self.enemies.size + VICTORY)


@lru_cache
def scenario(name: str, border: int = 0, align_types: bool = False) -> Scenario:
    """Returns the constants of a map. border: see `terrain`. align_types: enemies' types get the numbers of allies'."""
    return built(name, MAPS[name], border, align_types)


def built(name: str, rules: Map, border: int = 0, align_types: bool = False) -> Scenario:
    """Does the same as `scenario` for the rules of any map."""
    ground = terrain(rules.ground, border)
    ally_names, ally_start = placed(rules.allies, rules.ally_start, ground, border, False)
    order = sorted(range(len(ally_names)), key=lambda k: (ORDER.index(ally_names[k]), *ally_start[k]))
    ally_names, ally_start = tuple(ally_names[k] for k in order), ally_start[order]
    enemy_names, enemy_start = placed(rules.enemies, rules.enemy_start, ground, border, True)
    types = [name for name in ORDER if name in (*ally_names, *enemy_names)]
    allied = [name for name in types if name in ally_names]
    numbers = allied if align_types else list(SWAPPED.get(name, [t for t in types if t in enemy_names]))
    bits = len(allied) if len(allied) > 1 else 0
    sides = (ally_names, enemy_names)
    return Scenario(
        name=name,
        map=rules,
        allies=team(sides, 0, allied, bits),
        enemies=team(sides, 1, numbers, bits),
        table=table_of((*ally_names, *enemy_names)),
        weapons=weapons_of((*ally_names, *enemy_names)),
        terrain=ground,
        start=np.concatenate([ally_start, enemy_start]).astype(np.float32),
        crowded=ground.routes is not None,
    )


def placed(
    kinds: tuple[tuple[str, int], ...], start: tuple[float, float], ground: Terrain, border: int, turned: bool
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns (types, positions [K, 2]) of a team's units, in the order of creation."""
    names = tuple(name for name, count in kinds for _ in range(count))
    air = np.zeros((SIZE, SIZE), bool)
    air[border : SIZE - border, border : SIZE - border] = True
    free = np.stack([ground.walkable, ground.cliffwalk, air])
    return names, packed(start, [BASE[x].separation for x in names], [BASE[x].layer for x in names], free, turned)


def team(sides: tuple[tuple[str, ...], tuple[str, ...]], which: int, numbers: list[str], bits: int) -> Team:
    """Builds one of the two teams. numbers: types in the order of their numbers; bits: size of a one-hot type."""
    names, foes = sides[which], sides[1 - which]
    table, other = table_of(names), table_of(foes)
    first = which * len(foes)
    kinds = np.zeros((len(names), bits), np.float32)
    if bits:
        kinds[np.arange(len(names)), [numbers.index(name) for name in names]] = 1
    # Every armed unit can hit units on the ground and a Colossus; only some can hit a unit that flies.
    flying = other.layer[:, 0] == BASE["medivac"].layer
    armed = ~table.heals[:, 0]
    can_hit = armed[:, None] & (table.hits_air[:, 0][:, None] | ~flying[None])
    shields = bool((table.shield > 0).any())
    return Team(
        slice(first, first + len(names)), len(names), names, table, shields, bool(table.heals.any()), kinds,
        can_hit[..., None],
    )  # fmt: skip
