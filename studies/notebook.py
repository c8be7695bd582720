"""Runs docs/notebook.ipynb without Jupyter and stores the outputs of its cells: `python -m studies.notebook`.

The output of a cell is what it prints and its last expression, as in Jupyter: text, and HTML if there is some.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def cells_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the cells with code."""
    return [cell for cell in page["cells"] if cell["cell_type"] == "code"]


def source_of(page: dict[str, Any]) -> str:
    """Returns a digest of all code, which says from which code the outputs come."""
    return hashlib.sha256("\0".join("".join(cell["source"]) for cell in cells_of(page)).encode()).hexdigest()[:16]


def shown(code: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Runs one cell; returns its outputs in the form of notebooks. names: variables that earlier cells left."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {count}", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {count}", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines(printed.getvalue())})
    if value is not None:
        data = {"text/plain": lines(repr(value))}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = lines(value._repr_html_())
        outputs.append({"output_type": "execute_result", "execution_count": count, "data": data, "metadata": {}})
    return outputs


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def execute(page: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Runs all cells in an empty folder and fills in outputs. changed: replaces variables of the first cell."""
    names: dict[str, Any] = {"__name__": "__main__"}
    home = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="comity-notebook-") as folder:
        os.chdir(folder)
        try:
            for count, cell in enumerate(cells_of(page), 1):
                cell["outputs"] = shown("".join(cell["source"]), names, count)
                cell["execution_count"] = count
                if count == 1:
                    unknown = changed.keys() - names.keys()
                    assert not unknown, f"the first cell sets no {', '.join(unknown)}"
                    names |= changed
        finally:
            os.chdir(home)
    page["metadata"]["comity"] = {"source": source_of(page)}
    return page


def main() -> None:
    page = execute(json.loads(PAGE.read_text(encoding="utf-8")))
    PAGE.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{PAGE}: {PAGE.stat().st_size / 1000:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
