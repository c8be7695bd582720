"""Indirect reciprocity against its rules, written again here in plain Python (specification A.2)."""

import math
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import checking, rollout
from comity.environments.indirect_reciprocity import IndirectReciprocity, State
from comity.environments.wrappers.preferences import Preferences
from comity.environments.wrappers.scripted import Scripted
from tests.tiny.steps import assert_plain_jit_and_vmap_agree

KEY = jax.random.key(0)
PAID = {(0, 0): 2, (0, 1): -2, (1, 0): 4, (1, 1): 0}  # by own action and the other's


@lru_cache
def player(env, games: int):
    """Plays episodes of random legal actions, compiled once for a game."""

    def act(key, memory, observation):
        draw = jax.random.randint(key, observation.available.shape[:-1], 0, 2)
        return jnp.where(observation.available[..., 1], draw, 0), memory, {}

    def play(key):
        key, key_start = jax.random.split(key)
        return rollout.collect_episodes(key, env, act, rollout.start(key_start, env, (), games))

    return jax.jit(play)


def played(env, key, games: int = 32):
    """Leaves [T, B, ...], as numpy."""
    return jax.tree.map(np.asarray, player(env, games)(key))


def sights(identity, last, playing, time):
    """Views of all agents, from the words of the specification."""
    n, views = len(last), []
    for i in range(n):
        own = [last[i], last[i] != -1, playing[i], *identity[i], time]
        for j in [(i - k) % n for k in range(1, n)]:
            own += [last[j], playing[j], *identity[j]]
        views.append(own)
    return np.array(views, np.float32)


@pytest.mark.parametrize(("agents", "size"), [(3, 16), (4, 2)])
def test_random_episodes_against_the_rules(agents, size):
    env = IndirectReciprocity(agents=agents, identity_size=size, length=25)
    steps = played(env, KEY)
    wide = 4 + size
    for game in range(32):
        identity = steps.observation.view[0, game, :, 3 : wide - 1]
        assert (identity >= 0).all()
        assert (identity < 1).all()
        assert len(np.unique(identity)) == identity.size
        last = [-1] * agents
        horizon = int(steps.valid[:, game].sum())
        for t in range(horizon):
            view, known = steps.observation.view[t, game], steps.observation.state[t, game]
            playing = view[:, 2].astype(int).tolist()
            assert sum(playing) == 2
            np.testing.assert_array_equal(view, sights(identity, last, playing, t))
            np.testing.assert_allclose(known[:2], [t / known[1], known[1]], rtol=1e-6)
            each = [x for i in range(agents) for x in (last[i], playing[i], *identity[i])]
            np.testing.assert_array_equal(known[2:], np.array(each, np.float32))
            allowed = [[True, bool(playing[i])] for i in range(agents)]
            np.testing.assert_array_equal(steps.observation.available[t, game], allowed)
            action = steps.action[t, game].tolist()
            pair = [i for i in range(agents) if playing[i]]
            paid = [0] * agents
            for i, j in (pair, pair[::-1]):
                paid[i] = PAID[action[i], action[j]]
            assert steps.reward[t, game].tolist() == paid
            assert steps.info["cooperated"][t, game].tolist() == [playing[i] and action[i] == 0 for i in range(agents)]
            assert steps.info["defected"][t, game].tolist() == [playing[i] and action[i] == 1 for i in range(agents)]
            last = [action[i] if playing[i] else -1 for i in range(agents)]
            assert bool(steps.terminated[t, game]) == (t + 1 == horizon)
        assert horizon == known[1]
    assert not steps.truncated.any()


def test_the_paper_s_sizes():
    env = IndirectReciprocity()
    assert (env.spec.view.size, env.spec.agents, env.spec.action.n) == (20 + 2 * 18, 3, 2)
    seen: Any = env.spec.view.entities
    assert (len(seen.own), [len(x) for x in seen.others], seen.offsets) == (20, [18, 18], (-1, -2))
    assert sorted([*seen.own, *seen.others[0], *seen.others[1]]) == list(range(env.spec.view.size))
    assert Preferences(env).spec.view.size == 22 + 2 * 22  # as in the paper's code
    view = env.reset(KEY)[1].view
    np.testing.assert_array_equal(view[0, jnp.array(seen.others[0][2:])], view[2, 3:19])  # agent -1 is the last one


def test_an_action_of_who_does_not_play_is_ignored():
    env = IndirectReciprocity(length=9)
    state = State(jnp.zeros((3, 16)), jnp.array([True, False, True]), jnp.full(3, -1), jnp.int32(0), jnp.int32(9))
    results = [env.step(KEY, state, jnp.array([1, idle, 0])) for idle in (0, 1)]
    jax.tree.map(np.testing.assert_array_equal, *results)
    after, timestep = results[0]
    assert timestep.reward.tolist() == [4, 0, -2]
    assert after.last.tolist() == [1, -1, 0]
    checking.check(IndirectReciprocity(length=9))


def pairs_drawn(env, time, horizon=100, draws=30_000):
    """Share of draws with each pair."""
    draw = jax.vmap(lambda key: env.drawn_pair(key, jnp.int32(time), jnp.int32(horizon)))
    playing = np.asarray(draw(jax.random.split(KEY, draws)))
    assert (playing.sum(-1) == 2).all()
    found, counts = np.unique(playing, axis=0, return_counts=True)
    return {tuple(np.flatnonzero(row).tolist()): c / draws for row, c in zip(found, counts, strict=True)}


@pytest.mark.parametrize(
    ("options", "time", "pairs"),
    [
        ({}, 0, [(0, 1), (0, 2), (1, 2)]),
        ({"agents": 4}, 7, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]),
        ({"agents": 2}, 3, [(0, 1)]),
        ({"selects": "hold-out"}, 0, [(1, 2)]),
        ({"selects": "hold-out", "agents": 4}, 98, [(1, 2), (1, 3), (2, 3)]),
        ({"selects": "hold-out", "agents": 4}, 99, [(0, 3)]),
        ({"selects": "rapport"}, 4, [(0, 1)]),
        ({"selects": "rapport"}, 5, [(0, 1), (0, 2), (1, 2)]),
        ({"selects": "rapport", "rapport_starts": True}, 5, [(0, 2), (1, 2)]),
        ({"selects": "rapport", "rapport_starts": True, "agents": 4}, 4, [(0, 1), (0, 2), (1, 2)]),
        ({"selects": "rapport", "rapport_starts": True}, 6, [(0, 1), (0, 2), (1, 2)]),
        ({"selects": "rapport", "rapport_steps": 2}, 2, [(0, 1), (0, 2), (1, 2)]),
        ({"selects": "always-plays", "agents": 4}, 0, [(0, 3), (1, 3), (2, 3)]),
    ],
)
def test_who_plays(options, time, pairs):
    """All that may be drawn are, equally often: five standard errors."""
    shares = pairs_drawn(IndirectReciprocity(**options), time)
    assert sorted(shares) == pairs
    p = 1 / len(pairs)
    for share in shares.values():
        assert abs(share - p) <= 5 * math.sqrt(p * (1 - p) / 30_000)


@pytest.mark.parametrize("selects", ["hold-out", "rapport", "always-plays"])
def test_whole_episodes_keep_the_schedule(selects):
    steps = played(IndirectReciprocity(selects=selects, rapport_starts=True, length=30), KEY)
    plays = steps.info["cooperated"] + steps.info["defected"]
    for game in range(32):
        episode = plays[steps.valid[:, game], game]
        if selects == "hold-out":
            assert not episode[:-1, 0].any()
            assert episode[-1].tolist() == [1, 0, 1]
        elif selects == "rapport":
            assert not episode[:5, -1].any()
            assert episode[5:6, -1].all()
        else:
            assert episode[:, -1].all()


def test_horizons():
    """Geometric, mean 20, by quantities with known errors (five of them)."""
    draw = jax.jit(jax.vmap(lambda key: IndirectReciprocity().reset(key)[0].horizon))
    horizons, n = np.asarray(draw(jax.random.split(KEY, 40_000))), 40_000
    assert horizons.min() == 1
    assert horizons.max() <= 200
    assert abs(horizons.mean() - 20) < 5 * math.sqrt(0.95) / 0.05 / math.sqrt(n)
    for k in (1, 10, 40):
        p = 0.95**k
        assert abs((horizons > k).mean() - p) < 5 * math.sqrt(p * (1 - p) / n)
    state = IndirectReciprocity(end_chance=0.0, length=7).reset(KEY)[0]
    assert state.horizon == 7


@pytest.mark.parametrize("clock", [True, False])
def test_the_clock(clock):
    env = IndirectReciprocity(end_chance=0.0, length=1, clock_terminates=clock)
    _, timestep = env.step(KEY, env.reset(KEY)[0], jnp.zeros(3, jnp.int32))
    assert (bool(timestep.terminated), bool(timestep.truncated)) == (clock, not clock)


def test_tit_for_tat_remembers_each_partner():
    """The script is agent 2 of three; what others do to each other does not change what it does."""
    env = IndirectReciprocity(identity_size=1)
    memory, act = env.script("tit-for-tat")
    everyone = [  # who plays, with which actions; what the script does where it plays
        ((0, 2), (1, 0, 0), 0),  # a stranger: cooperates, and is defected on
        ((0, 1), (0, 1, 0), None),  # it watches agent 0 cooperate and agent 1 defect
        ((1, 2), (0, 0, 0), 0),  # agent 1 is a stranger to it
        ((0, 2), (0, 0, 1), 1),  # agent 0 defected on it
        ((1, 2), (0, 1, 0), 0),  # agent 1 did not
        ((0, 2), (0, 0, 0), 0),  # agent 0 has come back
        ((1, 2), (0, 0, 1), 1),
    ]
    last = [-1, -1, -1]
    for t, (pair, actions, wanted) in enumerate(everyone):
        playing = [int(i in pair) for i in range(3)]
        view = jnp.asarray(sights([[0.1], [0.2], [0.3]], last, playing, t))[2]
        more = jnp.concatenate([view, jnp.ones(7)])  # what a wrapper puts behind
        action, again = act(memory, view)
        assert jnp.array_equal(act(memory, more)[0], action)
        memory = again
        assert int(action) == (wanted or 0), t
        if wanted is not None:
            assert actions[2] == wanted  # the table above is consistent
        last = [actions[i] if playing[i] else -1 for i in range(3)]


def test_constant_scripts_defect_only_where_they_play():
    env = IndirectReciprocity(identity_size=1)
    for name, wanted in (("all-c", 0), ("all-d", 1)):
        memory, act = env.script(name)
        for plays in (0, 1):
            view = jnp.asarray(sights([[0.1]] * 3, [-1] * 3, [1, 1 - plays, plays], 0))
            action, memory = act(memory, view)
            assert action[2] == wanted * plays
    with pytest.raises(ValueError, match="did you mean tit-for-tat"):
        env.script("tit-for-tatt")


@pytest.mark.parametrize("script", ["all-c", "all-d", "tit-for-tat"])
def test_the_last_agent_scripted(script):
    """Through the wrapper: what the script does follows from what was done to it, episode by episode."""
    env = Scripted(IndirectReciprocity(agents=4, length=40, selects="always-plays"), script)
    steps = played(env, KEY, 16)
    assert env.summary(steps.reward, steps.info, steps.valid)["defection_against_last"].shape == (16,)
    for game in range(16):
        memory = [0, 0, 0]
        for t in range(int(steps.valid[:, game].sum())):
            partner = int(np.flatnonzero((steps.info["cooperated"] + steps.info["defected"])[t, game])[0])
            wanted = {"all-c": 0, "all-d": 1, "tit-for-tat": memory[partner]}[script]
            assert steps.info["script_defected"][t, game] == wanted
            memory[partner] = int(steps.action[t, game, partner])
            assert steps.reward[t, game, partner] == PAID[memory[partner], wanted]


def told(steps, game: int) -> dict:
    """The statistics of one episode, counted."""
    episode = steps.valid[:, game]
    defected, cooperated = steps.info["defected"][episode, game], steps.info["cooperated"][episode, game]
    plays = defected + cooperated
    n, share = plays.shape[1], lambda xs: sum(xs) / len(xs) if len(xs) else math.nan
    matches = [(t, i) for t in range(len(plays)) for i in range(n) if plays[t, i]]
    met = [t for t in range(len(plays)) if plays[t, -1]]
    of = lambda chosen: share([defected[t, i] for t, i in chosen])  # noqa: E731
    learners = [(t, i) for t, i in matches if i < n - 1]
    among = [(t, i) for t, i in learners if t not in met]
    return {
        "cooperation": [1 - of([m for m in matches if m[1] == i]) for i in range(n)],
        "defection": [of([m for m in matches if m[1] == i]) for i in range(n)],
        "defection_against_last": of([m for m in learners if m[0] in met]),
        "defection_among_others": of(among),
        "defection_among_others_since": of([m for m in among if met and m[0] >= met[0]]),
        "defection_in_the_end": of([m for m in matches if m == (len(plays) - 1, 0)]),
    }


@pytest.mark.parametrize("selects", ["hold-out", "rapport", "always-plays"])
def test_statistics(selects):
    env = IndirectReciprocity(selects=selects, rapport_starts=True, length=30)
    steps = played(env, jax.random.key(3))
    found = env.summary(steps.reward, steps.info, steps.valid)
    for game in range(32):
        for name, wanted in told(steps, game).items():
            np.testing.assert_allclose(found[name][game], wanted, rtol=1e-6, err_msg=name)
    assert len(found) == 6
    assert np.isnan(found["defection_among_others_since"]).any()  # undefined, not 0


def test_plain_jit_and_vmap_agree():
    env = IndirectReciprocity(length=4)
    assert_plain_jit_and_vmap_agree(env, jnp.array([1, 0, 1]), KEY)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"agents": 1}, "agents 1 is below 2"),
        ({"agents": 2, "selects": "hold-out"}, "set agents to 3 or more"),
        ({"agents": 2, "selects": "rapport"}, "set agents to 3 or more"),
        ({"payoffs": (1.0, 2.0)}, "four finite numbers"),
        ({"payoffs": (1.0, 2.0, 3.0, math.nan)}, "nan, which is not a finite number"),
        ({"selects": "holdout"}, "did you mean hold-out"),
        ({"end_chance": 2.0}, "end_chance 2.0 is above 1"),
        ({"rapport_steps": -1}, "rapport_steps -1 is below 0"),
    ],
)
def test_bad_options(options, problem):
    with pytest.raises(ValueError, match=problem):
        IndirectReciprocity(**options)
