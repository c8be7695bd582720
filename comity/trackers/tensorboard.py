"""TensorBoard: files in the run directory, a curve per seed over env steps. See them by `tensorboard --logdir runs`."""

from pathlib import Path
from typing import Any

from comity.extras import needed
from comity.trackers.following import Point


class TensorBoard:
    def __init__(self, run: Path, config: dict[str, Any], record: str | None):
        self.make = needed("tensorboardX").SummaryWriter
        self.record = record or "tensorboard"
        self.folder, self.writers = run / "tensorboard", {}

    def add(self, points: list[Point]) -> None:
        for point in points:
            if point.seed not in self.writers:
                self.writers[point.seed] = self.make(str(self.folder / f"seed-{point.seed}"))
            for name, x in point.values.items():
                self.writers[point.seed].add_scalar(f"{point.kind}/{name}", x, point.env_steps)
        for writer in self.writers.values():
            writer.flush()

    def close(self, status: str) -> None:
        for writer in self.writers.values():
            writer.close()
