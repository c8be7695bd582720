"""Pages that list things list all of them, and their links have targets."""

import re
from pathlib import Path

import pytest

from comity.algorithms import ALGORITHMS
from comity.algorithms.bonuses import BONUSES
from comity.environments import TASKS, WRAPPERS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:href|src)=\"([^\"]+)\"")


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("docs/tasks/README.md", [*TASKS, *(f"+{name}" for name in WRAPPERS)]),
        ("docs/algorithms/README.md", [*ALGORITHMS, *(f"+{name}" for name in BONUSES)]),
    ],
    ids=["tasks", "algorithms"],
)
def test_lists_name_everything(page, names):
    text = (ROOT / page).read_text(encoding="utf-8")
    missing = [name for name in names if f"`{name}`" not in text and not re.search(rf"`\w*{re.escape(name)}`", text)]
    assert not missing, f"{page} says nothing of {', '.join(missing)}"


def anchors(page: Path) -> set[str]:
    """The names by which headings of a page are linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for found in LINK.findall(page.read_text(encoding="utf-8")):
        link = found[0] or found[1]
        if re.match(r"\w+:", link):  # another site
            continue
        place, _, heading = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{link} leads nowhere"
        if heading and target.suffix == ".md":
            assert heading in anchors(target), f"{link}: {target.name} has no such heading"
