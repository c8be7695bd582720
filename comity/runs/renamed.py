"""Settings and arrays that were renamed, so that old runs and records keep their meaning and old checkpoints load."""

import re
from collections.abc import Collection, Mapping
from typing import Any

SETTINGS: dict[str, tuple[str, dict[Any, Any]]] = {  # old name: (name now, {old value: value now})
    "network": ("core", {"mlp": "none"}),  # until 30 November 2026: the recurrent cell of a policy
}

ARRAYS: tuple[tuple[str, str], ...] = (  # (pattern of an array's name now, its old name in a checkpoint)
    (r"\bterms\.\d+\.(score|success)\b", r"average.\1"),  # PG's correction, until 30 November 2026, as all below
    (r"\bterms\.\d+\.(head|opt_state)\b", r"predictor.\1"),  # PG's prediction
    (r"(critics?(?:_opt_state)?\b.*?)\.net\.", r"\1."),  # critics of MADDPG, COMA, LICA, LIIR
    (r"(actor(?:_opt_state)?\b.*)\.encoder\.", r"\1.layers.0."),  # LICA's actors without memory, and the next two
    (r"(actor(?:_opt_state)?\b.*)\.cell\.layer\.", r"\1.layers.1."),
    (r"(actor(?:_opt_state)?\b.*)\.head\.", r"\1.layers.2."),
    (r"(chooser(?:_opt_state)?\b.*?)\.net\.(?=layers\b)", r"\1."),  # MAVEN's chooser
)


def as_now(values: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Settings by their current names. known: all current names; an old name that is also a current one is kept."""
    now = {}
    for name, value in values.items():
        new, others = SETTINGS.get(name, (name, {}))
        if name not in known and new in known:
            name, value = new, others.get(value, value)
        now[name] = value
    return now


def saved_as(wanted: Collection[str], saved: Collection[str]) -> dict[str, str]:
    """{array wanted: its current or old name in a checkpoint}. Arrays that are not in the checkpoint are left out."""
    found = {}
    for name in wanted:
        once = (re.sub(pattern, old, name) for pattern, old in ARRAYS)
        there = next((old for old in (name, *once) if old in saved), None)
        if there is not None:
            found[name] = there
    return found
