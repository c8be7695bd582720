"""Settings that had another name once: old runs and records keep their meaning."""

from collections.abc import Collection, Mapping
from typing import Any

SETTINGS: dict[str, tuple[str, dict[Any, Any]]] = {  # old name: (name now, {old value: value now})
    "network": ("core", {"mlp": "none"}),  # until version 0.9: what a policy remembers
}


def as_now(values: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Settings by the names of today. known: names that there are; where an old one still is one, it stays."""
    now = {}
    for name, value in values.items():
        new, others = SETTINGS.get(name, (name, {}))
        if name not in known and new in known:
            name, value = new, others.get(value, value)
        now[name] = value
    return now
