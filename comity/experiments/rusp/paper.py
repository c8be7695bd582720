"""The figures of RUSP together: the metrics of records, the cost of an arm, and its small version."""

from dataclasses import replace
from typing import Any

from comity.experiments.figure import Arm, Paper
from comity.experiments.rusp.dilemmas import FIG11, OASIS
from comity.experiments.rusp.findings import FINDINGS, SAYS
from comity.experiments.rusp.groups import BUDDY, FIG10, INDIRECT
from comity.experiments.rusp.ipd import FIG3, FIG8, FIG9
from comity.recipes import Recipe

KEPT = (
    "cooperation",
    "cooperation.0",
    "return",
    "raw_return",
    "raw_return.0",
    "length",
    "welfare_sum",
    "welfare_minimum",
    "defection_against_last",
    "defection_among_others",
    "defection_among_others_since",
    "defection_in_the_end",
    "agents_in_pairs",
    "team_length",
    "team_changes",
    "ever_unchosen",
    "one_way_choices",
    "perfect",
    "sat_out",
    "apples",
    "equality",
    "sustainability",
    "peace",
    "waste",
    "cleaned",
    "hits",
    "deaths",
    "deaths_of_others",
    "only_one_died",
    "alive",
    "ate",
    "attacks",
    "entropy",
    "critic_loss",
)

COST = {  # CPU seconds of an iteration with 32 games and networks of 32
    "ipd": 0.13,
    "indirect-reciprocity": 0.28,
    "prisoners-buddy": 0.4,
    "harvest": 1.2,
    "cleanup": 1.2,
    "oasis": 0.2,
}


def cost(arm: Arm, recipe: Recipe) -> float:
    usual = 60 if arm.task.startswith("indirect") else 50
    return COST[arm.task.partition("+")[0]] * recipe.config.steps / usual * (recipe.config.width / 32) ** 1.5


SMALL: dict[str, dict[str, Any]] = {"ipd": {"length": 6}, "indirect-reciprocity": {"length": 8, "identity_size": 2}}
SMALL |= {task: {"length": 6, "radius": 2} for task in ("harvest", "cleanup")}
SMALL["oasis"] = {"length": 6, "end_chance": 0.0, "identity_size": 2}
SMALL["prisoners-buddy"] = {"length": 8, "period": 2, "identity_size": 2}


def smoke(arm: Arm) -> Arm:
    """Returns the same arm with tiny networks, short episodes and one trial, to show that the code works."""
    task = arm.task.partition("+")[0]
    small = {"width": 4, "hidden": 4, "steps": 4, "chunk": 2, "epochs": 1, "minibatches": 1}
    if arm.settings.get("versions") != 0:
        small["versions"] = 2
    name = {"ipd": "all-d", "indirect-reciprocity": "hold-out-all-d"}.get(task, "self")
    return replace(
        arm,
        name=f"{arm.name}-smoke",
        settings={**arm.settings, **small},
        options={**arm.options, **SMALL[task]},
        trials={name: arm.trials[name]},
    )


PAPER = Paper(
    "rusp",
    "Emergent reciprocity and team formation from randomized uncertain social preferences",
    {
        figure.name: figure._replace(says=SAYS[figure.name], finding=FINDINGS.get(figure.name))
        for figure in (FIG3, FIG8, FIG9, FIG10, INDIRECT, BUDDY, FIG11, OASIS)
    },
    KEPT,
    cost,
    smoke,
    (
        "self:cooperation",
        "all-c:cooperation.0",
        "all-d:cooperation.0",
        "tit-for-tat:cooperation.0",
        "unsure-self:cooperation",
        "unsure-all-d:cooperation.0",
        "hold-out-all-c:defection_in_the_end",
        "hold-out-all-d:defection_in_the_end",
        "rapport-all-c:defection_against_last",
        "rapport-all-d:defection_against_last",
        "rapport-tit-for-tat:defection_against_last",
        "rapport-all-d:defection_among_others_since",
        "self:agents_in_pairs",
        "self:team_length",
        "self:perfect",
        "self:welfare_sum",
        "self:deaths",
    ),
    "iterations",
    label="RUSP, Baker 2020",
    found=(
        "In the prisoner's dilemma, agents with random, uncertain preferences cooperate with a partner that "
        "always cooperates (93 % of their moves) and less with one that always defects (44 %). Selfish agents "
        "have only defected so far."
    ),
)
