"""Reports of cross-play, from results made by hand."""

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from comity.recipes import from_objects
from comity.spec import Discrete, Spec, Vector
from comity.training.crossplay import Results, cross_play, crossplay_sheets
from comity.training.episodes import with_welfare

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


class Alone:
    """A game of one agent, of a plain class: two objects of it are not equal."""

    spec = Spec(agents=1, view=Vector(1), action=Discrete(2), length=1)

    def __init__(self, pay: float = 1.0):
        self.pay = pay

    def reset(self, key): ...

    def step(self, key, state, action): ...


def test_one_game_is_known_by_its_settings(monkeypatch):
    def run(env):
        recipe = from_objects(env, "random")
        return SimpleNamespace(recipe=recipe, env=env, path=env, state=lambda: None, alive=[])

    with pytest.raises(ValueError, match="of two agents or more"):  # so it is one game
        cross_play([run(Alone()), run(Alone())], [])  # pyright: ignore[reportArgumentType]
    monkeypatch.setitem(sys.modules, "notebook", ModuleType("notebook"))
    typed = [type("Alone", (Alone,), {"__module__": "notebook"}) for _ in range(2)]  # a cell that was run twice
    for one, other in ((Alone(), Alone(2.0)), (Alone(), typed[0]()), (typed[0](), typed[1]())):
        with pytest.raises(ValueError, match="plays another game"):
            cross_play([run(one), run(other)], [])  # pyright: ignore[reportArgumentType]


def test_matrix_and_welfare():
    matrix, summary = crossplay_sheets(results(), "success")
    assert matrix.rows[0] == ("pg:0", "100.0", "0.0", "0.0")
    rows = {row[0]: row[1:] for row in summary.rows}
    # pairings, success %, sum of returns, the worse off, equality 1 - Gini
    assert rows["itself"] == ("2", "100.0", "4", "2", "1")
    assert rows["strangers"] == ("2", "0.0", "1", "0", "0.5")
    assert rows["scripted partners"] == ("4", "0.0", "0", "0", "-")  # nobody earns anything: equality is undefined


def test_equality_is_that_of_evaluations():
    """In half of the episodes one agent earns all, in the others the other one: equal on average, never in an episode.
    Where somebody loses it is undefined, and such episodes are in no mean.
    """
    turns = np.array([[2.0, 0.0], [0.0, 2.0], [-1.0, 5.0], [0.0, 0.0]])
    values = {pair: {**told, "return": turns} for pair, told in results().values.items()}
    _, summary = crossplay_sheets(replace(results(), values=values), "success")
    assert {row[0]: row[-1] for row in summary.rows}["itself"] == "0.5"
    found = with_welfare(SimpleNamespace(spec=SimpleNamespace(mixed_motive=True)), {"return": turns})  # pyright: ignore
    np.testing.assert_array_equal(found["welfare_equality"], [0.5, 0.5, np.nan, np.nan])


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
