"""The figures of RUSP: arms and trials match their labels, and all of it runs from end to end."""

import json
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from comity.environments.wrappers.preference_draws import draw_weights
from comity.experiments.dilemmas import learners
from comity.experiments.figure import recipe_of
from comity.experiments.reproduce import SMOKE
from comity.experiments.rusp.arms import BUDGETS
from comity.experiments.rusp.dilemmas import FIG11, OASIS
from comity.experiments.rusp.groups import BUDDY, INDIRECT
from comity.experiments.rusp.ipd import FIG3, FIG8, FIG9
from comity.experiments.rusp.paper import PAPER, smoke
from comity.experiments.trials import played
from tiny import figures


def test_arms_are_what_their_labels_say():
    games = {label: recipe_of(arm).env for label, arm in FIG3.arms.items()}
    for label, env in games.items():
        assert env.payoffs == (2.0, -2.0, 4.0, 0.0)  # pyright: ignore[reportAttributeAccessIssue]
        if label.startswith("RUSP"):
            assert env.uncertainty == float(label.split()[1])  # pyright: ignore[reportAttributeAccessIssue]
    assert {label: env.sharing for label, env in games.items() if env.sharing != "teams"} == {  # pyright: ignore
        "selfish": "selfish",
        "no teams": "full",
    }
    shared = {label: recipe_of(arm).env for label, arm in FIG8.arms.items()}
    for label, env in shared.items():
        said = [f"{env.levels} levels", f"{env.noises} noises"]  # pyright: ignore[reportAttributeAccessIssue]
        assert label == ", ".join(said)
    versions = {label: recipe_of(arm).config.versions for label, arm in FIG9.arms.items()}
    assert versions == {"past play, 10 %": 64, "no past play": 0}
    assert {recipe_of(arm).config.chunk for arm in INDIRECT.arms.values()} == {20}


def test_dilemmas_are_what_their_labels_say():
    for label, arm in FIG11.arms.items():
        env: Any = recipe_of(arm).env
        assert (env.sharing == "selfish") == label.startswith("selfish")
        assert (env.uncertainty == 0) == ("certain" in label)
        assert type(env.game).__name__ == label.rpartition(", ")[2]
        assert (env.spec.length, env.spec.view.shape[:2]) == (1000, (15, 15))
    pairs: Any = recipe_of(OASIS.arms["two against one"]).env
    weight = np.asarray(draw_weights(jax.random.key(0), pairs))
    # One team of two, who care for each other as for themselves.
    assert sorted((weight > 0.9).sum(1).tolist()) == [1, 2, 2]


def test_an_iteration_of_the_paper_is_60_gradient_steps_on_8000_chunks():
    """Of Oasis on 32,000 chunks of 100 steps, without play against past policies (the paper's table)."""
    for arm in (
        FIG3.arms["RUSP, 1"],
        FIG3.arms["selfish"],
        INDIRECT.arms["RUSP"],
        BUDDY.arms["RUSP"],
        *FIG11.arms.values(),
        *OASIS.arms.values(),
    ):
        budget = BUDGETS["paper"][arm.budget]
        recipe = recipe_of(replace(arm, settings={**arm.settings, **budget.settings}))
        config: Any = recipe.config
        chunks, oasis = recipe.env.spec.agents * budget.envs * config.steps / config.chunk, arm.budget == "oasis"
        assert chunks == 12 * (32_000 if oasis else 8_000)
        assert (config.epochs * config.minibatches, config.epochs) == (60, 5)
        assert (config.versions == 0) == oasis


def test_whoever_is_compared_with_a_number_has_five_seeds():
    """With three the exact test decides nothing."""
    tested = 0
    for figure in (*PAPER.figures.values(), learners.FIGURE):
        for test in (test for claim in figure.claims for test in claim.tests if not isinstance(test.second, str)):
            assert figure.budgets["laptop"][figure.arms[test.first].budget].seeds >= 5, (figure.name, test.first)
            tested += 1
    assert tested > 20


def test_in_a_trial_only_the_last_agent_is_the_partner_and_rewards_are_each_ones_own():
    arm = INDIRECT.arms["RUSP"]
    recipe = recipe_of(smoke(arm))
    state = recipe.make(recipe.config, recipe.env).init(jax.random.key(0))
    values = jax.jit(played(recipe, arm.trials["rapport-all-d"], 32))(jax.random.key(1), state)
    defection = np.asarray(values["defection"])
    assert defection.shape == (32, 3)
    last = defection[:, 2]
    np.testing.assert_array_equal(last[~np.isnan(last)], 1)
    assert ((np.nanmean(defection, 0) > 0) & (np.nanmean(defection, 0) < 1)).tolist() == [True, True, False]
    np.testing.assert_allclose(values["return"], values["raw_return"], atol=1e-5)  # T = I
    assert np.isnan(last).any()  # short episodes end before the newcomer plays


def test_a_figure_of_each_game_runs_at_smoke_scale(tmp_path):
    """The other figures are of the same games."""
    figures.smoke(PAPER, ("fig3", "indirect", "buddy"), tmp_path)
    (record, _) = map(json.loads, (tmp_path / "data" / "ipd-rusp-smoke.jsonl").read_text().splitlines())
    assert len(record["curve"]["all-d:cooperation.0"]) == len(record["curve"]["iteration"]) == SMOKE.iterations
    assert None not in record["curve"]["all-d:cooperation.0"]
