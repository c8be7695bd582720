"""The figures of LICA: curves of figure 2a in numbers, the settings of the arms, and all of it made small."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.experiments import reproduce as machinery
from comity.experiments.figure import Scale, recipe_of
from comity.experiments.lica import battles as lica_battles
from comity.experiments.lica import entropy, junction
from comity.experiments.lica.paper import PAPER
from comity.learning import entropy as entropy_of
from tiny.figures import smoke


def test_pushes_are_derivatives_of_the_entropy():
    p = np.array([0.05, 0.3, 0.5, 0.9, 0.999])
    heights = lambda z: entropy_of(jnp.stack([z, jnp.zeros_like(z)], -1))  # noqa: E731
    z = jnp.log(p / (1 - p))
    slope = jax.vmap(jax.grad(heights))(z)
    np.testing.assert_allclose(entropy.height(p), heights(z), rtol=1e-3)
    np.testing.assert_allclose(entropy.by_logit(p, 0.2, False), 0.2 * slope, rtol=1e-3, atol=1e-6)
    relative = jax.vmap(jax.grad(lambda z: jnp.log(heights(z))))(z)
    np.testing.assert_allclose(entropy.by_logit(p, 0.2, True), 0.2 * relative, rtol=1e-3, atol=1e-6)
    assert entropy.by_probability(np.array([np.exp(-1)]), 1.0, True)[0] == pytest.approx(0)
    assert entropy.by_probability(np.array([0.5]), 0.5, True)[0] == pytest.approx(-0.5 * (1 - np.log(2)) / np.log(2))


def test_the_adaptive_push_does_not_fade_at_certainty_and_the_plain_one_does():
    near = np.array([1 - 1e-9])
    assert entropy.by_logit(near, 0.11, True)[0] == pytest.approx(-0.11, rel=0.06)
    assert abs(entropy.by_logit(near, 0.15, False)[0]) < 1e-7
    columns = entropy.table()
    large = columns["p"] > 0.9
    assert (columns["probability, xi 0.11"][large] < columns["probability, beta 0.17"][large]).all()


def test_arms_are_what_their_labels_say():
    for label, rule in junction.RULES.items():
        config = recipe_of(junction.JUNCTION.arms[label]).config
        assert (config.rule, config.runs, config.critic_steps, config.critic_factor) == (rule, 2_000, 5, 2.0)
    slow = recipe_of(junction.JUNCTION.arms["LICA, slow critic"]).config
    assert (slow.rule, slow.critic_steps, slow.critic_factor) == ("lica", 1, 1.0)
    budget = junction.BUDGETS["paper"]["junction"]
    assert (budget.seeds * junction.RUNS, budget.iterations) == (20_000, 60)


def test_arms_in_battle_have_the_settings_of_the_published_configuration():
    fig4, fig2 = PAPER.figures["fig4"], PAPER.figures["fig2"]
    weights = {place: recipe_of(fig4.arms[f"LICA, {place}"]).config.entropy_weight for place in lica_battles.PLACES}
    assert {x for x, weight in weights.items() if weight != 0.06} == {"5m_vs_6m", "3s5z_vs_3s6z"}
    assert (weights["5m_vs_6m"], weights["3s5z_vs_3s6z"]) == (0.11, 0.03)
    assert fig2.arms["xi 0.11, 5m_vs_6m"] == fig4.arms["LICA, 5m_vs_6m"]
    flat = recipe_of(fig2.arms["MLP critic, xi 0.05, 5m_vs_6m"]).config
    assert (flat.critic, flat.entropy_weight, flat.last_action, flat.actors) == ("mlp", 0.05, True, "shared")
    rhythms: tuple[tuple[Scale, int, int], ...] = (("laptop", 8, 200), ("paper", 1, 7))
    for scale, updates, target in rhythms:
        arm, budget = machinery.arms_at(PAPER, fig4, scale)["QMIX, 2s3z"]
        config = recipe_of(arm).config
        assert (config.updates, config.target_period, budget.envs, config.batch) == (updates, target, 32, 32)
        assert (config.agent_id, config.last_action, config.optimizer) == (True, True, "rmsprop")
        assert not config.replacement
        assert arm.options == {"clock_terminates": True}  # targets are 0 after the time limit
        assert (config.explore_steps * budget.envs, config.learning_rate, config.tau) == (50_000, 5e-4, 1.0)
    for label, steps in (("COMA", 100_000), ("LIIR", 50_000)):
        one = recipe_of(fig4.arms[f"{label}, 2s3z"]).config
        assert (one.exploration, one.floor_start, one.floor_end, one.floor_steps * 32) == ("floor", 0.5, 0.01, steps)
        assert (one.critic_schedule, one.target_period) == ("each-step", 200)


def test_a_laptop_trains_five_maps_and_a_full_run_has_its_price():
    fig4 = PAPER.figures["fig4"]
    trained = {label.partition(", ")[2] for label, budget in fig4.budgets["laptop"].items() if budget.seeds}
    assert trained - {"episodes", "steps"} == {"3m", "8m", "2s3z", "5m_vs_6m"}
    games = {label: b.iterations * 32 for label, b in fig4.budgets["paper"].items()}
    assert games["LICA, 2s3z"] * 60 == pytest.approx(32e6, rel=0.01)  # an episode lasts half its limit of 120
    assert games["LICA, MMM2"] * 90 == pytest.approx(64e6, rel=0.01)
    price = {label: PAPER.cost(arm, recipe_of(arm)) for label, arm in fig4.arms.items()}
    assert price["LICA, MMM2"] > 30 * price["LICA, 3m"]  # its critic's width grows with agents times actions
    assert all(value > 0 for value in price.values())


def test_every_figure_runs_at_smoke_scale(tmp_path):
    smoke(PAPER, [name for name in PAPER.figures if name != "fig4"], tmp_path)
    assert (tmp_path / "fig5-tracks.png").stat().st_size > 5_000
