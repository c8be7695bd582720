"""Measures the effect of each number of the presets `fast`, and compares learners after equal seconds of training.

    python benchmarks/fast_presets.py ablation [--only "PG on manitokan"] [--seeds 3] [--limit 60]
    python benchmarks/fast_presets.py equal [--seeds 3] [--limit 8]
    python benchmarks/fast_presets.py ablation --table

ablation: each number of the preset alone is set back to its value in `sound`. The function of `comity bench --to-score`
measures seconds of training until the score is held, with the aims of docs/results/to_score_*.json. equal: the scores
of learners after the same number of seconds. Each finished row and seed is a line of docs/results/fast_ablation.jsonl
or equal_seconds.jsonl, so the work may be stopped and continued; --table only prints. One process on one core compiles
a program once for all seeds and rates, so its compile times mean nothing.
"""

import argparse
import dataclasses
import json
import math
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["COMITY_PROGRAMS"] = ""

from comity.bench import to_score
from comity.bench.measure import pin
from comity.recipes import Recipe, find_algorithm, find_task, settings_of
from comity.training import remembered

RESULTS = Path(__file__).parent.parent / "docs" / "results"
FILES = {"ablation": RESULTS / "fast_ablation.jsonl", "equal": RESULTS / "equal_seconds.jsonl"}
CLAIMED = "to_score_spread.json", "to_score_3m.json", "to_score_manitokan.json"
LARGEST = {  # tasks on which a seed takes half a minute: the settings that change the cost of an update most, and rates
    "manitokan": ("core", "actors", "critic_schedule", "learning_rate", "gamma")
}
EQUAL = {  # task, profile: metric of the greedy policy
    ("cooperative-navigation", "jaxmarl"): "return",
    ("smac/3m", "paper"): "won",
}
LEARNERS = "pqn", "iql", "vdn"  # with preset `sound`


@dataclasses.dataclass(frozen=True)
class Row:
    """A learner with one change, measured for every seed."""

    learner: str
    change: str
    config: dict[str, Any]
    aim: to_score.Aim
    envs: int = 32


def recipe_of(task: str, profile: str | None, name: str, preset: str, changes: dict[str, Any]) -> Recipe:
    game, learner = find_task(task), find_algorithm(name)
    config = dataclasses.replace(settings_of(learner, preset, "preset"), **changes)
    return Recipe(game, settings_of(game, profile, "profile"), learner, config, profile, preset)


def ablation() -> Iterator[Row]:
    for file in CLAIMED:
        for one in json.loads((RESULTS / file).read_text(encoding="utf-8"))["learners"]:
            task, name, profile = one["task"], one["algorithm"], one["config"]["task"]["profile"]
            preset = find_algorithm(name).presets["fast"]
            sound = settings_of(find_algorithm(name), "sound", "preset")
            back = {"nothing": {}} | {x: {x: getattr(sound, x)} for x in LARGEST.get(task, preset)}
            for change, settings in back.items():
                config = recipe_of(task, profile, name, "fast", settings).describe()
                told = f"{change} {preset[change]} -> {settings[change]}" if settings else change
                yield Row(f"{name} on {task}", told, config, to_score.Aim(**one["aim"]), one["envs"])
            everything = recipe_of(task, profile, name, "sound", {}).describe()
            if task not in LARGEST:
                yield Row(f"{name} on {task}", "everything", everything, to_score.Aim(**one["aim"]), one["envs"])


def equal() -> Iterator[Row]:
    for (task, profile), metric in EQUAL.items():
        for name in LEARNERS:
            aim = to_score.Aim(math.inf, metric, "greedy", every=50)
            yield Row(task, name, recipe_of(task, profile, name, "sound", {}).describe(), aim)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def table(lines: list[dict[str, Any]], rows: list[Row], what: str) -> None:
    """Prints medians over the finished seeds."""
    for row in rows:
        found = [x for x in lines if (x["learner"], x["change"]) == (row.learner, row.change)]
        if not found:
            continue
        ms = statistics.median(1e3 * x["spent"] / x["points"][-1]["iteration"] for x in found)
        if what == "ablation":
            seconds = [x["seconds"] for x in found]
            middle, held = to_score.middle(seconds), sum(x is not None for x in seconds)
            each = ", ".join("-" if x is None else f"{x:.1f}" for x in seconds)
            median = f"{middle:.1f}" if math.isfinite(middle) else f"more than {found[0]['limit']:g}"
            cells = [f"{held} of {len(found)}", median, each, f"{ms:.1f}"]
        else:
            last = [x["points"][-1] for x in found]
            scores, steps = [x["score"] for x in last], statistics.median(x["env_steps"] for x in last)
            cells = [f"{statistics.median(scores):.2f}", ", ".join(f"{x:.2f}" for x in scores), f"{steps:,.0f}"]
            cells += [f"{ms:.1f}"]
        print(f"| {row.learner} | {row.change} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=FILES)
    parser.add_argument("--only", help="beginning of a row's learner")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--limit", type=float, help="seconds of training; none: as claimed, or 8")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    rows, file = list(ablation() if given.what == "ablation" else equal()), FILES[given.what]
    if not given.table:
        pin(1)
        known, done = remembered.Programs(), {(x["learner"], x["change"], x["seed"]) for x in lines_of(file)}
        for row in rows:
            limit = given.limit or (row.aim.limit if given.what == "ablation" else 8.0)
            for seed in range(given.first_seed, given.first_seed + given.seeds):
                if (row.learner, row.change, seed) in done or not row.learner.startswith(given.only or ""):
                    continue
                found = to_score.measured(row.config, seed, row.envs, row.aim._replace(limit=limit), known)
                line = {"learner": row.learner, "change": row.change, "limit": limit, **found}
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(line) + "\n")
                print(f"{row.learner}, {row.change}, seed {seed}: {found['seconds']}", flush=True)
    table(lines_of(file), rows, given.what)


if __name__ == "__main__":
    main()
