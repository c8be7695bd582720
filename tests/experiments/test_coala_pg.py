"""The figures of COALA-PG: pictures without training, the settings of the arms, and all of it made small."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms.shaping import lola
from comity.experiments.coala_pg import cost, estimators, exact
from comity.experiments.coala_pg.agents import CLEANUP_LITE, MORE_AGENTS
from comity.experiments.coala_pg.exact import ANALYTIC, COMPOSITION
from comity.experiments.coala_pg.paper import PAPER
from comity.experiments.coala_pg.sampled import MINIBATCH, MIXED_POOL, OBSERVABILITY
from comity.experiments.figure import recipe_of
from comity.experiments.reproduce import paper_lengths
from tiny.figures import smoke


@pytest.mark.parametrize(("b", "wanted"), [(1, (0.2, 0.2, 0.2)), (2, (0.2, -2.8, -1.4)), (4, (0.2, -8.8, -2.2))])
def test_means_of_estimators(b, wanted):
    """Specification D.3, toy 1, p = sigmoid(0.3): estimates divided by p (1 - p)."""
    p = 1 / (1 + math.exp(-0.3))
    found = [estimators.expected(name, b, p) for name in ("coala", "m-fos", "batch-unaware")]
    assert found == pytest.approx(wanted, abs=1e-9)


def test_means_of_estimators_on_five_logits():
    """Specification D.3, toy 2, of two games; COALA-PG's mean is the true gradient of any number of games."""
    exact = (-0.5369124718, -0.1216202506, -0.1424574287, -0.1039287943, -0.1104660392)
    m_fos = (-1.0746668984, -0.2700469618, -0.2568822396, -0.2328823051, -0.1981424179)
    assert estimators.means(2, np.array(estimators.LOGITS)).value == pytest.approx(2.4955256566)
    assert estimators.true_gradient(2) == pytest.approx(exact, abs=1e-8)
    assert estimators.expected_gradient("coala", 2) == pytest.approx(exact, abs=1e-9)
    assert estimators.expected_gradient("m-fos", 2) == pytest.approx(m_fos, abs=1e-9)
    for b in (1, 4):
        assert estimators.expected_gradient("coala", b) == pytest.approx(estimators.true_gradient(b), abs=1e-8)
        assert estimators.expected_gradient("m-fos", b) == pytest.approx(
            b * estimators.expected_gradient("batch-unaware", b)
        )
    angle, ratio = estimators.against_true("m-fos", 4)
    assert (angle, ratio) == (pytest.approx(3.886, abs=1e-3), pytest.approx(4.005, abs=1e-3))


def test_cost_grows_in_proportion_to_history():
    """Memory of the compiled gradient; it is no larger than what is kept of each step."""
    short, long = (cost.measured("gru", length, 4, rows=3, width=8).megabytes for length in (64, 256))
    assert 3.5 < long / short < 4.5


def test_the_picture_of_costs(tmp_path, monkeypatch):
    """One curve of each core, of as many points as were measured."""
    monkeypatch.setattr(cost, "LENGTHS", (8, cost.LENGTH))
    monkeypatch.setattr(cost, "SIZES", (5, cost.SIZE))
    monkeypatch.setattr(cost, "measured", lambda core, length, size: cost.Cost(core, length, size, length / 1e3, 1.0))
    files = cost.draw(tmp_path)
    assert {file.name for file in files} == {"cost.png", "cost.svg", "cost.csv"}
    assert len((tmp_path / "cost.csv").read_text().splitlines()) == 1 + 2 * 3


def test_more_agents_and_rivers_are_what_their_labels_say():
    for label, arm in MORE_AGENTS.arms.items():
        estimator, *_, last = label.removesuffix(", pool").split(", ")
        env, config = recipe_of(arm).env, recipe_of(arm).config
        assert env.game.spec.agents == int(last)  # pyright: ignore[reportAttributeAccessIssue]
        assert config.estimator == {"COALA-PG": "coala", "M-FOS": "m-fos"}[estimator]
        pooled = label.endswith("pool")
        assert (env.naive_share < 1) == pooled  # pyright: ignore[reportAttributeAccessIssue]
        assert env.players >= int(last) or not pooled  # pyright: ignore[reportAttributeAccessIssue]
    for label, arm in CLEANUP_LITE.arms.items():
        env = recipe_of(arm).env
        assert env.dynamic == label.endswith("pool")  # pyright: ignore[reportAttributeAccessIssue]
        assert env.keeps == label.endswith("keep")  # pyright: ignore[reportAttributeAccessIssue]
        assert recipe_of(arm).config.climbs == ("a2c" if "pool" in label else "ppo")


def test_the_picture_of_estimators(tmp_path):
    files = estimators.draw(tmp_path)
    assert {file.name for file in files} == {"estimators.png", "estimators.svg", "estimators.csv"}
    assert (tmp_path / "estimators.png").stat().st_size > 5_000
    lines = (tmp_path / "estimators.csv").read_text().splitlines()
    assert lines[0].startswith('b,COALA-PG,M-FOS,batch-unaware,"COALA-PG, angle"')
    assert len(lines) == 1 + len(estimators.GAMES)


def test_arms_are_what_their_labels_say():
    weights = [recipe_of(arm).config.naive_weight for arm in COMPOSITION.arms.values()]
    assert weights == sorted(set(weights)) == [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]
    ahead = {label: recipe_of(arm).config for label, arm in ANALYTIC.arms.items() if label.startswith("DiCE")}
    for label, config in ahead.items():
        assert str(config.look_aheads) == label.split()[1]
        assert (config.look_ahead_weight < 1) == label.endswith("mixed")
        assert config.values == "per-step"
    games = {label: recipe_of(arm).env.games for label, arm in MINIBATCH.arms.items()}  # pyright: ignore
    for label, b in games.items():
        assert str(b) == label.split()[-1]
        arm = MINIBATCH.arms[label]
        assert MINIBATCH.budgets["laptop"][arm.budget].envs * b == 512  # equal play
        assert MINIBATCH.budgets["paper"][arm.budget].iterations == 3_000  # C.8, of the prisoner's dilemma
    assert set(paper_lengths(ANALYTIC).values()) == {None}  # C.7 gives rates, but no number of updates
    lengths = {label.split(",")[0]: length for label, length in paper_lengths(OBSERVABILITY).items()}
    assert lengths["DiCE"] is None
    assert lengths["COALA-PG"] is not None
    assert lengths["COALA-PG"].updates == 3_000
    shares = [recipe_of(arm).env.naive_share for arm in MIXED_POOL.arms.values()]  # pyright: ignore
    assert shares == [0.1, 0.1, 0.1, 0.25, 0.5, 0.75, 0.0]
    assert all(recipe_of(arm).env.players == 4 for arm in MIXED_POOL.arms.values())  # pyright: ignore


def test_fresh_learners_are_extorted_by_extortioners_and_exploit_cooperators():
    arm = ANALYTIC.arms["DiCE, 20 ahead"]
    probe = jax.jit(exact.met_by_naive(recipe_of(arm), 8))
    extorts = jax.scipy.special.logit(jnp.array([exact.EXTORTIONER] * 2))
    for logits, low, high in ((extorts, 0.5, 1.0), (jnp.full((2, 5), 5.0), -4.0, -2.5)):
        found = probe(jax.random.key(0), lola.State(logits))
        assert found["shaping_value_last"].shape == (8,)
        assert low < float((found["shaping_value_last"] - found["naive_value_last"]).mean()) < high
    assert [label for label, arm in ANALYTIC.arms.items() if arm.trials] == ["DiCE, 20 ahead"]


def test_what_it_costs_is_finite_and_above_zero():
    for figure in PAPER.figures.values():
        for arm in figure.arms.values():
            assert 0 < PAPER.cost(arm, recipe_of(arm)) < 100


LONG = ("cleanup-lite", "more-agents", "cost")  # networks of pictures; gradients of long histories


def test_every_figure_runs_at_smoke_scale(tmp_path):
    smoke(PAPER, [name for name in PAPER.figures if name not in LONG], tmp_path)


@pytest.mark.slow
def test_figures_that_take_minutes_run_at_smoke_scale(tmp_path):
    smoke(PAPER, LONG, tmp_path)
