"""The docs as a site: its menu names every page, its links have targets, its API pages have modules."""

import importlib.util
import os.path
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "site" / "hooks.py")
assert SPEC is not None
assert SPEC.loader is not None
hooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hooks)

MADE = {"notebook.md", *(f"api/{page}.md" for page in hooks.API), *map(hooks.about, hooks.ABOVE)}
PAGES = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}


def settings() -> dict:
    class Loader(yaml.SafeLoader):
        """Which leaves Python's objects alone."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    return yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)


def pages_in(menu) -> list[str]:
    if isinstance(menu, str):
        return [menu]
    inside = menu.values() if isinstance(menu, dict) else menu
    return [page for item in inside for page in pages_in(item)]


def test_the_menu_names_every_page_once():
    named = pages_in([hooks._entry(item) for item in settings()["nav"]])
    assert len(named) == len(set(named))
    missing = (PAGES | MADE) - set(named)
    assert not missing, f"nav in mkdocs.yml names no {', '.join(sorted(missing))}"
    assert not set(named) - PAGES - MADE


def test_links_of_the_site_lead_somewhere():
    """Those of its own Markdown, after links out of docs/ were moved."""
    assets = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*") if path.is_file()}
    count = 0
    for page in sorted(PAGES | {hooks.about(name) for name in hooks.ABOVE if name.endswith(".md")}):
        text = hooks.written((ROOT / hooks.origin(page)).read_text(encoding="utf-8"), page)
        prose = "".join(re.split(r"^```.*?^```[^\n]*$", text, flags=re.MULTILINE | re.DOTALL))
        assert not re.search(r"<(a href|img src)=", prose), page
        for _, _, link in hooks.LINK.findall(prose):
            target = link.partition("#")[0]
            if target and not re.match(r"\w+:", link):
                place = os.path.normpath(Path(page).parent / target)
                assert place in assets | MADE, f"{page}: {link}"
                count += 1
    assert count > 500


def test_every_api_page_has_its_modules():
    assert hooks.modules_there() == []


@pytest.mark.parametrize(
    ("before", "place", "after"),
    [
        ("[a](../README.md#use)", "index.md", "[a](about/readme.md#use)"),
        ("[a](docs/first_hour.md)", "about/readme.md", "[a](../first_hour.md)"),
        ("[nb](notebook.ipynb)", "first_hour.md", "[nb](notebook.md)"),
        ("[queue](../../../studies/queue.md)", "papers/alita/README.md", "queue (`studies/queue.md`)"),
        ("[figures](docs/papers/lica)", "about/readme.md", "[figures](../papers/lica/README.md)"),
        ("[x](https://a.b/c) [y](#z)", "index.md", "[x](https://a.b/c) [y](#z)"),
        (
            '<a href="manitokan.md"><img src="../images/manitokan.png" width="140" alt="M"></a>',
            "tasks/README.md",
            "[![M](../images/manitokan.png){ width=140 }](manitokan.md)",
        ),
        ("Two:\n- a\n- b", "index.md", "Two:\n\n- a\n- b"),
        ("```\nTwo:\n- [a](../README.md)\n```", "index.md", "```\nTwo:\n- [a](../README.md)\n```"),
    ],
)
def test_what_is_put_right(before, place, after):
    assert hooks.written(before, place) == after


def test_the_notebook_is_a_page():
    text = hooks.notebook()
    assert text.startswith("# comity in a notebook")
    assert text.count("```python") == 7
    assert text.count("data:image/") == 4


@pytest.mark.slow
def test_the_site_is_built_strictly():
    """Installs what builds it where that is missing."""
    subprocess.run(["make", "site"], cwd=ROOT, check=True, timeout=900)
    page = (ROOT / "build/site/api/run/index.html").read_text(encoding="utf-8")
    assert "All arrays of the first seed" in page
