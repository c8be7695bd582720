"""Makes the settings of a task or an algorithm from a preset and single values."""

import dataclasses
from typing import Any

from comity.algorithms.roles import label
from comity.recipes.source import Source
from comity.runs.renamed import as_now
from comity.runs.values import checked, over
from comity.settings import did_you_mean


def settings_of(source: Source, preset: str | None, kind: str, values: dict[str, Any] | None = None) -> Any:
    """Makes the settings of a task or algorithm: the preset's, replaced by `values`. Raises ValueError, one line.

    The preset of a population names presets for some or all roles: `good:paper,adversary:released`.
    """
    if source.members:
        return source.thing.Config(**_of_members(source, preset, values or {}))
    if preset is not None and preset not in source.presets:
        known = list(source.presets)
        raise ValueError(
            f"{kind} {preset!r} of {source.name} is not one of {', '.join(known) or '(it has none)'}"
            f"{did_you_mean(preset, known)}"
        )
    factory = source.thing if kind == "profile" else getattr(source.thing, "Config", None)
    if factory is None:
        if values:
            raise ValueError(f"{source.name} has no setting {next(iter(values))}: it has none at all")
        return None
    chosen = over(source.presets.get(preset or "", {}), values or {})
    plain: Any = factory
    known = {f.name for f in dataclasses.fields(plain)} if dataclasses.is_dataclass(plain) else set(chosen)
    chosen = as_now(chosen, known)
    return factory(**checked(factory, chosen, source.name))


def _of_members(source: Source, preset: str | None, values: dict[str, Any]) -> dict[str, Any]:
    """Makes {member: its settings} from each member's preset and from `values`.

    values: {member: {setting: value}}, or {member: all its settings}.
    """
    entries = [entry.partition(":") for entry in preset.split(",")] if preset else []
    asked = {role: name for role, _, name in entries}
    roles = {role: label(role) for role, _ in source.members}
    for role in asked.keys() - roles.keys():
        raise ValueError(f"preset {preset!r}: no {role} is in {source.name}; give {next(iter(roles))}:PRESET")
    known = [roles[role] for role, one in source.members if hasattr(one.thing, "Config")]
    for name in values.keys() - set(known):
        raise ValueError(f"{source.name} has no setting {name}{did_you_mean(name, known)}; known: {', '.join(known)}")
    found = {}
    for role, one in source.members:
        if (name := roles[role]) not in known:
            continue
        given = values.get(name, {})
        if isinstance(given, one.thing.Config):
            found[name] = given
        elif isinstance(given, dict):
            found[name] = settings_of(one, asked.get(role) or one.first, "preset", given)
        else:
            raise ValueError(f"{source.name}: {name} {given!r} are no settings: give them by name")
    return found
