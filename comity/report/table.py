"""A table of named columns of equal length."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.extras import needed
from comity.report.words import nearest

KEYS = ("run", "task", "algorithm", "label", "seed", "iteration", "env_steps", "policy", "which")
OF_EVALUATIONS = ("episodes", "policy_iteration")  # further columns that are no metrics


class Table:
    """Columns of equal length by name, as numpy arrays: `table["success"]`, `table.where(policy="greedy", seed=0)`."""

    def __init__(self, columns: Mapping[str, Any]):
        self.columns: dict[str, NDArray[Any]] = {name: np.asarray(column) for name, column in columns.items()}
        lengths = {len(column) for column in self.columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of lengths {sorted(lengths)}: a table needs one length")
        self.length = lengths.pop() if lengths else 0

    def __len__(self) -> int:
        return self.length

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.columns:
            raise ValueError(f"no column {name!r}{nearest(name, self.columns)}")
        return self.columns[name]

    @property
    def metrics(self) -> list[str]:
        """Names of the measured columns, in order."""
        return [name for name in self.columns if name not in (*KEYS, *OF_EVALUATIONS)]

    def where(self, **equals: Any) -> Table:
        """Returns the rows in which each named column equals the value, or one of a list, tuple or set of values."""
        keep = np.ones(len(self), bool)
        for name, wanted in equals.items():
            if isinstance(wanted, (list, tuple, set, frozenset, np.ndarray)):
                keep &= np.isin(self[name], list(wanted))
            else:
                keep &= np.asarray(self[name] == wanted)
        return self.rows(keep)

    def rows(self, index: Any) -> Table:
        """Returns rows by a mask or by indices."""
        return Table({name: column[index] for name, column in self.columns.items()})

    def unique(self, name: str) -> list[Any]:
        """Returns the distinct values of a column, in order of appearance."""
        return list(dict.fromkeys(self[name].tolist()))

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Writes the table as CSV; undefined numbers are empty."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            for row in zip(*(column.tolist() for column in self.columns.values()), strict=True):
                writer.writerow(["" if isinstance(x, float) and math.isnan(x) else x for x in row])
        return Path(path)

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Writes the table as Parquet. Raises ImportError without pyarrow, which is an extra."""
        pyarrow, parquet = needed("pyarrow", "use to_csv"), needed("pyarrow.parquet", "use to_csv")
        parquet.write_table(pyarrow.table({name: column.tolist() for name, column in self.columns.items()}), path)
        return Path(path)

    def to_pandas(self) -> Any:
        """Returns the table as a data frame. Raises ImportError without pandas, which is an extra."""
        return needed("pandas", "use to_csv").DataFrame(dict(self.columns))

    def __repr__(self) -> str:
        head = f"Table: {len(self)} rows, {len(self.columns)} columns"
        if not len(self):
            return f"{head} ({', '.join(self.columns)})"
        shown = list(range(len(self))) if len(self) <= 10 else [0, 1, 2, 3, 4, None, *range(len(self) - 3, len(self))]
        blocks = []
        for name, column in self.columns.items():
            numbers = column.dtype.kind in "fiu"
            cells = ["…" if i is None else f"{column[i]:.6g}" if numbers else str(column[i]) for i in shown]
            if name == "iteration" or name == "env_steps":
                cells = ["…" if i is None else str(column[i]) for i in shown]
            cells = [c if len(c) <= 32 else "…" + c[-31:] for c in cells]
            width = max(len(name), *map(len, cells))
            blocks.append([(c.rjust if numbers else c.ljust)(width) for c in (name, *cells)])
        return "\n".join([head, *("  ".join(line).rstrip() for line in zip(*blocks, strict=True))])
