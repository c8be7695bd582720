"""LICA's one-step study: losses by enumeration, and the traffic junction's table of outcomes and curves."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity.algorithms.policy_gradient import lica_exact
from comity.environments.matrix.matrix import Matrix
from comity.environments.matrix.one_step_traffic_junction import OneStepTrafficJunction
from comity.environments.matrix.two_step import TwoStep
from comity.networks import MLP

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest
CRITIC = MLP(KEY, 4, (8,), 1)  # of two agents with three actions
LOGITS = jnp.array([[0.0, -1.0, 0.5], [0.0, 0.1, -0.4]])
JOINT = jax.nn.one_hot(jnp.array([(a, b) for a in range(3) for b in range(3)]), 3)  # [9, 2, 3]


def test_one_action_is_replaced_at_a_time():
    found = lica_exact.replaced(JOINT).argmax(-1)  # [J, N, A, N]
    for j, (a, b) in enumerate(np.ndindex(3, 3)):
        np.testing.assert_array_equal(found[j, 0], [[x, b] for x in range(3)])
        np.testing.assert_array_equal(found[j, 1], [[a, x] for x in range(3)])


def test_the_counterfactual_loss_climbs_the_expected_value():
    """Its gradient is that of -sum_a pi(a) Q(a): the baseline adds nothing."""

    def expected(logits):
        return (JOINT * jax.nn.softmax(logits)).sum(-1).prod(-1) @ lica_exact.critic_values(CRITIC, JOINT)

    found = jax.grad(lica_exact.coma_loss)(LOGITS, CRITIC, JOINT)
    np.testing.assert_allclose(found, -jax.grad(expected)(LOGITS), rtol=1e-4, atol=1e-6)


def test_lica_climbs_the_critic_at_the_probabilities():
    first, last = CRITIC.layers
    u = np.asarray(jax.nn.softmax(LOGITS), np.float64)[:, 1:].reshape(-1)
    q = np.maximum(u @ first.weight + first.bias, 0) @ last.weight + last.bias
    assert float(lica_exact.lica_loss(LOGITS, CRITIC)) == pytest.approx(-float(q[0]), rel=1e-5)


def test_of_the_reference_only_the_row_left_out_remains():
    """All rows cancel, so the loss is that of the missing row, with the other sign, over the number of the others."""
    q = np.asarray(lica_exact.critic_values(CRITIC, JOINT)).reshape(3, 3)
    log_last = np.asarray(jax.nn.log_softmax(LOGITS))[:, -1]
    rows = [
        (q[a, b] - (q[other, b] if agent == 0 else q[a, other])) * log_last[agent]
        for a, b in np.ndindex(3, 3)
        for agent in range(2)
        for other in range(3)
    ]
    assert sum(rows) == pytest.approx(0, abs=1e-5)
    keys = jax.random.split(KEY, 200)
    found = jax.vmap(lambda key: lica_exact.coma_reference_loss(key, LOGITS, CRITIC, JOINT))(keys)
    nearest = np.abs(np.asarray(found)[:, None] - np.array(rows) / 53).min(-1)
    np.testing.assert_allclose(nearest, 0.0, atol=1e-6)
    assert len(np.unique(np.round(found, 6))) > 20  # not always the same one


RUNS, MEASURED = 1_000, 4_000  # ours; of the numbers below, from an independent computation
OUTCOMES = {"10": (1, 0), "01": (0, 1), "00": (0, 0), "11": (1, 1)}
COMA, REFERENCE = (("rule", "coma"),), (("rule", "coma-reference"),)
TABLE = {  # settings: (shares of outcomes, {outcome: means of both P(pass) at iterations 1, 20, 40, 60})
    (): (
        (0.481, 0.475, 0.041, 0.004),
        {"10": ((0.50, 0.48), (0.54, 0.30), (0.75, 0.14), (0.90, 0.05)), "01": (None, None, None, (0.06, 0.93))},
    ),
    (("critic_steps", 1), ("critic_factor", 1.0)): ((0.331, 0.539, 0.020, 0.110), {}),
    REFERENCE: (
        (0.066, 0.079, 0.371, 0.485),
        {"10": ((0.51, 0.48), (0.54, 0.47), (0.55, 0.44), (0.56, 0.42)), "01": (None, None, None, (0.44, 0.58))},
    ),
    COMA: ((0.465, 0.533, 0.002, 0.001), {}),
}


@cache
def trained(settings=(), game=OneStepTrafficJunction(), runs=RUNS, updates=60):  # noqa: B008
    """(P(last action) before each update [updates, runs, N], metrics [updates])."""
    algorithm = lica_exact.make(lica_exact.Config(runs=runs, **dict(settings)), game)

    def step(state, key):
        chances = jax.vmap(lambda policy: jax.nn.softmax(lica_exact.policy_logits(policy, 2)))(state.learners.policy)
        state, metrics = algorithm.update(key, state, None)
        return state, (chances[..., -1], metrics)

    keys = jax.random.split(jax.random.key(1), updates)
    run = jax.jit(lambda key: lax.scan(step, algorithm.init(key), keys)[1])
    return jax.tree.map(np.asarray, run(jax.random.key(0)))


def of(settings):
    """200 updates of counterfactuals, which another test reads too; of the others as many as the table has."""
    return trained(settings, updates=200 if settings == COMA else 60)


@pytest.mark.learn
@pytest.mark.parametrize("settings", TABLE)
def test_outcomes_and_curves_are_those_of_the_specification(settings):
    """Within four standard errors of both computations, and of rounding."""
    shares, curves = TABLE[settings]
    passes, metrics = jax.tree.map(lambda x: x[:60], of(settings))
    outcome = passes[-1] > 0.5
    for (label, actions), share in zip(OUTCOMES.items(), shares, strict=True):
        error = np.sqrt(share * (1 - share) * (1 / RUNS + 1 / MEASURED))
        found = metrics[f"likeliest_{label}"][-1]
        assert found == pytest.approx(share, abs=4 * error + 5e-4), label
        ours = passes[:, (outcome == actions).all(-1)]  # [60, runs that ended so, N]
        assert ours.shape[1] / RUNS == pytest.approx(found, abs=1e-6)
        for iteration, wanted in zip((1, 20, 40, 60), curves.get(label, (None,) * 4), strict=True):
            if wanted is not None:
                values = ours[iteration - 1]
                errors = values.std(0) * np.sqrt(1 / len(values) + 1 / (share * MEASURED))
                assert (np.abs(values.mean(0) - wanted) < 4 * errors + 6e-3).all(), (label, iteration)


@pytest.mark.learn
def test_lica_and_counterfactuals_solve_it_and_the_reference_does_not():
    lica, coma, reference = (of(settings)[1]["optimum"][59] for settings in ((), COMA, REFERENCE))
    assert lica >= 0.94
    assert coma >= 0.98
    assert reference < 0.2


def test_counterfactuals_are_certain_after_200_steps():
    metrics = of(COMA)[1]
    assert metrics["certainty"][59] == pytest.approx(0.94, abs=0.01)
    assert metrics["certainty"][-1] == pytest.approx(0.999, abs=0.002)
    assert metrics["value"][-1] > 0.98
    assert metrics["entropy"][-1] < 0.05


def test_it_plays_any_game_of_one_step():
    """The matrix game: the critic at the probabilities leads most runs to the best entry, among the worst."""
    metrics = trained((), Matrix(), runs=20, updates=150)[1]
    assert metrics["critic_loss"][-1] < 0.5
    assert metrics["value"][-1] > 1
    assert sum(metrics[f"likeliest_{a}{b}"][-1] for a in range(3) for b in range(3)) == pytest.approx(1)


def test_the_first_run_plays():
    """Its policy takes the last action, those of the others the first."""
    env = OneStepTrafficJunction()
    algorithm = lica_exact.make(lica_exact.Config(runs=3), env)
    bias = jnp.array([9.0, -9.0, -9.0])
    policy = jax.tree.map(lambda x: jnp.zeros((3, *x.shape)) + bias.reshape(3, *(1,) * x.ndim), MLP(KEY, 1, (), 1))
    state = lica_exact.State(lica_exact.Learner(policy, policy, (), ()))
    observation = jax.tree.map(lambda x: jnp.tile(x, (4, *(1,) * x.ndim)), env.observation())
    for explore in (True, False):
        action, _, notes = algorithm.act(KEY, state, (), observation, explore)
        np.testing.assert_array_equal(action, np.ones((4, 2)))
        assert (notes["probabilities"][..., 1] > 0.99).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="TwoStep is no such game: play one-step-traffic-junction or matrix"):
        lica_exact.make(lica_exact.Config(), TwoStep())
    with pytest.raises(ValueError, match="critic_steps 0 is below 1"):
        lica_exact.Config(critic_steps=0)
