"""The iterated prisoner's dilemma, with the payoffs and horizons of three papers.

coala: Meulemans et al. 2025 (COALA-PG, arXiv 2410.18636); rusp: Baker 2020 (arXiv 2011.05373), whose episodes end by
chance; lola: Foerster et al. 2018 (arXiv 1709.04326), also used by M-FOS. docs/tasks/repeated_matrix.md.
"""

from dataclasses import dataclass
from typing import Any

from comity.environments.matrix.repeated_matrix import RepeatedMatrix

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {
    "coala": {"payoffs": (1.0, -1.0, 2.0, 0.0), "length": 10},
    "rusp": {"payoffs": (2.0, -2.0, 4.0, 0.0), "length": 100, "end_chance": 0.1, "sees": "actions"},
    "lola": {"payoffs": (-1.0, -3.0, 0.0, -2.0), "length": 150},
}


@dataclass(frozen=True)
class IPD(RepeatedMatrix):
    """Two players. Cooperating costs an agent less than it gives the other. See `RepeatedMatrix`."""

    payoffs: tuple[float, ...] = (1.0, -1.0, 2.0, 0.0)  # own points for CC, CD, DC, DD
