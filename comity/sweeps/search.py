"""A search for good settings: Optuna draws trials, and its study lies beside the rows, so that all workers share it.

A trial has a row, which is claimed like any other. Its values are written down before it is trained, so that a worker
that takes it over continues with the same values. If a worker is killed before that, its trial is reported as failed
and drawn again. Optuna is told the result before the row is marked as over: after a kill in between the result is only
told again, which has no effect.
"""

import datetime
import json
import math
from typing import Any

from comity.extras import needed
from comity.runs.reading import read_json
from comity.runs.writing import write_text
from comity.sweeps.claims import LEASE
from comity.sweeps.plan import Row, Sweep, with_values
from comity.sweeps.ranges import TRIAL

JOURNAL = "search.journal"  # Optuna's log of what all workers did, in the sweep's folder
STARTUP = 5  # this many trials have to end by themselves before one is pruned
WARM_UP = 10  # no trial is pruned in the first 1 / WARM_UP of its iterations


class Pruned(Exception):
    """Raised if the trial is worse than others were at the same iteration."""


class Trial:
    """One trial: its values and its reports to Optuna."""

    def __init__(self, sweep: Sweep, row: Row):
        """Draws the trial's values, or reads them if they were drawn before. Raises ImportError without Optuna."""
        self.optuna: Any = needed("optuna")
        self.row, self.folder, self.about = row, sweep.of(row), row.search or {}
        self.study = self._study(sweep)
        try:
            drawn = read_json(self.folder / TRIAL)
        except (FileNotFoundError, ValueError):
            drawn = self._drawn()
        self.number: int = drawn["number"]
        self.values: dict[str, Any] = {
            one["name"]: _value(one, drawn["values"][one["name"]]) for one in self.about["ranges"]
        }
        self.config = with_values(row, self.values)

    def _study(self, sweep: Sweep) -> Any:
        storages, samplers = self.optuna.storages, self.optuna.samplers
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        journal = str((sweep.path / JOURNAL).resolve())
        lock = storages.journal.JournalFileOpenLock(journal)  # a worker killed inside delays others by 30 s
        storage = storages.JournalStorage(storages.journal.JournalFileBackend(journal, lock_obj=lock))
        # Each row has its own seed, so that a worker that starts again does not repeat earlier draws.
        sampler = samplers.TPESampler(seed=int(self.row.name, 16) % 2**32, constant_liar=True)
        return self.optuna.create_study(
            storage=storage, sampler=sampler, pruner=self._pruner(), study_name=self.about["study"],
            direction="maximize", load_if_exists=True,
        )  # fmt: skip

    def _pruner(self) -> Any:
        training, pruners = self.row.config["training"], self.optuna.pruners
        by_time = training.get("minutes") or training.get("cpu_seconds")  # iterations are then only an upper limit
        first = 1 if by_time else -(-training["iterations"] // WARM_UP)
        if self.about["prune"] == "median":
            return pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=first)
        if self.about["prune"] == "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=3)
        return pruners.NopPruner()

    def _drawn(self) -> dict[str, Any]:
        """Draws new values and writes them down. Trials that a killed worker asked for are reported as failed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        states, now = self.optuna.trial.TrialState, datetime.datetime.now()
        for one in self.study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            of, begun = one.user_attrs.get("row"), one.datetime_start or now
            if of == self.row.name or (of is None and (now - begun).total_seconds() > LEASE):
                self.study.tell(one.number, state=states.FAIL, skip_if_finished=True)
        trial = self.study.ask()
        trial.set_user_attr("row", self.row.name)
        drawn = {"number": trial.number, "values": {x["name"]: _suggested(trial, x) for x in self.about["ranges"]}}
        write_text(self.folder / TRIAL, json.dumps(drawn) + "\n")
        return drawn

    @property
    def _frozen(self) -> Any:
        return self.study.get_trials(deepcopy=False)[self.number]

    @property
    def pruned(self) -> bool:
        """True if the trial was already pruned by a worker that was killed before it marked the row."""
        return self._frozen.state == self.optuna.trial.TrialState.PRUNED

    def __call__(self, event: str, facts: dict[str, Any]) -> None:
        """Listens to the trial's run: reports each evaluation to Optuna, and raises Pruned if the trial should end."""
        if event != "evaluation" or facts["which"] != "periodic" or not facts["lines"]:
            return
        lines, objective = facts["lines"], self.about["objective"]
        step = lines[0]["iteration"]
        if objective not in lines[0]["mean"]:
            known = ", ".join(lines[0]["mean"])
            raise ValueError(f"objective {objective!r} is not among the metrics of {self.row.task}: {known}")
        value = mean([line["mean"][objective] for line in lines if line["policy"] == "sampled"])
        frozen = self._frozen
        if step == 0 or value is None or frozen.state.is_finished():
            return
        trial = self.optuna.trial.Trial(self.study, frozen._trial_id)
        if step not in frozen.intermediate_values:  # after a kill, evaluations since the checkpoint are repeated
            trial.report(value, step)
        if trial.should_prune():
            raise Pruned(f"{objective} {value:g} at iteration {step}")

    def tell(self, status: str, value: float | None) -> None:
        """Tells Optuna the result of the trial. The value counts only if the trial finished."""
        states = self.optuna.trial.TrialState
        if status == "finished" and value is not None:
            self.study.tell(self.number, value, skip_if_finished=True)
        else:
            self.study.tell(
                self.number, state=states.PRUNED if status == "pruned" else states.FAIL, skip_if_finished=True
            )


def mean(values: list[float | None]) -> float | None:
    """Mean over seeds; None if one value is unknown."""
    known = [x for x in values if x is not None and math.isfinite(x)]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _suggested(trial: Any, one: dict[str, Any]) -> Any:
    """Draws a value from a range with Optuna. Choices are drawn as JSON, since some are neither words nor numbers."""
    if "choices" in one:
        return trial.suggest_categorical(one["name"], [json.dumps(x) for x in one["choices"]])
    suggest = trial.suggest_int if one["kind"] == "int" else trial.suggest_float
    step = {} if one["step"] is None else {"step": one["step"]}
    return suggest(one["name"], one["low"], one["high"], log=one["log"], **step)


def _value(one: dict[str, Any], drawn: Any) -> Any:
    return json.loads(drawn) if "choices" in one else drawn
