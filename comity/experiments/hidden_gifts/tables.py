"""Learners with every number and layer that the paper's tables print, beside those of figure 2.

The arms of all other figures keep the settings with which they were trained (`arms.learner`). There VDN, QMIX and QTRAN
have Adam's epsilon 1e-8 instead of 1e-5, QMIX a last bias from 32 hidden units instead of 64, COMA the target interval
of its code, 200 critic steps instead of one update, and SAF one linear layer where table 5 has hidden ones.
"""

from dataclasses import replace

from comity.experiments.claims import Comparison, dated
from comity.experiments.figure import Arm, Figure
from comity.experiments.hidden_gifts.arms import (
    BUDGETS,
    EPISODES,
    PANELS,
    RANDOM,
    RATES,
    SHARE,
    SUCCESS,
    WINDOW_ARMS,
)

claim = dated("2026-11-30")  # before any of the runs below
MIXERS = ("VDN", "QMIX", "QTRAN")
NAMES = (*MIXERS, "COMA", "SAF")


def by_table(known: str) -> Arm:
    name = f"{known.lower()}-tables-window"
    settings = {"COMA": RATES, "SAF": {}}.get(known, EPISODES)
    return replace(WINDOW_ARMS[known], name=name, settings=settings, condition=None)


TABLES = Figure(
    "tables",
    "Learners with every number and layer of their tables",
    {**{f"{name}, tables": by_table(name) for name in NAMES}, **{n: WINDOW_ARMS[n] for n in NAMES}, "random": RANDOM},
    BUDGETS,
    (PANELS["success"], PANELS["share"]),
    (
        claim(
            "tables-success",
            "With the tables' epsilon and bias the mixers succeed as rarely.",
            *(Comparison(f"{name}, tables", "equal", name, SUCCESS, 0.002) for name in MIXERS),
        ),
        claim(
            "tables-reward",
            "And earn as much.",
            *(Comparison(f"{name}, tables", "equal", name, SHARE, 0.01) for name in MIXERS),
        ),
        claim(
            "coma-target",
            "With the tables' target interval COMA gives up, too.",
            Comparison("COMA, tables", "equal", 0.0, SUCCESS, 0.002),
            Comparison("COMA, tables", "equal", "COMA", SHARE, 0.01),
        ),
        claim(
            "saf-layers",
            "With the tables' hidden layers SAF earns as much.",
            Comparison("SAF, tables", "equal", "SAF", SHARE, 0.05),
        ),
    ),
    smoke=("VDN, tables", "random"),
    note=(
        "A larger epsilon makes steps of small gradients smaller. The mixers draw 32 episodes instead of 1,024, and "
        "COMA has the learning rates of its code."
    ),
)
