"""Weights & Biases, offline unless WANDB_MODE says otherwise: no account is needed. `wandb sync` sends a run later."""

import os
from pathlib import Path
from typing import Any

from comity.extras import needed
from comity.trackers.following import Point, by_iteration, flat


class Wandb:
    def __init__(self, run: Path, config: dict[str, Any], record: str | None):
        self.record = record or run.name
        self.run = needed("wandb").init(
            project=os.environ.get("WANDB_PROJECT", "comity"),
            id=self.record,
            name=run.name,
            resume="allow",
            mode=os.environ.get("WANDB_MODE", "offline"),
            dir=str(run),
            config=flat(config),
        )

    def add(self, points: list[Point]) -> None:
        for iteration, values in by_iteration(points).items():
            self.run.log({**values, "iteration": iteration})

    def close(self, status: str) -> None:
        self.run.finish(exit_code=int(status not in ("finished", "interrupted")))
