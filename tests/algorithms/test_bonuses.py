"""Bonuses: counts with known answers, and the rewards of a learner from fresh play and from a replay."""

import dataclasses
from collections import Counter
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms import random
from comity.algorithms.bonuses import BONUSES, counts
from comity.algorithms.combinators import with_bonus
from comity.recipes import find_algorithm
from comity.spec import Discrete, Image, Spec, Vector
from comity.types import Algorithm, Bonus, Experience, Observation, Timestep, Transition

KEY = jax.random.key(0)
N, LENGTH = 2, 3


@dataclasses.dataclass(frozen=True)
class Line:
    """Each of two agents stands on a number and goes up by its action; it sees where it is. Right: action 1."""

    offset: Any = 0.0  # is added to every reward
    spec = Spec(N, Vector(1), Discrete(2), LENGTH, state=Vector(2))

    def reset(self, key):
        place = jnp.zeros(N, jnp.int32)
        return (place, jnp.int32(0)), self.observe(place)

    def step(self, key, state, action):
        place, time = state[0] + action, state[1] + 1
        early = (action == 0).all()  # so that some episodes end before the clock
        late = (time >= LENGTH) & ~early
        return (place, time), Timestep(self.observe(place), action + self.offset, early, late, {})

    def observe(self, place) -> Observation:
        return Observation(place[:, None].astype(jnp.float32), place.astype(jnp.float32), jnp.ones((N, 2), bool))


def seen(views) -> Experience:
    """Steps [T, B] that lead to views [T, B, N, ...]."""
    views = jnp.asarray(views)
    observation = Observation(views, jnp.zeros(views.shape[:2]), jnp.ones((*views.shape[:3], 2), bool))
    valid, notes = jnp.ones(views.shape[:2], bool), {"probabilities": jnp.full((*views.shape[:3], 2), 0.5)}
    action, reward = jnp.zeros(views.shape[:3], jnp.int32), jnp.zeros(views.shape[:3])
    return Experience(observation, action, observation, valid, reward, ~valid, notes)


def steps_of(experience: Experience) -> Transition:
    before, action, after, valid, reward, terminated, notes, _ = experience
    cut = jnp.zeros_like(terminated)
    return Transition(before, (), action, reward, after, (), terminated, cut, valid, notes, {})


def counted(views, env: Any = Line(), **settings) -> list[np.ndarray]:
    """The bonuses [T, B, N] of rollouts, one after the other, each counted after it was paid."""
    bonus = counts.make(counts.Config(**settings), env)
    state, paid = bonus.init(KEY), []
    for one in views:
        experience = seen(one)
        paid.append(np.asarray(bonus.reward(state, experience)))
        state, _ = bonus.update(KEY, state, steps_of(experience))
    return paid


def test_each_visit_pays_one_by_the_root_of_visits_before_and_one():
    path = np.random.default_rng(0).integers(0, 4, (40, 1, 1, N, 1))  # 40 rollouts of one step of one game
    before, found = [Counter() for _ in range(N)], counted(path)
    for views, paid in zip(path, found, strict=True):
        for agent in range(N):
            view = int(views[0, 0, agent, 0])
            np.testing.assert_allclose(paid[0, 0, agent], 1 / np.sqrt(before[agent][view] + 1), rtol=1e-6)
            before[agent][view] += 1
    assert min(map(len, before)) == 4


def test_together_agents_are_paid_for_what_they_see_together():
    views = np.array([[0, 1], [1, 0], [0, 1], [0, 0], [0, 1]]).reshape(5, 1, 1, N, 1)
    paid = np.stack(counted(views, counted="joint"))[:, 0, 0]
    np.testing.assert_allclose(paid, np.repeat(1 / np.sqrt([[1], [1], [2], [1], [3]]), N, axis=1), rtol=1e-6)


def test_a_rollout_counts_every_game_and_step_of_it_at_once():
    first, second = counted([np.zeros((4, 3, N, 1)), np.zeros((1, 1, N, 1))])
    assert (first == 1).all()
    np.testing.assert_allclose(second, 1 / np.sqrt(13), rtol=1e-6)


def test_views_that_share_a_place_are_counted_as_one():
    """In a table of two places, as the hash has them; the metric says how full it is."""
    bonus = counts.make(counts.Config(bits=1), Line())
    state, views = bonus.init(KEY), np.arange(16, dtype=np.float32)
    numbers = np.round(views / np.float32(0.1)).astype(np.int64)
    places = (numbers * int(state.factors[0]) % 2**32) >> 31
    assert set(places) == {0, 1}
    experience = seen(np.repeat(views[:, None, None, None], N, axis=2))  # one step of 16 games of its own view
    state, metrics = bonus.update(KEY, state, steps_of(experience))
    shared = np.bincount(places)[places]
    paid = np.asarray(bonus.reward(state, experience))[:, 0]
    np.testing.assert_allclose(paid, np.repeat(1 / np.sqrt(shared + 1)[:, None], N, axis=1), rtol=1e-6)
    assert float(metrics["filled"]) == 1
    wide = counts.make(counts.Config(), Line())
    _, metrics = wide.update(KEY, wide.init(KEY), steps_of(experience))
    assert float(metrics["filled"]) == 16 / 2**16


def test_numbers_of_one_cell_are_one_view_and_whole_numbers_are_as_they_are():
    views = np.array([0.01, 0.04, 0.2]).reshape(3, 1, 1, 1, 1).repeat(N, 3)
    np.testing.assert_allclose(np.ravel(counted(views))[::N], [1, 1 / np.sqrt(2), 1], rtol=1e-6)
    np.testing.assert_allclose(np.ravel(counted(views, precision=10.0))[::N], 1 / np.sqrt([1, 2, 3]), rtol=1e-6)

    class Picture:
        spec = Spec(N, Image(2, 2, 3), Discrete(2), LENGTH)

    pictures = np.zeros((3, 1, 1, N, 2, 2, 3), np.uint8)
    pictures[1, ..., 1, 1, 2] = 1
    np.testing.assert_allclose(np.ravel(counted(pictures, Picture()))[::N], [1, 1, 1 / np.sqrt(2)], rtol=1e-6)


def test_the_hash_spreads_views():
    """Of 1,000 random views in 2^16 places some 7 or 8 share one, by the birthday; twice as many would be bad luck."""
    numbers = jax.random.randint(KEY, (1000, 20), -50, 50)
    factors = jax.random.bits(jax.random.key(1), (20,), jnp.uint32) | 1
    assert len(np.unique(counts.place(factors, numbers, 16))) > 980


# ---------------------------------------------------------------------- what a learner is paid


def spy(replays: bool = False) -> Algorithm:
    """Its state becomes the rewards of the rollout that it learns from; with a replay, what it would be paid."""

    def update(key, state, steps, reward_of=None):
        return steps.reward + (reward_of(steps.experience) if reward_of else 0.0), {}

    def act(key, state, memory, observation, explore=True):
        return jax.random.randint(key, observation.available.shape[:-1], 0, 2), memory, {}

    return Algorithm(lambda key: jnp.zeros((LENGTH, 4, N)), act, update, whole_episodes=True, replays=replays)


@pytest.mark.parametrize("replays", [False, True])
def test_the_reward_is_the_games_and_the_weighted_bonus_and_padding_earns_nothing(replays):
    env = Line()
    bonus = counts.make(counts.Config(), env)
    algorithm = with_bonus(spy(replays), bonus, 0.5, "counts")
    state = algorithm.init(KEY)
    play, visits = rollout.start(KEY, env, algorithm.memory, 4), 0
    for count in range(3):
        steps = rollout.collect(jax.random.fold_in(KEY, count), env, algorithm, state, play)[1]
        assert not steps.valid.all()
        own = np.where(steps.valid[..., None], bonus.reward(state.bonus, steps.experience), 0)
        state, metrics = algorithm.update(KEY, state, steps)
        np.testing.assert_allclose(state.learner, steps.reward + 0.5 * own, rtol=1e-6)
        assert (np.asarray(state.learner)[~np.asarray(steps.valid)] == 0).all()
        np.testing.assert_allclose(metrics["counts/mean"], 0.5 * own.sum() / (N * steps.valid.sum()), rtol=1e-6)
        visits += N * int(steps.valid.sum())
        assert int(state.bonus.visits.sum()) == visits


FLAT = Bonus(lambda key: (), lambda state, seen: jnp.ones((*seen.valid.shape, N)), lambda key, s, x: (s, {}))
SMALL = {"hidden": 8, "capacity": 24, "batch": 8, "warmup": 8}
PAID: dict[str, dict[str, Any]] = {
    "pg": {"hidden": 8},
    "ippo": {"hidden": 8, "encoder": (8,), "steps": 4, "chunk": 2},
    "iql": SMALL,
    "maven": {**SMALL, "mixer_width": 4},
    "coma": {"hidden": 8, "learns_from": "replay", "capacity": 24, "batch": 8},
    "ddpg": {**SMALL, "steps": 4, "every": 16, "capacity": 64, "noise": 0.0},
}


@pytest.mark.parametrize("name", PAID)
def test_a_flat_bonus_is_as_good_as_a_higher_reward(name):
    """In every family, from play or from a replay: the same state to rounding, and another one without the bonus."""
    source = find_algorithm(name).thing

    @jax.jit
    def trained(offset, weight):
        env = Line(offset)
        algorithm = with_bonus(source.make(source.Config(**PAID[name]), env), FLAT, weight)
        state = algorithm.init(KEY)
        play = rollout.start(KEY, env, algorithm.memory, 8)

        def iteration(carried, key):
            state, play = carried
            play, steps = rollout.collect(key, env, algorithm, state, play)
            steps = steps._replace(reward=jnp.where(steps.valid[..., None], steps.reward, 0.0))
            state, _ = algorithm.update(key, state, steps)
            return (state, play), None

        (state, _), _ = jax.lax.scan(iteration, (state, play), jax.random.split(KEY, 4))
        return state.learner

    by_reward, by_bonus, without = trained(0.5, 0.0), trained(0.0, 0.5), trained(0.0, 0.0)
    learned = lambda state: [  # noqa: E731  # rows of a replay hold the game's own rewards
        x for path, x in jax.tree.leaves_with_path(state) if "replay" not in jax.tree_util.keystr(path)
    ]
    for one, two in zip(learned(by_reward), learned(by_bonus), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    assert any(
        np.abs(np.asarray(x) - y).max() > 1e-4 for x, y in zip(learned(by_reward), learned(without), strict=True)
    )


def test_what_a_replay_gives_again_is_paid_by_what_is_known_today():
    env, paid = Line(), []
    experience = seen(np.zeros((1, 1, N, 1)))
    bonus = counts.make(counts.Config(), env)

    def update(key, state, steps, reward_of):
        paid.append(float(reward_of(experience)[0, 0, 0]))  # the same old row, drawn again
        return state, {}

    algorithm = with_bonus(spy(True)._replace(update=update), bonus, 1.0)
    state = algorithm.init(KEY)
    for _ in range(3):
        state, _ = algorithm.update(KEY, state, steps_of(experience))
    np.testing.assert_allclose(paid, 1 / np.sqrt([1, 2, 3]), rtol=1e-6)


def test_two_bonuses_add_up():
    env = Line()
    for replays in (False, True):
        twice = with_bonus(with_bonus(spy(replays), FLAT, 1.0, "one"), FLAT, 2.0, "two")
        state, metrics = twice.update(KEY, twice.init(KEY), steps_of(seen(np.zeros((LENGTH, 4, N, 1)))))
        np.testing.assert_allclose(state.learner.learner, 3.0)
        assert (float(metrics["one/mean"]), float(metrics["two/mean"])) == (1, 2)
    with pytest.raises(ValueError, match=r"^counts would change nothing: .* learns from no reward"):
        with_bonus(random.make(random.Config(), env), FLAT, 1.0, "counts")


@cache
def modules():
    return {name: __import__(target, fromlist=["make"]) for name, (target, _) in BONUSES.items()}


def often(name, every: int):
    """The settings of a bonus whose networks, if it has any, take a step for every `every` transitions."""
    config = modules()[name].Config()
    return dataclasses.replace(config, every=every) if hasattr(config, "every") else config


@pytest.mark.parametrize("name", ["novelty", "eiti", "edti", "social-influence"])
def test_networks_learn_as_often_as_every_says(name):
    """From 12 transitions several times, or with a probability of 1 in 80,000."""
    steps = steps_of(seen(np.random.default_rng(0).integers(0, 9, (LENGTH, 4, N, 1)).astype(np.float32)))

    def error(every: int) -> float:
        bonus = modules()[name].make(often(name, every), Line())
        return float(bonus.update(KEY, bonus.init(KEY), steps)[1]["error"])

    assert error(4) != 0
    assert error(10**6) == 0  # what is said where no step was taken


@pytest.mark.parametrize("name", BONUSES)
def test_every_bonus_fits_the_interface(name):
    """Of any leading axes, as a replay has them; state and structure stay; what it pays is finite."""
    module = modules()[name]
    assert module.Config().weight >= 0
    bonus = module.make(often(name, 4), Line())
    state, experience = bonus.init(KEY), seen(np.zeros((LENGTH, 4, N, 1)))
    after, metrics = bonus.update(KEY, state, steps_of(experience))
    shapes = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)  # noqa: E731
    assert shapes(after) == shapes(state)
    assert all(x.shape == () for x in metrics.values())
    whole = bonus.reward(after, experience)
    assert whole.shape == (LENGTH, 4, N)
    assert np.isfinite(whole).all()
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), experience)
    np.testing.assert_allclose(bonus.reward(after, flat), whole.reshape(-1, N), rtol=1e-6)
    none = bonus.update(KEY, state, steps_of(experience._replace(valid=jnp.zeros((LENGTH, 4), bool))))[0]
    for one, two in zip(jax.tree.leaves(none), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(one, two, err_msg="padding was learned from")
