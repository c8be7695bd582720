"""The comparison of learners on Harvest and Cleanup: all have one budget, and the arms match their labels."""

from typing import Any

import pytest

from comity.experiments.dilemmas.learners import BUDGETS, FIGURE, STEPS
from comity.experiments.dilemmas.paper import PAPER
from comity.experiments.figure import recipe_of
from comity.experiments.reproduce import paper_lengths
from tiny import figures

ARMS = {label: arm for label, arm in FIGURE.arms.items() if arm.algorithm != "random"}


@pytest.mark.parametrize("label", ARMS)
def test_every_learner_has_the_same_budget_of_play(label):
    recipe, budget = recipe_of(ARMS[label]), BUDGETS["laptop"][ARMS[label].budget]
    algorithm = recipe.make(recipe.config, recipe.env)
    steps = algorithm.steps or recipe.env.spec.length
    assert budget.iterations * budget.envs * steps == STEPS
    game: Any = recipe.env
    assert type(game).__name__ == label.rpartition(", ")[2]
    assert (game.length, game.radius, game.num_agents) == (200, 5, 5)


def test_verdicts_do_not_wait_for_a_longer_training():
    assert set(paper_lengths(FIGURE).values()) == {None}


def test_whose_reward_is_learned_from():
    config: Any = recipe_of(ARMS["QMIX, team reward, Cleanup"]).config
    assert config.credit == "mean"
    assert (config.explore_end, config.explore_steps) == (0.0, 10_000)  # its last policy plays without random actions
    own: Any = recipe_of(ARMS["IPPO, Cleanup"]).config
    assert own.credit == "own"


@pytest.mark.slow
def test_it_runs_at_smoke_scale(tmp_path):
    figures.smoke(PAPER, ("learners",), tmp_path)
