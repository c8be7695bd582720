"""Credit for shaping, against specification D.3 (exact enumeration) and D.4 (the scan by hand)."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity.learning import discounted_returns
from comity.learning.shaping import CREDITS, Credit, batch_advantages, batch_lambda_returns


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


REWARD, VALUE = np.array([[1, 0, 2, -1], [0, 2, 1, 1.0]]), np.array([[3, 2, 1.5, 0.5], [2.5, 2, 1, 0.25]])
ENDS = jnp.array([False, True, False, True])


def by_time(x):
    """[b, L] -> [L, b]."""
    return jnp.asarray(x).T


@pytest.mark.parametrize(
    ("gamma", "lambda_", "estimator", "wanted"),
    [
        (1, 1, "coala", [[0, 0, -0.25, -0.75], [0.5, 0.75, 0.5, 0.375]]),
        (1, 1, "m-fos", [[-0.25, -0.25, -0.5, -1.5], [0.75, 1.25, 1, 0.75]]),
        (1, 1, "batch-unaware", [[-1, -1, -0.5, -1.5], [1.5, 2, 1, 0.75]]),
        (
            0.99,
            0.95,
            "coala",
            [[-0.0146244091, -0.0049169688, -0.207875, -0.75], [0.4431018409, 0.7475830313, 0.4764375, 0.375]],
        ),
        (
            0.99,
            0.95,
            "m-fos",
            [[-0.2668031591, -0.2624169688, -0.41575, -1.5], [0.6486493409, 1.2425830313, 0.952875, 0.75]],
        ),
        (
            0.99,
            0.95,
            "batch-unaware",
            [[-0.8721051089, -0.906012875, -0.41575, -1.5], [1.2539512907, 1.8861789375, 0.952875, 0.75]],
        ),
    ],
)
def test_advantages_by_hand(gamma, lambda_, estimator, wanted):
    following = np.concatenate([VALUE[:, 1:], np.zeros((2, 1))], 1)
    arguments = by_time(REWARD), by_time(VALUE), by_time(following), ENDS, float(gamma), float(lambda_), estimator
    np.testing.assert_allclose(batch_advantages(*arguments).T, wanted, atol=1e-9)


def test_coala_is_the_exact_advantage():
    """(1/B) cur_b + (1/B) sum fut - (1/B) V(h_b) - (1/B) sum over the others of V at the next episode's start."""
    following = np.concatenate([VALUE[:, 1:], np.zeros((2, 1))], 1)
    found = batch_advantages(by_time(REWARD), by_time(VALUE), by_time(following), ENDS, 1.0, 1.0, "coala").T
    for b, t in product(range(2), range(4)):
        end = 2 if t < 2 else 4
        later = REWARD[:, end:].sum()
        others = VALUE[1 - b, end] if end < 4 else 0.0
        assert found[b, t] == pytest.approx((REWARD[b, t:end].sum() + later - VALUE[b, t] - others) / 2)


def test_targets_of_the_critic():
    following = np.concatenate([VALUE[:, 1:], np.zeros((2, 1))], 1)
    plain = Credit(averages=False, normalises=False)
    found = batch_lambda_returns(by_time(REWARD), by_time(following), ENDS, 0.99, 0.95, plain).T
    wanted = [[2.1278948911, 1.093987125, 1.08425, -1], [3.7539512907, 3.8861789375, 1.952875, 1]]
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_one_game_and_one_episode_are_reinforce():
    """With b = 1 all three are the returns of one long episode; with M = 1 COALA's is REINFORCE, 1/b of each game's."""
    rng = np.random.default_rng(0)
    reward = jnp.asarray(rng.normal(size=(6, 3, 1)))
    ends, zeros = jnp.arange(6) % 3 == 2, jnp.zeros_like(reward)
    never = jnp.arange(6)[:, None].repeat(3, 1) == 5
    plain = discounted_returns(reward, never, 0.9)
    for credit in CREDITS.values():
        np.testing.assert_allclose(batch_lambda_returns(reward, zeros, ends, 0.9, 1.0, credit), plain, atol=1e-12)
    many = jnp.asarray(rng.normal(size=(6, 4)))
    once = batch_lambda_returns(many, jnp.zeros_like(many), jnp.arange(6) == 5, 0.9, 1.0, CREDITS["coala"])
    np.testing.assert_allclose(4 * once, discounted_returns(many, never[:, :1].repeat(4, 1), 0.9), atol=1e-12)


def weights(reward, estimator):
    """What stands before grad log pi in the sum over games and steps, for rewards [..., M T, B]."""
    steps = jnp.moveaxis(jnp.asarray(reward), -2, 0)  # [L, ..., B]
    ends = jnp.arange(len(steps)) % EPISODE == EPISODE - 1
    credit = CREDITS[estimator]
    returns = batch_lambda_returns(steps, jnp.zeros_like(steps), ends, 1.0, 1.0, credit)
    share = 1 if credit.averages else steps.shape[-1]  # batch-unaware: averaged over games
    return jnp.moveaxis(returns, 0, -2) / share


EPISODE = 1


@pytest.mark.parametrize(
    ("games", "wanted"),
    [
        (1, {"coala": 0.2, "m-fos": 0.2, "batch-unaware": 0.2}),
        (2, {"coala": 0.2, "m-fos": -2.8, "batch-unaware": -1.4}),
        (4, {"coala": 0.2, "m-fos": -8.8, "batch-unaware": -2.2}),
    ],
)
def test_toy_1(games, wanted, monkeypatch):
    """T = 1, M = 3: the co-player cooperates more in episodes 2 and 3 the more games saw cooperation in episode 1.

    The biased estimators have the wrong sign.
    """
    monkeypatch.setitem(globals(), "EPISODE", 1)
    p = 1 / (1 + np.exp(-0.3))
    actions = np.array(list(product([0, 1], repeat=3 * games)), float).reshape(-1, 3, games)  # 1: cooperates
    chance = np.where(actions == 1, p, 1 - p).prod((1, 2))
    after = 0.1 + 0.8 * actions[:, 0].mean(-1)
    q = np.stack([np.full(len(actions), 0.5), after, after], -1)[..., None]  # [n, 3, 1]
    reward = 2 * q - actions
    value = (chance * reward.sum(1).mean(-1)).sum()
    assert value == pytest.approx(1.5148885034)
    for estimator, known in wanted.items():
        found = (chance * ((actions - p) * weights(reward, estimator)).sum((1, 2))).sum()
        assert found / (p * (1 - p)) == pytest.approx(known), estimator


def test_toy_2(monkeypatch):
    """Prisoner's dilemma, b = 2, M = 2, T = 2, against a co-player that takes one policy-gradient step in between."""
    monkeypatch.setitem(globals(), "EPISODE", 2)
    logits, psi = jnp.array([0.2, 0.5, -0.3, 0.1, -0.6], jnp.float64), 0.4
    moves = np.array(list(product([0, 1], repeat=8)))  # 0 cooperates; of one episode: [game, step, player]
    moves = moves.reshape(-1, 2, 2, 2)
    mine, theirs = moves[..., 0], moves[..., 1]  # [256, b, T]
    table = np.array([[1, -1], [2, 0.0]])
    paid, earned = table[mine, theirs], table[theirs, mine]
    seen = np.stack(
        [np.zeros_like(mine[..., 0]), 1 + 2 * mine[..., 0] + theirs[..., 0]], -1
    )  # outcome before each step

    def log_probs(logits):
        cooperate = logits[seen]
        return jnp.where(mine == 0, jax.nn.log_sigmoid(cooperate), jax.nn.log_sigmoid(-cooperate))  # [256, b, T]

    def of_co_player(psi):  # [..., 256] chances of its moves
        q = jax.nn.sigmoid(psi)
        return jnp.where(theirs == 0, q[..., None, None, None], 1 - q[..., None, None, None]).prod((-1, -2))

    step = ((theirs == 0) - 1 / (1 + np.exp(-psi))).sum(-1) * earned.sum(-1)  # [256, b]
    after = psi + 0.5 / 2 * step.sum(-1)  # [256]
    first, second = of_co_player(jnp.asarray(psi)), of_co_player(jnp.asarray(after))  # [256], [256, 256]

    def value(logits):
        mine_once = jnp.exp(log_probs(logits).sum((1, 2)))
        chance = (mine_once * first)[:, None] * mine_once * second
        mean = paid.sum(-1).mean(-1)
        return (chance * (mean[:, None] + mean)).sum()

    exact = (-0.5369124718, -0.1216202506, -0.1424574287, -0.1039287943, -0.1104660392)
    m_fos = (-1.0746668984, -0.2700469618, -0.2568822396, -0.2328823051, -0.1981424179)
    assert value(logits) == pytest.approx(2.4955256566)
    np.testing.assert_allclose(jax.grad(value)(logits), exact, atol=1e-9)

    both = np.concatenate(
        np.broadcast_arrays(paid[:, None], paid[None]), -1
    )  # [256, 256, b, 4]: rewards of both episodes
    rewards = np.moveaxis(both, -1, -2)  # [256, 256, 4, b]

    def estimate(estimator):
        weight = jnp.moveaxis(weights(rewards, estimator), -2, -1)  # [256, 256, b, 4]

        def surrogate(logits):
            one = log_probs(logits)
            fixed = jax.lax.stop_gradient(jnp.exp(one.sum((1, 2))))
            chance = (fixed * first)[:, None] * fixed * second
            over = (one[:, None] * weight[..., :2] + one[None] * weight[..., 2:]).sum((-1, -2))
            return (chance * over).sum()

        return jax.grad(surrogate)(logits)

    np.testing.assert_allclose(estimate("coala"), exact, atol=1e-9)
    np.testing.assert_allclose(estimate("m-fos"), m_fos, atol=1e-9)
    np.testing.assert_allclose(estimate("batch-unaware"), np.array(m_fos) / 2, atol=1e-9)
