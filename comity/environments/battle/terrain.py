"""The ground on which units walk: 32 x 32 cells, x to the right, y up. Grids are [x, y], like SMAC's pathing grid."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

SIZE = 32
MIDDLE = 16.0
BITS = ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1))  # neighbours of a cell, bit by bit
HERE = len(BITS)  # the bit of the cell itself

CORRIDOR = {
    1: "2-13", 2: "1-13", **dict.fromkeys(range(3, 11), "1-12"), 11: "1-13", 12: "2-14", 13: "11-25", 14: "12-26",
    15: "13-27", 16: "13-28", 17: "12-29", **dict.fromkeys(range(18, 22), "11-30"), 22: "12-30", 23: "13-30",
    24: "14-30", 25: "15-30", 26: "16-30", 27: "17-30", 28: "18-30", 29: "19-30", 30: "20-29",
}  # fmt: skip
RAVINE = {
    5: "4-27", 6: "3-28", 7: "2-29", 8: "1-30", **dict.fromkeys(range(9, 12), "0-31"), 12: "0-4 27-31",
    **dict.fromkeys(range(13, 17), "0-31"), 17: "1-30", 18: "2-29", 19: "3-4 7-24 27-28", 20: "4-5 7-24 26-27",
}  # fmt: skip
CLIFFS = ((12, range(SIZE)), (19, (5, 6, 25, 26)), (20, (5, 6, 25, 26)))  # more cells that a Colossus can step over
ROWS = {"arena": dict.fromkeys(range(8, 24), "0-31"), "open": dict.fromkeys(range(SIZE), "0-31"),
        "corridor": CORRIDOR, "ravine": RAVINE}  # fmt: skip
CONVEX = ("arena", "open")  # grounds on which the straight way is the shortest


class Terrain(NamedTuple):
    """The ground of a map. walkable, cliffwalk: [32, 32] bool. box: (x0, y0, x1, y1) of a convex ground, else None."""

    walkable: np.ndarray
    cliffwalk: np.ndarray  # cells in which a Colossus can walk
    box: tuple[int, int, int, int] | None
    blocked: np.ndarray  # [3 * 1024] int32, for each layer and cell the bits of BITS and HERE that are blocked
    routes: Routes | None  # of a ground that is not convex


class Routes(NamedTuple):
    """The next step on a shortest way between walkable cells, K of them."""

    number: np.ndarray  # [1024] int32, number of each cell, or of the nearest walkable cell
    towards: np.ndarray  # [K * K] int8, for each (goal, cell) a neighbour as in BITS, or HERE


@lru_cache
def terrain(name: str, border: int = 0) -> Terrain:
    """Returns the ground of that name. border: width of the blocked frame of the map, in cells."""
    walkable = np.zeros((SIZE, SIZE), bool)
    for y, runs in ROWS[name].items():
        for run in runs.split():
            first, last = map(int, run.split("-"))
            walkable[first : last + 1, y] = True
    cliffwalk = walkable.copy()
    for y, cells in CLIFFS if name == "ravine" else ():
        cliffwalk[list(cells), y] = True
    inside = np.zeros_like(walkable)
    inside[border : SIZE - border, border : SIZE - border] = True
    walkable, cliffwalk = walkable & inside, cliffwalk & inside
    layers = np.stack([walkable, cliffwalk, inside])
    convex, (xs, ys) = name in CONVEX, np.nonzero(walkable)
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1) if convex else None
    return Terrain(walkable, cliffwalk, box, blocked_bits(layers), None if convex else routes(walkable))


def blocked_bits(free: np.ndarray) -> np.ndarray:
    """[L * 1024] int32, blocked bits of grids free [L, 32, 32]. Cells outside the map are blocked."""
    edge = np.pad(~free, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    look = lambda dx, dy: edge[:, 1 + dx : 1 + dx + SIZE, 1 + dy : 1 + dy + SIZE]  # noqa: E731
    bits = [look(*way).astype(np.int32) << k for k, way in enumerate((*BITS, (0, 0)))]
    return np.sum(bits, 0, np.int32).reshape(-1)


def neighbours(walkable: np.ndarray) -> list[tuple[int, int, float, np.ndarray]]:
    """For each of BITS (dx, dy, length, [32, 32] bool: cells that allow this step). No step cuts a corner."""
    edge = np.pad(walkable, 1)
    look = lambda dx, dy: edge[1 + dx : 1 + dx + SIZE, 1 + dy : 1 + dy + SIZE]  # noqa: E731
    return [(dx, dy, float(np.hypot(dx, dy)), walkable & look(dx, dy) & look(dx, 0) & look(0, dy)) for dx, dy in BITS]


def routes(walkable: np.ndarray) -> Routes:
    cells = np.argwhere(walkable)
    steps = neighbours(walkable)
    far = np.full((len(cells), SIZE + 2, SIZE + 2), np.inf, np.float32)  # [goal, x + 1, y + 1]
    far[np.arange(len(cells)), cells[:, 0] + 1, cells[:, 1] + 1] = 0
    look = lambda dx, dy: far[:, 1 + dx : 1 + dx + SIZE, 1 + dy : 1 + dy + SIZE]  # noqa: E731
    while True:  # all goals at once, until nothing gets nearer
        ways = [np.where(open_, look(dx, dy) + length, np.inf) for dx, dy, length, open_ in steps]
        nearer = np.minimum(look(0, 0), np.min(ways, 0))
        if np.array_equal(nearer, look(0, 0)):
            break
        far[:, 1:-1, 1:-1] = nearer
    best = np.where(look(0, 0) == 0, HERE, np.argmin(ways, 0)).astype(np.int8)
    every = np.stack(np.meshgrid(*(np.arange(SIZE),) * 2, indexing="ij"), -1).reshape(-1, 2)
    number = np.square(every[:, None] - cells).sum(-1).argmin(1).astype(np.int32)
    return Routes(number, best[:, cells[:, 0], cells[:, 1]].reshape(-1))


def packed(
    place: tuple[float, float], separations: list[float], layers: list[int], free: np.ndarray, turned: bool
) -> np.ndarray:
    """[K, 2], positions of units that are created at one point: each at the nearest free point of a lattice of 0.25.

    free [3, 32, 32]: free cells of each layer. Equally near points are taken around from the east, or, `turned`, from
    the west.
    """
    ticks = np.arange(-40, 41) * 0.25
    dx, dy = (part.reshape(-1) for part in np.meshgrid(ticks, ticks, indexing="ij"))
    angle = np.round(np.arctan2(dy, dx) % (2 * np.pi), 9)
    angle = np.round((angle + np.pi) % (2 * np.pi), 9) if turned else angle
    order = np.lexsort((angle, np.round(np.hypot(dx, dy), 9)))
    points = np.stack([place[0] + dx, place[1] + dy], -1)[order]
    points = points[((points >= 0) & (points < SIZE)).all(-1)]
    cell = points.astype(int)
    found: list[np.ndarray] = []
    for k, (separation, layer) in enumerate(zip(separations, layers, strict=True)):
        fits = free[layer, cell[:, 0], cell[:, 1]].copy()
        for other in range(k):
            if layers[other] == layer:
                fits &= np.hypot(*(points - found[other]).T) >= separation + separations[other] - 1e-9
        found.append(points[fits.argmax()])
    return np.array(found)
