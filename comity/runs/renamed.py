"""Settings and arrays that had another name once: old runs and records keep their meaning, old checkpoints load."""

import re
from collections.abc import Collection, Mapping
from typing import Any

SETTINGS: dict[str, tuple[str, dict[Any, Any]]] = {  # old name: (name now, {old value: value now})
    "network": ("core", {"mlp": "none"}),  # until 30 November 2026: what a policy remembers
}

ARRAYS: tuple[tuple[str, str], ...] = (  # pattern of an array's name in a checkpoint: what stood in its place once
    (r"\bterms\.\d+\.(score|success)\b", r"average.\1"),  # PG's correction, until 30 November 2026
    (r"\bterms\.\d+\.(head|opt_state)\b", r"predictor.\1"),  # PG's prediction, the same
    (r"(critics?(?:_opt_state)?\b.*?)\.net\.", r"\1."),  # critics of MADDPG, COMA, LICA, LIIR, the same
    (r"(actor(?:_opt_state)?\b.*)\.encoder\.", r"\1.layers.0."),  # LICA's actors without memory, the same
    (r"(actor(?:_opt_state)?\b.*)\.cell\.layer\.", r"\1.layers.1."),
    (r"(actor(?:_opt_state)?\b.*)\.head\.", r"\1.layers.2."),
    (r"(chooser(?:_opt_state)?\b.*?)\.net\.(?=layers\b)", r"\1."),  # MAVEN's chooser, the same
)


def as_now(values: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Settings by the names of today. known: names that there are; where an old one still is one, it stays."""
    now = {}
    for name, value in values.items():
        new, others = SETTINGS.get(name, (name, {}))
        if name not in known and new in known:
            name, value = new, others.get(value, value)
        now[name] = value
    return now


def saved_as(wanted: Collection[str], saved: Collection[str]) -> dict[str, str]:
    """{array wanted: its name in a checkpoint}, as it is called today or was once; without those that are not there."""
    found = {}
    for name in wanted:
        once = (re.sub(pattern, old, name) for pattern, old in ARRAYS)
        there = next((old for old in (name, *once) if old in saved), None)
        if there is not None:
            found[name] = there
    return found
