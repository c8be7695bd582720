"""Shows a Schelling diagram made from returns: as a table, a CSV file, Markdown and a picture."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comity.report.curves import FAINT, INK, STYLE
from comity.report.sheet import Sheet

COOPERATES, DEFECTS = "#0072b2", "#d55e00"


@dataclass(frozen=True)
class Diagram:
    """A Schelling diagram. returns [N + 1, E, N]: entry k holds E episodes in which the first k agents cooperate."""

    task: str
    names: tuple[str, ...]  # of the scripts: cooperators', defectors'
    returns: np.ndarray

    @property
    def agents(self) -> int:
        """Number of agents, N."""
        return self.returns.shape[-1]

    def points(self) -> list[dict[str, float]]:
        """Returns one row per number of cooperators: the mean return of a cooperator and of a defector (NaN if there is
        none), the standard errors over episodes, and the sum over all agents.
        """
        found = []
        for count, returns in enumerate(self.returns):
            row: dict[str, float] = {"cooperators": count}
            for name, own in (("cooperator", returns[:, :count]), ("defector", returns[:, count:])):
                each = own.mean(-1) if own.shape[-1] else np.full(len(returns), np.nan)  # [E]
                row[name], row[f"{name}_error"] = float(each.mean()), standard_error(each)
            found.append(row | {"sum": float(returns.sum(-1).mean())})
        return found

    def reading(self) -> str:
        """Returns the result as a sentence: when defection pays, and whether it lowers the sum."""
        points = self.points()
        gains = [points[k]["defector"] - points[k + 1]["cooperator"] for k in range(self.agents)]
        pays = [str(k) for k, gain in enumerate(gains) if gain > 0]
        first, last = points[0]["sum"], points[-1]["sum"]
        together = "more" if last > first else "less" if last < first else "as much"
        when = ", ".join(pays) if pays else "no number"
        return (
            f"defection pays beside {when} of {self.agents - 1} cooperating others; all cooperators together earn "
            f"{together} {'than' if last != first else 'as'} all defectors: {last:.4g}, {first:.4g}"
        )

    def sheet(self) -> Sheet:
        """Returns the diagram as a table."""
        number = lambda x, error: "-" if np.isnan(x) else f"{x:.4g} ± {error:.2g}"  # noqa: E731
        rows = tuple(
            (
                str(p["cooperators"]),
                *(number(p[name], p[f"{name}_error"]) for name in ("cooperator", "defector")),
                f"{p['sum']:.4g}",
            )
            for p in self.points()
        )
        columns = ("cooperators", f"{self.names[0]} earns", f"{self.names[1]} earns", "all together")
        notes = (f"return of an agent, mean ± standard error over {self.returns.shape[1]} episodes", self.reading())
        return Sheet(f"{self.task} · Schelling diagram", columns, rows, notes, tuple(self.points()))

    def save(self, path: Path) -> list[Path]:
        """Writes PATH as CSV, and Markdown and a picture beside it; returns the paths. Raises OSError."""
        points = self.points()
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(points[0]))
            writer.writeheader()
            writer.writerows(points)
        words, picture = path.with_suffix(".md"), path.with_suffix(".png")
        words.write_text(self.sheet().markdown(), encoding="utf-8")
        draw(self, picture)
        return [path, words, picture]


def standard_error(x: np.ndarray) -> float:
    """Standard error of the mean of x [E]; NaN for fewer than two values."""
    return float(x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else float("nan")


def draw(diagram: Diagram, path: Path) -> None:
    """Draws a line for cooperators and one for defectors over the cooperating others. The upper one is the better
    choice.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    points = diagram.points()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.2), dpi=120, layout="constrained")
        axes = figure.subplots()
        for name, shift, colour, label in (
            ("cooperator", 1, COOPERATES, diagram.names[0]),
            ("defector", 0, DEFECTS, diagram.names[1]),
        ):
            there = [p for p in points if not np.isnan(p[name])]
            others = [p["cooperators"] - shift for p in there]
            errors = [np.nan_to_num(p[f"{name}_error"]) for p in there]
            axes.errorbar(others, [p[name] for p in there], errors, color=colour, marker="o", markersize=4, label=label)
        axes.set_xlabel(f"cooperators among the {diagram.agents - 1} others")
        axes.set_ylabel("return of one agent")
        axes.set_title(diagram.task, loc="left", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color=FAINT, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        figure.savefig(path)
