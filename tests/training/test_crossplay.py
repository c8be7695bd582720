"""Reports of cross-play, from results made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from comity.training.crossplay import Results, crossplay_sheets

LABELS = ("pg:0", "pg:1", "scripted:random")


def results() -> Results:
    """Returns [E, N]: a team with itself 2 and 2, with a stranger 1 and 0, with a partner that is scripted 0 and 0."""
    pay = {"itself": (2.0, 2.0), "stranger": (1.0, 0.0), "scripted": (0.0, 0.0)}
    values = {}
    for i in range(3):
        for j in range(3):
            kind = "scripted" if 2 in (i, j) else "itself" if i == j else "stranger"
            returns = np.tile(pay[kind], (4, 1))
            values[i, j] = {"return": returns, "success": np.full(4, kind == "itself"), "length": np.full(4, 5)}
    return Results(LABELS, values, "game@1", "success", 4, "sampled")


def test_matrix_and_welfare():
    matrix, summary = crossplay_sheets(results(), "success")
    assert matrix.rows[0] == ("pg:0", "100.0", "0.0", "0.0")
    rows = {row[0]: row[1:] for row in summary.rows}
    # pairings, success %, sum of returns, the worse off, equality 1 - Gini
    assert rows["itself"] == ("2", "100.0", "4", "2", "1")
    assert rows["strangers"] == ("2", "0.0", "1", "0", "0.5")
    assert rows["scripted partners"][0] == "4"


def test_welfare_is_of_the_games_own_rewards():
    """`return` may be of rewards that a wrapper has shared out."""
    shared = results()
    values = {pair: {**told, "raw_return": 3 * told["return"]} for pair, told in shared.values.items()}
    _, summary = crossplay_sheets(replace(shared, values=values), "success")
    assert {row[0]: row[3:5] for row in summary.rows}["itself"] == ("12", "6")


def test_one_agent_alone():
    np.testing.assert_array_equal(results().matrix("return.0"), [[2, 1, 0], [1, 2, 0], [0, 0, 0]])
    np.testing.assert_array_equal(results().matrix("return.1"), [[2, 0, 0], [0, 2, 0], [0, 0, 0]])
    for name in ("return.2", "success.0", "return.x"):
        with pytest.raises(ValueError, match="no metric"):
            results().matrix(name)


def test_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="no metric 'sucess'"):
        results().matrix("sucess")


def test_csv_has_every_pairing(tmp_path):
    lines = results().to_csv(tmp_path / "pairs.csv").read_text().splitlines()
    assert lines[0] == "agent_0,others,return,success,length"
    assert len(lines) == 10
    assert lines[2] == "pg:0,pg:1,0.5,0.0,5.0"
