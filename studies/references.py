"""Trains the teams that come with comity, and writes them to comity/references/.

    python -m studies.references [TASK ...]     # the missing teams, or the named ones again
    python -m studies.references --page         # only docs/references.md

A team is small on purpose: all of them together take a few hundred kB of the wheel. Settings that differ from `sound`
are in `TEAMS`, and in each reference's config.yaml.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import comity
from comity.runs.saved import REFERENCES, open_run, references
from comity.training.references import reference_of, ship

PAGE = Path(__file__).parents[1] / "docs" / "references.md"
VERIFIED = 3  # number of seeds that `comity verify` trains by default


@dataclass(frozen=True)
class Team:
    """Settings with which a reference is trained."""

    algorithm: str
    iterations: int
    settings: dict[str, Any] = field(default_factory=dict)
    profile: str | None = None  # of the task
    preset: str | None = None  # of the algorithm
    task: dict[str, Any] = field(default_factory=dict)  # settings of the task
    training: dict[str, Any] = field(default_factory=dict)
    metric: str | None = None  # the metric that must rise; None: the headline


SMALL = {"hidden": 32, "encoder": (32,)}
TINY = {"hidden": 16, "encoder": (16,)}  # all references have to fit into the wheel
FEW = {"evaluations": 8}
FEW_GAMES = {"evaluations": 4, "seeds": 3, "envs": 16}
TEAM = {"credit": "sum"}  # learners from their own reward alone end below random play here
PICTURES = {**SMALL, "trunk": "shared"}
EASY = {"reward": "oracle", "size": 3, "length": 100, "symbols": 2, "observe": "last-action+door-signal+key-signal"}
CURIOUS = {**SMALL, "entropy_coefficient": 0.02, "counts": {"weight": 0.1, "counted": "joint"}}  # random play fails
OPEN = {"size": 12, "length": 100, "hold_open": 8}
FED = {"agents": 2, "least_side": 1.5, "most_side": 1.5, "least_food": 20.0, "most_food": 20.0, "length": 40}
GRAZERS = {**SMALL, **TEAM, "normalise_views": True}
TEAMS = {
    "two-step": Team("qmix", 400, {"hidden": 16, "explore_steps": 400.0}),
    "matrix": Team("qtran", 600, {"hidden": 16, "explore_steps": 300.0}),
    "ipd": Team("lola", 200, metric="return"),
    "repeated-matrix": Team("ippo", 100, SMALL, metric="return"),
    "one-step-traffic-junction": Team("lica-exact", 60),
    "manitokan": Team("ippo", 700, SMALL),
    "cooperative-navigation": Team("ippo", 400, {**SMALL, "actors": "shared"}, "farama"),
    "physical-deception": Team("ippo", 200, SMALL, "farama"),
    "n-step": Team("ippo", 40, TINY, training=FEW, metric="return"),  # it learns the rule; the break at the end is rare
    "point-mass": Team("ippo", 120, TINY, training=FEW),
    "pendulum": Team("ippo", 90, TINY, training=FEW),
    "predator-prey": Team("ippo", 100, {**TINY, "actors": "shared"}, "farama", training=FEW),
    "smac": Team("ippo", 120, SMALL, preset="fast", training=FEW),
    "coin-game": Team("ippo", 150, SMALL, "m-fos", "fast", training=FEW, metric="coins"),
    "n-ipd": Team("ippo", 40, {**TINY, **TEAM}, preset="fast", training=FEW),
    "indirect-reciprocity": Team("ippo", 60, {**TINY, **TEAM}, preset="fast", training=FEW),
    "prisoners-buddy": Team("ippo", 200, {**TINY, **TEAM}, "one-head", "fast", {"unanswered": -1.0}, FEW),
    "cooperative-communication": Team("ippo", 600, SMALL, "farama", "fast", training=FEW, metric="return"),
    "reacher": Team("ippo", 600, SMALL, preset="fast", training=FEW),
    "cartpole-swing-up": Team("ippo", 400, SMALL, preset="fast", training=FEW),
    "cleanup-lite": Team("ippo", 700, {**SMALL, **TEAM}, preset="fast", training=FEW),
    "harvest": Team("ippo", 40, PICTURES, "laptop", "images", training=FEW_GAMES, metric="return"),
    "cleanup": Team("ippo", 40, PICTURES, "laptop", "images", training=FEW_GAMES, metric="return"),
    "manitokan-messages": Team("pg", 600, {"hidden": 32}, preset="fast", task=EASY, training=FEW),
    "push-box": Team("ippo+counts", 1000, CURIOUS, preset="fast", task={"size": 6, "length": 100}, training=FEW),
    "secret-room": Team("ippo+counts", 600, CURIOUS, preset="fast", task=OPEN, training=FEW),
    "oasis": Team("ippo", 500, GRAZERS, "short", "fast", FED, FEW),
}
WITHOUT: dict[str, str] = {}  # task: why it has no reference
HEAD = "| task | learner | measured | mean | seeds | untrained | least | seconds |"


def page() -> str:
    """Returns docs/references.md, whose table is made from the references' files."""
    text, rows = PAGE.read_text(encoding="utf-8").partition(HEAD)[0], [HEAD, "| --- " * 8 + "|"]
    for task in references():
        said, algorithm = reference_of(REFERENCES / task), open_run(REFERENCES / task).algorithm.partition("@")[0]
        low, high = min(said.scores), max(said.scores)
        seeds = f"{low:.3g} to {high:.3g}" if low < high else "all the same"
        numbers = f"{said.mean:.3g} | {len(said.scores)}: {seeds} | {said.untrained:.3g} | {said.least(VERIFIED):.3g}"
        rows.append(f"| `{task}` | {algorithm} | {said.metric}, {said.policy} | {numbers} | {said.seconds:.0f} |")
    if WITHOUT:
        rows += ["", "These have no trained team:", "", *(f"- `{task}`: {why}" for task, why in WITHOUT.items())]
    return text + "\n".join(rows) + "\n"


def main(names: list[str]) -> None:
    if names == ["--page"]:
        PAGE.write_text(page(), encoding="utf-8")
        return
    for name in names or [task for task in TEAMS if task not in references()]:
        team = TEAMS[name]
        game = comity.make(name, team.profile, **team.task)
        learner = comity.algorithm(team.algorithm, team.preset, **team.settings)
        settings = {"seeds": 5, "evaluations": 20, "final_episodes": 32, **team.training}
        run = comity.train(game, learner, out="runs/references", iterations=team.iterations, **settings)
        folder = ship(run, REFERENCES / name, team.metric)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        print(f"{folder}: {size / 1000:.0f} kB")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
