"""Trains the teams that come with comity, and writes them to comity/references/.

    python -m studies.references [TASK ...]     # those that are missing, or the named ones anew

A team is small on purpose: all of them together are a few hundred kB of the wheel. Settings beside `sound` are in
`TEAMS`, and in each reference's config.yaml.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import comity
from comity.runs.saved import REFERENCES, references
from comity.training.references import ship


@dataclass(frozen=True)
class Team:
    """How a reference is trained."""

    algorithm: str
    iterations: int
    settings: dict[str, Any] = field(default_factory=dict)
    profile: str | None = None  # of the task
    task: dict[str, Any] = field(default_factory=dict)  # settings of it
    training: dict[str, Any] = field(default_factory=dict)
    metric: str | None = None  # what must rise; None: the headline


SMALL = {"hidden": 32, "encoder": (32,)}
TINY = {"hidden": 16, "encoder": (16,)}  # all of them have to fit into the wheel
FEW = {"evaluations": 8}
TEAMS = {
    "two-step": Team("qmix", 400, {"hidden": 16, "explore_steps": 400.0}),
    "matrix": Team("qtran", 600, {"hidden": 16, "explore_steps": 300.0}),
    "ipd": Team("lola", 200, metric="return"),
    "repeated-matrix": Team("ippo", 100, SMALL, metric="return"),
    "one-step-traffic-junction": Team("lica-exact", 60),
    "manitokan": Team("ippo", 700, SMALL),
    "cooperative-navigation": Team("ippo", 400, {**SMALL, "actors": "shared"}, "farama"),
    "physical-deception": Team("ippo", 200, SMALL, "farama"),
    "n-step": Team("ippo", 40, TINY, training=FEW, metric="return"),  # the rule; that it breaks at the end is rare
    "point-mass": Team("ippo", 120, TINY, training=FEW),
    "pendulum": Team("ippo", 90, TINY, training=FEW),
    "predator-prey": Team("ippo", 100, {**TINY, "actors": "shared"}, "farama", training=FEW),
}


def main(names: list[str]) -> None:
    for name in names or [task for task in TEAMS if task not in references()]:
        team = TEAMS[name]
        game = comity.make(name, team.profile, **team.task)
        learner = comity.algorithm(team.algorithm, **team.settings)
        settings = {"seeds": 5, "evaluations": 20, "final_episodes": 32, **team.training}
        run = comity.train(game, learner, out="runs/references", iterations=team.iterations, **settings)
        folder = ship(run, REFERENCES / name, team.metric)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        print(f"{folder}: {size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
