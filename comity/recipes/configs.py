"""Makes the recipe that a run's config describes, and checks that task and algorithm still have the same versions."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comity.names import Named, parsed, versioned
from comity.recipes.naming import algorithm_source, task_source
from comity.recipes.objects import from_objects
from comity.recipes.recipe import Recipe
from comity.recipes.settings import settings_of
from comity.recipes.source import Source
from comity.recipes.user_files import module_of_config
from comity.runs import sources
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
        source = look(name, own, lambda package, function: allowed(kind, name, package, function, trust))
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

    Raises ValueError if the given object is not the run's: as `refuse_another`.
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
    refuse_another(config, recipe)
    return recipe


def refuse_another(config: dict[str, Any], recipe: Recipe) -> None:
    """Raises ValueError, one line, if a recipe is not the one that a run's config describes.

    Names, versions and settings are compared. Settings that the config lacks, because they are newer, are not. A name
    typed into a notebook has no version.
    """
    for kind, described in recipe.describe().items():
        texts = [str(config[kind]["name"]), described["name"]]
        (theirs, then), (mine, now) = map(versioned, texts)
        if not _same_name(parsed(theirs), parsed(mine)):
            raise ValueError(f"the run's {kind} is {texts[0]}, not {texts[1]}: give the one it was trained with")
        source = recipe.task if kind == "task" else recipe.algorithm
        if then and not _same_version(then, now, source):
            what, advice = "rules have changed, so results would not compare", "give the version of the run"
            if source.files:
                left = "env" if kind == "task" else "algorithm"
                what = "code has changed"
                advice = f"comity.load(run, trust=True), without {left}, runs the copy in the run, and so does --trust"
            raise ValueError(f"the run was made with {texts[0]}, the one given is @{now}: its {what}; {advice}")
        left_out = ("name", "profile", "preset")
        if found := _different(config[kind], {k: x for k, x in described.items() if k not in left_out}):
            name, was, given_now = found
            raise ValueError(
                f"the run's {kind} has {name} {was!r}, the one given {given_now!r}: give it as it was trained; "
                "run.on(game) plays another"
            )


def _same_name(theirs: Named, mine: Named) -> bool:
    """True if two names mean the same. A user's file may have been moved or named in another way: `package.module`."""
    own = all(named.is_file or "." in named.target for named in (theirs, mine))
    return theirs[1:] == mine[1:] and (own or theirs.target == mine.target)


def _same_version(then: str, now: str, source: Source) -> bool:
    """True if two versions are equal, those of wrappers and bonuses included. source: the one of version `now`.

    The hash of a file with imports depends on the folder that it is named from, so both ways are tried.
    """
    (base, _, around), (mine, _, mine_around) = then.partition("+"), now.partition("+")
    known = {base, "object"} if mine == "object" else {mine, "object"}
    if source.files and base not in known:
        known.add(sources.of_file(source.files.path).version)
    return base in known and around == mine_around


def _different(theirs: dict[str, Any], mine: dict[str, Any], inside: str = "") -> tuple[str, Any, Any] | None:
    """The first setting that both have and that differs: (name, its value in `theirs`, in `mine`), or None."""
    theirs = as_now(theirs, mine)
    for name in (name for name in mine if name in theirs):
        one, two = theirs[name], mine[name]
        if isinstance(one, dict) and isinstance(two, dict):
            if found := _different(one, two, f"{inside}{name}."):
                return found
        elif not same(one, two):
            return f"{inside}{name}", one, two
    return None
