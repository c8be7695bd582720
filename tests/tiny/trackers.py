"""Replacements for the packages that trackers call; they keep what they are told."""

import sys
import types
from typing import Any


class Told:
    """What each package was told: {package: {record: [(name, value, step)]}}, and how records ended."""

    def __init__(self):
        self.values: dict[str, dict[str, list[Any]]] = {}
        self.begun: list[tuple[str, str]] = []
        self.ends: list[tuple[str, str, Any]] = []
        self.settings: dict[str, dict[str, Any]] = {}

    def record(self, package: str, name: str) -> list[Any]:
        return self.values.setdefault(package, {}).setdefault(name, [])

    def begin(self, package: str, name: str) -> None:
        self.begun.append((package, name))


def install(monkeypatch: Any) -> Told:
    """All four packages, in place of whatever is installed."""
    told = Told()
    for name, module in (
        ("tensorboardX", tensorboard(told)),
        ("wandb", runs_of(told, "wandb")),
        ("trackio", runs_of(told, "trackio")),
        ("mlflow", mlflow(told)),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    return told


def tensorboard(told: Told) -> Any:
    class SummaryWriter:
        def __init__(self, folder: str):
            self.folder = folder
            told.begin("tensorboardX", folder)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.record("tensorboardX", self.folder).append((name, value, step))

        def flush(self) -> None: ...

        def close(self) -> None:
            told.ends.append(("tensorboardX", self.folder, None))

    return types.SimpleNamespace(SummaryWriter=SummaryWriter)


def runs_of(told: Told, package: str) -> Any:
    """wandb's and trackio's way: init returns a run."""

    def init(project: str, name: str, config: dict[str, Any], resume: str, id: str | None = None, **more: Any) -> Any:
        assert (project, resume) == ("comity", "allow")
        record = id or name
        told.begin(package, record)
        told.settings[package] = {**config, **more}

        class Run:
            def log(self, values: dict[str, float], step: int | None = None) -> None:
                told.record(package, record).append((dict(values), step))

            def finish(self, exit_code: int | None = None) -> None:
                told.ends.append((package, record, exit_code))

        return Run()

    return types.SimpleNamespace(init=init)


def mlflow(told: Told) -> Any:
    class MlflowClient:
        def get_experiment_by_name(self, name: str) -> Any:
            return None

        def create_experiment(self, name: str) -> str:
            return "1"

        def create_run(self, experiment: str, run_name: str) -> Any:
            told.begin("mlflow", run_name)
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id=f"id-{run_name}"))

        def update_run(self, record: str, status: str) -> None:
            told.begin("mlflow", f"again {record}")

        def log_batch(self, record: str, metrics: tuple[Any, ...] = (), params: tuple[Any, ...] = ()) -> None:
            assert len(metrics) <= 1000
            assert len(params) <= 100
            told.record("mlflow", record).extend(metrics)
            told.settings.setdefault("mlflow", {}).update(params)

        def set_terminated(self, record: str, status: str) -> None:
            told.ends.append(("mlflow", record, status))

    entities = types.SimpleNamespace(
        Param=lambda name, value: (name, value),
        Metric=lambda name, value, when, step: (name, value, step),
    )
    return types.SimpleNamespace(MlflowClient=MlflowClient, entities=entities)
