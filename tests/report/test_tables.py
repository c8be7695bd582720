"""Tables: numbers, marks of few seeds, refusals, runs in progress."""

import csv
import json

import numpy as np
import pytest
from rich.console import Console

from comity.report.sheet import Sheet
from comity.report.statistics import bootstrap_ci, mean_ci
from comity.report.tables import compare_table, final_table

EIGHT = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def eight(make_run, scores=EIGHT, **how):
    return make_run(seeds=tuple(range(8)), scores=scores, iterations=60, **how)


def test_final_table_of_few_seeds_shows_each(make_run):
    sheet = final_table(make_run(seeds=(0, 1, 2), scores=(0.1, 0.2, 0.6), iterations=60))
    assert sheet.columns == ("checkpoint", "policy", "success %, mean", "return, mean", "success %, seeds 0-2")
    assert sheet.rows[0] == (
        "last, iteration 60",
        "sampled",
        "30.0 (10.0 to 60.0)",
        "0.45 (0.15 to 0.90)",
        "10.0  20.0  60.0",
    )
    assert [row[:3] for row in sheet.rows[1:3]] == [
        ("last, iteration 60", "greedy", "15.0 (5.0 to 30.0)"),
        ("best", "sampled", "35.0 (15.0 to 65.0)"),
    ]
    assert "manitokan@1 · pg · 3 seeds · 288k environment steps (joint actions) per seed" in sheet.title
    assert "each score: 320 episodes per seed" in sheet.notes
    assert any("fewer than 5 seeds" in note for note in sheet.notes)
    assert "[" not in "".join(sheet.rows[0])


def test_final_table_of_eight_seeds_has_t_intervals(make_run):
    sheet = final_table(eight(make_run))
    low, high = mean_ci(np.array(EIGHT))[1:]
    assert sheet.rows[0][2] == f"45.0 [{100 * low:.1f}, {100 * high:.1f}]"
    assert len(sheet.columns) == 4
    assert not any("fewer" in note for note in sheet.notes)


def test_final_table_of_given_lines(make_run):
    run = make_run(seeds=(0,), scores=(0.5,), iterations=30)
    line = {"seed": 0, "iteration": 30, "env_steps": 9, "policy": "greedy", "which": "now", "episodes": 7}
    sheet = final_table(run, lines=[line | {"mean": {"success": 0.25}}])
    assert sheet.rows == (("now, iteration 30", "greedy", "25.0 (1 seed)", "25.0"),)
    assert "each score: 7 episodes per seed" in sheet.notes


def test_compare_table(make_run):
    a = eight(make_run, task_fields={"observe": "last-action"})
    b = eight(make_run, scores=(0.05,) * 4 + (0.45,) * 4)
    sheet = compare_table([a, b])
    assert sheet.columns == ("", "seeds", "env steps", "policy", "success %", "return", "success % of best checkpoint",
                             "P(better)")  # fmt: skip
    found = bootstrap_ci(EIGHT)
    assert sheet.rows[0][:5] == (
        "pg · observe=last-action",
        "8",
        "288k",
        "sampled",
        f"45.0 [{100 * found.low:.1f}, {100 * found.high:.1f}]",
    )
    assert sheet.rows[0][6].startswith("50.0 [")
    assert sheet.rows[0][7] == "reference"
    assert sheet.rows[1][:4] == ("", "", "", "greedy")
    wins = np.mean([(x > y) + 0.5 * (x == y) for x in (0.05,) * 4 + (0.45,) * 4 for y in EIGHT])
    assert sheet.rows[2][7].startswith(f"{wins:.2f} [")
    assert not any("differ" in note for note in sheet.notes)


def test_few_seeds_have_no_interval_anywhere(make_run):
    few = make_run(iterations=60, seeds=(0, 1, 2, 3), scores=(0.1, 0.2, 0.4, 0.9), task_fields={"observe": "x"})
    sheet = compare_table([eight(make_run), few])
    assert sheet.rows[2][4] == "30.0 (10.0 to 90.0)"
    assert sheet.rows[2][7].endswith(" (few seeds)")
    assert not any("[" in cell for row in sheet.rows[2:] for cell in row)
    assert "numbers of seeds differ: pg · observe=plain 8, pg · observe=x 4" in sheet.notes
    numbers = [row for row in sheet.numbers if row["label"] == "pg · observe=x" and row["statistic"] == "IQM"]
    assert {row["interval"] for row in numbers} == {"range"}


def test_seeds_of_equal_configs_are_pooled(make_run):
    a = make_run(iterations=60, seeds=(0, 1, 2), scores=(0.1, 0.2, 0.3))
    b = make_run(iterations=60, seeds=(3, 4, 5), scores=(0.4, 0.5, 0.6))
    sheet = compare_table([a, b])
    assert len(sheet.rows) == 2
    assert sheet.rows[0][1] == "6"
    assert sheet.rows[0][4].startswith("35.0 [")
    assert "P(better)" not in sheet.columns


def test_notes_on_unequal_budgets(make_run):
    short, long = make_run(iterations=60, algorithm="coma"), make_run(iterations=90)
    assert "budgets differ, in env steps per seed: coma 288k, pg 432k" in compare_table([short, long]).notes
    nearly = make_run(iterations=60, algorithm="vdn", steps=4790)
    assert not any("budget" in note for note in compare_table([short, nearly]).notes)


def test_seeds_that_diverged_are_in_no_mean(make_run):
    """Their last evaluation is of before; counted, it would make the label as good as it was then."""
    lost = make_run(seeds=(0, 1, 2), scores=(0.2, 0.4, 0.9), iterations=60, manifest={"not_finite": {"2": "params"}})
    whole = make_run(seeds=(0, 1, 2), iterations=60, algorithm="coma")
    sheet = compare_table([whole, lost])
    assert sheet.rows[2][:2] == ("pg", "2")
    assert sheet.rows[2][4] == "30.0 (20.0 to 40.0)"
    assert sheet.rows[2][6] == "35.0 (25.0 to 45.0)"  # nor their best
    assert "pg: seed 2 diverged, in no mean" in sheet.notes
    alone = final_table(lost)
    assert alone.rows[0][2] == "30.0 (20.0 to 40.0)"
    assert alone.rows[0][-1] == "20.0  40.0  –"
    assert "pg: seed 2 diverged, in no mean" in alone.notes
    best = [json.loads(line) for line in (lost / "eval.jsonl").read_text().splitlines() if '"best"' in line]
    assert final_table(lost, lines=best).rows[0][2].startswith("55.0 (")  # `evaluate --best` plays its best policy
    none = make_run(seeds=(0,), iterations=60, algorithm="vdn", manifest={"not_finite": {"0": "params"}})
    assert compare_table([whole, none]).rows[2][:5] == ("vdn", "0", "288k", "sampled", "–")
    assert final_table(none).notes[0] == "vdn: seed 0 diverged, in no mean"


def test_a_run_in_progress_takes_part_and_says_so(make_run):
    run = make_run(seeds=(0, 1), scores=(0.3, 0.5), iterations=90, final=False)
    done = make_run(seeds=(0, 1), iterations=90, algorithm="coma")
    sheet = compare_table([run, done])
    assert sheet.rows[0][4] == "40.0 (30.0 to 50.0)"
    assert sheet.rows[0][6] == "–"
    note = "pg: seeds 0-1 (running) without final evaluation: the newest periodic one counts, at 432k env steps"
    assert note in sheet.notes
    assert not any(note.startswith("coma") for note in sheet.notes)
    assert final_table(run).rows[0][:3] == ("periodic, iteration 90", "sampled", "40.0 (30.0 to 50.0)")


def test_an_old_last_evaluation_gives_way_after_resume(make_run):
    run = make_run(seeds=(0,), scores=(0.3,), iterations=60)
    line = {"seed": 0, "iteration": 90, "env_steps": 432000, "policy": "sampled", "which": "periodic", "episodes": 32}
    with open(run / "eval.jsonl", "a") as file:
        file.write(json.dumps(line | {"mean": {"success": 0.9}}) + "\n")
    rows = final_table(run).rows
    assert ("periodic, iteration 90", "sampled", "90.0 (1 seed)") in [row[:3] for row in rows]
    assert ("last, iteration 60", "greedy", "15.0 (1 seed)") in [row[:3] for row in rows]
    assert not any(row[0].startswith(("last", "best")) and row[1] == "sampled" for row in rows)


def test_undefined_scores_are_left_out_and_counted(make_run):
    run = eight(make_run)
    path = run / "eval.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["seed"] == 7:
            line["mean"]["success"] = None
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    sheet = compare_table(run)
    assert sheet.rows[0][4].startswith("40.0 [")  # the mean of the middle five of 0.1 ... 0.7
    assert "pg, sampled: success is undefined for 1 of 8 seeds, which are left out of it" in sheet.notes


def test_failures_and_commits_are_named(make_run):
    a = make_run(iterations=60, manifest={"status": "failed", "git": {"commit": "a" * 40}})
    b = make_run(iterations=60, algorithm="coma", manifest={"git": {"commit": "b" * 40}})
    notes = compare_table([a, b]).notes
    assert f"pg: {a.name} failed; see its manifest.json" in notes
    assert "the runs were made by different commits: aaaaaaa, bbbbbbb" in notes
    (a / "log.txt").write_text("not finite")
    assert f"pg: {a.name} failed; see its log.txt" in compare_table([a, b]).notes


def test_refusals(make_run):
    run = make_run(iterations=60)
    with pytest.raises(ValueError, match="versions of a task differ"):
        compare_table([run, make_run(iterations=60, task="manitokan@2")])
    with pytest.raises(ValueError, match="no metric 'welfare'"):
        compare_table(run, metric="welfare")
    (run / "eval.jsonl").write_text("")
    for table in (compare_table, final_table):
        with pytest.raises(ValueError, match="no evaluation"):
            table(run)


SHEET = Sheet(
    "title",
    ("", "seeds", "policy", "success %, mean"),
    (("a long label · observe=last-action", "3", "sampled", "1.0 [0.5, 1.5]"), ("", "", "greedy", "2.0 [1.5, 2.5]")),
    ("a note",),
    grouped=2,
)


def test_markdown():
    assert SHEET.markdown().splitlines() == [
        "## title",
        "",
        "|  | seeds | policy | success %, mean |",
        "| --- | --- | --- | --- |",
        "| a long label · observe=last-action | 3 | sampled | 1.0 [0.5, 1.5] |",
        "|  |  | greedy | 2.0 [1.5, 2.5] |",
        "",
        "* a note",
    ]


@pytest.mark.parametrize("width", [100, 60, 44])
def test_text_fits_its_width(width):
    text = SHEET.text(width)
    assert max(map(len, text.splitlines())) <= width
    for part in ("observe=last-action", "[0.5, 1.5]", "greedy", "* a note"):
        assert part in text


def test_narrow_text_puts_the_label_on_its_own_line():
    assert "a long label · observe=last-action · seeds 3" in SHEET.text(44).splitlines()
    assert "[0.5, 1.5]" in SHEET.text(60).splitlines()[6]  # wide enough to keep all columns: the interval goes below
    assert SHEET.text(60).splitlines()[6].startswith("observe=last-action  ")


@pytest.mark.parametrize(("terminal", "width"), [(True, 120), (True, 60), (True, 40), (False, 40)])
def test_show_loses_nothing(terminal, width):
    console = Console(force_terminal=terminal, width=width, color_system=None)
    with console.capture() as capture:
        SHEET.show(console)
    for part in ("title", "observe=last-action", "[0.5, 1.5]", "2.0", "a note"):
        assert part in capture.get()
    assert ("─" in capture.get()) == (terminal and width > 40)


def test_csv_has_numbers(make_run, tmp_path):
    path = compare_table([eight(make_run), eight(make_run, algorithm="coma")]).to_csv(tmp_path / "t.csv")
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["value"]) == pytest.approx(0.45)
    assert rows[0]["interval"] == "95% CI"
    assert {row["statistic"] for row in rows} == {"IQM", "P(better than pg)"}
    assert {row["which"] for row in rows} == {"last", "best"}
