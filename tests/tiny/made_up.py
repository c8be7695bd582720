"""Records of made-up seeds, and claims about them."""

from typing import Any

import numpy as np

from comity.experiments.claims import Claim, Comparison
from comity.experiments.course import Length
from comity.experiments.judging import judge
from comity.experiments.measures import Measure
from comity.experiments.significance import Relation

SUCCESS = Measure("success")


def record(curve, other=None, last=0.5):
    curve = {
        "iteration": list(range(1, len(curve) + 1)),
        "env_steps": [10 * i for i in range(1, len(curve) + 1)],
        "success": list(curve),
    }
    if other is not None:
        curve["other"] = list(other)
    return {
        "curve": curve,
        "last": {"sampled": {"success": last}},
        "settings": {"iterations": 100, "envs": 32, "algorithm": {}},
    }


def flat(*levels):
    return [record([level] * 10) for level in levels]


def long(updates: int | Length | None) -> Length | None:
    """Returns a training of so many updates, with as many games and steps as in `record`."""
    return Length(updates, updates * 32 * 10, 10, 10) if isinstance(updates, int) else updates


def both(updates: int | Length | None, labels="ab") -> dict[str, Length | None]:
    """Returns the paper's training: it trained all arms for as long."""
    return dict.fromkeys(labels, long(updates))


def judged(test, records, iterations: int | Length | dict[str, Any] | None = 100):
    lengths = iterations if isinstance(iterations, dict) else both(iterations)
    ((_, verdict, (outcome,)),) = judge(
        [Claim("c", "text", (test,), "2026-01-01")],
        records,
        {label: long(updates) for label, updates in lengths.items()},
    )
    return verdict, outcome


def above(margin=0.1, relation: Relation = "above", second: str | float = "b"):
    return Comparison("a", relation, second, SUCCESS, margin)


HIGH, LOW = flat(0.80, 0.82, 0.78, 0.81, 0.79), flat(0.50, 0.53, 0.47, 0.52, 0.48)
MID = flat(0.52, 0.50, 0.54, 0.53, 0.51)


def lines(*ends, start=0.0):
    return [record(np.linspace(start, end, 10)) for end in ends]


SIX = 0.20, 0.21, 0.19, 0.22, 0.205, 0.195
