"""Learning that takes the other's learning into account, against specification D.1, and its identities."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.environments.matrix.ipd import IPD, PROFILES
from comity.environments.matrix.repeated_matrix import exact_values, finite_values
from comity.learning import lookahead
from comity.learning.lookahead import dice_values

MINE, THEIRS = np.array([0.1, -0.2, 0.3, -0.4, 0.5]), np.array([-0.5, 0.4, -0.3, 0.2, -0.1])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def values_of(profile: str, gamma: float):
    tables = jnp.asarray(IPD(**PROFILES[profile]).tables, jnp.float64)
    return lambda mine, theirs: tuple(exact_values(tables, jnp.stack([mine, theirs]), gamma))


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)


COALA, LOLA = ("coala", 0.95), ("lola", 0.96)
MINE_NAIVE = (-0.1910660167, -0.9019965062, -0.8705121500, -0.8574079040, -0.8119608013)


@pytest.mark.parametrize(
    ("game", "term"),
    [
        (COALA, (-0.0023326118, 2.1741356237, -2.9079156862, 2.7509842744, -1.8946111406)),
        (LOLA, (-0.0031339304, 3.4783273786, -4.6683075019, 4.4252090596, -3.0359559517)),
    ],
)
def test_lola_term(game, term):
    close(lookahead.lola_term(values_of(*game), jnp.asarray(MINE), jnp.asarray(THEIRS)), term)


def test_lola_step():
    values, mine, theirs = values_of(*COALA), jnp.asarray(MINE), jnp.asarray(THEIRS)
    naive = lookahead.naive_gradient(values, mine, theirs)
    close(naive, MINE_NAIVE)
    step = naive + 0.5 * lookahead.lola_term(values, mine, theirs)
    close(step, (-0.1922323226, 0.1850713057, -2.3244699931, 0.5180842332, -1.7592663716))
    close(
        lookahead.their_gradient(values, mine, theirs),
        (-0.3058519799, -1.5480272394, -1.5005099128, -1.5384028742, -1.4823286765),
    )


@pytest.mark.parametrize(
    ("game", "steps", "rate", "value", "gradient"),
    [
        (COALA, 1, 0.1, 8.5249022700, (-0.1929889685, -0.6403017754, -1.2508436076, -0.5276185012, -1.0582028051)),
        (COALA, 1, 1.0, -3.2771336136, (-0.2563361872, 0.9734846574, -3.9681195668, 1.0938497097, -2.5970043814)),
        (COALA, 2, 1.0, -9.1087185964, (-0.2419653919, 0.6952295594, -3.5448346028, 0.5491628154, -2.1440365780)),
        (LOLA, 1, 1.0, -56.9864163307, (-0.2675384412, 1.3434785147, -5.2449234592, 1.3960897144, -3.3546042980)),
    ],
)
def test_dice(game, steps, rate, value, gradient):
    values, mine, theirs = values_of(*game), jnp.asarray(MINE), jnp.asarray(THEIRS)
    objective = lambda mine: lookahead.dice_objective(values, mine, theirs, rate, steps)  # noqa: E731
    found, grads = jax.value_and_grad(objective)(mine)
    close(found, value)
    close(grads, gradient)


def test_shaping():
    values, mine, theirs = values_of(*COALA), jnp.asarray(MINE), jnp.asarray(THEIRS)
    objective = lambda mine: lookahead.shaping_objective(values, mine, theirs, 1.0, 3)  # noqa: E731
    found, grads = jax.jit(jax.value_and_grad(objective))(mine)
    close(found, -12.4407438281)
    close(grads, (-0.9264817022, 1.1137911496, -11.4449870993, 1.0550411014, -7.4795833722))


def test_without_a_step_or_a_rate_all_are_naive():
    values, mine, theirs = values_of(*COALA), jnp.asarray(MINE), jnp.asarray(THEIRS)
    for rate, steps in ((0.0, 3), (1.0, 0)):
        close(jax.grad(lambda x, r=rate, s=steps: lookahead.dice_objective(values, x, theirs, r, s))(mine), MINE_NAIVE)
    close(jax.grad(lambda x: lookahead.shaping_objective(values, x, theirs, 0.0, 3))(mine), 4 * np.array(MINE_NAIVE))


def test_dice_is_lola_to_first_order_without_the_mixed_derivative_of_ones_own_value():
    """d/d alpha at 0 of the DiCE gradient: the term, and (d2 V1 / d mine d theirs) dV2 / d theirs."""
    values, mine, theirs = values_of(*COALA), jnp.asarray(MINE), jnp.asarray(THEIRS)
    gradient = lambda rate: jax.grad(lambda x: lookahead.dice_objective(values, x, theirs, rate, 1))(mine)  # noqa: E731
    slope = jax.jvp(gradient, (0.0,), (1.0,))[1]
    mixed = jax.jacobian(lambda theirs: lookahead.naive_gradient(values, mine, theirs))(theirs)
    other = mixed @ lookahead.their_gradient(values, mine, theirs)
    close(slope, lookahead.lola_term(values, mine, theirs) + other)


def every_play(steps):
    """All joint actions of so many steps: [T, 4^T, 2], and views of both players [T, 4^T, 2, 5]."""
    joint = np.array(list(itertools.product(range(4), repeat=steps))).T  # [T, G]
    action = np.stack([joint // 2, joint % 2], -1)
    outcome = 1 + np.stack([joint, 2 * (joint % 2) + joint // 2], -1)  # own action first
    before = np.concatenate([np.zeros_like(outcome[:1]), outcome[:-1]])
    return action, np.eye(5)[before]


def test_dice_has_the_right_derivatives():
    """Over all plays of two steps, each with its probability: value, gradient and Hessian are the closed form's, and
    the Hessian that of finite differences."""
    env, gamma = IPD(length=2), 0.9
    action, view = every_play(2)
    reward = jnp.asarray(env.tables)[jnp.arange(2), action, action[..., ::-1]]
    at = jnp.array([[0.1, -0.2, 0.3, -0.4, 0.5], [-0.5, 0.4, -0.3, 0.2, -0.1]])

    def log_probs(logits):
        p = jax.nn.sigmoid((view * logits).sum(-1))
        return jnp.log(jnp.where(action == 0, p, 1 - p))

    chance = jnp.exp(log_probs(at).sum((0, -1)))  # [G], of a play, fixed

    def dice(logits):
        weighed = lambda game: dice_values(log_probs(logits)[:, game], reward[:, game], gamma)  # noqa: E731
        return sum(chance[g] * weighed(slice(g, g + 1))[0] for g in range(16))

    exact = lambda logits: finite_values(jnp.asarray(env.tables), logits, 2, gamma)[0]  # noqa: E731
    np.testing.assert_allclose(dice(at), exact(at), rtol=1e-5)
    gradient, hessian = jax.jit(jax.grad(dice))(at), jax.jit(jax.hessian(dice))(at)
    np.testing.assert_allclose(gradient, jax.grad(exact)(at), atol=1e-5)
    np.testing.assert_allclose(hessian, jax.hessian(exact)(at), atol=1e-4)
    step = jnp.zeros((2, 5)).at[1, 0].set(1e-2)
    slope = (jax.grad(exact)(at + step) - jax.grad(exact)(at - step)) / 2e-2
    np.testing.assert_allclose(hessian[1, 0], slope, atol=2e-3)
    assert np.abs(hessian[0, :, 1]).max() > 0.01  # the mixed part, which a plain surrogate has not
