"""Repeated matrix games: the rules, and the returns of tabular players, against tables of specification D.1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.environments.matrix.ipd import IPD, PROFILES
from comity.environments.matrix.repeated_matrix import RepeatedMatrix, exact_values, finite_values

KEY = jax.random.key(0)
ALWAYS = 1e3  # a logit of probability 1
PLAYERS = {  # P(C) at the start, after CC, CD, DC, DD
    "ALLC": (1, 1, 1, 1, 1),
    "ALLD": (0, 0, 0, 0, 0),
    "TFT": (1, 1, 0, 1, 0),
    "STFT": (0, 1, 0, 1, 0),
    "GRIM": (1, 1, 0, 0, 0),
    "WSLS": (1, 1, 0, 0, 1),
    "RAND": (0.5, 0.5, 0.5, 0.5, 0.5),
}
COALA = {  # per step at gamma 0.95, row against column
    "ALLC": (1, -1, 1, 0.9, 1, 1, 0),
    "ALLD": (2, 0, 0.1, 0, 0.1, 1.02564, 1),
    "TFT": (1, -0.05, 1, 0.46154, 1, 1, 0.475),
    "STFT": (1.05, 0, 0.53846, 0, 0.0525, 0.36810, 0.525),
    "GRIM": (1, -0.05, 1, 0.045, 1, 1, 0.90476),
    "WSLS": (1, -0.51282, 1, 0.31551, 1, 1, 0.475),
    "RAND": (1.5, -0.5, 0.55, 0.45, -0.30952, 0.55, 0.5),
}


def game(profile: str) -> IPD:
    return IPD(**PROFILES[profile])


def pair(first: str, second: str):
    """Logits [2, 5]."""
    chances = np.array([PLAYERS[first], PLAYERS[second]], float)
    return jnp.asarray(np.select([chances == 1, chances == 0], [ALWAYS, -ALWAYS], np.log(0.5 / 0.5)))


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("first", COALA)
def test_what_known_players_earn(first):
    values = jax.jit(lambda logits: (1 - 0.95) * exact_values(tables("coala"), logits, 0.95))
    for second, wanted in zip(PLAYERS, COALA[first], strict=True):
        assert values(pair(first, second))[0] == pytest.approx(wanted, abs=6e-6), second
        assert values(pair(second, first))[1] == pytest.approx(wanted, abs=6e-6), second  # from the other side


def tables(profile: str):
    return jnp.asarray(game(profile).tables, jnp.float64)


@pytest.mark.parametrize(
    ("profile", "gamma", "first", "second", "wanted"),
    [
        ("lola", 0.96, "ALLD", "ALLD", (-2, -2)),
        ("lola", 0.96, "TFT", "TFT", (-1, -1)),
        ("lola", 0.96, "TFT", "ALLD", (-2.04, -1.92)),
        ("lola", 0.96, "ALLD", "ALLC", (0, -3)),
        ("lola", 0.96, "TFT", "STFT", (-1.53061, None)),
        ("lola", 0.96, "RAND", "RAND", (-1.5, -1.5)),
        ("lola", 0.96, "WSLS", "ALLD", (-2.51020, None)),
        ("rusp", 0.9, "TFT", "ALLD", (-0.2, 0.4)),
    ],
)
def test_other_payoffs(profile, gamma, first, second, wanted):
    values = (1 - gamma) * exact_values(tables(profile), pair(first, second), gamma)
    for value, known in zip(values, wanted, strict=True):
        assert known is None or value == pytest.approx(known, abs=6e-6)


@pytest.mark.parametrize(
    ("profile", "first", "second", "wanted"),
    [
        ("coala", "TFT", "ALLD", (-1, 2)),
        ("coala", "RAND", "TFT", (6, 4.5)),
        ("rusp", "TFT", "ALLD", (-2, 4)),
        ("rusp", "RAND", "TFT", (12, 9)),
    ],
)
def test_ten_steps(profile, first, second, wanted):
    np.testing.assert_allclose(finite_values(tables(profile), pair(first, second), 10), wanted, atol=1e-12)


THETA = jnp.array([[0.1, -0.2, 0.3, -0.4, 0.5], [-0.5, 0.4, -0.3, 0.2, -0.1]])
GRADIENTS = {  # of `coala`: agent whose value, whose parameters
    (0, 0): (-0.1910660167, -0.9019965062, -0.8705121500, -0.8574079040, -0.8119608013),
    (0, 1): (0.4995764707, 2.5103966435, 2.4219084780, 2.5247894791, 2.4440010832),
    (1, 0): (0.4591959123, 2.2630390296, 2.1631461684, 2.0797279750, 1.9884181879),
    (1, 1): (-0.3058519799, -1.5480272394, -1.5005099128, -1.5384028742, -1.4823286765),
}
LOLA_GRADIENTS = {  # of an agent's own value
    0: (-0.1904373121, -1.1371965757, -1.0916288707, -1.0828332920, -1.0201051387),
    1: (-0.3065242195, -1.9636370923, -1.9056895118, -1.9407227483, -1.8730828747),
}


def test_gradients():
    theta = jnp.asarray(np.asarray(THETA, np.float64).round(1))
    values = lambda theta: exact_values(tables("coala"), theta, 0.95)  # noqa: E731
    np.testing.assert_allclose(values(theta), (10.0453331883, 10.3268959478), rtol=1e-9)
    jacobian = jax.jacobian(values)(theta)
    for (i, j), wanted in GRADIENTS.items():
        np.testing.assert_allclose(jacobian[i, j], wanted, rtol=1e-8)
    values = lambda theta: exact_values(tables("lola"), theta, 0.96)  # noqa: E731
    np.testing.assert_allclose(values(theta), (-37.3682675614, -37.1422694973), rtol=1e-9)
    jacobian = jax.jacobian(values)(theta)
    for i, wanted in LOLA_GRADIENTS.items():
        np.testing.assert_allclose(jacobian[i, i], wanted, rtol=1e-8)


@pytest.mark.parametrize("seed", [0, 1])
def test_play_earns_what_the_closed_form_says(seed):
    """The rules against the algebra: sampled games of random tabular players, 4 standard errors."""
    env, games = IPD(), 20_000
    logits = jax.random.normal(jax.random.key(seed), (2, 5))

    def play(key):
        def step(carry, key):
            state, view = carry
            key_act, key_step = jax.random.split(key)
            chance = jax.nn.sigmoid((logits * view).sum(-1))
            action = (jax.random.uniform(key_act, (2,)) >= chance).astype(jnp.int32)
            state, timestep = env.step(key_step, state, action)
            return (state, timestep.observation.view), timestep.reward

        state, first = env.reset(key)
        return jax.lax.scan(step, (state, first.view), jax.random.split(key, env.spec.length))[1].sum(0)

    sums = np.asarray(jax.jit(jax.vmap(play))(jax.random.split(KEY, games)))
    exact = finite_values(tables("coala"), logits, env.spec.length)
    np.testing.assert_array_less(np.abs(sums.mean(0) - exact), 4 * sums.std(0) / np.sqrt(games))


def test_the_rules():
    env = game("rusp")
    state, first = env.reset(KEY)
    assert first.view.tolist() == [[-1, -1, 0], [-1, -1, 0]]
    state, timestep = env.step(KEY, state, jnp.array([0, 1]))
    assert timestep.reward.tolist() == [-2, 4]
    assert timestep.observation.view.tolist() == [[0, 1, 1], [1, 0, 1]]
    outcome = game("coala")
    state, first = outcome.reset(KEY)
    assert first.view.argmax(-1).tolist() == [0, 0]
    _, timestep = outcome.step(KEY, state, jnp.array([0, 1]))
    assert timestep.observation.view.argmax(-1).tolist() == [2, 3]  # CD for the one is DC for the other
    assert not timestep.terminated


def test_the_end():
    fixed = IPD(length=2)
    for clock, flags in ((True, (True, False)), (False, (False, True))):
        env = IPD(length=2, clock_terminates=clock)
        state, _ = env.reset(KEY)
        state, first = env.step(KEY, state, jnp.array([0, 0]))
        _, last = env.step(KEY, state, jnp.array([0, 0]))
        assert not (first.terminated | first.truncated)
        assert (bool(last.terminated), bool(last.truncated)) == flags
    horizons = np.asarray(jax.vmap(lambda key: game("rusp").reset(key)[0].horizon)(jax.random.split(KEY, 40_000)))
    assert horizons.min() == 1
    assert horizons.mean() == pytest.approx(10, abs=0.2)
    assert (horizons == 1).mean() == pytest.approx(0.1, abs=0.006)
    answer = np.log(10) / 9  # tit-for-tat's cooperation with all-d, a share of each episode: E[1 / H]
    assert (1 / horizons).mean() == pytest.approx(answer, abs=0.006)
    assert answer == pytest.approx(0.2558, abs=1e-4)
    assert (horizons > 10).mean() == pytest.approx(0.9**10, abs=0.01)
    assert fixed.reset(KEY)[0].horizon == 2


def test_other_games():
    pennies = RepeatedMatrix(payoffs=(1, -1, -1, 1), payoffs_second=(-1, 1, 1, -1))
    state, _ = pennies.reset(KEY)
    for actions, paid in (((0, 0), (1, -1)), ((0, 1), (-1, 1)), ((1, 1), (1, -1))):
        assert pennies.step(KEY, state, jnp.array(actions))[1].reward.tolist() == list(paid)
    three = RepeatedMatrix(payoffs=tuple(range(9)))
    assert (three.spec.action.n, three.spec.view.size) == (3, 10)
    _, timestep = three.step(KEY, three.reset(KEY)[0], jnp.array([2, 1]))
    assert timestep.reward.tolist() == [7, 5]
    assert timestep.observation.view.argmax(-1).tolist() == [8, 6]


def test_cooperation_is_a_share_of_steps():
    env = IPD(length=4)
    info = {"action_0": jnp.array([1.0, 1, 0, 0])[:, None, None].repeat(2, -1), "action_1": jnp.ones((4, 1, 2))}
    valid = jnp.array([True, True, False, False])[:, None]
    assert env.summary(jnp.zeros((4, 1, 2)), info, valid)["cooperation"].tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"payoffs": (1.0, 2.0, 3.0)}, "give a square matrix"),
        ({"payoffs": (1.0, 2.0, 3.0, float("nan"))}, "nan, which is not a finite number"),
        ({"payoffs_second": (1.0,)}, "give as many"),
        ({"length": 0}, "length 0 is below 1"),
        ({"end_chance": 1.5}, "end_chance 1.5 is above 1"),
        ({"sees": "all"}, "not one of outcome, actions"),
    ],
)
def test_bad_options(options, told):
    with pytest.raises(ValueError, match=told):
        RepeatedMatrix(**options)


def test_actions_are_seen_wrongly_as_often_as_said():
    env = IPD(length=2, misseen=0.3)
    keys = jax.random.split(jax.random.key(0), 4_000)
    state = jax.vmap(env.reset)(keys)[0]
    state, timestep = jax.vmap(lambda key, state: env.step(key, state, jnp.array([0, 1])))(keys, state)
    assert (timestep.reward == jnp.array([-1.0, 2.0])).all()  # what is paid is what was done
    wrong = np.asarray(state.seen) != np.array([1, 0])
    np.testing.assert_allclose(wrong.mean(0), 0.3, atol=4 * np.sqrt(0.21 / 4_000))
    assert abs(np.corrcoef(wrong.T)[0, 1]) < 0.07  # each sees for itself
    outcome = np.asarray(timestep.observation.view.argmax(-1))
    np.testing.assert_array_equal(outcome[:, 0], np.where(wrong[:, 0], 1, 2))  # own C, and C or D seen
    plain = IPD(length=2)
    state = plain.step(keys[0], plain.reset(keys[0])[0], jnp.array([0, 1]))[0]
    np.testing.assert_array_equal(state.seen, [1, 0])
    first, second = (IPD(length=2, misseen=1.0, misseen_by=who) for who in ("first", "second"))
    for one, wanted in ((first, [0, 0]), (second, [1, 1])):  # the other still sees C and D as they were
        np.testing.assert_array_equal(one.step(KEY, one.reset(KEY)[0], jnp.array([0, 1]))[0].seen, wanted)
    three = RepeatedMatrix(payoffs=tuple(map(float, range(9))), misseen=1.0)
    seen = jax.vmap(lambda key: three.step(key, three.reset(key)[0], jnp.array([0, 2]))[0].seen)(keys[:500])
    assert set(np.asarray(seen[:, 0])) == {0, 1}
    assert set(np.asarray(seen[:, 1])) == {1, 2}
