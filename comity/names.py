"""Names a user may give, checked without importing anything heavy."""

from comity.algorithms import ALGORITHMS
from comity.environments import TASKS, WRAPPERS
from comity.settings import did_you_mean


def unknown(kind: str, name: str) -> str | None:
    """One line if `name` is neither a shipped task or algorithm nor can be a user's own; else None.

    A task may wear wrappers: `ipd+rusp`.
    """
    if kind == "task" and "+" in name and not name.startswith("+"):
        name, *around = name.split("+")
        for suffix in around:
            if suffix not in WRAPPERS:
                return f"unknown wrapper {suffix!r}{did_you_mean(suffix, WRAPPERS)}; known: {', '.join(WRAPPERS)}"
    table, form = (TASKS, "my_game.py:MyGame") if kind == "task" else (ALGORITHMS, "my_algorithm.py")
    if name in table or name.partition(":")[0].endswith(".py") or "." in name or ":" in name:
        return None
    return f"unknown {kind} {name!r}{did_you_mean(name, table)}; known: {', '.join(table)}, or your own {form}"
