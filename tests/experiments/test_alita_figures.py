"""The figures of ALITA: the trial that compares estimates with play, on a known game; all of it made small."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms.off_policy import alita, alita_estimates
from comity.algorithms.off_policy.deterministic import Member
from comity.algorithms.off_policy.deterministic_nets import nets_of, policies
from comity.algorithms.off_policy.maddpg import joint_actions
from comity.experiments import records
from comity.experiments import reproduce as machinery
from comity.experiments.alita.bodies import FIG5
from comity.experiments.alita.estimates import DISTANCE_OF_F, ERROR_OF_Q, SAID_OVER_TRUE
from comity.experiments.alita.paper import PAPER
from comity.experiments.alita.truth import true_influence
from comity.experiments.figure import Scale, lacking, recipe_of
from comity.experiments.tables import beside_published
from comity.learning import influence
from comity.recipes import Recipe
from comity.types import Observation
from tests.algorithms.test_alita import REWARDS, TINY, TRANSITIONS, Tabular
from tiny.figures import smoke

KEY, GAMMA, LENGTH = jax.random.key(0), 0.5, 4


def test_notes_on_battles_say_what_is_smaller_at_the_laptops_scale():
    names = "every", "capacity", "influence_batch", "novelty_batch", "influence_updates"
    numbers: dict[Scale, tuple[int, ...]] = {
        "laptop": (480, 1_024, 32, 128, 4),
        "paper": (100, 5_000, 1_024, 1_024, 400),
    }
    for name in ("fig3", "fig4"):
        figure = PAPER.figures[name]
        for scale, wanted in numbers.items():
            arm, _ = machinery.arms_at(PAPER, figure, scale)["ALITA" if name == "fig4" else "ALITA, 2s3z"]
            config = recipe_of(arm).config
            assert tuple(getattr(config, x) for x in names) == wanted
            assert arm.options == {"clock_terminates": True}
        assert all(f"{x:,}" in figure.note for x in (*numbers["laptop"], *numbers["paper"]))


@pytest.mark.parametrize("kind", ["clones", "single"])
def test_play_finds_the_influence_of_a_tabular_game_and_the_estimate_is_asked_at_the_same_states(kind):
    """Of a learner that has not learned, so that estimate and truth are far apart; both against sums over all cases."""
    env = Tabular(LENGTH)
    config = alita.Config(**TINY, gamma=GAMMA, influence=kind, influence_of="extrinsic")
    state = alita.make(config, env).init(KEY)
    recipe = cast(Recipe, SimpleNamespace(config=config, env=env))
    probe = jax.jit(true_influence(recipe, 10_000, 2, 12, 2))  # so few that their noise would show in squares
    found = {name: float(x.mean()) for name, x in probe(KEY, state).items()}

    nets, role = nets_of(config, env.spec, Member(joint_actions)), alita_estimates.Role(0, (1,))
    views = jnp.tile(jnp.eye(2)[:, None], (1, 2, 1))  # [S, N, 2]
    seen = Observation(views, jnp.zeros(()), jnp.ones((2, 2, 2), bool))
    mine, theirs = np.moveaxis(np.asarray(policies(nets, state.actors, seen)[0].probabilities), 1, 0)
    net, critics = state.added.estimates[0].net, alita_estimates.of_agents(nets, state.critics, jnp.array([1]))
    said, value = np.zeros((2, 2)), np.zeros((2, 2, 2))
    clones = alita.Config(**TINY)
    for a in range(2):
        for u in range(2):
            joint = jnp.tile(jnp.eye(2)[jnp.array([a, u])], (2, 1, 1))
            said[:, a] += theirs[:, u] * alita_estimates.call(config, nets, role, net, views, joint)[:, 0]
            value[:, a, u] = alita_estimates.call(clones, nets, role, critics, views, joint)[:, 0]
    best = value.max((1, 2))[:, None]
    game = influence.averaged(TRANSITIONS, REWARDS[1:], theirs, GAMMA)
    true = influence.expected_values(game, mine)[0]
    place, visits = np.array([1.0, 0.0]), np.zeros(2)
    for _ in range(LENGTH):
        visits += place / LENGTH
        place = np.einsum("s,sa,saz->z", place, mine, game.transitions)
    weights = visits[:, None] * mine
    assert found["influence_true"] == pytest.approx((weights * (true - best) ** 2).sum(), rel=0.05)
    assert found["influence_said"] == pytest.approx((weights * (said - best) ** 2).sum(), rel=0.05)
    assert found["influence_bias"] == pytest.approx(found["influence_said"] - found["influence_true"], rel=1e-3)
    assert found["value_error"] == pytest.approx((weights * (said - true) ** 2).sum(), rel=0.05)
    assert found["value_square"] == pytest.approx((weights * true**2).sum(), rel=0.05)
    assert found["value_bias"] == pytest.approx((weights * (said - true)).sum(), abs=0.03)


def test_ratios_of_figure_1_are_of_recorded_means_over_all_states():
    truth = {"influence_said": [4.0, 1.0], "influence_true": [10.0, 0.0], "influence_bias": [-6.0, 1.0],
             "value_error": [9.0, -1.0], "value_square": [36.0, 4.0]}  # fmt: skip
    record = {"curve": {"iteration": [1, 2], **{f"truth:{name}": x for name, x in truth.items()}}}
    of = lambda metric: records.curve(record, metric)  # noqa: E731
    np.testing.assert_allclose(of(SAID_OVER_TRUE), [0.4, np.nan])
    np.testing.assert_allclose(of(DISTANCE_OF_F), [0.6, np.nan])
    np.testing.assert_allclose(of(ERROR_OF_Q), [0.5, 0.0])


def test_settings_that_a_part_gained_later_count_as_their_defaults():
    """The bonus of social influence gained `limit` when table 1 was trained."""
    recipe = recipe_of(PAPER.figures["table1"].arms["social influence, Push-Box"])
    wanted = {**recipe.describe(), "envs": 1, "iterations": 1}
    one = wanted["algorithm"]["social_influence"]
    same = lambda bonus: records.same(  # noqa: E731
        {**wanted, "algorithm": {**wanted["algorithm"], "social_influence": bonus}}, wanted, records.defaults(recipe)
    )
    older = {name: value for name, value in one.items() if name not in ("limit", "hidden")}
    assert same(older)
    assert not same({**older, "limit": 5.0})
    assert not same({name: value for name, value in older.items() if name != "weight"})  # the arm's is no default
    assert not same({**older, "unknown": 1})


def test_arms_are_what_their_labels_say():
    ablations = PAPER.figures["ablations"].arms
    config = {part: recipe_of(ablations[f"{part}, Push-Box"]).config for part in ("ALITA", "No F", "No IM")}
    assert (config["ALITA"].penalty_weight, config["ALITA"].influence, config["ALITA"].novelty_by) == (
        0.15,
        "clones",
        "autoencoder",
    )
    assert (config["No F"].influence, config["No F"].novelty_by) == ("none", "autoencoder")
    assert (config["No IM"].influence, config["No IM"].novelty_by) == ("clones", "none")
    assert ablations["ALITA, navigation"] == PAPER.figures["table2"].arms["ALITA, N = 3"]
    for label, arm in PAPER.figures["table4"].arms.items():
        if " against " in label:
            good, adversary = label.lower().split(" against ")
            assert arm.algorithm == f"good:{good},adversary:{adversary}"
    budgets = PAPER.figures["table2"].budgets
    for one, names in ((budgets["laptop"], (256, 4)), (budgets["paper"], (1_024, 400))):
        budget = one["particle-alita"]
        config = recipe_of(PAPER.figures["table2"].arms["ALITA, N = 3"]).config
        whole: dict[str, Any] = {
            "batch": config.batch,
            "influence_updates": config.influence_updates,
            **budget.settings,
        }
        assert (whole["batch"], whole["influence_updates"]) == names
        assert budget.iterations * budget.envs == 25_000


def test_printed_numbers_stand_beside_ours():
    figure = PAPER.figures["table2"]
    ours = {"ALITA, N = 3": [{"last": {"sampled": {"distance": x, "collisions": 0.5}}} for x in (1.0, 2.0)]}
    lines = beside_published(figure, {label: ours.get(label, []) for label in figure.arms})
    assert "| ALITA, N = 3 | distance | 1.559 | 1.5 (0.707; 2) |" in lines
    assert "| MADDPG, N = 3 | collisions | 0.209 |  |" in lines
    assert len(lines) == 2 + 12


def test_of_two_policies_the_better_one_counts_at_each_point_and_at_the_end():
    played = [{"iteration": i, "mean": {"return": 0.0, "alone.0": a, "alone.1": b}}
              for i, a, b in ((10, 1.0, 2.0), (20, 5.0, None))]  # fmt: skip
    lines = [{"iteration": i, "env_steps": i} for i in (10, 20)]
    curve = records.thinned(lines, [], PAPER.kept, played)
    assert curve["greedy:alone.1"] == [2.0, None]
    last = {"sampled": {"return": 9.0}, "greedy": {"return": 3.0, "alone.0": 4.0, "alone.1": 2.0}}
    record = {"curve": curve, "last": last}
    np.testing.assert_array_equal(records.curve(record, records.BEST_ALONE), [2.0, 5.0])
    assert records.at_end(record, records.BEST_ALONE) == 4.0
    assert records.at_end(record, "greedy:return") == 3.0
    single = {"curve": {"iteration": [1], "greedy:return": [7.0]}, "last": {"greedy": {"return": 3.0}}}
    np.testing.assert_array_equal(records.curve(single, records.BEST_ALONE), [7.0])
    assert records.at_end(single, records.BEST_ALONE) == 3.0


def test_all_methods_move_a_body_equally_often():
    budgets: dict[Scale, tuple[int, int]] = {"laptop": (100_000, 200_000), "paper": (1_000_000, 1_000_000)}
    for scale, (jax_steps, mujoco_steps) in budgets.items():
        for arm in FIG5.arms.values():
            budget = FIG5.budgets[scale][arm.budget]
            steps = mujoco_steps if arm.task.startswith("mujoco:") else jax_steps
            config = recipe_of(replace(arm, settings={**arm.settings, **budget.settings})).config
            played = budget.iterations * budget.envs * config.steps
            assert 0.98 * steps < played <= steps, (scale, arm.name)
    assert FIG5.budgets["laptop"]["mujoco-alita"].episodes == 2 * 15


def test_without_the_engine_of_a_body_its_arms_say_so_and_the_others_are_trained(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    arms = FIG5.arms
    assert lacking(arms["ALITA, hopper"]).startswith("task mujoco:hopper: mujoco is not installed: pip install mujoco")
    assert lacking(arms["ALITA, pendulum"]) == ""
    paper = PAPER._replace(figures={"fig5": FIG5._replace(smoke=("ALITA, hopper",))})
    jobs = machinery.plan(paper, [paper.figures["fig5"]], "smoke", machinery.Folders((), Path(), Path()))
    told: list[str] = []
    assert machinery.train_missing(jobs, paper, machinery.Folders((), Path(), Path()), None, told.append, None, "smoke")
    assert len(told) == 1
    assert "pip install mujoco" in told[0]
    assert any(
        "pip install mujoco" in line for line in machinery.described(jobs, 1, machinery.Folders((), Path(), Path()))
    )


def test_a_figure_runs_at_smoke_scale(tmp_path):
    smoke(PAPER, ["table4"], tmp_path)
