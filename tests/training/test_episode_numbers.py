"""The numbers of episodes, which some games read: each batch of an evaluation goes on where the last one ended."""

from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

from comity.experiments.figure import Trial
from comity.experiments.trials import played
from comity.recipes import from_objects
from comity.report.schelling import Diagram
from comity.training import evaluation, schelling
from comity.training.crossplay import Team, cross_play, partner
from tiny.numbered import Numbered

RECIPE = from_objects(Numbered(), "random")


def test_of_an_evaluation():
    def call(seeds, name, floats, begun, keys, states):
        return [{"sampled": {"number": begun + np.arange(3)}} for _ in states]

    seeds: Any = SimpleNamespace(join=list, each=list)
    ready: Any = SimpleNamespace(call=call)
    states: Any = [(), ()]
    found = evaluation.evaluate(seeds, ready, {}, [0, 1], states, 3, 0, np.int32(40), 8, 3)
    for one in found:
        np.testing.assert_array_equal(one["sampled"]["number"], range(40, 48))


def test_of_cross_play():
    run: Any = SimpleNamespace(recipe=RECIPE, env=RECIPE.env, path="run", state=lambda: None, alive=[])
    found = cross_play([run], [partner("random", RECIPE.env)], episodes=70)
    np.testing.assert_array_equal(found.values[0, 0]["number"], range(70))


def test_of_a_schelling_diagram(monkeypatch):
    monkeypatch.setattr(schelling, "own_returns", lambda told: np.stack([told["number"]] * 2, -1))
    monkeypatch.setattr(schelling, "TOGETHER", 2)
    team = Team("random", partner("random", RECIPE.env)[1], (), "random")
    found = schelling.between("numbered", RECIPE.env, [team], [team], ("one", "other"), episodes=5)
    assert isinstance(found, Diagram)
    np.testing.assert_array_equal(found.returns[0, :, 0], range(5))


def test_of_trials():
    for trial in (Trial(), Trial(partner="random")):
        values = jax.jit(played(RECIPE, trial, 4))(jax.random.key(0), (), np.int32(64))
        np.testing.assert_array_equal(values["number"], range(64, 68))
