"""Maps of sequential social dilemmas as text, and the reader of such texts.

Letters: W wall, P place where an agent may start, A and B places of apples, H waste at the start, R river that is clean
at the start, S stream (never becomes waste), a dot or a blank floor. Lines end with a line break or with "/".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

HARVEST = """
WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW
W.P...P......A....P.AAAAA....P..A.P..W
W..P.....A.P.AA....P....AAA....A..A..W
W.....A.AAA..AAA....A....A.AA.AAAA...W
W.A..AAA.A....A..A.AAA..A..A...A.A...W
WAAA..A.A....A..AAA.A..AAA........A.PW
W.A.A..AAA..AAA..A.A....A.AA...AA.AA.W
W..A.A..AAA....A.A..AAA....AAA..A....W
W...AAA..A......AAA..A....AAAA.......W
W.P..A.......A..A.AAA....A..A......P.W
WA..AAA..A..A..AAA.A....AAAA.....P...W
W....A.A...AAA..A.A......A.AA...A..P.W
W.....AAA...A.A..AAA......AA...AAA.P.W
W.A....A.....AAA..A..P..........A....W
W.......P.....A.........P..P.P.....P.W
WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW
"""

CLEANUP = """
WWWWWWWWWWWWWWWWWW
WRRRRRR.....BBBBBW
WHHHHHH......BBBBW
WRRRRRR.....BBBBBW
WRRRRR..P....BBBBW
WRRRRR....P.BBBBBW
WHHHHH.......BBBBW
WRRRRR......BBBBBW
WHHHHHHSSSSSSBBBBW
WHHHHHHSSSSSSBBBBW
WRRRRR...P.P.BBBBW
WHHHHH...P..BBBBBW
WRRRRRR....P.BBBBW
WHHHHHH.P...BBBBBW
WRRRRR.......BBBBW
WHHHH....P..BBBBBW
WRRRRR.......BBBBW
WHHHHH..P.P.BBBBBW
WRRRRR.......BBBBW
WHHHH.......BBBBBW
WRRRRR.......BBBBW
WHHHHH......BBBBBW
WRRRRR.......BBBBW
WHHHH.......BBBBBW
WWWWWWWWWWWWWWWWWW
"""

MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)], np.int32)  # [heading]: 0 up, 1 right, 2 down, 3 left
LETTERS = {"W", "P", "A", "B", "H", "R", "S", "."}
LARGEST = 200  # most rows or columns


@dataclass(frozen=True, eq=False)
class Map:
    """A map: planes [R, C] bool, and lists of cells (row, column), row by row from the top."""

    walls: np.ndarray
    orchard: np.ndarray  # where apples grow
    water: np.ndarray  # river and stream
    fouled: np.ndarray  # waste at the start
    river: np.ndarray  # cells that waste may cover: H and R
    apple_cells: np.ndarray  # [K, 2]
    river_cells: np.ndarray  # [H, 2]
    starts: np.ndarray  # [P, 2]

    @property
    def rows(self) -> int:
        """Number of rows, R."""
        return self.walls.shape[0]

    @property
    def columns(self) -> int:
        """Number of columns, C."""
        return self.walls.shape[1]


@lru_cache(maxsize=64)
def read(text: str) -> Map:
    """Returns the map that a text describes. Raises ValueError if the text is no map."""
    lines = [line.rstrip() for line in text.replace("/", "\n").splitlines()]
    lines = [line.replace(" ", ".") for line in lines if line]
    width = max(map(len, lines), default=0)
    if not 1 <= width <= LARGEST or len(lines) > LARGEST:
        raise ValueError(f"a map of {len(lines)} x {width} cells: give 1 to {LARGEST} lines of up to {LARGEST} letters")
    letters = np.array([list(line.ljust(width, ".")) for line in lines])
    strange = sorted(set(letters.ravel()) - LETTERS)
    if strange:
        raise ValueError(f"a map has {strange[0]!r}: its letters are {' '.join(sorted(LETTERS))}")
    among = lambda *kinds: np.isin(letters, kinds)  # noqa: E731
    orchard, river = among("A", "B"), among("H", "R")
    return Map(
        walls=among("W"),
        orchard=orchard,
        water=among("H", "R", "S"),
        fouled=among("H"),
        river=river,
        apple_cells=np.argwhere(orchard).astype(np.int32),
        river_cells=np.argwhere(river).astype(np.int32),
        starts=np.argwhere(among("P")).astype(np.int32),
    )


def numbered(plane: np.ndarray) -> np.ndarray:
    """[R, C] int32, the True cells numbered from 0, row by row; 0 in all other cells."""
    flat = plane.ravel()
    return np.where(flat, np.cumsum(flat) - 1, 0).reshape(plane.shape).astype(np.int32)
