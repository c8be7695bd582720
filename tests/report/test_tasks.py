"""Algorithms over several tasks: one scale, the aggregate, profiles, and the output of `compare`."""

import csv

import numpy as np
import pytest
from rich.console import Console

from comity.report import tasks
from comity.report.compare import compare
from comity.report.statistics import iqm
from comity.runs.saved import open_run

FIVE = (0, 1, 2, 3, 4)
LOW, HIGH = [0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.6, 0.7, 0.8, 0.9]


@pytest.fixture
def runs(make_run):
    """pg and coma on manitokan, where coma is better, and on two-step, whose headline is a return and pg better."""
    of_returns = {"manifest": {"headline": "return"}, "task": "two-step@1"}
    return [
        make_run(seeds=FIVE, scores=LOW, iterations=60),
        make_run(seeds=FIVE, scores=HIGH, iterations=60, algorithm="coma"),
        make_run(seeds=FIVE, scores=HIGH, iterations=60, **of_returns),
        make_run(seeds=FIVE, scores=LOW, iterations=60, algorithm="coma", **of_returns),
    ]


def scores_of(runs, metric=None):
    return tasks.Scores([open_run(run) for run in runs], metric)


def test_scores_of_all_tasks_lie_on_one_scale(runs):
    scores = scores_of(runs)
    assert scores.metrics == {"manitokan@1": "success", "two-step@1": "return"}
    scaled = scores.scaled()
    np.testing.assert_allclose(scaled["pg"][:, 0], LOW)  # rates as they are
    np.testing.assert_allclose(scaled["pg"][:, 1], [0.5, 0.625, 0.75, 0.875, 1.0])  # between 0.15 and 1.35
    np.testing.assert_allclose(scaled["coma"][:, 1], [0, 0.125, 0.25, 0.375, 0.5])


def test_seeds_that_diverged_have_no_score(make_run):
    lost = make_run(seeds=FIVE, scores=HIGH, iterations=60, manifest={"not_finite": {"4": "params"}})
    scores = scores_of([lost])
    assert scores.raw["pg"]["manitokan@1"] == pytest.approx({seed: HIGH[seed] for seed in FIVE[:4]})
    assert "manitokan@1: pg: seed 4 diverged, in no mean" in scores.notes


def test_the_aggregate_is_over_seeds_and_tasks(runs):
    scores = scores_of(runs)
    sheet = tasks.tasks_sheet(scores)
    assert sheet.columns == ("", "manitokan@1, success %", "two-step@1, return", "aggregate IQM", "P(better)")
    by_name = {(row["label"], row["task"], row["metric"]): row for row in sheet.numbers}
    values = scores.scaled()["pg"]
    assert by_name["pg", "all", "aggregate"]["value"] == pytest.approx(iqm(values))
    assert by_name["pg", "manitokan@1", "success"]["value"] == pytest.approx(0.3)
    # coma wins all 25 pairs but a tie on one task, loses as many on the other: half on the mean
    assert by_name["coma", "all", "P(better than pg)"]["value"] == pytest.approx(0.5)
    low, high = by_name["pg", "all", "aggregate"]["low"], by_name["pg", "all", "aggregate"]["high"]
    assert low < iqm(values) < high
    assert sheet.rows[0][-1] == "reference"


def test_a_profile_is_the_share_of_scores_above_a_point():
    values = np.array([[0.1, 0.9], [0.5, 0.7]])
    shares = tasks.profile(values, np.array([0.0, 0.1, 0.6, 0.9]))
    np.testing.assert_allclose(shares, [1.0, 0.75, 0.5, 0.0])


def test_compare_of_several_tasks(runs, tmp_path):
    console = Console(force_terminal=False, width=200)
    with console.capture() as capture:
        written = compare(runs, console=console, out=tmp_path / "out")
    assert [path.name for path in written] == ["compare.png", "compare.svg", "compare.md", "compare.csv"]
    printed = capture.get()
    assert "2 tasks" in printed
    assert "rates" not in printed.partition("aggregate IQM: over")[2].partition("\n")[0]
    assert "return of two-step@1" in printed
    assert f"comity compare {runs[0]} {runs[1]}" in printed
    rows = list(csv.DictReader((tmp_path / "out" / "compare.csv").open()))
    assert {row["task"] for row in rows} == {"manitokan@1", "two-step@1", "all"}
    assert "![performance profiles](compare.png)" in (tmp_path / "out" / "compare.md").read_text()


def test_an_algorithm_that_misses_a_task_has_no_aggregate(runs):
    scores = scores_of(runs[:3])
    sheet = tasks.tasks_sheet(scores)
    (row,) = [row for row in sheet.rows if row[0] == "coma"]
    assert row[2:] == ("–", "–", "–")
    assert any("coma has not the same seeds" in note for note in sheet.notes)
    assert list(scores.scaled()) == ["pg"]


def test_few_seeds_give_ranges(make_run):
    runs = [make_run(iterations=60), make_run(iterations=60, task="two-step@1")]
    sheet = tasks.tasks_sheet(scores_of(runs))
    assert any("no interval, and no result" in note for note in sheet.notes)
    assert " to " in sheet.rows[0][3]


def test_versions_of_a_task_are_still_refused(runs, make_run, tmp_path):
    with pytest.raises(ValueError, match="versions"):
        compare([*runs, make_run(iterations=60, task="manitokan@2")], out=tmp_path / "out")
    with pytest.raises(ValueError, match="no metric"):
        compare(runs, metric="nothing", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
