"""The value mixers with every number that their tables print, beside those of figure 2.

The arms called VDN, QMIX and QTRAN in all other figures keep two numbers of ours, `arms.OWN`: Adam's epsilon 1e-8
instead of 1e-5, and for QMIX a last bias from 32 hidden units instead of 64.
"""

from dataclasses import replace

from comity.experiments.claims import Comparison, written
from comity.experiments.figure import Arm, Figure
from comity.experiments.hidden_gifts.arms import BUDGETS, EPISODES, PANELS, RANDOM, SHARE, SUCCESS, WINDOW_ARMS

claim = written("2026-11-30")  # before any of the runs below
NAMES = ("VDN", "QMIX", "QTRAN")


def by_table(known: str) -> Arm:
    name = f"{known.lower()}-tables-window"
    return replace(WINDOW_ARMS[known], name=name, settings=EPISODES, condition=None)


TABLES = Figure(
    "tables",
    "The value mixers with every number of their tables",
    {**{f"{name}, tables": by_table(name) for name in NAMES}, **{n: WINDOW_ARMS[n] for n in NAMES}, "random": RANDOM},
    BUDGETS,
    (PANELS["success"], PANELS["share"]),
    (
        claim(
            "tables-success",
            "With the tables' epsilon and bias the mixers succeed as rarely.",
            *(Comparison(f"{name}, tables", "equal", name, SUCCESS, 0.002) for name in NAMES),
        ),
        claim(
            "tables-reward",
            "And earn as much.",
            *(Comparison(f"{name}, tables", "equal", name, SHARE, 0.01) for name in NAMES),
        ),
    ),
    smoke=("VDN, tables", "random"),
    note="A larger epsilon makes steps of small gradients smaller. All draw 32 episodes instead of 1,024.",
)
