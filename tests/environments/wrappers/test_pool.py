"""The pool: pairings, views and rewards of a learner, actions of tables."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.environments.grid.manitokan.game import Manitokan
from comity.environments.matrix.ipd import IPD
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.environments.wrappers.pool import Pool
from comity.training.episodes import episode_statistics
from comity.types import begin

KEY = jax.random.key(0)


class Remembers(IPD):
    """Its views end with two numbers that count as the agent's own past."""

    @property
    def spec(self):
        return replace(super().spec, history=2)


GAME = IPD(length=6)
C, D = 0, 1


def play(pool: Pool, actions, games: int = 256):
    """(states before each step and at the end, timesteps) of so many games, with the same joint actions in all."""

    def one(key):
        key, key_reset = jax.random.split(key)
        state, _ = pool.reset(key_reset)

        def step(state, xs):
            after, timestep = pool.step(xs[0], state, xs[1])
            return after, (state, timestep)

        keys = jax.random.split(key, len(actions))
        last, (states, steps) = jax.lax.scan(step, state, (keys, jnp.asarray(actions)))
        return states, steps, last

    return jax.jit(jax.vmap(one))(jax.random.split(KEY, games))


def test_without_tables_it_is_the_game():
    pool = Pool(GAME, tables=0.0)
    actions = [(C, D), (D, D), (C, C), (D, C)]
    _, steps, _ = play(pool, actions, games=3)
    state, _ = begin(GAME, KEY, 0)
    for t, action in enumerate(actions):
        state, timestep = GAME.step(KEY, state, jnp.asarray(action))
        np.testing.assert_array_equal(steps.reward[:, t], np.tile(timestep.reward, (3, 1)))
        np.testing.assert_array_equal(steps.observation.view[:, t], np.tile(timestep.observation.view, (3, 1, 1)))
    assert (steps.info["met"] == 1).all()


def test_with_tables_alone_each_learner_has_a_game_of_its_own():
    """Whatever the other learner does, one's views and rewards stay what they are."""
    pool = Pool(GAME, tables=1.0)
    _, ours, _ = play(pool, [(C, C)] * 6)
    _, others, _ = play(pool, [(C, D)] * 6)
    np.testing.assert_array_equal(ours.reward[..., 0], others.reward[..., 0])
    np.testing.assert_array_equal(ours.observation.view[..., 0, :], others.observation.view[..., 0, :])
    assert (ours.reward[..., 1] != others.reward[..., 1]).any()
    assert (ours.info["met"] == 0).all()
    assert set(np.unique(ours.reward)) == {-1.0, 1.0}  # a cooperator's points: the table defected, cooperated


@pytest.mark.parametrize("agent", [0, 1])
def test_tables_play_their_rows(agent):
    """Frequencies over 20,000 steps of a table against its probabilities, by what it saw: rows are all used."""
    pool = Pool(IPD(length=40), tables=1.0)
    actions = np.random.default_rng(0).integers(0, 2, (40, 2))
    states, steps, last = play(pool, actions, games=512)
    cooperated = actions[:, agent] == C
    other = np.where(cooperated, steps.reward[..., agent] == 1, steps.reward[..., agent] == 2)  # whether it cooperated
    row = states.views[:, :, agent].argmax(-1)  # [games, T]
    said = np.take_along_axis(np.asarray(last.tables)[:, agent, :, C], row, 1)
    for k in range(5):
        where = row == k
        assert where.sum() > 400
        error = (other[where] - said[where]).mean()
        assert abs(error) < 4 * 0.5 / np.sqrt(where.sum())
    assert np.corrcoef(other.reshape(-1), said.reshape(-1))[0, 1] > 0.4  # uniform probabilities: 0.577 in expectation


def test_a_table_sees_its_own_side():
    """After (D, C) of learner and table the table's view is the outcome CD, from its side."""
    pool = Pool(GAME, tables=1.0)
    states, steps, _ = play(pool, [(D, D)] * 3)
    cooperated = np.asarray(steps.reward[:, 0] == 2)  # [games, 2], the first step
    seen = np.asarray(states.views[:, 1].argmax(-1))  # [games, 2] at the second step
    np.testing.assert_array_equal(seen, np.where(cooperated, 1 + 1, 1 + 3))  # CD, DD


def test_tables_are_uniform_and_independent():
    _, _, last = play(Pool(GAME, tables=0.5), [(C, C)], games=4_096)
    p = np.asarray(last.tables)[..., C].reshape(4_096, -1)
    np.testing.assert_allclose(p.mean(0), 0.5, atol=0.02)
    np.testing.assert_allclose(p.var(0), 1 / 12, atol=0.004)
    correlation = np.corrcoef(p.T) - np.eye(p.shape[1])
    assert np.abs(correlation).max() < 0.08
    assert abs(np.mean(last.apart) - 0.5) < 0.04
    assert np.abs(np.corrcoef(np.c_[p, last.apart].T)[-1, :-1]).max() < 0.08


def test_what_is_told():
    pool = Pool(GAME, tables=0.5, tells=True)
    assert pool.spec.view.size == GAME.spec.view.size + 1
    _, steps, last = play(pool, [(C, D)] * 2, games=64)
    told = np.asarray(steps.observation.view[..., -1])  # [games, T, 2]
    np.testing.assert_array_equal(told, np.broadcast_to(np.asarray(last.apart, float)[:, None, None], told.shape))
    silent = Pool(GAME, tables=0.5)
    assert silent.spec.view.size == GAME.spec.view.size
    remembers = Remembers(length=6)
    both = [pool.reset(KEY)[1].view for pool in (Pool(remembers, tells=True), Pool(remembers))]
    past = remembers.spec.history
    np.testing.assert_array_equal(np.delete(both[0], -past - 1, -1), both[1])  # the past stays at the end
    np.testing.assert_array_equal(both[0][:, -past - 1], Pool(remembers).reset(KEY)[0].apart)


def test_statistics_are_told_apart():
    pool = Pool(GAME, tables=0.5)

    def act(key, memory, observation):
        action = jnp.where(observation.state[..., None, -1:] > 0, C, D)[..., 0]  # cooperates with tables alone
        return jnp.broadcast_to(action, observation.available.shape[:-1]), memory, {}

    start = rollout.start(KEY, pool, (), 64)
    steps = jax.jit(partial(rollout.collect_episodes, env=pool, act=act, play=start))(KEY)
    found = episode_statistics(pool, steps)
    met = np.asarray(steps.info["met"]).sum(0) > 0
    assert met.any()
    assert not met.all()
    np.testing.assert_array_equal(found["learners_cooperation"][met], 0)
    assert np.isnan(found["learners_cooperation"][~met]).all()
    np.testing.assert_array_equal(found["tables_cooperation"][~met], 1)
    assert np.isnan(found["tables_return"][met]).all()
    np.testing.assert_array_equal(found["learners_return"][met], found["return"][met])
    assert pool.spec.headline == "learners_cooperation"


def test_the_first_end_ends_both():
    """Horizons drawn by chance are the same, because both games begin with one key; a cut is no true end."""
    pool = Pool(IPD(length=50, end_chance=0.2), tables=1.0)
    _, steps, last = play(pool, [(C, C)] * 50, games=64)
    ended = np.asarray(steps.terminated).argmax(1)
    np.testing.assert_array_equal(ended + 1, last.games.horizon[:, 0])
    np.testing.assert_array_equal(last.games.horizon[:, 0], last.games.horizon[:, 1])


def test_what_is_refused():
    with pytest.raises(ValueError, match="game of two agents, PrisonersBuddy has 5"):
        Pool(PrisonersBuddy())
    with pytest.raises(ValueError, match="tables"):
        Pool(GAME, tables=1.5)
    with pytest.raises(ValueError, match="cannot pass on training_reward, which Manitokan has with these settings"):
        Pool(Manitokan(reward="inject"))
    assert Pool(Manitokan()).spec.agents == 2
