"""trackio: a dashboard on this machine. See it by `trackio show`."""

from pathlib import Path
from typing import Any

from comity.extras import needed
from comity.trackers.following import Point, by_iteration, flat


class Trackio:
    def __init__(self, run: Path, config: dict[str, Any], record: str | None):
        self.record = record or run.name
        settings = {name: str(x) if isinstance(x, list) else x for name, x in flat(config).items()}
        self.run = needed("trackio").init(project="comity", name=self.record, config=settings, resume="allow")

    def add(self, points: list[Point]) -> None:
        for iteration, values in by_iteration(points).items():
            self.run.log({**values, "iteration": iteration}, step=iteration)

    def close(self, status: str) -> None:
        self.run.finish()
