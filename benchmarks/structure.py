"""Prints the structure of a code base in numbers: lengths of functions and files, repeated lines, import circles.

    python benchmarks/structure.py comity [other/package ...]

Lines of code are those that hold a token, docstrings and comments left out. A line is shared if it lies in a run of
WINDOW such lines, imports and signatures left out, that also occurs in another file of the same folder.
"""

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

WINDOW = 4  # number of equal lines in a row that count as shared
GUESS = re.compile(r"\b(?:getattr|hasattr)\(\s*(?:self\.)?(?:env|game|environment)\b")
BUILDERS, UPDATES = ("make", "learner"), ("update",)


class Function(NamedTuple):
    """A function of a file."""

    file: Path
    name: str
    lines: int  # from first to last, without decorators


def code_lines(text: str) -> dict[int, str]:
    """Returns {line number: the line without comment and leading space}, without docstrings."""
    tree = ast.parse(text)
    said = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            said |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    words: dict[int, list[str]] = defaultdict(list)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped and token.start[0] not in said:
            words[token.start[0]].append(token.string)
    return {number: " ".join(found) for number, found in words.items()}


def functions(file: Path, tree: ast.AST) -> Iterator[Function]:
    """Yields all functions of a file, also nested ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(file, node.name, (node.end_lineno or node.lineno) - node.lineno + 1)


def comparable(text: str) -> list[tuple[int, str]]:
    """Returns code lines without imports and without the heads of functions and classes."""
    tree, left_out = ast.parse(text), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            left_out |= set(range(node.lineno, node.body[0].lineno))
    return [(number, line) for number, line in sorted(code_lines(text).items()) if number not in left_out]


def shared_share(files: list[Path]) -> float:
    """Share of comparable lines that lie in a run of WINDOW lines that another file has, too."""
    texts = {file: comparable(file.read_text(encoding="utf-8")) for file in files}
    seen: dict[tuple[str, ...], set[Path]] = defaultdict(set)
    for file, lines in texts.items():
        for k in range(len(lines) - WINDOW + 1):
            seen[tuple(line for _, line in lines[k : k + WINDOW])].add(file)
    total = shared = 0
    for lines in texts.values():
        marked = set()
        for k in range(len(lines) - WINDOW + 1):
            if len(seen[tuple(line for _, line in lines[k : k + WINDOW])]) > 1:
                marked |= set(range(k, k + WINDOW))
        total, shared = total + len(lines), shared + len(marked)
    return shared / max(total, 1)


def imports(package: Path) -> dict[str, set[str]]:
    """Returns {module: modules of the package that it imports when imported}. Imports in functions do not count."""
    names = {}
    for file in package.rglob("*.py"):
        parts = file.relative_to(package.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    found: dict[str, set[str]] = {}
    for name, file in names.items():
        found[name] = set()
        nodes = list(ast.parse(file.read_text(encoding="utf-8")).body)
        while nodes:
            node = nodes.pop()
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                nodes += node.orelse
            elif isinstance(node, ast.If | ast.Try):
                nodes += node.body
            elif isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names if alias.name in names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                within = {f"{node.module}.{alias.name}" for alias in node.names} & names.keys()
                found[name] |= within or ({node.module} & names.keys())
    return found


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Returns sets of modules that reach each other."""
    reach = {name: set(others) for name, others in graph.items()}
    changed = True
    while changed:
        changed = False
        for others in reach.values():
            more = set().union(*(reach.get(other, set()) for other in others)) - others
            if more:
                others |= more
                changed = True
    found: list[set[str]] = []
    for name in graph:
        circle = {other for other in reach[name] if name in reach.get(other, set())} | {name}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def longest(found: list[Function], count: int = 3) -> str:
    """Returns the longest functions as text."""
    best = sorted(found, key=lambda f: -f.lines)[:count]
    return ", ".join(f"{f.file.name} {f.lines}" for f in best) or "none"


def main(packages: list[Path]) -> None:
    for package in packages:
        files = sorted(package.rglob("*.py"))
        texts = {file: file.read_text(encoding="utf-8") for file in files}
        every = [f for file, text in texts.items() for f in functions(file, ast.parse(text))]
        algorithms = [file for file in files if "algorithms" in file.parts and "released" not in file.parts]
        builders, updates = (
            [f for f in every if f.name in names and f.file in algorithms] for names in (BUILDERS, UPDATES)
        )
        lengths = sorted(f.lines for f in every)
        print(f"{package}: {len(files)} files, {sum(len(code_lines(t)) for t in texts.values())} lines of code")
        print(f"  functions: median {lengths[len(lengths) // 2]} lines, 95 % below {lengths[int(0.95 * len(lengths))]}")
        print(f"  longest functions: {longest(every)}")
        print(f"  longest files: {longest([Function(f, '', t.count(chr(10))) for f, t in texts.items()])}")
        print(f"  import circles: {len(circles(imports(package)))}")
        guesses = [f"{f.name} {len(g)}" for f, t in texts.items() if f.name != "spec.py" and (g := GUESS.findall(t))]
        print(f"  getattr or hasattr on games outside spec.py: {', '.join(guesses) or 0}")
        if algorithms:
            print(f"  longest make or learner: {longest(builders)}")
            print(f"  longest update: {longest(updates)}")
            rows = [Function(f, "", texts[f].count("\n")) for f in algorithms]
            print(f"  longest algorithm files: {longest(rows, 5)}")
            print(f"  shared lines in algorithms: {100 * shared_share(algorithms):.1f} %")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or [Path("comity")])
