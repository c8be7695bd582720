"""The search of a study: ranges of settings, as text or as a mapping, and the number of trials. No jax, no Optuna."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

TRIALS = 20
TRIAL = "trial.json"  # in a row's folder: the values that were drawn for it
PRUNE = "median"
PRUNERS = ("median", "halving", "none")


@dataclasses.dataclass(frozen=True)
class Range:
    """Values that a setting may have: from the first of `ends` to the last, or one of them."""

    name: str
    ends: tuple[Any, ...]  # (low, high), or all choices
    log: bool = False
    step: float | int | None = None
    choices: bool = False

    def tried(self, index: int) -> Any:
        return self.ends[min(index, len(self.ends) - 1)]

    def settled(self, section: str, setting: str, value: Any, whole: bool) -> dict[str, Any]:
        """Returns the range as a trial keeps it. value: the setting at the low end; whole: only whole numbers.

        Raises ValueError.
        """
        place = {"name": self.name, "section": section, "setting": setting}
        if setting in ("preset", "profile", "seeds", "first_seed"):
            raise ValueError(
                f"search: {self.name} cannot be searched: list its values under vary; each then has its own search"
            )
        if self.choices:
            return {**place, "choices": list(self.ends)}
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"search: {self.name} is no number: give its values, such as {self.name}=a,b")
        kind = int if whole else float
        low, high = (kind(float(end)) for end in self.ends)
        step = None if self.step is None else kind(self.step)
        return {**place, "kind": kind.__name__, "low": low, "high": high, "log": self.log, "step": step}


def check(study: Mapping[str, Any]) -> None:
    """Raises ValueError with one line if the search of the study is wrong."""
    if not study.get("search"):
        if given := next((key for key in ("trials", "objective", "prune") if key in study), None):
            raise ValueError(
                f"{given} belongs to a search, but the study has none: try --search learning_rate=1e-5:1e-2:log"
            )
        return
    found = asked(study)
    if study.get("apart"):
        raise ValueError("apart and search do not go together: what a trial is worth is the mean over its seeds")
    trials, prune = study.get("trials", TRIALS), pruner(study)
    if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
        raise ValueError(f"trials {trials!r} is not a whole number of 1 or more: give one")
    if prune not in PRUNERS:
        raise ValueError(f"prune {prune!r} is not one of {', '.join(PRUNERS)}")
    if not isinstance(study.get("objective", ""), str):
        raise ValueError(f"objective {study['objective']!r} is no metric: give a name, such as return")
    entries = [entry for key in ("tasks", "algorithms") for entry in study[key] if isinstance(entry, dict)]
    for of in (study, *entries):
        for name in of.get("vary") or {}:
            if str(name).replace("-", "_") in found:
                raise ValueError(f"{name} is varied and searched: keep one of the two")


def pruner(study: Mapping[str, Any]) -> Any:
    """Returns the name of the pruner. YAML reads `none` as null."""
    given = study.get("prune", PRUNE)
    return "none" if given is None else given


def asked(study: Mapping[str, Any]) -> dict[str, Range]:
    """Returns {setting: its range}. Raises ValueError with one line."""
    search = study["search"]
    if not isinstance(search, dict):
        raise ValueError(f"search {search!r}: give settings with ranges, such as learning_rate: '1e-5:1e-2:log'")
    named = {str(name).replace("-", "_"): value for name, value in search.items()}
    return {name: parsed(name, value) for name, value in named.items()}


def parsed(name: str, value: Any) -> Range:
    """Returns the range that `LOW:HIGH`, `LOW:HIGH:log` or `LOW:HIGH:STEP` means, or a mapping with low, high, log,
    step. A list gives choices. Raises ValueError with one line.
    """
    if isinstance(value, list):
        if len(value) < 2:
            raise ValueError(f"search: {name} {value!r}: give two values or more")
        return Range(name, tuple(value), choices=True)
    how = f"search: {name} {value!r} is no range: give LOW:HIGH, LOW:HIGH:log or LOW:HIGH:STEP (in YAML in quotes)"
    if isinstance(value, str):
        low, _, rest = value.partition(":")
        high, _, more = rest.partition(":")
        value = {"low": low, "high": high, **({"log": True} if more == "log" else {"step": more} if more else {})}
    if not isinstance(value, dict) or not {"low", "high"} <= value.keys() <= {"low", "high", "log", "step"}:
        raise ValueError(how)
    log = value.get("log", False)
    try:
        low, high = _number(value["low"]), _number(value["high"])
        step = None if value.get("step") is None else _number(value["step"])
    except (TypeError, ValueError):
        raise ValueError(how) from None
    if not isinstance(log, bool):
        raise ValueError(f"search: {name}: log {log!r} is neither true nor false")
    if not low < high:
        raise ValueError(f"search: {name}: {low:g} is not below {high:g}: give LOW:HIGH")
    if log and (low <= 0 or step is not None):
        raise ValueError(f"search: {name}: a log range has numbers above 0 and no step, got {low:g}:{high:g}")
    if step is not None and not 0 < step <= high - low:
        raise ValueError(f"search: {name}: step {step:g} does not fit between {low:g} and {high:g}")
    return Range(name, (low, high), log, step)


def _number(value: Any) -> int | float:
    """Reads a number, also from a text, as which YAML reads 1e-5. Raises ValueError, TypeError."""
    if isinstance(value, bool):
        raise TypeError(value)
    if isinstance(value, int):
        return value
    try:
        return int(value) if isinstance(value, str) else _finite(float(value))
    except ValueError:
        return _finite(float(value))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(value)
    return value
