"""Prisoner's Buddy against its rules, written again here in plain Python (specification A.3)."""

import itertools
import math
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import checking, rollout
from comity.algorithms import random
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.environments.wrappers.preferences import Preferences
from comity.spec import Discrete, MultiDiscrete
from tests.tiny.steps import assert_plain_jit_and_vmap_agree

KEY = jax.random.key(0)
SHORT = {"length": 30, "end_chance": 0.05, "period": 3}
GAMES = 16


@lru_cache
def player(env):
    algorithm = random.make(random.Config(), env)

    def play(key):
        key, key_start = jax.random.split(key)
        act = lambda key, memory, seen: algorithm.act(key, (), memory, seen)  # noqa: E731
        return rollout.collect_episodes(key, env, act, rollout.start(key_start, env, (), GAMES))

    return jax.jit(play)


def played(env):
    return jax.tree.map(np.asarray, player(env)(KEY))


def chosen(n: int, action: list) -> list:
    """Whom each chooses, or None. action: a list of slots, or of (option, slot)."""
    found = []
    for i, a in enumerate(action):
        sits, slot = (a[0] == 1, a[1]) if isinstance(a, tuple) else (a == n - 1, a)
        found.append(None if sits else (i - 1 - slot) % n)
    return found


def points(choice: list) -> list:
    """Of a paid round."""
    n, paid = len(choice), []
    for i, c in enumerate(choice):
        mutual = c is not None and choice[c] == i
        own = 2 if mutual else 0 if c is None else -2
        paid.append(own + sum(choice[j] == i and c != j for j in range(n)))
    return paid


def sights(identity, choice, paid, time: int, period: int):
    """Views of all agents. choice, paid: of the last step and the last paid round, None before the first."""
    n, size, views = len(identity), len(identity[0]), []
    option = lambda i: [0, 0] if choice is None else [choice[i] is not None, choice[i] is None]  # noqa: E731
    picked = lambda who, i, j: who is not None and who[i] == j  # noqa: E731
    some = lambda i: paid is not None and paid[i] is not None  # noqa: E731
    of = lambda i: [0] * size if choice is None or choice[i] is None else identity[choice[i]]  # noqa: E731
    for i in range(n):
        view = [*option(i), (time + 1) % period == 0, some(i), *identity[i], *of(i), time]
        for j in [(i - k) % n for k in range(1, n)]:
            view += [*option(j), picked(choice, j, i), picked(choice, i, j), picked(paid, j, i), picked(paid, i, j)]
            view += [some(j), *identity[j], *of(j)]
        views.append(view)
    return np.array(views, np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {"identity_size": 3, **SHORT},
        {"identity_size": 3, "heads_as": "one", **SHORT},
        {"agents": 2, "identity_size": 1, **SHORT},
    ],
)
def test_random_episodes_against_the_rules(options):
    env = PrisonersBuddy(**options)
    n, size, period = env.agents, env.identity_size, env.period
    steps = played(env)
    found = env.summary(steps.reward, steps.info, steps.valid)
    for game in range(GAMES):
        identity = steps.observation.view[0, game, :, 4 : 4 + size].tolist()
        choice, paid, rounds = None, None, []
        horizon = int(steps.valid[:, game].sum())
        for t in range(horizon):
            view = sights(identity, choice, paid, t, period)
            np.testing.assert_allclose(steps.observation.view[t, game], view, rtol=1e-6)
            known = steps.observation.state[t, game]
            np.testing.assert_allclose(known[:3], [t / horizon, horizon, (t + 1) % period == 0], rtol=1e-6)
            action = jax.tree.map(lambda x, t=t, game=game: x[t, game].tolist(), steps.action)
            choice = chosen(n, list(zip(*action, strict=True)) if isinstance(action, tuple) else action)
            pays = (t + 1) % period == 0
            assert steps.reward[t, game].tolist() == (points(choice) if pays else [0] * n)
            assert steps.info["paid"][t, game] == pays
            if pays:
                paid = choice
                rounds.append(choice)
            assert bool(steps.terminated[t, game]) == (t + 1 == horizon)
        for name, wanted in told(n, rounds).items():
            np.testing.assert_allclose(found[name][game], wanted, rtol=1e-6, err_msg=f"{name} of {rounds}")
    assert len(found) == 8


def told(n: int, rounds: list) -> dict:
    """The statistics of paid rounds, by following every team."""
    pairs = [{frozenset((i, c)) for i, c in enumerate(r) if c is not None and r[c] == i} for r in rounds]
    alive, lengths, changes = {}, [], 0
    for now in pairs:
        for team in [team for team in alive if team not in now]:
            lengths.append(alive.pop(team))
            changes += 2
        for team in now:
            alive[team] = alive.get(team, 0) + 1
    lengths += alive.values()
    unchosen = [{j for j in range(n) if j not in r} for r in rounds]
    one_way = [sum(c is not None and r[c] != i for i, c in enumerate(r)) for r in rounds]
    if not rounds:
        return {"paid_rounds": 0, "sat_out": [math.nan] * n} | dict.fromkeys(
            ("agents_in_pairs", "team_length", "team_changes", "ever_unchosen", "one_way_choices", "perfect"), math.nan
        )
    kept = [a == b and 2 * len(b) == 2 * (n // 2) for a, b in itertools.pairwise(pairs)]
    return {
        "agents_in_pairs": np.mean([2 * len(p) for p in pairs]),
        "team_length": np.mean(lengths) if lengths else 0.0,
        "team_changes": changes,
        "ever_unchosen": len(set().union(*unchosen)),
        "one_way_choices": sum(one_way),
        "perfect": all(kept) if kept else math.nan,
        "paid_rounds": len(rounds),
        "sat_out": [np.mean([r[i] is None for r in rounds]) for i in range(n)],
    }


def slots(choice: list) -> tuple:
    """Actions of two heads that choose so."""
    n = len(choice)
    option = [int(c is None) for c in choice]
    return jnp.array(option), jnp.array([0 if c is None else (i - 1 - c) % n for i, c in enumerate(choice)])


@pytest.mark.parametrize(
    ("choice", "paid"),
    [
        ([1, 0, 3, 2, None], [2, 2, 2, 2, 0]),  # the best: 8 in all
        ([1, 0, 3, 2, 0], [3, 2, 2, 2, -2]),  # the fifth chooses one that is taken
        ([1, 2, 3, 4, 0], [-1, -1, -1, -1, -1]),  # a circle
        ([None] * 5, [0] * 5),
        ([None, 0, 0, 0, 0], [4, -2, -2, -2, -2]),  # who sits out is chosen by all
        ([1, 0, 0, 0, None], [4, 2, -2, -2, 0]),
    ],
)
def test_what_a_round_pays(choice, paid):
    env = PrisonersBuddy(end_chance=0.0, period=1)
    state, _ = env.reset(KEY)
    assert points(choice) == paid  # the reference above
    _, timestep = env.step(KEY, state, slots(choice))
    assert timestep.reward.tolist() == paid
    one = PrisonersBuddy(end_chance=0.0, period=1, heads_as="one")
    option, slot = slots(choice)
    _, again = one.step(KEY, state, jnp.where(option == 1, 4, slot))
    np.testing.assert_array_equal(again.reward, timestep.reward)
    np.testing.assert_array_equal(again.observation.view, timestep.observation.view)
    # Where the option is to sit out, the other head means nothing.
    _, same = env.step(KEY, state, (option, jnp.where(option == 1, 2, slot)))
    jax.tree.map(np.testing.assert_array_equal, same, timestep)


def test_points_are_settings():
    env = PrisonersBuddy(agents=3, period=1, mutual=5.0, unanswered=-1.0, chosen=0.5)
    _, timestep = env.step(KEY, env.reset(KEY)[0], slots([1, 0, 0]))
    assert timestep.reward.tolist() == [5.5, 5, -1]


@lru_cache
def jitted(env):
    return jax.jit(env.step)


def statistics_of(rounds: list, n: int) -> dict:
    env = PrisonersBuddy(agents=n, period=1, identity_size=0)
    state, _ = env.reset(KEY)
    steps, step = [], jitted(env)
    for choice in rounds:
        state, timestep = step(KEY, state, slots(choice))
        steps.append(timestep)
    over_time = jax.tree.map(lambda *xs: jnp.stack(xs)[:, None], *steps)
    found = env.summary(over_time.reward, over_time.info, jnp.ones((len(rounds), 1), bool))
    for name, wanted in told(n, rounds).items():
        np.testing.assert_allclose(found[name][0], wanted, rtol=1e-6, err_msg=name)
    return {name: x[0].tolist() for name, x in found.items()}


def test_teams_that_form_and_break():
    a, b = [1, 0, 3, 2, None], [1, 0, 4, None, 2]
    found = statistics_of([a, a, b, a], 5)
    assert found["agents_in_pairs"] == 4
    assert found["team_length"] == pytest.approx((4 + 2 + 1 + 1) / 4)  # 0-1, 2-3, 2-4, 2-3 again
    assert found["team_changes"] == 4  # 2 and 3 leave each other, then 2 and 4
    assert found["ever_unchosen"] == 2
    assert (found["one_way_choices"], found["perfect"]) == (0, 0)
    assert found["sat_out"] == [0, 0, 0, 0.25, 0.75]


def test_a_perfect_game():
    a = [1, 0, 3, 2, 0]
    assert statistics_of([a, a, a], 5)["perfect"] == 1
    assert statistics_of([a, a, [1, 0, 3, None, None]], 5)["perfect"] == 0  # the teams are not all there
    assert statistics_of([a, [2, 3, 0, 1, None]], 5)["perfect"] == 0  # others than before
    assert statistics_of([[1, 0], [1, 0]], 2)["perfect"] == 1
    assert math.isnan(statistics_of([a], 5)["perfect"])


def test_the_paper_s_sizes():
    env = PrisonersBuddy()
    seen = env.spec.view.entities
    assert seen
    assert (env.spec.action, env.spec.action.n, env.spec.agents) == (MultiDiscrete((2, 4), pointer=1), 6, 5)
    assert (len(seen.own), [len(x) for x in seen.others]) == (37, [39] * 4)
    assert seen.offsets == (-1, -2, -3, -4)
    assert sorted(sum(seen.others, seen.own)) == list(range(env.spec.view.size))
    assert Preferences(env).spec.view.size == 39 + 4 * 43  # as in the paper's code
    one = PrisonersBuddy(heads_as="one")
    assert (one.spec.action, len(one.spec.action_names)) == (Discrete(5), 5)


def test_heads_that_count():
    option, slot = jnp.array([[0, 1], [1, 0]]), jnp.zeros((2, 2), jnp.int32)
    first, second = PrisonersBuddy(agents=2).counts((option, slot))
    assert first.tolist() == [[True, True], [True, True]]
    assert second.tolist() == [[True, False], [False, True]]
    (only,) = PrisonersBuddy(agents=2, heads_as="one").counts(option)
    assert only.all()


@pytest.mark.parametrize("heads_as", ["two", "one"])
def test_the_interface(heads_as):
    checking.check(PrisonersBuddy(agents=3, length=6, identity_size=1, heads_as=heads_as))


def test_horizons():
    """Geometric, mean 50, by quantities with known errors (five of them)."""
    draw = jax.jit(jax.vmap(lambda key: PrisonersBuddy(agents=2).reset(key)[0].horizon))
    horizons, n = np.asarray(draw(jax.random.split(KEY, 40_000))), 40_000
    assert horizons.min() == 1
    assert horizons.max() <= 500
    assert abs(horizons.mean() - 50) < 5 * math.sqrt(0.98) / 0.02 / math.sqrt(n)
    for k in (1, 34, 100):
        p = 0.98**k
        assert abs((horizons > k).mean() - p) < 5 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("clock", [True, False])
def test_the_clock(clock):
    env = PrisonersBuddy(agents=2, end_chance=0.0, length=1, clock_terminates=clock)
    _, timestep = env.step(KEY, env.reset(KEY)[0], slots([1, 0]))
    assert (bool(timestep.terminated), bool(timestep.truncated)) == (clock, not clock)
    assert timestep.reward.tolist() == [0, 0]  # talk is free


def test_plain_jit_and_vmap_agree():
    env = PrisonersBuddy(agents=3, identity_size=2, period=1)
    assert_plain_jit_and_vmap_agree(env, slots([1, 0, None]), KEY)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"agents": 1}, "agents 1 is below 2"),
        ({"period": 0}, "period 0 is below 1"),
        ({"heads_as": "three"}, "not one of two, one"),
        ({"end_chance": -0.1}, "end_chance -0.1 is below 0"),
        ({"mutual": math.inf}, "mutual inf is not a finite number"),
    ],
)
def test_bad_options(options, problem):
    with pytest.raises(ValueError, match=problem):
        PrisonersBuddy(**options)
