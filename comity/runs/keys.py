"""Names that the files of a run use themselves. Statistics and metrics must have other names."""

import re
from collections.abc import Iterable

LINES = ("seed", "iteration", "env_steps", "policy", "which", "episodes", "policy_iteration", "mean", "values")
TABLES = ("run", "task", "algorithm", "label", "step_count")  # columns beside those of the lines
EVERY_GAME = ("return", "length", "welfare_sum", "welfare_minimum", "welfare_equality")
INSIDE = ("game", "extra_steps")  # names that are used in a film's info and in an algorithm's metrics
RESERVED = frozenset((*LINES, *TABLES, *EVERY_GAME, *INSIDE))
OF_AN_AGENT = re.compile(r".*\.\d+", re.DOTALL)  # such as right.0, the statistic right of agent 0


def problem(name: object) -> str | None:
    """The reason why a statistic or metric cannot have this name, as the end of an error message; None if it can."""
    if not isinstance(name, str) or not name.isprintable() or not name:
        return "which is no text that can be printed: choose another"
    if name in EVERY_GAME or name == "game":
        return "which every game's statistics use: choose another"
    if name in RESERVED:
        return "which a run's files use themselves: choose another"
    if OF_AN_AGENT.fullmatch(name):
        return "which ends as the number of an agent alone does: choose another"
    return None


def shared(statistics: Iterable[str], metrics: Iterable[str], agents: int) -> list[str]:
    """Names of a game's statistics that the algorithm's metrics also use, as they are or with an agent's number."""
    used = set(metrics)
    return [n for n in statistics if n in used or any(f"{n}.{agent}" in used for agent in range(agents))]


def together(statistics: dict, metrics: dict, more: dict) -> dict:
    """Merges the numbers of one line. Raises ValueError if two of them have the same name."""
    for name in [*(statistics.keys() & metrics.keys()), *((statistics.keys() | metrics.keys()) & set(LINES))]:
        raise ValueError(f"two numbers of a run are called {name!r}: rename the game's statistic or the metric")
    return {**statistics, **metrics, **more}
