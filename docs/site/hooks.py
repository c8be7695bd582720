"""What the site does that GitHub does not: pages from docstrings, the notebook as a page, links that leave docs/."""

from __future__ import annotations

import json
import os.path
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ABOVE = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE")  # beside docs/, pages here

API: dict[str, tuple[str, list[str]]] = {  # page: its heading, what is told by docstrings
    "index": ("From Python", ["comity.api"]),
    "run": ("A trained team", ["comity.training.run.Run"]),
    "games": ("Games", ["comity.spec", "comity.types"]),
    "wrappers": ("Wrappers", [f"comity.environments.wrappers.{name}" for name in (
        "preferences", "messages", "learners", "pool", "scripted")]),
    "training": ("Settings of training", ["comity.training.settings.Training"]),
    "rollout": ("Play", ["comity.rollout"]),
    "learning": ("Mathematics of learning", [f"comity.learning.{name}" for name in (
        "returns", "losses", "actions", "lookahead", "replay")]),
    "networks": ("Networks", [f"comity.networks.{name}" for name in ("teams", "encoders")]),
    "combinators": ("Learners put together", ["comity.algorithms.combinators"]),
    "reports": ("Tables, intervals, curves", [f"comity.report.{name}" for name in (
        "study", "table", "tables", "sheet", "statistics", "curves", "exports")]),
    "films": ("Films", ["comity.report.film", "comity.report.replay", "comity.report.recording.Recording"]),
    "interop": ("Other libraries", ["comity.interop"]),
}  # fmt: skip


def modules_there() -> list[str]:
    """What of `API` is no module or name of a module in this checkout."""
    missing = []
    for _, names in API.values():
        for name in names:
            module, _, last = name.rpartition(".")
            here = [ROOT / (name.replace(".", "/") + end) for end in (".py", "/__init__.py")]
            above = ROOT / (module.replace(".", "/") + ".py")
            held = above.is_file() and re.search(rf"^class {last}\b", above.read_text(encoding="utf-8"), re.MULTILINE)
            if not held and not any(path.is_file() for path in here):
                missing.append(name)
    return missing


def on_config(config: Any) -> Any:
    config.nav = [_entry(item) for item in config.nav]
    return config


def _entry(item: Any) -> Any:
    """A part of nav in which folders are lists of pages."""
    if isinstance(item, str):
        return item
    ((name, inside),) = item.items()
    if isinstance(inside, str) and inside.endswith("/"):
        return {name: folder(inside)}
    if isinstance(inside, list):
        pages = [x if not isinstance(x, str) or not x.endswith("/") else folder(x) for x in inside]
        return {name: [y for x in pages for y in (x if isinstance(x, list) else [_entry(x)])]}
    return item


def folder(name: str) -> list[Any]:
    """Pages of a folder of docs/, README first; folders in it are parts of their own."""
    if name == "api/":
        return [f"api/{page}.md" for page in API]
    place = ROOT / "docs" / name
    pages = sorted(path.name for path in place.glob("*.md") if path.name != "README.md")
    parts = sorted(path for path in place.iterdir() if path.is_dir() and (path / "README.md").is_file())
    return [
        f"{name}README.md",
        *(f"{name}{page}" for page in pages),
        *({heading_of(path / "README.md"): folder(f"{name}{path.name}/")} for path in parts),
    ]


def heading_of(page: Path) -> str:
    found = re.search(r"^# (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else page.parent.name


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for name in ABOVE:
        text = (ROOT / name).read_text(encoding="utf-8")
        content = text if name.endswith(".md") else f"# License\n\n```text\n{text}\n```\n"
        files.append(File.generated(config, about(name), content=content))
    style = (ROOT / "docs/site/style.css").read_text(encoding="utf-8")
    files.append(File.generated(config, "assets/style.css", content=style))
    for page, (heading, names) in API.items():
        parts = "\n\n".join(f"::: {name}" for name in names)
        files.append(File.generated(config, f"api/{page}.md", content=f"# {heading}\n\n{parts}\n"))
    files.append(File.generated(config, "notebook.md", content=notebook()))
    return files


def notebook() -> str:
    """docs/notebook.ipynb as Markdown, with what its cells showed."""
    parts = []
    for cell in json.loads((ROOT / "docs/notebook.ipynb").read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text", [])})
            shown = "".join(data.get("text/html", []))
            text = "".join(data.get("text/plain", [])).rstrip()
            parts.append(f'<div class="shown">\n{shown}\n</div>' if shown else f"```text\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def about(name: str) -> str:
    """Where a page that stands beside docs/ stands in the site."""
    return f"about/{Path(name).stem.lower()}.md"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    return written(markdown, page.file.src_uri)


LINK = re.compile(r"(?<!`)(!?)\[((?:[^\[\]]|\[[^\[\]]*\]|!\[[^\]]*\]\([^)]*\)(?:\{[^}]*\})?)*)\]\(([^)\s]+)\)")
IMAGE = re.compile(r'<img src="([^"]+)"((?: \w+="[^"]*")*) ?/?>')
ANCHOR = re.compile(r'<a href="([^"]+)">(.*?)</a>')


def written(markdown: str, place: str) -> str:
    """A page as the site's Markdown has it: HTML's links as Markdown's, which are checked and moved; a blank line
    before a list. place: of the page in the site."""
    parts = re.split(r"(^```.*?^```[^\n]*$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _prose(part, place) for part in parts)


def _prose(text: str, place: str) -> str:
    text = IMAGE.sub(_image, text)
    text = ANCHOR.sub(lambda found: f"[{found[2]}]({found[1]})", text)
    text = LINK.sub(lambda found: _moved(found, place), text)
    return re.sub(r"^((?![-*\d|#>]| |\t).+)\n(?=(?:[-*]|\d+\.) )", r"\1\n\n", text, flags=re.MULTILINE)


def _image(found: re.Match[str]) -> str:
    words = dict(re.findall(r'(\w+)="([^"]*)"', found[2]))
    width = f"{{ width={words['width']} }}" if "width" in words else ""
    return f"![{words.get('alt', '')}]({found[1]}){width}"


def _moved(found: re.Match[str], place: str) -> str:
    """A link to where its page stands in the site; only its words where that is not in the site."""
    mark, words, link = found.groups()
    words = LINK.sub(lambda inner: _moved(inner, place), words)
    target, anchor, heading = link.partition("#")
    if not target or re.match(r"\w+:", link):
        return f"{mark}[{words}]({link})"
    home = origin(place).parent
    path = Path(os.path.normpath(home / target))
    there = address(path)
    if there is None:
        return f"`{path}`" if words == target else f"{words} (`{path.as_posix()}`)"
    return f"{mark}[{words}]({os.path.relpath(there, Path(place).parent).replace(os.sep, '/')}{anchor}{heading})"


def origin(place: str) -> Path:
    """The file in the repository that a page of the site is made of."""
    return next((Path(name) for name in ABOVE if about(name) == place), Path("docs") / place)


def address(path: Path) -> str | None:
    """Where a file of the repository stands in the site; None: not in it."""
    if path.as_posix() in ABOVE:
        return about(path.name)
    if path.parts[:1] != ("docs",):
        return None
    inside = Path(*path.parts[1:])
    if (ROOT / path).is_dir():
        return (inside / "README.md").as_posix() if (ROOT / path / "README.md").is_file() else None
    return "notebook.md" if inside.name == "notebook.ipynb" else inside.as_posix()
