"""COALA-PG on games with learners inside: credit, weights, players, and learning."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms.shaping import coala, coala_credit, coala_exact, tabular
from comity.environments.dilemmas.cleanup_lite import CleanupLite
from comity.environments.dilemmas.coin_game import CoinGame
from comity.environments.matrix.ipd import IPD
from comity.learning.shaping import batch_advantages
from comity.opponents import Learners
from comity.spec import MetaEpisodes

KEY = jax.random.key(0)
GAME = IPD(length=3)
TINY: dict[str, Any] = {"width": 4, "epochs": 1, "minibatches": 1}


def env_of(**settings):
    return Learners(GAME, **{"episodes": 2, "games": 2, "naive_width": 4, "starts": 1, **settings}).made


@functools.cache
def played(games=4, core: Any = "gru", **settings):
    """(game, state before, steps) of one rollout. The estimator is not asked in play."""
    env = env_of(**settings)
    algorithm = coala.make(coala.Config(**TINY, core=core), env)

    @jax.jit
    def run(key):
        state = algorithm.init(key)
        return state, rollout.collect(key, env, algorithm, state, rollout.start(key, env, algorithm.memory, games))[1]

    return env, *run(KEY)


def updated(env, state, steps, **settings):
    """(state after, metrics)."""
    return jax.jit(coala.make(coala.Config(**{**TINY, **settings}), env).update)(KEY, state, steps)


def largest(a, b):
    return max(float(jnp.abs(x - y).max()) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_one_inner_episode_is_reinforce():
    """M = 1: there is nothing to shape, and COALA's update is that of the plain gradient."""
    for episodes in (1, 2):
        env, before, steps = played(episodes=episodes)
        after = {name: updated(env, before, steps, estimator=name)[0].net for name in ("coala", "batch-unaware")}
        assert largest(after["coala"], before.net) > 1e-5
        away = largest(after["coala"], after["batch-unaware"])
        assert (away < 1e-5) == (episodes == 1), away


@pytest.mark.parametrize(
    ("estimator", "gamma", "lambda_"),
    [("coala", 1.0, 1.0), ("coala", 0.9, 0.8), ("m-fos", 0.9, 1.0), ("batch-unaware", 1.0, 0.8)],
)
def test_the_parts_make_up_the_advantage(estimator, gamma, lambda_):
    keys = jax.random.split(KEY, 2)
    reward, value = (jax.random.normal(key, (6, 3, 1, 4)) for key in keys)
    ends = jnp.arange(1, 7) % 2 == 0
    own, later = coala_credit.parts(estimator, reward, value, ends, gamma, lambda_)
    following = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])
    whole = batch_advantages(reward, value, following, ends, gamma, lambda_, estimator)
    np.testing.assert_allclose(own + later, whole, atol=1e-5)
    np.testing.assert_allclose(later[4:], 0.0)  # nothing follows the last inner episode


def test_against_players_the_credit_is_plain():
    reward, value = (jax.random.normal(key, (4, 2, 2, 3)) for key in jax.random.split(KEY, 2))
    ends = jnp.array([False, True, False, True])
    naive = jnp.array([True, False])
    plain, target = coala_credit.credit("batch-unaware", reward, value, naive, ends, 1.0, 1.0, 1.0)
    mixed, same = coala_credit.credit("coala", reward, value, naive, ends, 1.0, 1.0, 1.0)
    np.testing.assert_allclose(mixed[:, 1], plain[:, 1], rtol=1e-6)
    assert np.abs(mixed[:, 0] - plain[:, 0]).max() > 0.1
    np.testing.assert_allclose(target, same)
    np.testing.assert_allclose(target, jnp.cumsum(reward[::-1], 0)[::-1], atol=1e-5)


def test_weights_of_seats():
    """Three games of two players with two seats: one against a learner, two between players."""
    meta, naive = MetaEpisodes(games=5, length=3, episodes=2, seats=2, players=2), jnp.array([True, False, False])
    found = coala_credit.weights("coala", meta, naive)
    np.testing.assert_allclose(found, [[5 * 2 / 3, 0.0], [1 / 3, 1 / 3], [1 / 3, 1 / 3]], rtol=1e-6)
    plain = coala_credit.weights("batch-unaware", meta, naive)
    np.testing.assert_allclose(plain[0], [2 / 3, 0.0], rtol=1e-6)
    assert float(plain.sum()) == pytest.approx(2)  # entropy, kl and clipped are means over seats, divided by players


@pytest.mark.parametrize("seats", [2, 3])
def test_each_kind_of_opponent_has_its_share_of_the_loss_whoever_is_in_a_minibatch(seats):
    """Many small minibatches, most of them without a naive learner: each player's seats against naive learners weigh
    0.1 in the mean, and its seats among players 0.9."""
    share, rng = 0.1, np.random.default_rng(0)
    meta = MetaEpisodes(games=5, length=3, episodes=2, seats=seats, players=4)
    naive = rng.random((20_000, 4)) < share  # [minibatch, episode]
    player = rng.permuted(np.broadcast_to(np.arange(4), (20_000, 4, 4)), axis=-1)[..., :seats]
    weight = np.asarray(jax.vmap(lambda naive: coala_credit.weights("batch-unaware", meta, naive))(jnp.asarray(naive)))
    of_player = weight[..., None] * (player[..., None] == np.arange(4))  # [minibatch, episode, seat, player]
    for kind, wanted in ((naive, share), (~naive, 1 - share)):
        found = (of_player * kind[..., None, None]).sum((1, 2))
        deviation = found.std(0) / np.sqrt(len(found))
        assert (np.abs(found.mean(0) - wanted) < 4 * deviation).all(), found.mean(0)
        assert (deviation < 0.006).all()


def test_advantages_are_centred_for_each_kind():
    advantage = jax.random.normal(KEY, (4, 3, 2, 2)) + jnp.array([5.0, -5.0, -5.0])[:, None, None]
    naive = jnp.array([True, False, False])
    seated = jnp.array([[True, False], [True, True], [True, True]])
    chose = jnp.ones(advantage.shape, bool)
    found = np.asarray(coala_credit.standardised_by_kind(advantage, naive, seated, chose))
    assert found[:, 0, 0].mean() == pytest.approx(0, abs=1e-5)
    assert found[:, 1:].mean() == pytest.approx(0, abs=1e-5)
    learnt = np.concatenate([found[:, 0, 0].ravel(), found[:, 1:].ravel()])
    assert np.square(learnt).mean() == pytest.approx(1, abs=1e-3)
    waited = chose.at[3:, :, :, 1].set(False)  # one of the inner games is over
    other = jnp.where(waited, advantage, 100.0)
    found, alike = (np.asarray(coala_credit.standardised_by_kind(x, naive, seated, waited)) for x in (advantage, other))
    np.testing.assert_allclose(found[waited], alike[waited], rtol=1e-5)
    assert found[:, 0, 0][np.asarray(waited)[:, 0, 0]].mean() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("core", ["gru", "hawk"])
def test_the_update_sees_what_was_played(core):
    """One pass over all games at once: at its only step every ratio is 1."""
    metrics = updated(*played(core=core, naive_share=0.5, players=2), core=core)[1]
    assert float(metrics["clipped"]) == 0
    assert abs(float(metrics["kl"])) < 1e-5


def test_players_act_by_their_own_networks_and_learn_for_themselves():
    env, before, steps = played(games=1, naive_share=0.0, players=3)
    after, _ = updated(env, before, steps)
    sitting = np.asarray(steps.observation.state[0, 0, 1:3], int)
    (absent,) = set(range(3)) - set(sitting)
    algorithm = coala.make(coala.Config(**TINY), env)
    for seat, player in enumerate(sitting):
        net = jax.tree.map(lambda x, p=player: x[p], before.net)
        view = steps.observation.view[:, 0, 2 * seat : 2 * seat + 2]
        logits = net.unroll(view, jnp.zeros((2, 4)))[..., :-1]
        np.testing.assert_allclose(
            jax.nn.softmax(logits), steps.notes["probabilities"][:, 0, 2 * seat : 2 * seat + 2], atol=1e-5
        )
    for player in range(3):
        moved = largest(*(jax.tree.map(lambda x, p=player: x[p], s.net) for s in (before, after)))
        assert (moved > 0) == (player != absent)
    one = jax.tree.map(lambda x: x[3, 0], steps.observation)  # a single game, as in films
    action, _, notes = algorithm.act(KEY, before, algorithm.memory, one, False)
    assert action.shape == (4,)
    assert notes["value"].shape == (4,)


def test_the_seat_of_a_learner_teaches_nobody():
    """Its reward may be anything: the update stays the same."""
    env, before, steps = played(games=6, naive_share=0.5)
    update = jax.jit(coala.make(coala.Config(**TINY), env).update)
    after, _ = update(KEY, before, steps)
    naive = np.asarray(steps.observation.state[0, :, 0]) > 0
    assert 0 < naive.sum() < 6
    theirs = jnp.where(jnp.asarray(naive)[:, None] & (jnp.arange(4) >= 2), 1000.0, 0.0)
    other, _ = update(KEY, before, steps._replace(reward=steps.reward + theirs))
    assert largest(after.net, other.net) == 0


def test_the_parts_of_the_gradient_are_measured():
    _, metrics = updated(*played(episodes=2), measure=True)
    own, later = float(metrics["gradient_own"]), float(metrics["gradient_later"])
    assert own > 0
    assert later > 0
    assert float(metrics["gradient_balance"]) == pytest.approx(later / own, rel=1e-4)
    _, last = updated(*played(episodes=1), measure=True)
    assert float(last["gradient_later"]) == 0


def test_tables_are_measured_by_the_closed_form():
    """All 50 : 50 in the first update: each pair of actions a quarter of the time, whoever plays."""
    env = Learners(IPD(), episodes=1, games=2, naive_network="table").made
    algorithm = coala.make(coala.Config(core="table", exact=True), env)
    state = algorithm.init(KEY)
    play = rollout.start(KEY, env, algorithm.memory, 2)
    _, steps = rollout.collect(KEY, env, algorithm, state, play)
    _, metrics = jax.jit(algorithm.update)(KEY, state, steps)
    assert float(metrics["meeting_value"]) == pytest.approx(0.5, abs=1e-5)  # the mean of 1, -1, 2, 0
    starts = jax.random.normal(jax.random.key(0), (64, 5))
    path = coala_exact.paths(
        tabular.seen_by(0, lambda x: 0.05 * IPD().exact_values(x, 0.95)), jnp.zeros(5), starts, 5.0, 20
    )
    assert float(metrics["shaping_value"]) == pytest.approx(float(path.mine), abs=1e-5)
    assert float(metrics["naive_value_last"]) > float(metrics["shaping_value_last"])  # it exploits who does not answer
    with pytest.raises(ValueError, match="the core is gru: set core"):
        coala.make(coala.Config(exact=True), env)


@pytest.fixture(scope="module")
def shaped():
    """{estimator: (points per step against naive learners, defection)} of tables after 50 iterations."""
    env = Learners(IPD(), naive_network="table", naive_learning_rate=0.3).made

    def trained(estimator):
        config = coala.Config(estimator=estimator, core="table", learning_rate=0.02)
        algorithm = coala.make(config, env)

        @jax.jit
        def run(key):
            def iteration(state, key):
                play = rollout.start(key, env, algorithm.memory, 16)
                _, steps = rollout.collect(key, env, algorithm, state, play)
                found = env.summary(steps.reward, steps.info, steps.valid)
                told = found["shaping_reward"].mean(), found["defection"].mean()
                return algorithm.update(key, state, steps)[0], told

            return jax.lax.scan(iteration, algorithm.init(key), jax.random.split(key, 50))[1]

        return tuple(np.asarray(x)[-10:].mean() for x in run(KEY))

    return {estimator: trained(estimator) for estimator in ("coala", "m-fos")}


@pytest.mark.learn
def test_coala_shapes_naive_learners(shaped):
    """The paper's figure 5A, as tables do it: defection would earn 0.16."""
    reward, defection = shaped["coala"]
    assert reward > 0.7
    assert defection < 0.8


@pytest.mark.learn
def test_m_fos_defects(shaped):
    """It weighs the own episode b times too much, so that it ends where a selfish learner does."""
    reward, defection = shaped["m-fos"]
    assert reward < 0.4
    assert defection > 0.9


def test_a2c_climbs_the_plain_gradient_in_one_step():
    """Where nothing has moved yet PPO's gradient is the same, but for its value's clipping, which holds nothing back
    there; SGD moves parameters by rate times it, cut to the norm 1."""
    env, before, steps = played()
    sgd = {"optimizer": "sgd", "learning_rate": 0.1}
    after = {
        name: updated(env, before._replace(opt_state=opened(env, sgd)), steps, climbs=name, **sgd)[0].net
        for name in ("ppo", "a2c")
    }
    assert largest(after["ppo"], after["a2c"]) < 1e-6
    away = jax.tree.map(lambda a, b: float(jnp.square(a - b).sum()), after["a2c"], before.net)
    moved = sum(jax.tree.leaves(away))
    assert 1e-8 < moved <= 0.01 + 1e-6
    many, _ = updated(env, before._replace(opt_state=opened(env, sgd)), steps, climbs="a2c", **sgd, epochs=3)
    assert largest(many.net, after["a2c"]) < 1e-6  # epochs are PPO's
    again, _ = updated(env, before._replace(opt_state=opened(env, sgd)), steps, climbs="ppo", **sgd, epochs=3)
    assert largest(again.net, after["ppo"]) > 1e-4


def opened(env, settings):
    """The optimizer's state at the start."""
    return coala.make(coala.Config(**TINY, **settings), env).init(KEY).opt_state


def test_seats_of_three_sides_weigh_by_their_kind():
    """Three seats of three players: against learners only the first counts, among players each."""
    meta, naive = MetaEpisodes(2, 3, 2, 3, 3), jnp.array([True, False])
    assert coala_credit.learning_seats(naive, 3).tolist() == [[True, False, False], [True, True, True]]
    weight = coala_credit.weights("coala", meta, naive)
    np.testing.assert_allclose(weight, [[2 * 3 / 2, 0, 0], [0.5, 0.5, 0.5]])


def test_cleanup_lite_with_three_sides_and_pictures_of_coins_are_learned():
    """Every parameter of every player moves, convolutions included."""
    small: dict[str, Any] = {"episodes": 2, "games": 2, "naive_network": "none", "naive_width": 4}
    three = Learners(CleanupLite(agents=3, length=3), **small, naive_share=0.5, players=3).made
    coins = Learners(CoinGame(view="image", length=3), **small).made
    for env in (three, coins):
        algorithm = coala.make(coala.Config(**TINY, learning_rate=0.01, core="none"), env)

        @jax.jit
        def run(key, env=env, algorithm=algorithm):
            state = algorithm.init(key)
            _, steps = rollout.collect(key, env, algorithm, state, rollout.start(key, env, algorithm.memory, 12))
            return state, algorithm.update(key, state, steps)[0]

        before, after = run(KEY)
        moved = jax.tree.leaves(jax.tree.map(lambda x, y: float(jnp.abs(x - y).max()), before.net, after.net))
        assert min(moved) > 0
        assert np.isfinite(moved).all()


def test_a_game_without_learners_is_refused():
    with pytest.raises(ValueError, match=r"comity train ipd\+learners coala"):
        coala.make(coala.Config(), GAME)
