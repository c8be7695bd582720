"""`compare`: what it prints, what it writes, and where."""

import pytest
from rich.console import Console

from comity.report.compare import compare


def run_compare(runs, **how):
    console = Console(force_terminal=False, width=80)
    with console.capture() as capture:
        written = compare(runs, console=console, **how)
    return written, capture.get()


def test_files_table_and_next_commands(make_run, tmp_path):
    a, b = make_run(iterations=60), make_run(iterations=60, algorithm="coma")
    written, printed = run_compare([a, b])
    assert [path.name for path in written] == ["compare.png", "compare.svg", "compare.md", "compare.csv"]
    folder = written[0].parent
    assert folder.parent == tmp_path / "comparisons"  # beside runs
    assert all(path.stat().st_size > 0 and str(path) in printed for path in written)
    assert "pg" in printed
    assert f"comity play {a} {b}" in printed
    text = (folder / "compare.md").read_text()
    assert "| pg | 4 | 288k | sampled |" in text
    assert "![learning curves](compare.png)" in text
    assert f"* coma: `{b}`" in text


def test_draws_the_metric_that_was_asked_for(make_run, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("comity.report.compare.draw_study", lambda *given: drawn.append(given[1:]) or [])
    run_compare(make_run(iterations=60), metric="return.1", out=tmp_path)
    assert drawn == [(["return.1", "return"], "sampled", tmp_path / "compare.png")]


def test_nothing_is_overwritten(make_run, tmp_path):
    run = make_run(iterations=60)
    first, second = (run_compare(run)[0][0].parent for _ in range(2))
    assert first != second
    mine = tmp_path / "mine"
    assert run_compare(run, out=mine, metric="return")[0][0] == mine / "compare.png"
    assert "return" in (mine / "compare.md").read_text()
    assert "success" not in (mine / "compare.md").read_text()


def test_refuses_before_writing(make_run, tmp_path):
    run = make_run(iterations=60)
    with pytest.raises(ValueError, match="no metric"):
        run_compare(run, metric="nothing", out=tmp_path / "out")
    with pytest.raises(ValueError, match="versions"):
        run_compare([run, make_run(iterations=60, task="manitokan@2")], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_in_progress(make_run):
    run = make_run(iterations=60, final=False, manifest={"status": "interrupted"})
    _, printed = run_compare(run)
    assert "newest periodic one counts" in printed
    assert f"comity resume {run}" in printed
