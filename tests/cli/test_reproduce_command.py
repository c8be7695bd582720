"""`comity reproduce` if no results came with the code."""

from comity.cli.main import main
from comity.experiments import packed

WORDS = "no results of hidden-gifts came with this installation"


def test_what_was_installed_without_results_says_so(monkeypatch, tmp_path, capsys):
    plan = ["reproduce", "hidden-gifts/fig5", "--plan", "--out", str(tmp_path / "out")]
    assert main(plan) == 0
    assert WORDS not in capsys.readouterr().out
    monkeypatch.setattr(packed, "packed_file", lambda module: tmp_path / "records.npz")
    monkeypatch.setattr(packed, "new_records", lambda paper: tmp_path / "new" / paper)
    assert main(plan) == 0
    told, *installed = capsys.readouterr().out.splitlines()
    assert told == WORDS
    assert "seeds to train" in installed[0]
    assert main([*plan, "--fresh"]) == 0
    assert capsys.readouterr().out.splitlines() == installed  # --fresh asked for that
