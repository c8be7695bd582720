"""Makes the recipe that a run's config describes, and checks that task and algorithm still have the same versions."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comity.names import parsed, versioned
from comity.recipes.naming import algorithm_source, task_source
from comity.recipes.objects import from_objects
from comity.recipes.recipe import Recipe
from comity.recipes.settings import settings_of
from comity.recipes.source import Source
from comity.recipes.user_files import module_of_config
from comity.runs.renamed import as_now
from comity.runs.trust import NOTHING, Trust, allowed, chosen
from comity.runs.values import same
from comity.settings import did_you_mean

ANY = {"name": "matrix"}, {"name": "random"}  # any task and any algorithm, where only the other one is needed


SECTIONS = ("comity", "task", "algorithm", "training", "initialise")  # the sections of a config.yaml


def from_config(config: dict[str, Any], folder: Path | None = None, trust: Trust = NOTHING) -> Recipe:
    """Makes the recipe that a config.yaml describes. folder: the run directory, with copies of a user's own files.

    The config may come from a stranger. Its names are those of shipped tasks and algorithms, or of files, among which
    `comity.runs.trust` chooses. Raises ValueError if the task or algorithm has another version now, or if code came
    with the run and is not trusted.
    """
    for name in config.keys() - set(SECTIONS):
        raise ValueError(
            f"the config has no section {name!r}{did_you_mean(name, SECTIONS)}; known: {', '.join(SECTIONS)}"
        )

    if not isinstance(start := config.get("initialise"), str | None):
        raise ValueError(f"initialise {start!r} is no run: give the path of one, in quotes, or leave it out")

    def split(kind: str, preset: str) -> tuple[str, str, str | None, dict[str, Any]]:
        entry = dict(config[kind])
        name, version = versioned(str(entry.pop("name")))
        chosen_preset = entry.pop(preset, None)
        return name, version, None if chosen_preset is None else str(chosen_preset), entry

    def found(kind: str, name: str, version: str, look: Callable[..., Source]) -> Source:
        if version == "object":
            raise ValueError(
                f"{kind} {name} was typed into an interpreter or a notebook, so no file holds it: define it again and "
                "give it, comity.load(RUN, env=..., algorithm=...)"
            )
        own = lambda named: module_of_config(chosen(kind, name, named, version, folder, trust), named)  # noqa: E731
        source = look(name, own, lambda package: allowed(kind, name, package, trust))
        part = (lambda text: text.partition("+")[2]) if source.files else str  # versions of files were compared above
        if version and part(source.version) != part(version):
            raise ValueError(
                f"the run was made with {name}@{version}, here it is @{source.version}: its rules have changed, "
                "so results would not compare; install the version the run was made with"
            )
        return dataclasses.replace(source, name=name)

    task_name, task_version, profile, task_values = split("task", "profile")
    name, version, preset, values = split("algorithm", "preset")
    task = found("task", task_name, task_version, task_source)
    algorithm = found("algorithm", name, version, algorithm_source)
    # A run's config has every setting. A config that was written by hand has no versions, and its presets count.
    env = settings_of(task, None if task_version else profile, "profile", task_values)
    settings = settings_of(algorithm, None if version else preset, "preset", values)
    return Recipe(task, env, algorithm, settings, profile, preset)


def given(config: dict[str, Any], env: Any, algorithm: Any, folder: Path, trust: Trust) -> Recipe:
    """Makes the recipe of a run whose game or algorithm a Python user gives. If one is None, the config names it.

    Raises ValueError if the given object has another class, another version or other settings than the run's. An object
    that no file defines has no version that could differ.
    """
    left = (
        from_objects(env, "random") if env is not None else from_config({**config, "algorithm": ANY[1]}, folder, trust)
    )
    right = (
        from_config({**config, "task": ANY[0]}, folder, trust)
        if algorithm is None
        else from_objects("matrix", algorithm)
    )
    recipe = Recipe(left.task, left.env, right.algorithm, right.config, left.profile, right.preset)
    for kind, described in recipe.describe().items():
        mine = dict(described)
        theirs = as_now(config[kind], mine)
        (name, version), (own, here) = (versioned(str(entry.pop("name"))) for entry in (theirs, mine))
        both_own = _is_own(name, version) and _is_own(own, here)  # a file may lie elsewhere now
        if (name != own and not both_own) or parsed(name)[1:] != parsed(own)[1:]:
            raise ValueError(
                f"the run's {kind} is {config[kind]['name']}, not {described['name']}: give the one it was trained with"
            )
        is_given = (env if kind == "task" else algorithm) is not None
        if is_given and version and "object" not in (version, here) and version != here:
            raise ValueError(
                f"the run was made with {name}@{version}, the one given is @{here}: its rules have changed, so results "
                "would not compare; give the version the run was made with"
            )
        for name in mine.keys() & theirs.keys() - {"profile", "preset"}:
            if not same(mine[name], theirs[name]):
                raise ValueError(
                    f"the run's {kind} has {name} {theirs[name]!r}, the one given {mine[name]!r}: give it as it was "
                    "trained; run.on(game) plays another"
                )
    return recipe


def _is_own(name: str, version: str) -> bool:
    """True if a task or an algorithm is a user's: of a file, of a module, or an object without a file."""
    named = parsed(name)
    return version == "object" or named.is_file or "." in named.target
