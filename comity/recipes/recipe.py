"""The recipe of a run: its game, algorithm and settings as one value, and as the plain values of a config."""

import dataclasses
from collections.abc import Callable
from typing import Any

from comity.recipes.settings import settings_of
from comity.recipes.source import Source
from comity.runs.reading import dump_yaml, parse_yaml
from comity.runs.values import plain_fields, plain_scalars, same
from comity.types import Algorithm, Environment


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that defines a training besides `Training`: a game, an algorithm and its settings."""

    task: Source
    env: Environment
    algorithm: Source
    config: Any
    profile: str | None = None  # the profile of the task that the settings started from
    preset: str | None = None  # the preset of the algorithm

    @property
    def make(self) -> Callable[[Any, Environment], Algorithm]:
        return self.algorithm.thing.make

    def describe(self) -> dict[str, Any]:
        """The recipe as plain values, for config.yaml."""
        task = {"name": f"{self.task.name}@{self.task.version}", "profile": self.profile}
        algorithm = {"name": f"{self.algorithm.name}@{self.algorithm.version}", "preset": self.preset}
        env, config = plain_fields(self.env, ("name", "profile")), plain_fields(self.config, ("name", "preset"))
        return {"task": {**task, **env}, "algorithm": {**algorithm, **config}}

    def plays_as(self, other: "Recipe") -> bool:
        """True if both play the same game: the same task, version and settings. Profiles may differ.

        Classes typed into a notebook have no version, so they must be the same class.
        """
        if type(self.env) is type(other.env) and self.env == other.env:
            return True
        one, two = (recipe.describe()["task"] for recipe in (self, other))
        for task in (one, two):
            task |= {"profile": None, "name": task["name"].rpartition("/")[2]}  # without the folder of a user's file
        typed = "object" in (self.task.version.partition("+")[0], other.task.version.partition("+")[0])
        return same(one, two) and (type(self.env) is type(other.env) or not typed)

    def changed(self) -> list[str]:
        """Settings that differ from the profile and the preset, such as `observe=last-action`. If none is named, they
        are compared with the nearest one."""
        return [
            *_changed(self.task, self.env, self.profile, "profile"),
            *_changed(self.algorithm, self.config, self.preset, "preset"),
        ]


def settled(recipe: Recipe) -> Recipe:
    """The recipe as it will be read back from its config.yaml, so with numbers in place of numpy scalars.

    Raises ValueError, one line, for a setting that would be read back with another value.
    """
    text = dump_yaml(recipe.describe())
    again = parse_yaml(text, "config.yaml")

    def settled_part(source: Source, kind: str, part: str, now: Any) -> Any:
        values = {k: v for k, v in again[part].items() if k not in ("name", kind)}
        then = settings_of(source, None, kind, values)
        if not dataclasses.is_dataclass(now):
            return now
        for f in dataclasses.fields(now):
            one, two = getattr(now, f.name), getattr(then, f.name, None)
            if f.init and not same(plain_scalars(one), two):
                raise ValueError(
                    f"{type(now).__name__}'s {f.name} is {one!r}, and comes back from config.yaml as {two!r}: declare "
                    "its type, or give a number, a text or a list"
                )
        return then

    env = settled_part(recipe.task, "profile", "task", recipe.env)
    return dataclasses.replace(
        recipe, env=env, config=settled_part(recipe.algorithm, "preset", "algorithm", recipe.config)
    )


def _changed(source: Source, thing: Any, preset: str | None, kind: str) -> list[str]:
    if not dataclasses.is_dataclass(thing):
        return []
    now, nearest = _flat(plain_fields(thing, ())), None
    for name in [preset] if preset else [*source.presets, None]:
        try:
            then = _flat(plain_fields(settings_of(source, name, kind), ()))
        except (TypeError, ValueError):  # a class that cannot be made without settings
            continue
        found = [f"{x.replace('_', '-')}={_text(value)}" for x, value in now.items() if then.get(x) != value]
        nearest = found if nearest is None or len(found) < len(nearest) else nearest
    return nearest or []


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for name, value in fields.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
