"""Records of made-up seeds, and claims about them."""

import functools

import numpy as np

from comity.experiments.claims import Claim, Comparison
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
    return {"curve": curve, "last": {"sampled": {"success": last}}, "settings": {"iterations": 100, "envs": 32}}


def flat(*levels):
    return [record([level] * 10) for level in levels]


BOTH = functools.partial(dict.fromkeys, "ab")  # as long as the paper trained both


def judged(test, records, iterations: int | dict[str, int | None] | None = 100):
    ((_, verdict, (outcome,)),) = judge(
        [Claim("c", "text", (test,), "2026-01-01")],
        records,
        iterations if isinstance(iterations, dict) else BOTH(iterations),
    )
    return verdict, outcome


def above(margin=0.1, relation: Relation = "above", second: str | float = "b"):
    return Comparison("a", relation, second, SUCCESS, margin)


HIGH, LOW = flat(0.80, 0.82, 0.78, 0.81, 0.79), flat(0.50, 0.53, 0.47, 0.52, 0.48)
MID = flat(0.52, 0.50, 0.54, 0.53, 0.51)


def lines(*ends, start=0.0):
    return [record(np.linspace(start, end, 10)) for end in ends]


SIX = 0.20, 0.21, 0.19, 0.22, 0.205, 0.195
