"""CleanUp-lite against its rules, written again here in plain Python (specification A.6), and their balance."""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import checking, rollout
from comity.environments.dilemmas import cleanup_lite
from comity.environments.dilemmas.cleanup_lite import DOWN, LEFT, NOTHING, RIGHT, UP, ZAP, CleanupLite, State
from comity.environments.wrappers.preferences import Preferences
from tests.tiny.steps import assert_plain_jit_and_vmap_agree

KEY = jax.random.key(0)
GAMES = 32
STEPS = {RIGHT: (0, 1), LEFT: (0, -1), UP: (-1, 0), DOWN: (1, 0), ZAP: (0, 0), NOTHING: (0, 0)}


def state_of(agents, frozen=None, apples=(), dirt=(), time=0) -> State:
    rows = jnp.arange(5)
    full = lambda cells: jnp.isin(rows, jnp.asarray(list(cells), jnp.int32))  # noqa: E731
    agents = jnp.asarray(agents, jnp.int32)
    frozen = jnp.zeros(len(agents), jnp.int32) if frozen is None else jnp.asarray(frozen, jnp.int32)
    return State(agents, frozen, full(apples), full(dirt), jnp.int32(time))


@cache
def step_of(env):
    return jax.jit(env.step)


@cache
def steps_of(env):
    return jax.jit(jax.vmap(env.step, (0, None, None)))


# The rules, again -----------------------------------------------------------------------------------------------------


def grown(full: list, chance: float, coin: float, place: float) -> list:
    free = [k for k in range(5) if not full[k]]
    if free and coin < chance:
        full = [*full]
        full[free[int(place * len(free))]] = True
    return full


def gathered(agents, column: int, full: list, awake: list, draws) -> tuple[list, list]:
    takes, left = [False] * len(agents), [*full]
    for row in range(5):
        there = [i for i, cell in enumerate(agents) if cell == (row, column) and awake[i]]
        if full[row] and there:
            takes[min(there, key=lambda i: draws[i])] = True
            left[row] = False
    return takes, left


def again(state: State, action, draws) -> dict:
    """One step of the rules. draws: two coins, two places, and of each agent who takes, whom a zap takes, whether."""
    n = len(action)
    agents = [tuple(int(x) for x in cell) for cell in state.agents]
    awake = [int(x) == 0 for x in state.frozen]
    dirt = grown([bool(x) for x in state.dirt], 0.35, draws[0], draws[2])
    apples = grown([bool(x) for x in state.apples], 1 - min(1, sum(dirt) / 3), draws[1], draws[3])
    eats, apples = gathered(agents, 0, apples, awake, draws[4 : 4 + n])
    cleans, dirt = gathered(agents, 3, dirt, awake, draws[4 : 4 + n])
    hit, hits = set(), [False] * n
    for i in range(n):
        if awake[i] and action[i] == ZAP:
            away = lambda j, i=i: sum(abs(a - b) for a, b in zip(agents[i], agents[j], strict=True))  # noqa: E731
            near = [j for j in range(n) if j != i and awake[j] and away(j) <= 2]
            if near and draws[4 + 2 * n + i] < 0.9:
                hit.add(min(near, key=lambda j, away=away: (away(j), draws[4 + n + j])))
                hits[i] = True
    moved = []
    for i, (row, column) in enumerate(agents):
        down, right = STEPS[int(action[i])] if awake[i] else (0, 0)
        moved.append((min(max(row + down, 0), 4), min(max(column + right, 0), 3)))
    frozen = [5 if i in hit else max(int(state.frozen[i]) - 1, 0) for i in range(n)]
    return {
        "agents": moved, "frozen": frozen, "apples": apples, "dirt": dirt, "reward": eats, "cleans": cleans,
        "hits": hits,
    }  # fmt: skip


def view_again(state: State, i: int) -> list:
    """What agent i sees: own cell, the others', apple, dirt or nothing in each cell, who is frozen."""
    n, seen = len(state.agents), []
    circle = [(i + k) % n for k in range(n)]
    for j in circle:
        seen += [int((row, column) == tuple(state.agents[j].tolist())) for row in range(5) for column in range(4)]
    for row in range(5):
        for column in range(4):
            apple, dirt = column == 0 and state.apples[row], column == 3 and state.dirt[row]
            seen += [int(apple), int(dirt), int(not apple and not dirt)]
    return seen + [int(state.frozen[j] > 0) for j in circle]


def played(n: int):
    """(states before [T, B], keys, actions, states after, timesteps) of random play."""
    env = CleanupLite(agents=n, length=40, first_dirt=0)  # so that there are apples

    def run(key):
        states, _ = jax.vmap(env.reset)(jax.random.split(key, GAMES))

        def step(states, key):
            key_act, key_step = jax.random.split(key)
            action = jax.random.randint(key_act, (GAMES, n), 0, 6)
            keys = jax.random.split(key_step, GAMES)
            after, timestep = jax.vmap(env.step)(keys, states, action)
            draws = jax.vmap(lambda key: jax.random.uniform(key, (4 + 3 * n,)))(keys)
            return after, (states, action, draws, after, timestep)

        return jax.lax.scan(step, states, jax.random.split(key, 40))[1]

    return jax.tree.map(np.asarray, jax.jit(run)(KEY))


def differences(n: int) -> tuple[int, dict[str, int]]:
    """(how many numbers the game gives otherwise than the rules written here, how often what happened)."""
    states, actions, draws, after, timestep = played(n)
    wrong, seen = 0, {"eats": 0, "cleans": 0, "hits": 0, "shared": 0}
    for t in range(40):
        for game in range(0, GAMES, 2):
            before = jax.tree.map(lambda x, t=t, game=game: x[t, game], states)
            now = jax.tree.map(lambda x, t=t, game=game: x[t, game], after)
            told = again(before, actions[t, game], draws[t, game])
            got = now._asdict() | {"reward": timestep.reward[t, game]}
            got |= {name: timestep.info[name][t, game] for name in ("cleans", "hits")}
            wrong += sum(int((np.asarray(told[name]) != np.asarray(got[name])).sum()) for name in told)
            seen["eats"] += sum(told["reward"])
            seen["cleans"] += sum(told["cleans"])
            seen["hits"] += sum(told["hits"])
            seen["shared"] += len(set(told["agents"])) < n
            if t % 8 == 0:
                wrong += sum(
                    int((np.asarray(view_again(now, i)) != timestep.observation.view[t, game, i]).sum())
                    for i in range(n)
                )
    return wrong, seen


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_rules_step_by_step(n):
    wrong, seen = differences(n)
    assert wrong == 0
    assert min(seen.values()) > 10, seen


# Balance --------------------------------------------------------------------------------------------------------------


def test_apples_by_dirt():
    """Chances 1, 2/3, 1/3, 0, 0, 0 with 0 to 5 dirty cells, and 0.35 for dirt; each free cell alike."""
    env, n = CleanupLite(), 4000
    wanted = [1, 2 / 3, 1 / 3, 0, 0, 0]
    chances = env.apple_chance(jnp.tril(jnp.ones((6, 5), bool), -1))
    np.testing.assert_allclose(chances, wanted, atol=1e-7)
    still, keys = jnp.array([NOTHING, NOTHING]), jax.random.split(KEY, n)
    for dirty in (0, 1, 2, 4):
        state = state_of([[0, 1], [0, 2]], apples=[1], dirt=range(dirty))
        after, _ = steps_of(env)(keys, state, still)
        more = np.asarray(after.dirt.sum(-1)) - dirty
        assert abs(more.mean() - 0.35) < 5 * math.sqrt(0.35 * 0.65 / n)
        grew = np.asarray(after.apples.sum(-1)) - 1
        for extra in (0, 1):  # the apple comes after the dirt of its step
            p = wanted[dirty + extra]
            found = grew[more == extra]
            assert abs(found.mean() - p) <= 5 * math.sqrt(p * (1 - p) / len(found))
        where = np.asarray(after.dirt)[:, dirty:].mean(0)
        assert np.abs(where - 0.35 / (5 - dirty)).max() < 5 * math.sqrt(0.35 / (5 - dirty) / n)
    clean, _ = steps_of(CleanupLite(dirt_chance=0.0))(keys, state_of([[0, 1], [0, 2]], apples=[1]), still)
    share = np.asarray(clean.apples).mean(0)
    np.testing.assert_allclose(share[1], 1)
    assert np.abs(share[[0, 2, 3, 4]] - 0.25).max() < 5 * math.sqrt(0.25 * 0.75 / n)


def test_starts():
    states, _ = jax.jit(jax.vmap(CleanupLite(agents=3).reset))(jax.random.split(KEY, 4000))
    assert (np.asarray(states.dirt).sum(-1) == 3).all()
    assert np.abs(np.asarray(states.dirt).mean(0) - 0.6).max() < 5 * math.sqrt(0.24 / 4000)
    assert not np.asarray(states.apples).any()
    assert not np.asarray(states.frozen).any()
    cells = np.asarray(states.agents @ jnp.array([4, 1]))
    assert set(cells.ravel()) == set(range(20))
    counts = np.bincount(cells.ravel(), minlength=20)
    assert np.abs(counts - 600).max() < 5 * math.sqrt(600)


def test_a_clean_river_and_a_standing_eater():
    """An apple a step for ever where the other four cells of the orchard are full; the dirt that comes is removed in
    its step where the other four of the river are: 0.35 a step."""
    env = CleanupLite(dirt_chance=0.0)
    state, still = state_of([[2, 0], [0, 2]], apples=[0, 1, 3, 4]), jnp.array([NOTHING, NOTHING])
    for key in jax.random.split(KEY, 4):
        state, timestep = step_of(env)(key, state, still)
        assert timestep.reward.tolist() == [1, 0]
    state = state_of([[2, 3], [0, 2]], dirt=[0, 1, 3, 4])
    _, timestep = steps_of(CleanupLite())(jax.random.split(KEY, 4000), state, still)
    assert abs(float(timestep.info["cleans"][:, 0].mean()) - 0.35) < 5 * math.sqrt(0.35 * 0.65 / 4000)
    assert (np.asarray(timestep.info["dirt"]) == 4).all()


# Zaps -----------------------------------------------------------------------------------------------------------------


def test_a_freeze_lasts_five_steps_and_begins_after_the_step():
    env = CleanupLite(hit_chance=1.0, dirt_chance=0.0)
    state = state_of([[2, 1], [2, 0]], apples=[2])
    step = lambda state, *action: step_of(env)(KEY, state, jnp.array(action))  # noqa: E731
    state, timestep = step(state, ZAP, DOWN)
    assert timestep.reward.tolist() == [0, 1]  # it has still eaten
    assert state.agents.tolist() == [[2, 1], [3, 0]]  # and moved
    for left in (5, 4, 3, 2, 1):
        assert state.frozen.tolist() == [0, left]
        state, timestep = step(state, ZAP, UP)  # hit again in vain
        assert timestep.reward.tolist() == [0, 0]
        assert timestep.info["hits"].tolist() == [0, 0]
        assert timestep.info["frozen"].tolist() == [0, 1]
        assert state.agents.tolist() == [[2, 1], [3, 0]]
    assert state.frozen.tolist() == [0, 0]
    state, _ = step(state, NOTHING, UP)
    assert state.agents.tolist() == [[2, 1], [2, 0]]


def test_two_that_zap_each_other_both_freeze():
    env = CleanupLite(hit_chance=1.0)
    after, timestep = step_of(env)(KEY, state_of([[0, 0], [1, 1]]), jnp.array([ZAP, ZAP]))
    assert after.frozen.tolist() == [5, 5]
    assert timestep.info["zaps"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("other", "hit"), [((2, 1), 1), ((0, 1), 1), ((3, 2), 1), ((2, 3), 1), ((4, 2), 0), ((3, 3), 0)]
)
def test_how_far_a_zap_reaches(other, hit):
    """Two steps, up, down, left, right, from (2, 1)."""
    env = CleanupLite(hit_chance=1.0)
    after, _ = step_of(env)(KEY, state_of([[2, 1], other]), jnp.array([ZAP, NOTHING]))
    assert after.frozen.tolist() == [0, 5 * hit]


def test_a_zap_hits_nine_times_in_ten_and_one_only():
    env, n = CleanupLite(agents=4), 2000
    state = state_of([[2, 1], [2, 2], [1, 1], [2, 3]])  # two neighbours, and one behind
    after, timestep = steps_of(env)(jax.random.split(KEY, n), state, jnp.array([ZAP, *[NOTHING] * 3]))
    frozen = np.asarray(after.frozen > 0)
    assert frozen.sum(-1).max() == 1
    assert not frozen[:, [0, 3]].any()
    for k in (1, 2):
        assert abs(frozen[:, k].mean() - 0.45) < 5 * math.sqrt(0.45 * 0.55 / n)
    np.testing.assert_array_equal(timestep.info["hits"][:, 0], frozen.any(-1))


def test_the_frozen_neither_eat_nor_clean_nor_zap():
    env = CleanupLite(dirt_chance=0.0)
    after, timestep = step_of(env)(KEY, state_of([[2, 0], [2, 3]], [3, 3], [2], [2]), jnp.array([ZAP, LEFT]))
    assert (timestep.reward.tolist(), timestep.info["cleans"].tolist()) == ([0, 0], [0, 0])
    assert (int(after.apples[2]), int(after.dirt[2])) == (1, 1)
    assert timestep.info["zaps"].tolist() == [0, 0]


def test_two_on_an_apple_are_as_likely_to_take_it():
    env, n = CleanupLite(), 2000
    state = state_of([[2, 0], [2, 0]], apples=[2])
    _, timestep = steps_of(env)(jax.random.split(KEY, n), state, jnp.array([NOTHING, NOTHING]))
    rewards = np.asarray(timestep.reward)
    assert (rewards.sum(-1) == 1).all()
    assert abs(rewards[:, 0].mean() - 0.5) < 5 * 0.5 / math.sqrt(n)


# Scripts, statistics, the interface -----------------------------------------------------------------------------------


def means(n: int, names) -> dict[str, np.ndarray]:
    env = CleanupLite(agents=n)
    memory, (*parts,) = env.script(names[0])[0], (env.script(name)[1] for name in names)

    def act(key, memory, observation):
        done = [act(memory[..., k, :], observation.view[..., k, :]) for k, act in enumerate(parts)]
        return jnp.stack([action for action, _ in done], -1), jnp.stack([after for _, after in done], -2), {}

    @jax.jit
    def run(key):
        steps = rollout.collect_episodes(key, env, act, rollout.start(key, env, jnp.stack([memory] * n), 64))
        return env.summary(steps.reward, steps.info, steps.valid) | {"return": steps.reward.sum(0)}

    return {name: np.asarray(x).mean(0) for name, x in run(KEY).items()}


@pytest.fixture(scope="module")
def scripted():
    pairs = [("eater", "eater"), ("cleaner", "eater"), ("turn-taker", "turn-taker"), ("bully", "turn-taker")]
    return {pair: means(2, pair) for pair in pairs}


def test_what_scripts_earn(scripted):
    """The dilemma: two that only eat end with nothing, one that cleans feeds the other, turns are fair."""
    alone = scripted["eater", "eater"]
    assert alone["return"].max() < 1.5  # some start in the river, and clean it by chance
    assert alone["dirt"] > 4
    fed = scripted["cleaner", "eater"]
    assert fed["return"][1] > 22
    assert fed["return"][0] < 1
    assert fed["cleaning_difference"] == pytest.approx(fed["cleans"][0] - fed["cleans"][1], abs=0.02)
    assert 0.2 < fed["cleans"][0] < 0.4  # what comes, 0.35, and the first three
    both = scripted["turn-taker", "turn-taker"]
    assert both["return"].min() > 7
    assert scripted["bully", "turn-taker"]["hits"][0] > 0.01
    assert scripted["bully", "turn-taker"]["frozen"][1] > 0.05


def test_unknown_scripts_are_refused():
    with pytest.raises(ValueError, match="did you mean"):
        CleanupLite().script("cleanr")


def test_statistics_by_hand():
    env = CleanupLite()
    both = jnp.array([[1.0, 0], [1, 0], [0, 0], [1, 1]]).reshape(4, 1, 2)
    info = {name: both for name in ("eats", "cleans", "zaps", "hits", "frozen")}
    info |= {"dirt": jnp.array([3.0, 2, 1, 0]).reshape(4, 1), "apples": jnp.array([0.0, 1, 1, 2]).reshape(4, 1)}
    found = env.summary(info["eats"], info, jnp.ones((4, 1), bool))
    assert found["cleans"].tolist() == [[0.75, 0.25]]
    assert (float(found["dirt"][0]), float(found["apples"][0]), float(found["cleaning_difference"][0])) == (1.5, 1, 0.5)


@pytest.mark.parametrize("n", [2, 4])
def test_what_is_seen_and_of_whom(n):
    env = CleanupLite(agents=n)
    assert env.spec.view.size == 21 * n + 60 == {2: 102, 4: 144}[n]
    state = state_of([[k, 1] for k in range(n)], [0, *[2] * (n - 1)], [0], [4])
    seen = env.observation(state)
    entities, view = env.spec.view.entities, np.asarray(seen.view)
    assert entities is not None
    for k, columns in enumerate(entities.others):
        theirs = view[0][list(columns)]
        assert theirs[:20].argmax() == 4 * (k + 1) + 1
        assert theirs[20] == 1
    assert view[0][list(entities.own)][-1] == 0
    assert view[1][list(entities.own)][-1] == 1
    assert seen.state.shape == (env.spec.state.size,)
    np.testing.assert_allclose(seen.state[-n:], [0, *[0.4] * (n - 1)], rtol=1e-6)


def test_the_interface_and_preferences():
    checking.check(CleanupLite(length=4))
    assert Preferences(CleanupLite(agents=3)).spec.view.size == 123 + 10


def test_plain_jit_and_vmap_agree():
    env = CleanupLite(agents=3)
    assert_plain_jit_and_vmap_agree(env, jnp.array([ZAP, UP, LEFT]), KEY)


@pytest.mark.parametrize("clock", [True, False])
def test_the_clock(clock):
    env = CleanupLite(length=1, clock_terminates=clock)
    _, timestep = env.step(KEY, env.reset(KEY)[0], jnp.array([NOTHING, NOTHING]))
    assert (bool(timestep.terminated), bool(timestep.truncated)) == (clock, not clock)


def test_pictures_show_what_there_is():
    env = CleanupLite()
    state = jax.tree.map(np.asarray, state_of([[2, 1], [2, 2]]))
    picture = env.draw(state)
    assert (picture.shape, picture.dtype) == ((200, 160, 3), np.uint8)
    fuller = state._replace(apples=np.arange(5) == 0, dirt=np.arange(5) == 1, frozen=np.array([0, 3]))
    changed = (env.draw(fuller) != picture).any(-1)
    assert changed[:40, :40].any()  # the apple
    assert changed[40:80, 120:].any()  # the dirt
    assert changed[80:120, 80:120].any()  # the ice
    assert not changed[80:120, 40:80].any()


def test_bad_options():
    with pytest.raises(ValueError, match="first_dirt 6 is more than the 5 cells"):
        CleanupLite(first_dirt=6)
    with pytest.raises(ValueError, match="agents 1 is below 2"):
        CleanupLite(agents=1)
    assert cleanup_lite.PROFILES["four"] == {"agents": 4}
