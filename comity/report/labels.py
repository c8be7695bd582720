"""Labels of runs: the algorithm, and the settings in which the runs differ."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comity.runs.saved import SavedRun, section

# Fields of `training` that change what is recorded or how fast, but not what is learned: they give no new label.
BOOKKEEPING = frozenset(
    (
        "seeds",
        "first_seed",
        "chunk",
        "minutes",
        "cpu_seconds",
        "keep_every",
        "evaluations",
        "evaluate_every",
        "evaluation_episodes",
        "final_episodes",
        "mode",
        "memory",
        "episodes",
        "out",
        "track",
    )
)


def labels(runs: Sequence[SavedRun], tasks: bool = True) -> list[str]:
    """Returns for each run its algorithm and the config fields in which these runs differ: `pg · observe=last-action`.

    Algorithm fields are compared with runs of the same algorithm, task fields with runs of the same task, training
    fields with all, and so are the runs that they started from. If presets (profiles) differ, they are named instead of
    the fields that they set; fields that also differ within one preset are named as well. Equal labels mean that only
    seeds and bookkeeping differ. tasks: False leaves the task fields out.
    """
    names = [run.algorithm for run in runs]
    parts = [[name] for name in names]
    sections = [(names, [section(run, "algorithm") for run in runs], "preset")]
    if tasks:
        sections.append(([run.task for run in runs], [section(run, "task") for run in runs], "profile"))
    training = [{k: v for k, v in section(run, "training").items() if k not in BOOKKEEPING} for run in runs]
    # The number of iterations is part of an algorithm's budget, so it is compared only within an algorithm.
    sections.append((names, [{k: v for k, v in t.items() if k == "iterations"} for t in training], ""))
    sections.append(([""] * len(runs), [{k: v for k, v in t.items() if k != "iterations"} for t in training], ""))
    sections.append(([""] * len(runs), [{"initialise": start} for start in starts(runs)], ""))
    for kinds, configs, preset in sections:
        for part, differences in zip(parts, distinguish(kinds, configs, preset), strict=True):
            part.extend(differences)
    return [" · ".join(part) for part in parts]


def starts(runs: Sequence[SavedRun]) -> list[str | None]:
    """Returns for each run the run and the iteration that it started from (`--initialise`), `NAME@ITERATION`; None if
    from scratch. If two have the same name, their whole paths stand there.
    """
    paths = [run.config.get("initialise") for run in runs]
    names = {str(path): Path(str(path)).name for path in paths if path}
    whole = len(set(names.values())) < len(names)
    found: list[str | None] = []
    for run, path in zip(runs, paths, strict=True):
        said = run.manifest.get("initialised")
        iteration = said.get("iteration") if isinstance(said, dict) else None
        name = str(path) if whole else names.get(str(path))
        found.append((name if iteration is None else f"{name}@{iteration}") if path else None)
    return found


def task_labels(runs: Sequence[SavedRun]) -> list[str]:
    """Returns for each run its task and the task fields in which runs of that task differ."""
    tasks = [run.task for run in runs]
    found = distinguish(tasks, [section(run, "task") for run in runs], "profile")
    return [" · ".join([task, *differences]) for task, differences in zip(tasks, found, strict=True)]


def film_titles(runs: Sequence[SavedRun], titles: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns titles of films side by side: each with the settings in which its run differs from the others, and with
    the run's name where titles would still be equal.
    """
    differences = [label.split(" · ")[1:] for label in labels(runs)]
    found = [" · ".join([title, *some]) for title, some in zip(titles, differences, strict=True)]
    return [f"{text} ({name})" if found.count(text) > 1 else text for text, name in zip(found, names, strict=True)]


def labels_by_task(runs: Sequence[SavedRun]) -> list[str]:
    """Returns labels of algorithms that mean the same on every task: only differences within a task count."""
    tasks, found = task_labels(runs), [""] * len(runs)
    for task in dict.fromkeys(tasks):
        where = [i for i, t in enumerate(tasks) if t == task]
        for i, label in zip(where, labels([runs[i] for i in where], tasks=False), strict=True):
            found[i] = label
    return found


def distinguish(kinds: Sequence[str], configs: Sequence[dict[str, Any]], preset: str) -> list[list[str]]:
    """Returns for each config the fields (`name=value`) in which it differs from others of its kind, presets first."""
    found: list[list[str]] = []
    for kind, config in zip(kinds, configs, strict=True):
        same_kind = [c for k, c in zip(kinds, configs, strict=True) if k == kind]
        shown = varying(same_kind)
        if preset in shown:
            within = {str(c.get(preset)): [d for d in same_kind if d.get(preset) == c.get(preset)] for c in same_kind}
            shown = [preset, *dict.fromkeys(f for some in within.values() for f in varying(some))]
        found.append([f"{field.replace('_', '-')}={text_of(config.get(field))}" for field in shown])
    return found


def varying(configs: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the fields that do not have the same value in all configs."""
    fields = dict.fromkeys(field for config in configs for field in config)
    return [f for f in fields if any(repr(c.get(f)) != repr(configs[0].get(f)) for c in configs)]


def text_of(value: Any) -> str:
    """Returns a config value as it is written on the command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return "(" + ",".join(text_of(x) for x in value) + ")"
    return "none" if value is None else str(value)
