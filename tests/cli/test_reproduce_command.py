"""`comity reproduce` where no results came with the code."""

import comity
from comity.cli.main import main

WORDS = "no results came with this installation: a checkout has those under docs/papers"


def test_what_was_installed_without_results_says_so(monkeypatch, tmp_path, capsys):
    plan = ["reproduce", "hidden-gifts/fig5", "--plan", "--out", str(tmp_path / "out")]
    assert main(plan) == 0
    assert WORDS not in capsys.readouterr().out
    monkeypatch.setattr(comity, "__file__", str(tmp_path / "site-packages" / "comity" / "__init__.py"))
    assert main(plan) == 0
    told, *installed = capsys.readouterr().out.splitlines()
    assert told == WORDS
    assert "seeds to train" in installed[0]
    assert main([*plan, "--fresh"]) == 0
    assert capsys.readouterr().out.splitlines() == installed  # --fresh asked for that
