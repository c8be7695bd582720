"""The figures of ALITA together: the metrics of records, the cost of an arm, and its small version."""

from dataclasses import replace
from typing import Any

from comity.experiments import battles
from comity.experiments.alita.battles import FIG3, FIG4
from comity.experiments.alita.bodies import FIG5, METHODS
from comity.experiments.alita.estimates import FIG1
from comity.experiments.alita.findings import FINDINGS, SAYS
from comity.experiments.alita.grids import TABLE1
from comity.experiments.alita.particles import ABLATIONS, TABLE2, TABLE3, TABLE4
from comity.experiments.figure import Arm, Paper
from comity.recipes import Recipe

KEPT = (
    "return",
    "return.0",
    "length",
    "boxes",
    "pushed",
    "cells",
    "joint_cells",
    "success",
    "doors_opened",
    "distance",
    "final_distance",
    "occupied",
    "collisions",
    "collisions_begun",
    "reach_10",
    "reach_15",
    "reach_20",
    "good_success",
    "adversary_success",
    "success_margin",
    "influence",
    "influence_error",
    "old_buffer_gap",
    "intrinsic_reward",
    "novelty_error",
    "entropy",
    "critic_loss",
    "influence_said",
    "influence_true",
    "influence_bias",
    "value_error",
    "value_bias",
    "value_size",
    "value_square",
    *battles.KEPT,
    "greedy:return",
    "greedy:alone.0",
    "greedy:alone.1",
)
STEPWISE = {"hidden": 4, "steps": 4, "every": 20, "capacity": 200, "batch": 8, "warmup": 8}
OWN = {"influence_batch": 4, "novelty_hidden": (4, 2, 4), "novelty_capacity": 50, "novelty_batch": 8, "searched": 4}
SMALL: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("maddpg", "ddpg", "iddpg"), STEPWISE),
    "alita": {**STEPWISE, **OWN},
    "alita-td3": {**STEPWISE, **OWN},
    **dict.fromkeys(("td3", "sac"), STEPWISE),
    "acktr": {"hidden": 4, "steps": 4},
    "dqn": {"hidden": 4, "capacity": 8, "batch": 2, "warmup": 2},
    "actor-critic": {"hidden": 4, "steps": 4},
    "trpo": {"hidden": 4},
    "reinforce": {"hidden": 4},
}


# CPU seconds of a rollout of 32 games and of learning from it; 30 November 2026, two cores that were shared.
SECONDS = {
    "push-box": {"alita": 0.051, "maddpg": 0.024, "random": 0.003, "rival": 1.1},
    "secret-room": {"alita": 0.055, "maddpg": 0.026, "random": 0.003, "rival": 1.1},
    "particle": {"alita": 0.085, "maddpg": 0.05, "iddpg": 0.04, "random": 0.004, "other": 0.05, "two": 0.13},
}


MUJOCO_STEP = 1.5e-4  # of a step of a body, with the transfer between it and the learner


def cost(arm: Arm, recipe: Recipe) -> float:
    """CPU seconds of an iteration with 32 games."""
    if arm.task.startswith("smac/"):
        return battles.cost(arm)
    if arm.budget.startswith(("jax-", "mujoco-")):
        one = next(x for x in METHODS.values() if arm.budget.endswith(f"-{x.short}"))
        body = MUJOCO_STEP * one.steps * one.games if arm.task.startswith("mujoco:") else 0.0
        return (one.seconds + body) * 32 / one.games
    of_task = SECONDS.get(arm.task, SECONDS["particle"])
    if arm.algorithm.startswith("ippo"):
        return of_task["rival"]
    if ":" in arm.algorithm:
        return of_task["two"]
    seconds = of_task.get(arm.algorithm, SECONDS["particle"]["other"])
    everyone = 2.0 if arm.settings.get("influencers") == () else 1.0
    six = 3.5 if arm.profile == "classic-6" and arm.algorithm != "random" else 1.0
    return seconds * everyone * six * (1.5 if arm.settings.get("influence_of") == "extrinsic" else 1.0)


def smoke(arm: Arm) -> Arm:
    """Returns the same arm, made small, to show that the code works."""
    if arm.task.startswith("smac/"):
        return battles.smoke(arm)
    settings = {**arm.settings, **SMALL.get(arm.algorithm, {})}
    if ":" in arm.algorithm:
        members = (one.partition(":") for one in arm.algorithm.split(","))
        settings = {role: {**arm.settings[role], **SMALL[name]} for role, _, name in members}
    elif arm.algorithm.startswith("ippo"):
        settings |= {"hidden": 4, "encoder": (4,), "steps": 4, "chunk": 4, "epochs": 1}  # bonuses stay as they are
    return replace(arm, name=f"{arm.name}-smoke", settings=settings, options={**arm.options, "length": 4})


PAPER = Paper(
    "alita",
    "Influence-based reinforcement learning for intrinsically-motivated agents",
    {figure.name: figure._replace(says=SAYS[figure.name], finding=FINDINGS.get(figure.name))
     for figure in (FIG1, FIG3, FIG4, TABLE1, TABLE2, TABLE3, TABLE4, ABLATIONS, FIG5)},
    KEPT,
    cost,
    smoke,
    columns=("boxes", "success", "joint_cells", "distance", "collisions", "reach_10", "reach_15", "reach_20",
             "final_distance", "good_success", "adversary_success", "success_margin", "test:won"),
    batch="rollouts",
    label="ALITA, Fayad & Ibrahim 2021",
    found=(
        "In communication ALITA reaches 45 % of its goals and MADDPG 18 %. In Push-Box and Secret Room "
        "nobody has earned anything so far."
    ),
)  # fmt: skip
