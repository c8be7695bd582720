"""LOLA with exact values: its step against specification D.1, and what it learns on the prisoner's dilemma."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity import rollout
from comity.algorithms.shaping import lola
from comity.algorithms.shaping.tabular import seen_by
from comity.environments.matrix.ipd import IPD, PROFILES
from comity.environments.matrix.matrix import Matrix
from comity.environments.matrix.repeated_matrix import exact_values, finite_values

KEY = jax.random.key(0)
GAME = IPD(**PROFILES["lola"])
THETA = jnp.array([[0.1, -0.2, 0.3, -0.4, 0.5], [-0.5, 0.4, -0.3, 0.2, -0.1]])


def stepped(env, **settings):
    """Logits after one update from THETA."""
    algorithm = lola.make(lola.Config(**settings), env)
    return algorithm.update(KEY, lola.State(THETA), None)[0].logits


def test_one_step_of_lola_by_hand():
    """D.1, payoffs `coala`: player 1's step with c = 0.5; naive with c = 0, for both players."""
    env = IPD(**PROFILES["coala"])
    mine = (-0.1922323226, 0.1850713057, -2.3244699931, 0.5180842332, -1.7592663716)
    np.testing.assert_allclose(stepped(env, gamma=0.95, look_ahead_rate=0.5)[0] - THETA[0], mine, rtol=1e-3)
    naive = stepped(env, gamma=0.95, rule="naive") - THETA
    theirs = (-0.3058519799, -1.5480272394, -1.5005099128, -1.5384028742, -1.4823286765)
    np.testing.assert_allclose(
        naive[0], (-0.1910660167, -0.9019965062, -0.87051215, -0.857407904, -0.8119608), rtol=1e-3
    )
    np.testing.assert_allclose(naive[1], theirs, rtol=1e-3)
    for settings in ({"look_ahead_rate": 0.0}, {"rule": "dice", "look_aheads": 0}):
        np.testing.assert_allclose(stepped(env, gamma=0.95, **settings) - THETA, naive, rtol=1e-4)
    per_step = stepped(env, gamma=0.95, rule="naive", values="per-step") - THETA
    np.testing.assert_allclose(per_step, 0.05 * naive, rtol=1e-2)


def test_one_step_of_dice_by_hand():
    env = IPD(**PROFILES["coala"])
    found = stepped(env, gamma=0.95, rule="dice", look_aheads=2, look_ahead_rate=1.0)[0] - THETA[0]
    wanted = (-0.2419653919, 0.6952295594, -3.5448346028, 0.5491628154, -2.1440365780)
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


@pytest.fixture(scope="module")
def ends():
    """{rule: points per step of both players after 200 updates [seeds, 2]}."""

    def trained(settings):
        algorithm = lola.make(lola.Config(**settings), GAME)

        def run(key):
            state = lax.fori_loop(0, 200, lambda i, s: algorithm.update(key, s, None)[0], algorithm.init(key))
            return 0.04 * exact_values(jnp.asarray(GAME.tables), state.logits, 0.96), state.logits

        return jax.tree.map(np.asarray, jax.jit(jax.vmap(run))(jax.random.split(KEY, 40)))

    return {name: trained(lola.PRESETS[name]) for name in ("sound", "naive", "dice")}


@pytest.mark.learn
def test_naive_players_defect(ends):
    values, _ = ends["naive"]
    assert np.median(values) < -1.9, values


@pytest.mark.learn
def test_lola_finds_tit_for_tat(ends):
    """Foerster et al., table 2: most pairs cooperate, by answering defection."""
    values, logits = ends["sound"]
    cooperating = (values > -1.2).all(-1)
    assert cooperating.mean() > 0.5, np.sort(values.mean(-1))
    chances = 1 / (1 + np.exp(-logits[cooperating]))
    assert np.median(chances[..., 1]) > 0.9  # after CC
    assert np.median(chances[..., 2]) < 0.5  # after CD: the other has defected
    assert (ends["dice"][0] > -1.2).all(-1).mean() > 0.5


def test_play_is_of_the_logits():
    """What is watched earns what the closed form says, 4 standard errors."""
    env = IPD(length=10)
    algorithm = lola.make(lola.Config(), env)
    state = lola.State(THETA)

    @jax.jit
    def watched():
        play = rollout.start(KEY, env, algorithm.memory, 20_000)
        return rollout.collect(KEY, env, algorithm, state, play)[1].reward.sum(0)

    sums = np.asarray(watched())
    exact = finite_values(jnp.asarray(env.tables), THETA, 10)
    np.testing.assert_array_less(np.abs(sums.mean(0) - exact), 4 * sums.std(0) / np.sqrt(20_000))


def test_the_mixture_of_dice_and_the_naive_gradient():
    """COALA-PG, figure 4C: weight 1 is DiCE, 0 is naive, and between them lies what lies between."""
    env, at = IPD(), dict(gamma=0.95, rule="dice", look_aheads=1, look_ahead_rate=1.0)
    whole, none, half = (stepped(env, **at, look_ahead_weight=w) - THETA for w in (1.0, 0.0, 0.5))
    np.testing.assert_allclose(none, stepped(env, gamma=0.95, rule="naive") - THETA, rtol=1e-4)
    np.testing.assert_allclose(half, (whole + none) / 2, rtol=1e-4)
    assert np.abs(whole - none).max() > 0.1


@pytest.mark.parametrize("rule", ["naive", "lola", "dice"])
def test_sampled_gradients_are_those_of_the_closed_form(rule):
    """The same rules on the exact values of three steps, against estimates from play; 5 standard errors of 200."""
    env = IPD(length=3)
    settings = {"rule": rule, "gamma": 0.9, "look_ahead_rate": 0.5, "look_aheads": 1}
    sampled = lola.make(lola.Config(**settings, play="sampled", games=500, learning_rate=1.0), env)

    @jax.jit
    def steps(keys):
        return jax.vmap(lambda key: sampled.update(key, lola.State(THETA), None)[0].logits - THETA)(keys)

    found = np.concatenate([np.asarray(steps(keys)) for keys in jax.random.split(KEY, (10, 20))])
    values = lambda logits: finite_values(jnp.asarray(env.tables), logits, 3, 0.9)  # noqa: E731
    config = lola.Config(**settings)
    exact = jnp.stack([
        lola.gradient(config, lambda number, i=i: seen_by(i, values), THETA[i], THETA[1 - i]) for i in range(2)
    ])  # fmt: skip
    error = found.std(0, ddof=1) / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(found.mean(0) - exact), 5 * error + 1e-4)
    assert (error < 0.2 * np.abs(exact).max()).all()  # so that the line above can fail


def test_sampled_play_is_counted():
    algorithm = lola.make(lola.Config(rule="dice", look_aheads=2, play="sampled", games=3), IPD(length=4))
    _, metrics = jax.eval_shape(algorithm.update, KEY, lola.State(THETA), None)
    assert "extra_steps" in metrics
    config = lola.Config(rule="dice", look_aheads=2)
    assert lola.estimates(config) == 2 * 4  # values, two steps of the other, and the naive part


def test_other_games_are_refused():
    for env in (Matrix(), IPD(sees="actions")):
        with pytest.raises(ValueError, match="play ipd or repeated-matrix"):
            lola.make(lola.Config(), env)
    with pytest.raises(ValueError, match="gamma 1"):
        lola.Config(gamma=1.0)
