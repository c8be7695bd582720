"""Draws the picture of the figure `credit`, which asks which rule sees the gift, and makes its table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SIGNALS: dict[str, tuple[str, str]] = {  # rules of `experiments.credit.rules`: in words, hue
    "monte-carlo": ("Monte Carlo - V", "pg"),
    "gae-95": ("GAE, 0.95", "ippo"),
    "gae-50": ("GAE, 0.5", "mappo"),
    "gae-0": ("GAE, 0", "actor-critic"),
    "coma": ("COMA", "coma"),
    "vdn": ("VDN", "vdn"),
    "qmix": ("QMIX", "qmix"),
    "lica": ("LICA", "lica"),
    "correction": ("correction term", "saf"),
    "liir": ("LIIR's reward", "rusp"),
    "alita": ("ALITA's influence", "alita"),
}
PARTS = ("collective", "own")
PANELS = (  # part, statistic, words
    ("collective", "right", "right sign"),
    ("collective", "rank", "rank correlation"),
    ("collective", "noise", "noise"),
    ("collective", "bias", "bias"),
    ("own", "bias", "bias, individual part"),
)


def seeds_of(some: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """Returns a metric of the trial, [S], for the seeds that have it."""
    from comity.experiments.records import at_end

    found = np.array([at_end(record, f"credit:{name}") for record in some], float)  # pyright: ignore[reportArgumentType]
    return found[np.isfinite(found)]


def draw(found: Mapping[str, Sequence[Mapping[str, Any]]], out: Path) -> list[Path]:
    """Draws credit.png and .svg: a row for each signal, a dot for each seed, a bar for the interval."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    from comity.report.curves import FAINT, INK, entitle, frame, save
    from comity.report.looks import BASELINE, HUES
    from comity.report.panels import DPI, LETTERS, WIDTH
    from comity.report.statistics import FEWEST_SEEDS, mean_ci

    teams = {label: some for label, some in found.items() if some}
    last = [*teams][-1]
    with matplotlib.rc_context(LETTERS):
        figure = Canvas(figsize=(WIDTH, 2.5 * len(teams) + 0.7), dpi=DPI, layout="constrained")
        grid = figure.subplots(len(teams), len(PANELS), squeeze=False, sharex="col", sharey=True)
        for row, (label, some) in zip(grid, teams.items(), strict=True):
            for axes, (part, what, words) in zip(row, PANELS, strict=True):
                axes.axvline(0.5 if what == "right" else 0.0, color=BASELINE, linewidth=0.8)
                for place, (name, (_, hue)) in enumerate(SIGNALS.items()):
                    values = seeds_of(some, f"{part}_{name}_{what}")
                    axes.plot(values, np.full(len(values), place), "o", color=HUES[hue], alpha=0.5, markersize=3)
                    if len(values) >= FEWEST_SEEDS:
                        mean, low, high = mean_ci(values)
                        axes.plot([low, high], [place, place], color=HUES[hue], linewidth=1.6)
                        axes.plot(mean, place, "|", color=HUES[hue], markersize=8, markeredgewidth=1.6)
                frame(axes)
                axes.grid(axis="y", color=FAINT, linewidth=0.6)
                axes.set_yticks(range(len(SIGNALS)), [words for words, _ in SIGNALS.values()], fontsize=7.5)
                axes.set_ylim(len(SIGNALS) - 0.5, -0.5)
                axes.set_xlabel(words if label == last else "", fontsize=7.5)
                if what in ("bias", "noise"):
                    axes.set_xscale("symlog", linthresh=0.1)
                    ticks = (0, 0.1, 1) if what == "noise" else (-1, -0.1, 0, 0.1, 1)
                    axes.set_xticks(ticks, [f"{x:g}" for x in ticks], fontsize=7)
                    axes.minorticks_off()
            worth = seeds_of(some, "collective_worth")
            worth = f"{worth.mean():.3f}" if len(worth) else "unknown"
            row[0].set_title(f"{label}: a gift is worth {worth}", fontsize=8.5, loc="left", color=INK)
        entitle(
            figure,
            "Who sees the gift: rules' signals for a drop against what it is worth, by replays",
            "Dots: seeds, each a team of its own; bars: 95 % t intervals over seeds. Grey: a coin, no correlation, 0. "
            "Worth, noise, bias: points; the worth: the drop's counterfactual advantage by the collective reward.",
        )
        return save(figure, out / "credit.png")


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Returns the lines of the table in docs/credit.md: mean over seeds and half the width of the 95 % interval."""
    from comity.report.statistics import FEWEST_SEEDS, mean_ci

    def cell(some: Sequence[Mapping[str, Any]], name: str) -> str:
        values = seeds_of(some, name)
        if not len(values):
            return "-"
        mean, _, high = mean_ci(values) if len(values) >= FEWEST_SEEDS else (values.mean(), 0.0, np.nan)
        return f"{mean:.3f}" + (f" ± {high - mean:.3f}" if np.isfinite(high) else f" ({len(values)})")

    columns = [f"{part}_{{}}_{what}" for part in PARTS for what in ("bias", "noise")]
    columns = ["collective_{}_right", "collective_{}_rank", *columns]
    lines = ["| team | signal | right sign | rank | bias | noise | bias, own part | noise, own part |"]
    lines += ["| --- " * 8 + "|"]
    for label, some in found.items():
        for name, (words, _) in SIGNALS.items() if some else ():
            cells = [cell(some, column.format(name)) for column in columns]
            lines.append(f"| {label} | {words} | {' | '.join(cells)} |")
    return lines
