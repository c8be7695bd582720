"""The correction terms against the closed forms of specification tables G1 to G4 (hidden gifts, section 3.6)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.algorithms.released import correction as released
from comity.learning import corrections
from comity.learning.corrections import mixed, self_mixed, self_pure

sigmoid = jax.nn.sigmoid


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def logit(p):
    return jnp.log(p / (1 - p))


def one_gift(theta, phi):
    """G1: i gives with p, j uses with q."""
    return sigmoid(theta) * sigmoid(phi)


def two_chances(theta, phi):
    """G3: i may give at either of two steps; j uses at the step after, and once more while time lasts."""
    p, q = sigmoid(theta), sigmoid(phi)
    return p * (1 - (1 - q) ** 2) + (1 - p) * p * q


@pytest.mark.parametrize(
    ("p", "q", "value", "of_theta", "of_phi", "second", "own"),
    [
        (0.3, 0.6, 0.18, 0.126, 0.072, 0.0504, 0.072),
        (0.7, 0.6, 0.42, 0.126, 0.168, -0.0504, -0.168),
        (0.5, 0.2, 0.10, 0.05, 0.08, 0.0, 0.0),
    ],
)
def test_g1_where_the_objective_factorises_theorem_1_is_exact(p, q, value, of_theta, of_phi, second, own):
    theta, phi = logit(p), logit(q)
    assert one_gift(theta, phi) == pytest.approx(value)
    np.testing.assert_allclose(jax.grad(one_gift, (0, 1))(theta, phi), (of_theta, of_phi), atol=1e-12)
    np.testing.assert_allclose(jax.grad(jax.grad(one_gift))(theta, phi), second, atol=1e-12)
    np.testing.assert_allclose(mixed(one_gift, theta, phi), of_theta, atol=1e-12)
    np.testing.assert_allclose(self_mixed(one_gift, theta, phi), of_phi, atol=1e-12)
    np.testing.assert_allclose(self_pure(lambda t: one_gift(t, phi), theta), own, atol=1e-12)


def test_g1_the_gradient_is_no_function_of_the_others_entropy():
    """The paper reads its theorem so. It is proportional to q: 0.3 and 0.7 have one entropy and two gradients."""
    entropy = lambda q: -(q * jnp.log(q) + (1 - q) * jnp.log(1 - q))  # noqa: E731
    few, many = (jax.grad(one_gift)(logit(0.4), logit(q)) for q in (0.3, 0.7))
    assert entropy(0.3) == pytest.approx(entropy(0.7))
    assert many / few == pytest.approx(0.7 / 0.3)


G2_MINE, G2_THEIRS = np.array([0.2, -0.4, 0.1]), np.array([0.5, 0.0, -0.3])


def softmax_gift(theta, phi):
    """G2: the first of three actions of both."""
    return jax.nn.softmax(theta)[0] * jax.nn.softmax(phi)[0]


def test_g2_softmax_vectors():
    theta, phi = jnp.asarray(G2_MINE), jnp.asarray(G2_THEIRS)
    of_theta, of_phi = jax.grad(softmax_gift, (0, 1))(theta, phi)
    close: Any = {"atol": 2e-6}
    np.testing.assert_allclose(jax.nn.softmax(theta), (0.407556, 0.223672, 0.368772), **close)
    np.testing.assert_allclose(jax.nn.softmax(phi), (0.486415, 0.295025, 0.218560), **close)
    np.testing.assert_allclose(softmax_gift(theta, phi), 0.198241, **close)
    np.testing.assert_allclose(of_theta, (0.117447, -0.044341, -0.073106), **close)
    np.testing.assert_allclose(of_phi, (0.101814, -0.058486, -0.043328), **close)
    s_mine, s_theirs = (x / softmax_gift(theta, phi) for x in (of_theta, of_phi))
    np.testing.assert_allclose((s_mine @ s_mine, s_theirs @ s_theirs), (0.537011, 0.398579), **close)
    bend = jax.hessian(softmax_gift)(theta, phi)
    rows = [[0.021714, -0.008198, -0.013516], [-0.008198, -0.024505, 0.032703], [-0.013516, 0.032703, -0.019187]]
    np.testing.assert_allclose(bend, rows, **close)
    table = jax.jacobian(jax.grad(softmax_gift), 1)(theta, phi)
    rows = [[0.060319, -0.034650, -0.025669], [-0.022773, 0.013082, 0.009691], [-0.037546, 0.021568, 0.015978]]
    np.testing.assert_allclose(table, rows, **close)
    np.testing.assert_allclose(mixed(softmax_gift, theta, phi), of_theta, atol=1e-12)
    np.testing.assert_allclose(self_mixed(softmax_gift, theta, phi), of_phi, atol=1e-12)
    np.testing.assert_allclose(mixed(softmax_gift, theta, phi, 0.01), (0.114572, -0.043256, -0.071317), **close)
    np.testing.assert_allclose(mixed(softmax_gift, theta, phi, 0.1), (0.093890, -0.035447, -0.058443), **close)
    own = self_pure(lambda t: softmax_gift(t, phi), theta)
    np.testing.assert_allclose(own, (0.036652, -0.021295, -0.015357), **close)


@pytest.mark.parametrize(
    ("p", "value", "of_theta", "of_phi", "both", "score", "term", "second", "own_score", "own"),
    [
        (0.3, 0.378, 0.2268, 0.108, 0.06048, 0.285714, 0.21168, 0.0378, 0.6, 0.063),
        (0.7, 0.714, 0.126, 0.1848, 0.02016, 0.258824, 0.0778909, -0.10332, 0.176471, -0.58548),
    ],
)
def test_g3_where_it_does_not_the_interaction_is_what_is_left(
    p, value, of_theta, of_phi, both, score, term, second, own_score, own
):
    theta, phi = logit(p), logit(0.6)
    close: Any = {"rtol": 2e-5}
    np.testing.assert_allclose(two_chances(theta, phi), value, **close)
    np.testing.assert_allclose(jax.grad(two_chances, (0, 1))(theta, phi), (of_theta, of_phi), **close)
    np.testing.assert_allclose(jax.grad(lambda x: jnp.log(two_chances(theta, x)))(phi), score, **close)
    np.testing.assert_allclose(jax.grad(lambda x: jnp.log(two_chances(x, phi)))(theta), own_score, **close)
    np.testing.assert_allclose(jax.grad(jax.grad(two_chances), 1)(theta, phi), both, **close)
    np.testing.assert_allclose(mixed(two_chances, theta, phi), term, **close)
    np.testing.assert_allclose(jax.grad(jax.grad(two_chances))(theta, phi), second, **close)
    np.testing.assert_allclose(self_pure(lambda x: two_chances(x, phi), theta), own, rtol=1e-4)


def test_g3_the_term_of_an_episode_varies_more_than_its_gradient():
    """All six courses of an episode, with their probabilities: the term lowers no estimator's variance by itself."""
    p, q, baseline = 0.3, 0.6, 0.378
    early, late, never = (p, 1 - p), ((1 - p) * p, 1 - 2 * p), ((1 - p) ** 2, -2 * p)  # i gives: (probability, score)
    courses = [(early, (q, 1 - q), 1), (early, ((1 - q) * q, 1 - 2 * q), 1), (early, ((1 - q) ** 2, -2 * q), 0)]
    courses += [(late, (q, 1 - q), 1), (late, (1 - q, -q), 0), (never, (1.0, 0.0), 0)]
    chance = np.array([mine[0] * theirs[0] for mine, theirs, _ in courses])
    score, others = (np.array([pair[1] for pair in pairs]) for pairs in list(zip(*courses, strict=True))[:2])
    reward = np.array([gift for *_, gift in courses])
    mean = lambda x: chance @ x  # noqa: E731
    deviation = lambda x: np.sqrt(mean(x**2) - mean(x) ** 2)  # noqa: E731
    assert mean(reward) == pytest.approx(baseline)
    weight = others / float(jax.grad(lambda x: jnp.log(two_chances(logit(p), x)))(logit(q)))
    for b, spread in ((0.0, 0.430), (baseline, 0.334)):
        assert mean((reward - b) * score * others) == pytest.approx(0.06048)
        assert mean((reward - b) * score * weight) == pytest.approx(float(mixed(two_chances, logit(p), logit(q))))
        assert deviation((reward - b) * score * weight) == pytest.approx(spread, abs=5e-4)
    assert mean(score * others) == pytest.approx(0, abs=1e-12)
    assert deviation(reward * score) == pytest.approx(0.304, abs=5e-4)


@pytest.mark.parametrize("objective", [softmax_gift, lambda a, b: jnp.exp(jnp.sin(a) @ b + 0.3 * (a**2).sum())])
def test_the_identities_hold_with_the_interaction_added(objective):
    """C = grad J + J (second derivatives of log J) u, each second derivative by central differences."""
    theta, phi = jnp.asarray(G2_MINE), jnp.asarray(G2_THEIRS)
    value = objective(theta, phi)

    def along(grad_log, point, u, h=1e-5):
        return (grad_log(point + h * u) - grad_log(point - h * u)) / (2 * h)

    log = lambda a, b: jnp.log(objective(a, b))  # noqa: E731
    of_theta, of_phi = jax.grad(objective, (0, 1))(theta, phi)
    u_theirs = corrections.direction(of_phi / value, 0.0)
    u_mine = corrections.direction(of_theta / value, 0.0)
    assert of_phi / value @ u_theirs == pytest.approx(1)
    interaction = value * along(lambda x: jax.grad(log)(theta, x), phi, u_theirs)
    np.testing.assert_allclose(mixed(objective, theta, phi), of_theta + interaction, rtol=1e-6, atol=1e-8)
    bend = value * along(lambda x: jax.grad(log)(x, phi), theta, u_mine)
    own = self_pure(lambda x: objective(x, phi), theta)
    np.testing.assert_allclose(own, of_theta + bend, rtol=1e-6, atol=1e-8)


def test_the_literal_reading_agrees_where_the_objective_factorises():
    theta, phi = jnp.asarray(G2_MINE), jnp.asarray(G2_THEIRS)
    of_theta, of_phi = jax.grad(softmax_gift, (0, 1))(theta, phi)
    u = corrections.direction(of_phi / softmax_gift(theta, phi), 0.0, "elementwise")
    term = jax.jvp(lambda x: jax.grad(softmax_gift)(theta, x), (phi,), (u,))[1]
    np.testing.assert_allclose(term, of_theta, atol=1e-12)
    assert not corrections.direction(jnp.zeros(3), 0.0, "elementwise").any()
    assert not corrections.direction(jnp.zeros(3), 0.0).any()


@pytest.mark.parametrize("c", [1.0, 0.1, 3.0])
def test_the_pure_term_ends_where_predicted(c):
    """One decision: R p q ((1 - p) + c (1 - 2p)) = 0 at p = (1 + c) / (1 + 2c), whatever q is."""
    phi = logit(0.4)

    def climb(_, theta):
        return theta + 5 * (jax.grad(one_gift)(theta, phi) + c * self_pure(lambda x: one_gift(x, phi), theta))

    end = jax.lax.fori_loop(0, 2000, climb, jnp.asarray(-1.0))
    assert sigmoid(end) == pytest.approx((1 + c) / (1 + 2 * c), abs=1e-6)


def test_c_minus_one_removes_the_gradient_of_the_gift_and_the_pure_term_does_not():
    theta, phi = logit(0.3), logit(0.6)
    plain = jax.grad(one_gift)(theta, phi)
    np.testing.assert_allclose(plain - mixed(one_gift, theta, phi), 0, atol=1e-12)
    pure = plain - self_pure(lambda x: one_gift(x, phi), theta)
    np.testing.assert_allclose(pure, 0.3**2 * 0.6, atol=1e-12)  # R p^2 q > 0: it gives more


@pytest.mark.parametrize(
    ("p", "slope", "value"),
    [
        (0.1, 2.211, -5.343),
        (0.2, 0.941, -4.107),
        (1 / np.e, 0.0, -3.718),
        (0.5, -0.639, -3.885),
        (0.8, -3.900, -6.602),
        (0.9, -8.955, -11.546),
        (0.99, -98.996, -101.504),
    ],
)
def test_g4_what_the_released_code_adds(p, slope, value):
    """Against the table, and against the central first differences that the code takes."""
    term = lambda z: released.term(jax.nn.log_sigmoid(z), jnp.asarray(1.0))  # noqa: E731
    assert term(logit(p)) == pytest.approx(value, abs=1e-3)
    assert jax.grad(term)(logit(p)) == pytest.approx(slope, abs=1e-3)
    f = lambda p, v: (1.0 - v) * np.log(p)  # noqa: E731
    h = 1e-6
    trace = (f(p + h, 0.0) - f(p - h, 0.0) + f(p, h) - f(p, -h)) / (2 * h)
    assert trace / np.log(p) == pytest.approx(value, abs=1e-3)


def test_what_the_released_code_adds_is_kept_finite():
    for p in (1e-9, 1 - 1e-12):
        term = lambda z: released.term(jax.nn.log_sigmoid(z), jnp.asarray(1.0))  # noqa: E731
        assert jnp.isfinite(term(logit(p)))
        assert jax.grad(term)(logit(p)) == 0


def test_sampled_second_derivatives_of_g3():
    """E[R S_i S_j] is the mixed derivative with and without a baseline, which alone has mean 0 (spec: 0.06048)."""
    rng, p, q, n = np.random.default_rng(0), 0.3, 0.6, 400_000
    first, second = rng.random(n) < p, rng.random(n) < p
    used, again = rng.random(n) < q, rng.random(n) < q
    given = np.where(first, 1, np.where(second, 2, 0))  # the step of the gift, 0: none
    score_i = (first - p) + (~first) * (second - p)
    score_j = (given > 0) * (used - q) + ((given == 1) & ~used) * (again - q)
    reward = np.where(given == 1, used | again, (given == 2) & used)
    for b, within in ((0.0, 0.002), (reward.mean(), 0.002)):
        assert ((reward - b) * score_i * score_j).mean() == pytest.approx(0.06048, abs=within)
    assert (score_i * score_j).mean() == pytest.approx(0, abs=2e-3)


def test_baselines():
    returns, counted = jnp.array([1.0, 3.0, 100.0, 5.0]), jnp.array([True, True, False, True])
    np.testing.assert_allclose(corrections.baseline(returns, counted)[counted], (4, 3, 2))
    np.testing.assert_allclose(corrections.baseline(returns, counted, "mean"), 3)
    assert not corrections.baseline(returns, counted, "none").any()
    assert not corrections.baseline(returns, jnp.array([True, False, False, False])).any()


def test_a_term_is_limited_by_the_plain_gradient():
    plain = {"a": jnp.array([3.0, 4.0])}
    long, short = {"a": jnp.array([0.0, 50.0])}, {"a": jnp.array([0.0, 2.0])}
    np.testing.assert_allclose(corrections.limited(long, plain, 1.0)["a"], (0, 5))
    np.testing.assert_allclose(corrections.limited(short, plain, 1.0)["a"], (0, 2))
    np.testing.assert_allclose(corrections.limited({"a": jnp.zeros(2)}, plain, 1.0)["a"], 0)
