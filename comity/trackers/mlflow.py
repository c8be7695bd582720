"""MLflow, through its client, which has no global state. Numbers go to MLFLOW_TRACKING_URI, or to MLflow's default."""

import time
from pathlib import Path
from typing import Any

from comity.extras import needed
from comity.trackers.following import Point, by_iteration, flat

EXPERIMENT = "comity"
MOST = 1000, 100  # most metrics, most params in one call of the client
LONGEST = 500  # most characters of a param


class MLflow:
    def __init__(self, run: Path, config: dict[str, Any], record: str | None):
        self.mlflow = needed("mlflow")
        self.client = self.mlflow.MlflowClient()
        if record:
            self.record = record
            self.client.update_run(record, status="RUNNING")
            return
        found = self.client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else self.client.create_experiment(EXPERIMENT)
        self.record = self.client.create_run(experiment, run_name=run.name).info.run_id
        param = self.mlflow.entities.Param
        params = [param(name, str(x)[:LONGEST]) for name, x in flat(config).items()]
        for start in range(0, len(params), MOST[1]):
            self.client.log_batch(self.record, params=params[start : start + MOST[1]])

    def add(self, points: list[Point]) -> None:
        metric, now = self.mlflow.entities.Metric, int(1e3 * time.time())
        rows = by_iteration(points).items()
        metrics = [metric(name, x, now, iteration) for iteration, row in rows for name, x in row.items()]
        for start in range(0, len(metrics), MOST[0]):
            self.client.log_batch(self.record, metrics=metrics[start : start + MOST[0]])

    def close(self, status: str) -> None:
        ends = {"finished": "FINISHED", "interrupted": "KILLED"}
        self.client.set_terminated(self.record, ends.get(status, "FAILED"))
