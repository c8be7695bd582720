"""What a run says of itself: how it was made, and whether what lies in its directory is its own."""

import datetime
from typing import Any

from comity.recipes import Recipe
from comity.training.machine import fingerprint, git_state, hardware, versions
from comity.training.settings import Training


def manifest(recipe: Recipe, training: Training, command: str) -> dict[str, Any]:
    return {
        "command": command,
        "began": datetime.datetime.now().isoformat(timespec="seconds"),
        "git": git_state(),
        "versions": versions(),
        "hardware": hardware(),
        "bits": fingerprint(training.mode),  # what float bits depend on
        "step_unit": "joint actions",
        "task": f"{recipe.task.name}@{recipe.task.version}",
        "sources": [str(s.file.resolve()) for s in (recipe.task, recipe.algorithm) if s.file],
        "status": "running",
    }


def differences(then: Any, now: dict[str, Any]) -> list[str]:
    """What float bits depend on and has changed, in words. Until 28 November 2026 no option of the compiler was set."""
    then = {"compiler": {}, **then} if isinstance(then, dict) and then else {}
    return [f"{k} was {then[k]}, is {now.get(k)}" for k in then if then[k] != now.get(k)]
