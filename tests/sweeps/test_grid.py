"""Grids: pairs that fit are planned, others are left out with a reason; scores by hand; a budget of CPU time."""

import json
import math
from typing import Any

import pytest
import yaml

import comity
from comity.cli.main import main
from comity.report.statistics import mean_ci
from comity.runs import saved
from comity.sweeps import grid as grids
from comity.training import run as runs


@pytest.fixture
def grid(tmp_path, monkeypatch):
    """Planned, and four of its cells as if they were over."""
    monkeypatch.setattr(saved, "REFERENCES", tmp_path / "none")
    study = {"tasks": ["two-step", "ipd"], "algorithms": ["vdn", "lola"], "cpu_seconds": 7, "seeds": 2}
    one = grids.planned(tmp_path / "grid", study)
    scores = {
        ("two-step", "vdn"): ({"0": 0.3, "1": 0.1}, {"0": 0.6, "1": 0.8}),
        ("two-step", "random"): ({"0": 0.2, "1": 0.2}, {"0": 0.0, "1": 0.0}),
        ("ipd", "lola"): ({"0": 9.0, "1": 7.0}, {"0": 1.0, "1": 1.0}),
        ("ipd", "random"): ({"0": 4.0, "1": 4.0}, {}),
    }
    for row in one.sweep.rows:
        if found := scores.get((row.task, row.algorithm)):
            over(one, row, *found)
    return one


def over(grid, row, sampled, greedy, status="finished"):
    """Writes what a worker leaves of a row that is over."""
    folder, metric = grid.sweep.of(row), grid.metrics[grid.labels[row.name][0]]
    (folder / "run").mkdir(parents=True, exist_ok=True)
    about = {"status": status, "run": "run", "scores": {metric: sampled}, "greedy": {metric: greedy}}
    (folder / "done.json").write_text(json.dumps(about))
    (folder / "run" / "manifest.json").write_text(json.dumps({"cpu_seconds": 13.0}))


def test_what_does_not_fit_is_left_out_with_its_reason(grid):
    pairs = {(row.task, row.algorithm) for row in grid.sweep.rows}
    assert pairs == {("two-step", "vdn"), ("two-step", "random"), ("ipd", "vdn"), ("ipd", "lola"), ("ipd", "random")}
    assert list(grid.refused) == ["two-step"]
    assert "lola" in grid.refused["two-step"]["lola"]
    assert grid.metrics == {"two-step": "optimal", "ipd": "return"}  # of mixed motives the headline is no aim
    training = {row.config["training"]["cpu_seconds"] for row in grid.sweep.rows}
    assert training == {14.0}  # of both seeds
    assert grids.planned(grid.sweep.path, grid.sweep.study) == grid


def test_scores_by_hand(grid):
    """0: random play at its better policy, 1: the best cell. VDN's greedy seeds 0.6, 0.8 against random's 0.2."""
    found = grids.cells(grid)
    vdn = found["two-step"]["vdn"]
    assert vdn.scores == (0.6, 0.8)
    assert (vdn.score, vdn.low, vdn.high) == pytest.approx((1.0, 0.8, 1.2))
    assert vdn.seconds == 6.5
    assert found["two-step"]["random"].score == 0
    assert found["ipd"]["lola"].score == 1
    assert "vdn" not in found["ipd"]


def test_the_interval_is_that_of_the_mean_it_stands_beside(grid):
    """Of five seeds: a t interval, as the legend says, around the mean, not around the interquartile mean."""
    row = next(row for row in grid.sweep.rows if (row.task, row.algorithm) == ("ipd", "lola"))
    scores = [9.0, 7.0, 8.0, 6.0, 20.0]
    over(grid, row, {str(seed): score for seed, score in enumerate(scores)}, {})
    found = grids.cells(grid)["ipd"]["lola"]
    assert (found.score, found.low, found.high) == pytest.approx([(x - 4.0) / (10.0 - 4.0) for x in mean_ci(scores)])
    assert grids.sheet(grid).rows[1][2].startswith("1.00 [")


def test_a_better_team_that_is_known_moves_the_one(grid, tmp_path, monkeypatch):
    monkeypatch.setattr(saved, "REFERENCES", tmp_path / "references")
    folder = tmp_path / "references" / "two-step"
    folder.mkdir(parents=True)
    game = next(row.config["task"] for row in grid.sweep.rows if row.task == "two-step")

    def score(metric="optimal", **settings):
        (folder / "reference.json").write_text(json.dumps({"metric": metric, "scores": [1.2, 1.2]}))
        (folder / "config.yaml").write_text(yaml.safe_dump({"task": {**game, "profile": None, **settings}}))
        return grids.cells(grid)["two-step"]["vdn"].score

    assert score() == pytest.approx(0.5)
    assert score("return") == pytest.approx(1.0)  # another metric says nothing, nor does another game
    assert score(safe=3.0) == pytest.approx(1.0)
    assert score(name="two-step@77") == pytest.approx(1.0)


def test_other_games_and_settings_have_cells_of_their_own(tmp_path):
    """Only seeds share a cell. A variation that random play does not have leaves its one cell."""
    ipd = {"name": "ipd", "length": 5}
    vdn = {"name": "vdn", "vary": {"gamma": [0.5, 0.9]}}
    study = {"tasks": ["ipd", ipd], "algorithms": [vdn, "ippo"], "vary": {"hidden": [8]}, "seeds": 2, "apart": True}
    grid = grids.planned(tmp_path / "grid", study)
    tasks, algorithms = grid.names
    assert tasks == ["ipd · length=10", "ipd · length=5"]
    assert algorithms == ["vdn · gamma=0.5", "vdn · gamma=0.9", "ippo", "random"]
    assert len(grid.sweep.rows) == 16
    assert not grid.refused
    assert {row.config["training"]["cpu_seconds"] for row in grid.sweep.rows} == {grids.BUDGET}  # each has one seed
    for number, row in enumerate(grid.sweep.rows):
        seed = str(row.config["training"]["first_seed"])
        over(grid, row, {seed: float(number)}, {seed: float(number % 2) * 100 if row.algorithm == "ippo" else -1.0})
    found = grids.cells(grid)
    scores = {place: found[place[0]][place[1]].scores for place in {tuple(x) for x in grid.labels.values()}}
    assert scores["ipd · length=10", "vdn · gamma=0.5"] == (0.0, 1.0)
    assert scores["ipd · length=10", "vdn · gamma=0.9"] == (2.0, 3.0)
    assert scores["ipd · length=10", "ippo"] == (0.0, 100.0)  # of one policy for both seeds
    assert scores["ipd · length=5", "random"] == (14.0, 15.0)
    assert found["ipd · length=5"]["ippo"].seconds == 13.0
    with pytest.raises(ValueError, match="two cells are the same"):
        grids.planned(tmp_path / "other", {"tasks": ["ipd", "ipd"], "algorithms": ["vdn"]})


def test_a_cell_that_lost_a_seed_has_no_score(grid):
    """Its algorithm has no mean, and the 1 is the best of the others."""
    rows = {(row.task, row.algorithm): row for row in grid.sweep.rows}
    over(grid, rows["ipd", "lola"], {"0": 90.0}, {}, "not finite")
    over(grid, rows["ipd", "vdn"], {"0": 6.0, "1": 6.0}, {})
    over(grid, rows["two-step", "vdn"], {}, {}, "failed")
    lola, vdn = grids.cells(grid)["ipd"]["lola"], grids.cells(grid)["ipd"]["vdn"]
    assert (lola.lost, vdn.score) == ("1 of 2 lost", 1.0)
    assert math.isnan(lola.score)
    sheet = grids.sheet(grid)
    table = {row[0]: row[1:] for row in sheet.rows}
    assert table["lola"][:3] == ("-", "1 of 2 lost", "")
    assert table["vdn"][:3] == ("failed", "1.00 (1.00 to 1.00)", "")
    assert "such a cell has no score" in sheet.notes[-1]


def test_table_and_picture(grid, tmp_path):
    table = {row[0]: row[1:] for row in grids.sheet(grid).rows}
    assert table["vdn"][:2] == ("1.00 (0.80 to 1.20)", "...")
    assert table["lola"][:2] == ("-", "1.00 (0.75 to 1.25)")
    assert table["random"][-2] == "0.00"
    over(grid, next(row for row in grid.sweep.rows if row.algorithm == "lola"), {"0": 9.0}, {}, "not finite")
    for file in grids.draw(grid, tmp_path / "picture"):
        assert file.stat().st_size > 2_000
    assert "1 of 2 lost" in file.read_text()


def test_nothing_is_known_where_random_play_is_best(grid):
    for row in grid.sweep.rows:
        if (row.task, row.algorithm) == ("two-step", "vdn"):
            (grid.sweep.of(row) / "done.json").unlink()
    assert math.isnan(grids.cells(grid)["two-step"]["random"].score)


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["grid", "two-step,matrix", "vdn", "--dry-run"]) == 0
    assert "4 cells, 4 to train in about 0.2 core-hours and compiling, 0 pairs do not fit" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert main(["grid", "two-step,matrix", "vdn", "--table"]) == 1
    (folder,) = (tmp_path / "grids").iterdir()
    assert main(["grid", str(folder), "--table"]) == 1  # something is left
    assert main(["grid", str(folder), "--cpu-seconds", "3"]) == 2
    assert "a grid already" in capsys.readouterr().err
    assert main(["grid", "two-step"]) == 2
    assert main(["grid", "two-step", "vdn", "--seeds", "0"]) == 2
    assert "must be above 0" in capsys.readouterr().err


def test_other_flags_do_not_replace_the_grid_of_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("tasks: [two-step]\nalgorithms: [vdn]\ncpu_seconds: 7\n")
    assert main(["grid", "mine.yaml", "--table"]) == 1
    plans = {path: path.read_text() for path in (tmp_path / "grids" / "mine").glob("*.json")}
    assert main(["grid", "mine.yaml", "--cpu-seconds", "3", "--table"]) == 1  # in a folder of its own
    assert len(list((tmp_path / "grids").iterdir())) == 2
    capsys.readouterr()
    assert main(["grid", "mine.yaml", "--cpu-seconds", "3", "--out", "grids/mine", "--table"]) == 1
    told = "grids/mine holds the sweep with other settings on the command line, and 2 of its 2 rows would leave"
    assert told in capsys.readouterr().err
    assert len(plans) == 2
    assert all(path.read_text() == text for path, text in plans.items())


def test_processor_time_ends_a_run_and_is_kept(tmp_path):
    """It stops before the budget is over, counts what earlier processes took, and evaluates at the end."""
    learner = comity.algorithm("vdn", hidden=8)
    few: Any = {"seeds": 1, "chunk": 5, "evaluations": 1, "final_episodes": 8, "progress": False}
    run = comity.train("two-step", learner, out=tmp_path, iterations=1_000_000, cpu_seconds=1.0, **few)
    manifest = run.directory.manifest()
    assert 0.3 < manifest["cpu_seconds"] <= 1.2
    assert 0 < manifest["iterations_done"] < 1_000_000
    assert {x["which"] for x in run.directory.lines("eval.jsonl")} >= {"last"}
    again = comity.resume(run, progress=False)
    assert again.iteration < 1.3 * run.iteration  # what was left of the budget, not a new one
    assert again.directory.manifest()["cpu_seconds"] <= 1.3
    assert isinstance(again, runs.Run)
