"""Opponents that learn inside the game: its time steps, its learner, its seats."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms import random
from comity.algorithms.policy_gradient import a2c
from comity.algorithms.ppo import ippo
from comity.algorithms.shaping import coala
from comity.environments.control.pendulum import Pendulum
from comity.environments.dilemmas.cleanup_lite import CleanupLite
from comity.environments.dilemmas.coin_game import CoinGame
from comity.environments.matrix.ipd import IPD
from comity.environments.matrix.repeated_matrix import RepeatedMatrix
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.environments.wrappers.learner_side import Side
from comity.environments.wrappers.learners import LearningOpponents
from comity.environments.wrappers.shaping_statistics import alike, shaping_statistics
from comity.opponents import Learners
from comity.spec import Discrete, Spec, Vector, functions
from comity.types import Observation, Timestep, Transition

KEY = jax.random.key(0)
GAME = IPD(length=3)
SMALL = {"naive_width": 4, "episodes": 3, "games": 2, "starts": 2, "inner_length": 3}
LEARNER = a2c.make(a2c.Config(actors="shared", width=4, learning_rate=0.1, reward_factor=1.0), Side(GAME))  # pyright: ignore


def opponents(**settings):
    return LearningOpponents(GAME, LEARNER, **{"episodes": 3, "games": 2, "starts": 2, **settings})


def acting(env):
    """Actions drawn uniformly among those available, as any algorithm does."""

    def act(key, memory, observation):
        draw = jax.random.uniform(key, observation.available.shape)
        return jnp.where(observation.available, draw, -1).argmax(-1).astype(jnp.int32), memory, {}

    return act


@pytest.fixture(scope="module")
def played():
    """One batch of two episodes against naive learners, and the state after each step."""
    env = opponents()

    def run(key):
        play = rollout.start(key, env, (), 2)

        def step(play, key):
            after, transition = rollout._step(key, env, acting(env), play)
            return after, (play, transition)

        last, (plays, steps) = jax.lax.scan(step, play, jax.random.split(key, env.spec.length))
        return plays, steps, last

    return env, *jax.tree.map(np.asarray, jax.jit(run)(KEY))


def test_every_inner_episode_starts_anew(played):
    env, _, steps, _ = played
    assert (env.spec.length, env.spec.agents, env.spec.view.size, env.spec.state.size) == (9, 2, 5, 4)
    begins = steps.observation.view[..., 0]  # the start's place in the one-hot
    assert (begins[::3] == 1).all()
    assert (np.delete(begins, [0, 3, 6], 0) == 0).all()
    np.testing.assert_array_equal(steps.terminated[:, 0], np.arange(9) == 8)
    np.testing.assert_allclose(steps.observation.state[:, 0, 0], 1.0)
    np.testing.assert_allclose(steps.observation.state[:, 0, 2], [0, 1 / 3, 2 / 3] * 3, rtol=1e-6)
    np.testing.assert_allclose(steps.observation.state[:, 0, 3], np.repeat([0, 1 / 3, 2 / 3], 3), rtol=1e-6)


def test_the_learner_changes_between_inner_episodes_only(played):
    _, plays, _, _ = played
    weights = plays.game.learner.net.head.weight[:, :, 0]  # [T, B, ...]
    moved = np.abs(np.diff(weights, axis=0)).max((1, 2, 3)) > 0
    np.testing.assert_array_equal(moved, [False, False, True, False, False, True, False, False])


def test_the_learner_learns_from_what_it_played(played):
    """Its update after the first inner episode, by hand from what both sides did."""
    _, plays, steps, _ = played
    mine, theirs = steps.action[:3], plays.game.action[:3, :, 0, :, 0]  # [T, B, b]
    payoffs = np.array(GAME.payoffs).reshape(2, 2)
    np.testing.assert_allclose(steps.reward[:3], payoffs[mine, theirs])
    outcome = 1 + 2 * theirs + mine  # as the learner sees it
    view = np.eye(5)[np.concatenate([np.zeros_like(outcome[:1]), outcome[:-1]])][..., None, :]
    over = np.broadcast_to(np.arange(3)[:, None] == 2, mine.shape[:1] + mine.shape[2:])
    game = 1
    build: Any = Transition
    watched = build(
        Observation(*map(jnp.asarray, (view[:, game], 0, np.ones((3, 2, 1, 2), bool)))), (), theirs[:, game][..., None],
        payoffs[theirs, mine][:, game][..., None], None, (), over, ~over & False, np.ones_like(over), {}, {},
    )  # fmt: skip
    before = jax.tree.map(lambda x: x[0, game, 0], plays.game.learner)
    after = jax.jit(lambda state, steps: LEARNER.update(KEY, state, steps)[0])(before, watched)
    for wanted, found in zip(
        jax.tree.leaves(after), jax.tree.leaves(jax.tree.map(lambda x: x[3, game, 0], plays.game.learner)), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_games_together_are_games_alone(played):
    env, plays, steps, _ = played
    state = jax.tree.map(lambda x: x[2], plays.game)  # just before learners learn
    keys = jax.random.split(KEY, 2)
    together, alone = jax.jit(lambda *x: (env.step_games(*x), jax.vmap(env.step)(*x)))(keys, state, steps.action[2])
    for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_learners_begin_from_few_first_parameters_or_always_new_ones():
    reset = lambda env: jax.jit(jax.vmap(env.reset))(jax.random.split(KEY, 12))[0].learner.net.head.weight  # noqa: E731
    assert len(np.unique(np.asarray(reset(opponents())).reshape(12, -1), axis=0)) == 2
    assert len(np.unique(np.asarray(reset(opponents(starts=0))).reshape(12, -1), axis=0)) == 12


def test_naive_tables_begin_alike_or_from_normal_log_odds():
    made = lambda **x: Learners(GAME, naive_network="table", games=2, episodes=2, **x).made  # noqa: E731
    rows = lambda init: np.asarray(jax.vmap(init)(jax.random.split(KEY, 64)).net.rows)  # noqa: E731  # [64, 5, 3]
    assert (rows(made().learner.init) == 0).all()
    env = made(naive_deviation=2.0, starts=3)
    found = rows(env.learner.init)
    assert (found[..., 2] == 0).all()  # the value
    assert np.std(found[..., 0] - found[..., 1]) == pytest.approx(2, rel=0.2)
    begun = rows(jax.jit(lambda key: env.reset(key)[0].learner))
    assert len(np.unique(begun.reshape(64, -1), axis=0)) == 3


def test_two_seats():
    """Where the learner sits, only what it has chosen is available; players differ; their rewards are their own."""
    env = opponents(naive_share=0.5, players=3)
    assert (env.spec.agents, env.spec.headline) == (4, "meeting_reward")

    @jax.jit
    def run(key):
        play = rollout.start(key, env, (), 24)
        return play.game.naive, play.game.players, rollout.collect_episodes(key, env, acting(env), play)

    naive, players, steps = jax.tree.map(np.asarray, run(KEY))
    assert 4 < naive.sum() < 20
    assert (players[:, 0] != players[:, 1]).all()
    assert set(players.ravel()) == {0, 1, 2}
    free = steps.observation.available.sum(-1)
    assert (free[:, naive][..., 2:] == 1).all()
    assert (free[:, ~naive] == 2).all()
    assert (free[..., :2] == 2).all()
    mine, theirs = steps.action[..., :2], steps.action[..., 2:]  # the learner's action is the one that was open
    payoffs = np.array(GAME.payoffs).reshape(2, 2)
    np.testing.assert_allclose(steps.reward[..., :2], payoffs[mine, theirs])
    np.testing.assert_allclose(steps.reward[..., 2:], payoffs[theirs, mine])
    found = env.summary(steps.reward, steps.info, steps.valid)
    assert np.isnan(found["meeting_reward"][naive]).all()
    assert np.isnan(found["shaping_reward"][~naive]).all()
    np.testing.assert_allclose(found["meeting_reward"][~naive], steps.reward.mean((0, 2))[~naive], rtol=1e-5)


def test_statistics_by_hand():
    reward = np.arange(8.0).reshape(4, 1, 2)  # two inner episodes of two steps, one game
    action = np.array([[1, 0], [0, 0], [0, 1], [0, 0.5]]).reshape(4, 1, 2)
    info = {"inner_reward": jnp.asarray(reward), "action_0": jnp.asarray(action), "played": jnp.ones((4, 1))}
    found = shaping_statistics(info, jnp.array([True]), 2, 2, 1)
    wanted = {
        "shaping_reward": 3, "naive_reward": 4, "shaping_reward_first": 1, "shaping_reward_last": 5,
        "naive_reward_last": 6, "defection": 0.75, "defection_first": 0.5, "defection_last": 1.0,
        "cooperation": 0.3125,
    }  # fmt: skip
    for name, value in wanted.items():
        assert float(found[name][0]) == pytest.approx(value), name
    np.testing.assert_allclose(found["raw_return"], [[12, 16]])


def test_steps_that_a_game_waited_are_none_of_its_statistics():
    """All cooperate as long as they play, for a point each: half of the games end after the first of four steps."""
    played = np.array([1, 0.5, 0.5, 0.5, 1, 1, 1, 1]).reshape(8, 1)
    both = jnp.asarray(np.repeat(played[..., None], 2, -1))
    info = {"inner_reward": both, "action_0": both, "played": jnp.asarray(played)}
    found = shaping_statistics(info, jnp.array([True]), 4, 2, 1)
    for name in ("shaping_reward", "naive_reward", "shaping_reward_first", "cooperation"):
        assert float(found[name][0]) == pytest.approx(1), name
    for name in ("defection", "defection_first", "defection_last"):
        assert float(found[name][0]) == pytest.approx(0), name
    np.testing.assert_allclose(found["raw_return"], [[6.5, 6.5]])


def test_a_naive_learner_learns_against_one_that_never_changes():
    """Against players that choose at random, defection pays a point more at every step."""
    env = opponents(episodes=12, games=8)
    run = lambda key: rollout.collect_episodes(key, env, acting(env), rollout.start(key, env, (), 8))  # noqa: E731
    steps = jax.jit(run)(KEY)
    found = env.summary(steps.reward, steps.info, steps.valid)
    assert float(found["naive_reward_last"].mean()) > 0.75  # 0.5 at random, 1 for defection
    assert float(found["naive_reward_last"].mean()) > float(found["naive_reward"].mean())


def test_inner_games_that_end_early_wait():
    env = Learners(IPD(length=4, end_chance=0.5), episodes=2, games=8, naive_width=4, starts=1)

    @jax.jit
    def run(key):
        return rollout.collect_episodes(key, env.made, acting(env), rollout.start(key, env.made, (), 2))

    steps = run(KEY)
    alive = np.asarray(steps.observation.available.sum(-1) == 2)  # [T, B, N]
    rewards = np.asarray(steps.reward)
    assert not alive.all()
    np.testing.assert_allclose(steps.info["played"][:, 0], alive[:, 0].mean(-1))
    assert (rewards[~alive] == 0).all()
    assert alive[0].all()  # and all begin again together
    assert alive[4].all()
    assert (np.diff(alive[:4].astype(int), axis=0) <= 0).all()
    found = env.made.summary(steps.reward, steps.info, steps.valid)
    defected = alive & (np.asarray(steps.action) == 1)  # waiting is no defection
    by_episode = lambda x: x.reshape(2, 4, 2, 8).sum((1, 3))  # noqa: E731  # [M, B]
    count = by_episode(alive)
    np.testing.assert_allclose(found["defection"], (by_episode(defected) / count).mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["shaping_reward"], (by_episode(rewards) / count).mean(0), rtol=1e-5)


# More than two sides, pictures ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three():
    """A batch of episodes of CleanUp-lite with three sides, a share of them among players."""
    game = CleanupLite(agents=3, length=4, first_dirt=0)
    env = Learners(game, episodes=2, games=2, naive_width=4, starts=0, naive_share=0.5, players=4).made

    @jax.jit
    def run(key):
        play = rollout.start(key, env, (), 12)
        return play, rollout.collect_episodes(key, env, acting(env), play)

    return env, *jax.tree.map(np.asarray, run(KEY))


def test_every_other_side_has_a_learner_of_its_own(three):
    env, play, steps = three
    assert (env.spec.agents, env.spec.meta.seats, env.spec.state.size) == (6, 3, 6)
    weights = play.game.learner.net.head.weight  # [B, K, ...]
    assert weights.shape[:2] == (12, 2)
    assert np.abs(weights[:, 0] - weights[:, 1]).max((1, 2)).min() > 1e-3
    naive = play.game.naive
    assert 2 < naive.sum() < 10
    assert all(len(set(seats)) == 3 for seats in play.game.players.tolist())  # nobody meets itself
    free = steps.observation.available.sum(-1)  # [T, B, 3 b]
    assert (free[:, naive][..., 2:] == 1).all()
    assert (free[:, ~naive] == 6).all()
    assert (free[..., :2] == 6).all()
    # What learners have chosen is what their sides do: side k of game i is agent k b + i.
    chosen = play.game.action[naive, ..., 0].reshape(naive.sum(), -1)  # [., K b]
    np.testing.assert_array_equal(steps.action[0, naive][:, 2:], chosen)


def test_each_side_sees_and_earns_its_own(three):
    _, play, steps = three
    cell = play.game.games.agents @ np.array([4, 1])  # [B, b, N]
    views = play.observation.view.reshape(12, 3, 2, -1)  # [B, N, b, V]
    np.testing.assert_array_equal(views[..., :20].argmax(-1), np.moveaxis(cell, -1, 1))
    eaten = steps.info["eats"].sum(0)  # [B, N], means over games
    earned = steps.reward.sum(0).reshape(12, 3, 2).mean(-1)
    np.testing.assert_allclose(eaten, earned, atol=1e-6)
    assert earned.sum() > 1


class Pays:
    """Side k is paid (k + 1) times its own action."""

    spec = Spec(agents=3, view=Vector(1), action=Discrete(3), length=2, state=Vector(1))

    def reset(self, key):
        return (), Observation(jnp.zeros((3, 1)), jnp.zeros(1), jnp.ones((3, 3), bool))

    def step(self, key, state, action):
        never = jnp.bool_(False)
        return (), Timestep(self.reset(key)[1], jnp.arange(1.0, 4.0) * action, never, never, {})


def test_each_player_moves_its_own_side():
    """Agent k b + i moves side k of game i where all are players."""
    env = Learners(Pays(), episodes=2, games=2, naive_width=4, starts=0, naive_share=0.0, players=4).made

    @jax.jit
    def run(key):
        play = rollout.start(key, env, (), 5)
        return rollout.collect_episodes(key, env, acting(env), play)

    steps = run(KEY)
    assert len(np.unique(steps.action)) == 3
    np.testing.assert_array_equal(steps.reward, np.repeat([1.0, 2.0, 3.0], 2) * np.asarray(steps.action))


def test_what_happened_in_the_inner_game_is_told(three):
    env, play, steps = three
    found = env.summary(steps.reward, steps.info, steps.valid)
    naive = play.game.naive
    cleans = steps.info["cleans"].mean(0)  # [B, N]
    np.testing.assert_allclose(found["shaping_cleans"][naive], cleans[naive, 0], atol=1e-6)
    np.testing.assert_allclose(found["naive_cleans"][naive], cleans[naive, 1:].mean(-1), atol=1e-6)
    np.testing.assert_allclose(found["meeting_cleans"][~naive], cleans[~naive].mean(-1), atol=1e-6)
    assert np.isnan(found["meeting_cleans"][naive]).all()
    of_all = cleans[~naive].sum(-1)  # of three: 1 minus their Gini index
    apart = sum(np.abs(cleans[~naive, i] - cleans[~naive, j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    alike = np.where(of_all > 0, 1 - apart / (3 * np.maximum(of_all, 1e-9)), np.nan)
    np.testing.assert_allclose(found["meeting_cleans_equality"][~naive], alike, rtol=1e-4)
    assert np.isnan(found["meeting_cleans_equality"][naive]).all()
    # In each inner episode of each game, as the game's own statistic of one episode is.
    places = steps.observation.view.reshape(2, 4, 12, 3, 2, -1)[..., :20].argmax(-1)  # [M, T, B, N, b]
    river = (places % 4 == 3).mean(1)  # nobody cleans anywhere else
    each = steps.info["each_cleans"].reshape(2, 4, 12, 3, 2).mean(1)
    assert (each <= river).all()
    assert each.sum() > 0
    np.testing.assert_allclose(each.mean(-1), steps.info["cleans"].reshape(2, 4, 12, 3).mean(1), atol=1e-6)
    apart = (each.max(2) - each.min(2)).mean((0, 2))
    np.testing.assert_allclose(found["meeting_cleans_difference"][~naive], apart[~naive], rtol=1e-5)
    assert np.isnan(found["meeting_cleans_difference"][naive]).all()
    np.testing.assert_allclose(found["inner_dirt"], steps.info["dirt"].mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["meeting_share"], 3 * found["meeting_reward"], rtol=1e-5)  # best: a third each


def test_the_best_symmetric_return():
    """Both the same, or turns: chicken's best is 0 either way; of no use where it is 0 or players are paid unlike."""
    assert IPD().spec.best_symmetric == 1
    assert RepeatedMatrix(payoffs=(0.0, 5.0, 1.0, 0.0)).spec.best_symmetric == 3
    assert RepeatedMatrix(payoffs=(1.0,) * 4, payoffs_second=(2.0,) * 4).spec.best_symmetric is None
    env = Learners(RepeatedMatrix(payoffs=(0.0, -1.0, 1.0, -10.0)), episodes=3, games=2, naive_width=4).made
    info = {"inner_reward": jnp.ones((30, 1, 2)), "played": jnp.ones((30, 1))}
    found = shaping_statistics(info, jnp.array([True]), 10, 3, 1, env.game.spec.best_symmetric)
    assert "shaping_share" not in found
    shares = {x: shaping_statistics(info, jnp.array([True]), 10, 3, 1, x).get("shaping_share") for x in (2.0, -2.0)}
    assert shares == {2.0: 0.5, -2.0: None}  # of a loss, more would be a smaller share
    assert env.spec.best_symmetric is None


def test_learners_see_pictures():
    """The coin game in pictures, by learners whose convolutions learn, too."""
    game = CoinGame(view="image", length=3)
    env = Learners(game, episodes=2, games=2, naive_width=4, starts=1, naive_learning_rate=0.1).made
    assert env.spec.view == game.spec.view

    @jax.jit
    def run(key):
        play = rollout.start(key, env, (), 2)

        def step(play, key):
            return (after := rollout._step(key, env, acting(env), play)[0]), after.game.learner.net.eyes.dense.weight

        return jax.lax.scan(step, play, jax.random.split(key, 3))

    _, weights = run(KEY)
    moved = np.abs(np.diff(np.asarray(weights), axis=0)).max((1, 2, 3, 4)) > 0
    assert moved.tolist() == [False, True]


def test_naive_learners_by_plain_descent():
    """One step of SGD: the learner moves by rate times the gradient, which is cut to the norm 1."""
    env = Learners(GAME, episodes=3, games=2, naive_width=4, naive_optimizer="sgd", naive_learning_rate=1.0).made
    state, _ = jax.jit(env.reset)(KEY)
    assert not jax.tree.leaves(state.learner.opt_state)

    @jax.jit
    def run(key):
        play = rollout.start(key, env, (), 1)
        after = play
        for k in jax.random.split(key, 3):
            after, _ = rollout._step(k, env, acting(env), after)
        return play.game.learner.net, after.game.learner.net

    first, then = run(KEY)
    square = sum(float(jnp.square(a - b).sum()) for a, b in zip(*map(jax.tree.leaves, (first, then)), strict=True))
    assert 0 < square <= 1 + 1e-5


# Learners that change, that begin from players; players that see less -------------------------------------------------


def nets_of(env, games=8):
    """(state at the start, the learners' weights before each inner episode [M, B, ...])."""

    @jax.jit
    def run(key):
        play = rollout.start(key, env, (), games)

        def step(play, key):
            return rollout._step(key, env, acting(env), play)[0], play.game.learner.net.head.weight

        return play.game, jax.lax.scan(step, play, jax.random.split(key, env.spec.length))[1]

    start, weights = jax.tree.map(np.asarray, run(KEY))
    return start, weights[:: env.game.spec.length]


RULED: dict[str, Any] = {"episodes": 4, "games": 2, "naive_width": 4, "starts": 1, "naive_optimizer": "sgd"}


def test_the_rate_of_learning_changes_at_an_episode_that_is_drawn():
    """Plain descent at two rates, alike until the change; then steps are `factor` times as long."""
    env = Learners(GAME, **RULED, naive_learning_rate=0.01, naive_change="rate", naive_rate_range=100.0).made
    start, changed = nets_of(env)
    _, plain = nets_of(Learners(GAME, **RULED, naive_learning_rate=0.01).made)
    assert set(start.change.tolist()) == {1, 2}  # the update after the last inner episode changes no play
    assert 0.01 <= start.factor.min() < 0.5 < 2 < start.factor.max() <= 100
    assert len(set(start.factor.tolist())) == 8
    for game, when in enumerate(start.change):
        # The update after inner episode m is the m-th; the one after episode `change` is the first of the new rule.
        np.testing.assert_allclose(changed[: when + 1, game], plain[: when + 1, game], atol=1e-6)
        ratio = (changed[when + 1, game] - changed[when, game]) / (plain[when + 1, game] - plain[when, game])
        np.testing.assert_allclose(np.median(ratio), start.factor[game], rtol=1e-2)


def test_the_optimizer_changes_at_an_episode_that_is_drawn():
    """From descent at a rate of 0.01 to Adam at 1.0, whose steps are far longer."""
    env = Learners(GAME, **RULED, naive_learning_rate=0.01, naive_change="optimizer", naive_changed_rate=1.0).made
    start, weights = nets_of(env)
    moved = np.abs(np.diff(weights, axis=0)).max((2, 3, 4))  # [M - 1, B]
    for game, when in enumerate(start.change):
        assert (moved[:when, game] < 0.02).all()
        assert (moved[when:, game] > 0.3).all()


def test_learners_begin_from_players_networks():
    env = Learners(GAME, episodes=2, games=2, naive_width=4, naive_share=0.5, players=3, dynamic=True).made
    algorithm = coala.make(coala.Config(width=4), env)

    adopt = functions(env).adopt
    assert adopt

    @jax.jit
    def run(key):
        state = algorithm.init(key)
        play = rollout.start(key, env, algorithm.memory, 12)
        game, seen = jax.vmap(adopt, (0, 0, None))(jax.random.split(key, 12), play.game, state.net)
        steps = rollout.collect(key, env, algorithm, state, play)[1]
        return state.net.head.weight, game, seen, steps

    lent, game, seen, steps = jax.tree.map(np.asarray, run(KEY))
    copied = np.array([[np.abs(mine[0] - one).max() == 0 for one in lent] for mine in game.learner.net.head.weight])
    assert (copied.sum(-1) == 1).all()
    assert copied.any(0).all()  # each of the three
    free = np.where(game.naive[:, None], seen.available[:, 2:].argmax(-1), -1)
    np.testing.assert_array_equal(free[game.naive], game.action[game.naive][:, 0, :, 0])  # what it will now do
    assert np.isfinite(steps.reward).all()
    with pytest.raises(ValueError, match="one core and width"):
        begun(env, coala.make(coala.Config(width=6), env))
    with pytest.raises(ValueError, match="lends none: take coala"):
        begun(env, random.make(random.Config(), env))


def test_how_evenly_sides_share_what_they_do():
    np.testing.assert_allclose(alike(jnp.array([[1.0, 1.0], [0.0, 2.0], [1.0, 3.0]])), [1, 0.5, 0.75])
    np.testing.assert_allclose(alike(jnp.array([[0.0, 0.0, 4.0], [2.0, 2.0, 2.0]])), [1 / 3, 1], rtol=1e-6)
    assert np.isnan(alike(jnp.zeros(2)))


def test_learners_that_keep_what_they_learned():
    """Three rollouts in a row: the optimizer of each game's learner has counted M steps for each episode that it
    played, and where players met it stands still."""
    env = Learners(GAME, episodes=2, games=2, naive_width=4, naive_share=0.5, players=2, keeps=True).made
    algorithm = coala.make(coala.Config(width=4), env)

    @jax.jit
    def run(key):
        state = algorithm.init(key)
        play = rollout.start(key, env, algorithm.memory, 8)

        def go_on(play, key):
            play, _ = rollout.collect(key, env, algorithm, state, play)
            return play, play.game

        plays = jax.lax.scan(go_on, play, jax.random.split(key, 3))[1]
        return jax.vmap(env.learner.init)(jax.random.split(jax.random.key(0), 10)).net.head.weight, plays

    first, plays = jax.tree.map(np.asarray, run(KEY))
    games = [jax.tree.map(lambda x, n=n: x[n], plays) for n in range(3)]
    counted, before = np.zeros(8), None
    for game in games:
        counted += 2 * game.naive
        [count] = {tuple(x.ravel()) for x in jax.tree.leaves(game.learner.opt_state) if x.dtype == np.int32}
        np.testing.assert_array_equal(count, counted)
        weight = game.learner.net.head.weight
        moved = np.abs(weight - (weight if before is None else before)).reshape(8, -1).max(1) > 0
        np.testing.assert_array_equal(moved, game.naive & (before is not None))
        before = weight
    assert 0 < games[0].naive.sum() < 8
    untouched = games[0].learner.net.head.weight[~games[0].naive, 0]  # the first episode begins from `starts`
    assert all((np.abs(first - one).reshape(10, -1).max(1) == 0).any() for one in untouched)
    with pytest.raises(ValueError, match="set dynamic or keeps to False"):
        Learners(GAME, dynamic=True, keeps=True)
    with pytest.raises(ValueError, match="whole episodes"):
        begun(env, ippo.make(ippo.Config(actors="shared"), env))


def begun(env, algorithm):
    """A training rollout, traced."""

    def run(key):
        play = rollout.start(key, env, algorithm.memory, 2)
        return rollout.collect(key, env, algorithm, algorithm.init(key), play)

    return jax.eval_shape(run, KEY)


def test_players_that_are_blind_and_learners_that_are_not():
    game = CleanupLite(length=4)
    env = Learners(game, episodes=2, games=4, naive_width=4, blind=0.5).made

    @jax.jit
    def run(key):
        play = rollout.start(key, env, (), 16)
        after, _ = rollout._step(key, env, acting(env), play)
        return play, after

    for play in jax.tree.map(np.asarray, run(KEY)):
        view, whole = play.observation.view, play.game.observation.view[:, :, 0]  # [B, b, V]
        entities = game.spec.view.entities
        assert entities is not None
        theirs, mine = np.array(entities.others[0]), np.array(entities.own)
        hidden = play.game.hidden
        assert 10 < hidden.sum() < 54
        assert (view[hidden][:, theirs] == 0).all()
        np.testing.assert_array_equal(view[~hidden], whole[~hidden])
        np.testing.assert_array_equal(view[..., mine], whole[..., mine])
        assert (play.game.observation.view[:, :, 1, :40].sum(-1) == 2).all()  # learners see both cells


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Learners(GAME, blind=0.5), "IPD has no numbers about others alone to hide"),
        (lambda: Learners(GAME, episodes=2, naive_change="rate"), "need three inner episodes or more"),
        (lambda: Learners(GAME, naive_deviation=1.0), "only tables have it, and naive_network is gru"),
        (lambda: Learners(GAME, naive_network="table", starts=5), "starts 5: all naive tables start alike"),
        (lambda: Learners(GAME, naive_network="table", starts_seed=1), "starts_seed 1: all naive tables start alike"),
        (lambda: Learners(Pendulum()), "opponents in games of two or more, Pendulum has one agent"),
        (lambda: Learners(PrisonersBuddy()), "play games of one discrete action, PrisonersBuddy is none"),
        (lambda: Learners(GAME, naive_share=1.5), "naive_share 1.5 is above 1: give a number from 0 to 1"),
        (lambda: Learners(GAME, naive_width=0), "naive_width 0 is below 1"),
        (lambda: LearningOpponents(GAME, LEARNER._replace(whole_episodes=False)), "learns from whole episodes"),
    ],
)
def test_what_cannot_be_is_refused(make, line):
    with pytest.raises(ValueError, match=line):
        make()
