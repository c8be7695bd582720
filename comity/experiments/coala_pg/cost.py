"""Measures the cost of a gradient through a whole history: CPU time and memory, by its length M T and by view size.

One gradient of the mean output of a policy of width 32 over L steps of ROWS games is computed on one core: the part of
an update that grows with history. Memory is what the compiled program requests, so it is the same on each machine of a
kind.
"""

import csv
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax

from comity.algorithms.shaping.coala_cost import through_history

CORES = ("gru", "hawk")
LENGTHS = (50, 200, 800, 3_200)  # the paper: 200 in the prisoner's dilemma, 6,400 in CleanUp-lite
SIZES = (5, 102, 1_210)  # the prisoner's dilemma, CleanUp-lite, Harvest's window of 11 x 11 x 10 as numbers
LENGTH, SIZE = 200, 102  # fixed while the other varies
ROWS, WIDTH, TIMES = 16, 32, 3


class Cost(NamedTuple):
    core: str
    length: int  # steps, M T
    size: int  # numbers of a view
    seconds: float  # CPU seconds of one gradient
    megabytes: float  # without arguments and result


def measured(core: Any, length: int, size: int, rows: int = ROWS, width: int = WIDTH) -> Cost:
    """Measures one gradient of `rows` games side by side."""
    gradient, net, x = through_history(jax.random.key(0), core, length, size, rows, width)
    program = jax.jit(gradient).lower(net, x).compile()
    jax.block_until_ready(program(net, x))
    began = time.process_time()
    for _ in range(TIMES):
        jax.block_until_ready(program(net, x))
    spent = (time.process_time() - began) / TIMES
    memory = program.memory_analysis()
    return Cost(core, length, size, spent, memory.temp_size_in_bytes / 1e6 if memory else float("nan"))


def table() -> list[Cost]:
    """Measures each core by length, then by size."""
    cells = [(core, length, SIZE) for core in CORES for length in LENGTHS]
    cells += [(core, LENGTH, size) for core in CORES for size in SIZES if size != SIZE]
    return [measured(*cell) for cell in cells]


def draw(out: Path) -> list[Path]:
    """Draws cost.png and .svg and writes cost.csv, measured now, on this machine."""
    import matplotlib
    from matplotlib.figure import Figure

    from comity.report import panels
    from comity.report.curves import entitle, save
    from comity.report.looks import HUES

    found = table()
    usual = SIZE, LENGTH  # the fixed values
    hues = dict(zip(CORES, (HUES["coala"], HUES["m-fos"]), strict=True))
    with matplotlib.rc_context(panels.LETTERS):
        figure = Figure(figsize=(panels.WIDTH, 5.2), dpi=panels.DPI, layout="constrained")
        axes = figure.subplots(2, 2, sharey="row")
        for row, (name, words) in enumerate((("seconds", "CPU s per gradient"), ("megabytes", "MB beside arguments"))):
            for column, (by, along) in enumerate((("length", "steps of history, M T"), ("size", "numbers of a view"))):
                panel = axes[row, column]
                for core in CORES:
                    one = sorted(
                        x for x in found if x.core == core and (x.length if column else x.size) == usual[column]
                    )
                    values = [getattr(x, by) for x in one], [getattr(x, name) for x in one]
                    panel.plot(*values, color=hues[core], marker="o", markersize=3, label=core)
                panel.set(xscale="log", yscale="log", xlabel=along)
                panel.spines[["top", "right"]].set_visible(False)
            axes[row, 0].set_ylabel(words)
        axes[0, 0].legend(frameon=False)
        caption = f"{ROWS} games side by side, width {WIDTH}; left {SIZE} numbers, right {LENGTH} steps; this machine"
        entitle(figure, "Time and memory grow in proportion to history; a larger view costs little", caption)
        files = save(figure, out / "cost.png")
    path = out / "cost.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Cost._fields)
        writer.writerows(found)
    return [*files, path]
