"""Tables in the papers' pages agree with figures and verdicts."""

import json

import pytest

from comity.experiments import pages
from comity.experiments.figure import Finding
from comity.experiments.hidden_gifts import matrix
from comity.experiments.hidden_gifts.repairs import REPAIR_STUDY, STUDIES
from tiny.paper import FIGURE
from tiny.paper import PAPER as TINY


def test_pages_hold_the_tables_that_are_made_now():
    """`python -m comity.experiments.pages` writes them anew."""
    for page, parts in pages.tables(pages.FOLDER).items():
        text = page.read_text(encoding="utf-8")
        for name, lines in parts.items():
            assert pages.put(text, name, lines) == text, f"{page}: {name}"


def test_every_figure_says_what_its_paper_says_and_findings_rest_on_claims_there_are():
    for paper in pages.papers().values():
        for figure in paper.figures.values():
            assert figure.says.endswith((".", "?")), figure.name
            rests_on = figure.finding.rests_on if figure.finding else {}
            standing = {claim.name for claim in figure.claims if not claim.replaced_by}
            assert rests_on.keys() <= standing, figure.name
            assert rests_on or not (figure.finding and figure.arms), figure.name


def about(verdict="reproduced", seeds=(0, 1, 2), share: float | None = 0.3):
    test = {"share": share, "estimate": 0.5}
    claims = [
        {"name": "more", "verdict": verdict, "replaced_by": "", "tests": [test]},
        {"name": "new", "verdict": "open", "replaced_by": "", "tests": [test]},
        {"name": "old", "verdict": "open", "replaced_by": "new", "tests": [test]},
    ]
    return {"arms": {"one": {"seeds": list(seeds)}, "two": {"seeds": [0, 1, 2, 3, 4]}}, "claims": claims}


def test_a_row_counts_verdicts_and_says_the_finding_as_long_as_it_stands(tmp_path):
    figure = FIGURE._replace(says="More.", finding=Finding("Two earns more", {"more": "reproduced"}))
    assert pages.row(figure, tmp_path, "x/") == "| fig1 | More. | being trained |  |  |  |"
    (tmp_path / "fig1.claims.json").write_text(json.dumps(about()))
    (tmp_path / "fig1.png").write_text("")
    row = pages.row(figure, tmp_path, "x/")
    verdicts = "1 reproduced, 1 open; 30 % of the paper's training"
    assert row.startswith(f"| [fig1](x/fig1.md) | More. | Two earns more | 3 to 5 | {verdicts} | ")
    assert '<img src="x/fig1.png" width="180"' in row
    assert pages.found(figure, about("open")) == "undecided"
    assert pages.found(figure, about("open", (0,))) == "being trained; undecided so far"
    assert pages.verdicts(about(share=1.0)) == "1 reproduced, 1 open"
    unknown = "1 reproduced, 1 open; the length of the paper's training is not known"
    assert pages.verdicts(about(share=None)) == unknown


def test_the_readme_counts_figures_and_verdicts_of_each_paper(tmp_path, monkeypatch):
    trained, waits = FIGURE._replace(finding=None), FIGURE._replace(name="fig2")
    paper = TINY._replace(figures={"fig1": trained, "fig2": waits}, label="Tiny, 2026", found="Two earns more.")
    monkeypatch.setattr(pages, "papers", lambda: {"tiny": paper})
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "fig1.claims.json").write_text(json.dumps(about()))
    row = "| [Tiny, 2026](docs/papers/tiny/README.md) | Two earns more. | 1 of 2 | 1 reproduced, 1 open |"
    assert pages.summary(tmp_path)[2:] == [row]


def test_a_place_for_a_table_is_asked_for():
    text = "a\n<!-- t: made by python -m comity.experiments.pages -->\nold\n<!-- end of t -->\nb\n"
    new = pages.put(text, "t", ["| x |"])
    assert "old" not in new
    assert new.startswith("a\n")
    assert new.endswith("\nb\n")
    assert "\n\n| x |\n\n" in new
    with pytest.raises(ValueError, match="no place for u"):
        pages.put(text, "u", [])


def test_the_matrix_fills_itself():
    def record(success):
        return {"curve": {"iteration": list(range(10)), "success": [0.0] * 9 + [success]}}

    chain = STUDIES["PG"][1]
    found = {"PG, released": [record(0.02), record(0.04)], chain[-1]: [record(1.0)] * 3, "random": [record(0.02)]}
    lines = matrix.table(found)
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in lines[2:-2]}
    assert rows["nothing: as released"][0] == "3.0 % [2.0, 4.0] (2)"
    assert rows["nothing: as released"][1] == "being trained"
    assert rows["all"][0] == "100.0 % [100.0, 100.0] (3)"
    assert rows["frozen views alone"][2:4] == ["not planned", "-"]  # COMA; MAPPO has no such defect
    assert rows["misread actions alone"][:4] == ["-", "-", "-", "being trained"]
    assert lines[-1] == "Random play: 2.0 % [2.0, 2.0] (1) of 300 steps, being trained of 150."
    assert {len(line.split(" | ")) for line in lines[2:-2]} == {1 + len(STUDIES)}
    assert set(found) <= set(REPAIR_STUDY.arms)
