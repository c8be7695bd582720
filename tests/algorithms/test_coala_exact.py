"""Exact shaping: its path and gradient by hand, and what it learns against naive learners and another shaper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity.algorithms.shaping import coala_exact
from comity.algorithms.shaping.tabular import seen_by
from comity.environments.matrix.ipd import IPD
from comity.environments.matrix.matrix import Matrix
from comity.learning.lookahead import naive_gradient, shaping_objective

KEY = jax.random.key(0)
GAME = IPD()
MINE, THEIRS = jnp.array([0.1, -0.2, 0.3, -0.4, 0.5]), jnp.array([-0.5, 0.4, -0.3, 0.2, -0.1])


def values_of(player=0, gamma=0.95, unit=0.05):
    return seen_by(player, lambda logits: unit * GAME.exact_values(logits, gamma))


def test_the_path_is_that_of_the_specification():
    """D.1, shaping M = 3, eta = 1 on the sum: -12.4407438281, and its gradient."""

    def total(mine):
        return 4 * coala_exact.paths(values_of(unit=1.0), mine, THEIRS[None], 1.0, 3).mine

    value, gradient = jax.value_and_grad(total)(MINE)
    wanted = (-0.9264817022, 1.1137911496, -11.4449870993, 1.0550411014, -7.4795833722)
    assert float(value) == pytest.approx(-12.4407438281, rel=1e-4)
    np.testing.assert_allclose(gradient, wanted, rtol=2e-3)
    assert float(value) == pytest.approx(float(shaping_objective(values_of(unit=1.0), MINE, THEIRS, 1.0, 3)), rel=1e-5)


def test_a_path_reports_its_last_step_and_both_sides():
    values, rate = values_of(), 5.0
    path = coala_exact.paths(values, MINE, THEIRS[None], rate, 2)
    theirs, earned = THEIRS, []
    for _ in range(3):
        earned.append([float(v) for v in values(MINE, theirs)])
        theirs = theirs + rate * jax.grad(lambda t: values(MINE, t)[1])(theirs)
    np.testing.assert_allclose([path.mine, path.theirs], np.mean(earned, 0), rtol=1e-5)
    np.testing.assert_allclose([path.mine_last, path.theirs_last], earned[-1], rtol=1e-5)


def test_two_extortioners_pull_each_other_to_cooperation():
    """C.7: the gradient of points per step between two of them, all five components positive."""
    extortioner = jax.scipy.special.logit(jnp.array([0.01, 0.92, 0.11, 0.43, 0.01]))
    found = naive_gradient(values_of(), extortioner, extortioner)
    np.testing.assert_allclose(found, (8e-5, 1.9e-3, 2.5e-3, 2.0e-3, 1.5e-3), rtol=0.04)


def test_at_defection_the_unit_of_the_naive_rate_decides_the_direction():
    """E.3: of rate 5 on points per step DC alone is pushed up, by about 0.8 of the largest component; on the discounted
    sum naive learners defect at once, and it is pushed down, by 0.02."""
    defector, starts = jnp.full(5, jnp.log(0.01)), jax.random.normal(KEY, (64, 5))

    @jax.jit
    def direction(unit):
        path = lambda mine: coala_exact.paths(values_of(unit=unit), mine, starts, 5.0, 20).mine  # noqa: E731
        gradient = jax.grad(path)(defector)
        return gradient / jnp.abs(gradient).max()

    per_step, in_all = direction(0.05), direction(1.0)
    assert 0.55 < per_step[3] <= 1.0  # from learner to learner; 0.80 in the specification
    assert (per_step[jnp.array([0, 1, 2, 4])] < 0.03).all()
    assert float(in_all[3]) == pytest.approx(-0.02, abs=0.01)
    assert (in_all < 0.001).all()


def test_with_learners_that_do_not_move_it_is_naive():
    """Rate 0: shaping is the plain gradient against the starts; weight 0: against the other player alone."""
    values, starts = values_of(), jax.random.normal(KEY, (3, 5))
    found = jax.grad(lambda mine: coala_exact.paths(values, mine, starts, 0.0, 4).mine)(MINE)
    plain = sum(naive_gradient(values, MINE, start) for start in starts) / 3
    np.testing.assert_allclose(found, plain, rtol=1e-3, atol=1e-7)


def test_a_mixture_weighs_both_parts():
    def grads(weight):
        algorithm = coala_exact.make(coala_exact.Config(naive_weight=weight, naive_starts=2, naive_steps=2), GAME)
        _, metrics = algorithm.update(KEY, algorithm.init(KEY), None)
        return metrics

    found = grads(0.3)
    assert float(found["naive_gradient_norm"]) > 0
    assert float(found["player_gradient_norm"]) > 0
    np.testing.assert_allclose(found["naive_gradient_dc"], grads(1.0)["naive_gradient_dc"], rtol=1e-4)


@pytest.fixture(scope="module")
def ends():
    """{name: metrics after training}, a few seeds each."""

    def trained(updates, **settings):
        algorithm = coala_exact.make(coala_exact.Config(**settings), GAME)

        def run(key):
            step = lambda i, state: algorithm.update(jax.random.fold_in(key, i), state, None)[0]  # noqa: E731
            state = lax.fori_loop(0, updates, step, algorithm.init(key))
            return algorithm.update(key, state, None)[1]

        return jax.tree.map(np.asarray, jax.jit(jax.vmap(run))(jax.random.split(KEY, 2)))

    quick = {"learning_rate": 0.02, "naive_starts": 8}
    extortioners = {**coala_exact.PRESETS["extortioners"], "naive_starts": 1, "naive_steps": 1}
    return {
        "naive learners": trained(500, **quick),
        "each other": trained(400, naive_weight=0.0, learning_rate=0.02, naive_starts=1, naive_steps=1),
        "extortioners": trained(1200, **extortioners),
    }


@pytest.mark.learn
def test_naive_learners_are_extorted(ends):
    found = ends["naive learners"]
    assert (found["shaping_value_last"] > found["naive_value_last"] + 0.4).all(), found
    assert (found["naive_value_last"] > 0.2).all()  # left with something, or it would not cooperate
    assert (found["extortion_residual"] < 0.15).all()


def test_two_that_only_meet_each_other_defect(ends):
    assert (ends["each other"]["meeting_value"] < 0.2).all(), ends["each other"]["meeting_value"]


@pytest.mark.learn
def test_two_extortioners_turn_to_cooperation(ends):
    assert (ends["extortioners"]["meeting_value"] > 0.6).all(), ends["extortioners"]["meeting_value"]


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="play ipd or repeated-matrix"):
        coala_exact.make(coala_exact.Config(), Matrix())
    with pytest.raises(ValueError, match=r"start .* is not empty, nor five numbers above 0"):
        coala_exact.Config(start=(0.5, 0.5))
