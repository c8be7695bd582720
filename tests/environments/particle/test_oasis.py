"""Oasis: motion against numbers, the rules written again in numpy, starvation, sight, contacts (specification A.4)."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import checking, rollout
from comity.environments.particle import floor, oasis
from comity.environments.particle.floor import Bodies
from comity.environments.particle.oasis import ATTACK, EAT, NOTHING, Oasis
from comity.environments.wrappers.preferences import Preferences
from comity.spec import MultiDiscrete
from tests.tiny.steps import assert_plain_jit_and_vmap_agree

KEY = jax.random.key(0)
STILL = 5  # the bin of no force
ENV = Oasis(identity_size=2)
STEP = jax.jit(ENV.step)
N = 3


def bodies_at(places, angle=0.0) -> Bodies:
    places = jnp.asarray(places, float)
    return Bodies(places, jnp.zeros_like(places), jnp.full(len(places), angle, float), jnp.zeros(len(places)))


def placed(places, food=(50.0, 50.0), angle=0.0, **changes):
    state, _ = ENV.reset(KEY)
    state = state._replace(bodies=bodies_at(places, angle), food=jnp.array(food))
    return state._replace(**({"side": jnp.float32(6), "horizon": jnp.int32(10_000)} | changes))


def actions(options, targets: Any = 0, x: Any = STILL, y: Any = STILL, twist: Any = STILL):
    every = lambda k: jnp.broadcast_to(jnp.asarray(k, jnp.int32), (N,))  # noqa: E731
    return every(x), every(y), every(twist), every(options), every(targets)


# Motion ---------------------------------------------------------------------------------------------------------------


def test_kinematics_against_numbers():
    """Full force on one axis from rest, then none; full torque (specification A.4), to 1e-6."""
    with jax.enable_x64(True):
        now = bodies_at([[0.0, 0.0]])
        speeds, places, angles = [], [], [0.0]
        for force in (0.9,) * 4 + (0.0,) * 3:
            now = floor.slid(now, jnp.array([[force, 0.0]]), jnp.array([0.9]))
            speeds.append(float(now.velocity[0, 0]))
            places.append(float(now.place[0, 0]))
            angles.append(float(now.angle[0]))
        wanted = [4.151863, 6.148980, 7.109628, 7.571716, 3.123142, 0.983302, 0]
        np.testing.assert_allclose(speeds, wanted, atol=1e-6)
        np.testing.assert_allclose(places[:4], [0.184814, 0.585102, 1.089037, 1.642828], atol=1e-6)
        turns = np.diff(angles)
        assert turns[0] == pytest.approx(0.6669, abs=5e-5)
        np.testing.assert_allclose(turns[1:], 0.675, atol=1e-3)
        for _ in range(40):
            now = floor.slid(now, jnp.array([[0.0, -0.9]]), jnp.array([0.0]))
        assert float(now.velocity[0, 1]) == pytest.approx(-8.0, abs=1e-6)
        before = float(now.place[0, 1])
        assert float(floor.slid(now, jnp.array([[0.0, -0.9]]), jnp.zeros(1)).place[0, 1]) == pytest.approx(before - 0.6)


def test_the_game_moves_its_agents_so():
    state = placed([[0, 0], [3, 3], [5, 5]])
    after, _ = STEP(KEY, state, actions(NOTHING, x=(10, STILL, 0), y=(STILL, 10, STILL), twist=(STILL, 10, STILL)))
    np.testing.assert_allclose(after.bodies.velocity, [[4.151863, 0], [0, 4.151863], [-4.151863, 0]], atol=2e-6)
    assert float(after.bodies.angle[1]) == pytest.approx(0.6669, abs=5e-5)


def test_who_overlap_move_apart_alike_and_lose_their_approach():
    place = jnp.array([[0.0, 0.0], [0.2, 0.0], [5.0, 5.0]])
    velocity = jnp.array([[1.0, 0.5], [-0.4, 0.0], [1.0, 1.0]])
    after, slower = floor.apart(place, velocity)
    np.testing.assert_allclose(after, [[-0.05, 0], [0.25, 0], [5, 5]], atol=1e-6)
    np.testing.assert_allclose(slower, [[0.3, 0.5], [0.3, 0], [1, 1]], atol=1e-6)  # the sum stays
    _, leaving = floor.apart(place, -velocity)
    np.testing.assert_allclose(leaving, -velocity)


def test_a_body_pushes_another_along():
    now = bodies_at([[0.0, 0.0], [0.4, 0.0]])
    for _ in range(5):
        now = floor.slid(now, jnp.array([[0.9, 0.0], [0.0, 0.0]]), jnp.zeros(2))
    assert float(now.place[1, 0] - now.place[0, 0]) == pytest.approx(0.3, abs=1e-4)
    assert 0.5 < float(now.place[0, 0]) < 1.5  # alone it would be beyond 2


# Sight ----------------------------------------------------------------------------------------------------------------


def test_headings_are_a_quarter_turn_behind():
    np.testing.assert_allclose(floor.heading(jnp.array([0.0, math.pi / 2])), [[0, -1], [1, 0]], atol=1e-7)


@pytest.mark.parametrize(("degrees", "seen"), [(0, 1), (67, 1), (-67, 1), (68, 0), (-68, 0), (180, 0)])
def test_the_cone_is_67_degrees_and_a_half_to_each_side(degrees, seen):
    angle = math.radians(degrees) - math.pi / 2  # of the other, from a body that looks down
    place = jnp.array([[0.0, 0.0], [0.5 * math.cos(angle), 0.5 * math.sin(angle)]])
    assert bool(floor.in_cone(place, jnp.zeros(2), oasis.CONE)[0, 1]) == seen


@pytest.mark.parametrize(
    ("third", "free"), [((1, 0.16), 1), ((1, 0.14), 0), ((0.5, -0.14), 0), ((2.2, 0), 1), ((-0.3, 0), 1)]
)
def test_a_third_disc_blocks_the_sight(third, free):
    sight = np.asarray(floor.free_sight(jnp.array([[0.0, 0.0], [2.0, 0.0], third])))
    assert bool(sight[0, 1]) == bool(sight[1, 0]) == free


# The rules, again -----------------------------------------------------------------------------------------------------


def again(state, action, outside) -> dict:
    """One step in numpy. outside [N, 2]: where the dead are put."""
    f, opt, who = np.stack(action[:3], -1), action[3], action[4]
    bins = np.linspace(-0.9, 0.9, 11)
    p, v, a, w = (np.array(x, float) for x in state.bodies)
    health, since = np.array(state.health, float), np.array(state.since)
    dies = health <= 0
    dead = dies | (since < 100)
    target = [(i - 1 - who[i]) % N for i in range(N)]
    hits = np.zeros((N, N), bool)
    for i, j in enumerate(target):
        d = p[j] - p[i]
        look = np.array([math.cos(a[i] - math.pi / 2), math.sin(a[i] - math.pi / 2)])
        cosine = float(d @ look / np.linalg.norm(d))
        off = math.acos(min(1.0, max(-1.0, cosine)))
        k = 3 - i - j
        t = min(1.0, max(0.0, float((p[k] - p[i]) @ d / (d @ d))))
        blocked = np.linalg.norm(p[i] + t * d - p[k]) < 0.15
        if not dead[i] and opt[i] == 0 and np.linalg.norm(d) < 0.7 and off <= 3 * math.pi / 8 and not blocked:
            hits[i, j] = True
    p[dies], health[dies], since[dies] = outside[dies], 20.0, 0
    force = np.where(dead[:, None], 0.0, bins[f])
    for _ in range(15):
        v = (v + 0.005 * 100 * force[:, :2]) / (1 + 0.005 * 10)
        for i in range(N):
            speed = np.linalg.norm(v[i])
            v[i] = v[i] * max(0.0, 1 - (0.005 * 10 / 1.05) / speed) if speed > 0 else v[i]
        w = (0.009 * w + 0.005 * 100 * force[:, 2]) / (0.009 + 0.05)
        p, a = p + 0.005 * v, a + 0.005 * w
        for i, j in itertools.combinations(range(N), 2):
            d = p[i] - p[j]
            if (r := np.linalg.norm(d)) < 0.3:
                u = d / r
                p[i], p[j] = p[i] + (0.3 - r) / 2 * u, p[j] - (0.3 - r) / 2 * u
                if (closing := (v[i] - v[j]) @ u) < 0:
                    v[i], v[j] = v[i] - closing / 2 * u, v[j] + closing / 2 * u
    eats = [not dead[i] and opt[i] == 1 and np.linalg.norm(p[i] - state.food) < 0.4 and not hits[:, i].any() for i in range(N)]  # noqa: E501  # fmt: skip
    reward = np.zeros(N)
    for i in range(N):
        if not dead[i]:
            gain = float(state.worth) / sum(eats) if eats[i] else 0.0
            health[i] = min(20.0, health[i] + gain - 1 - 5 * hits[:, i].sum())
            reward[i] = 1 - 100 * (health[i] <= 0)
    return {
        "place": p, "velocity": v, "angle": a, "spin": w, "health": health, "since": since + 1, "hits": hits,
        "reward": reward, "ate": np.array(eats), "option": np.where(dead, 2, opt),
    }  # fmt: skip


def test_the_rules_step_by_step():
    """Crowded, with little health, so that agents hit, eat, touch and die."""
    games, steps = 24, 12
    env = Oasis(identity_size=2, least_side=1.5, most_side=1.6, end_chance=0.0, length=100)

    def run(key):
        states, _ = jax.vmap(env.reset)(jax.random.split(key, games))
        states = states._replace(
            health=jax.random.uniform(key, (games, N), minval=2.0, maxval=20.0),
            bodies=states.bodies._replace(place=jax.random.uniform(key, (games, N, 2), minval=0.4, maxval=1.1)),
        )

        def step(states, key):
            key_act, key_step = jax.random.split(key)
            keys, heads = jax.random.split(key_step, games), jax.random.split(key_act, 5)
            lows, highs = (3, 3, 0, 0, 0), (8, 8, 11, 3, 2)
            draws = (
                jax.random.randint(key, (games, N), low, high)
                for key, low, high in zip(heads, lows, highs, strict=True)
            )
            action = tuple(draws)
            outside = jax.vmap(lambda key, side: oasis.beside(key, N, side))(keys, states.side)
            after, timestep = jax.vmap(env.step)(keys, states, action)
            return after, (states, action, outside, after, timestep)

        return jax.lax.scan(step, states, jax.random.split(key, steps))[1]

    states, action, outside, after, timestep = jax.tree.map(np.asarray, jax.jit(run)(KEY))
    seen = dict.fromkeys(("hits", "ate", "dead", "touched"), 0)
    for t, game in itertools.product(range(steps), range(games)):
        one = lambda tree, t=t, game=game: jax.tree.map(lambda x: x[t, game], tree)  # noqa: E731
        before, now = one(states), one(after)
        told = again(before, one(action), outside[t, game])
        got = now._asdict() | now.bodies._asdict() | {"reward": timestep.reward[t, game]}
        got["ate"] = timestep.info["ate"][t, game] > 0
        for name, wanted in told.items():
            if name == "since":
                wanted = np.minimum(wanted, oasis.NEVER)
            np.testing.assert_allclose(got[name], wanted, atol=3e-5, err_msg=name)
        seen["hits"] += told["hits"].sum()
        seen["ate"] += told["ate"].sum()
        seen["dead"] += (told["reward"] < -50).sum()
        pairs = np.linalg.norm(told["place"][:, None] - told["place"][None], axis=-1)[np.triu_indices(N, 1)]
        seen["touched"] += (pairs < 0.3001).sum()
    assert min(seen.values()) > 15, seen


# Life and death -------------------------------------------------------------------------------------------------------


def test_who_never_eats():
    """+1 in steps 1 to 19, -99 in step 20, 0 in steps 21 to 120, +1 in step 121, with a health of 19 after it."""
    state = placed([[0, 0], [3, 3], [5, 5]])

    def step(state, _):
        after, timestep = ENV.step(KEY, state, actions(EAT, x=10))
        return after, (timestep.reward, timestep.observation.available, after)

    _, (rewards, available, states) = jax.lax.scan(step, state, None, length=121)
    rewards = np.asarray(rewards)
    assert (rewards[:19] == 1).all()
    assert (rewards[19] == -99).all()
    assert (rewards[20:120] == 0).all()
    assert (rewards[120] == 1).all()
    np.testing.assert_allclose(states.health[120], 19)
    choices = np.stack([np.asarray(x).sum(-1) for x in available])  # [head, T, N], after each step
    assert (choices[:, 19:119] == 1).all()  # who is passive has one action of each head
    assert (choices[:, 119] == np.array([11, 11, 11, 3, 2])[:, None]).all()
    places = np.asarray(states.bodies.place)
    assert ((places[20] < 0) | (places[20] > 6)).all()  # put outside
    np.testing.assert_allclose(places[60], places[119], atol=1e-6)  # and stays there, whatever it does
    assert (places[120, :, 0] > places[119, :, 0]).all()
    np.testing.assert_allclose(states.since[[19, 20, 119], 0], [oasis.NEVER, 1, 100])


def test_eaters_share_and_health_has_a_limit():
    state = placed([[3, 3], [3.35, 3], [0, 0]], food=(3.1, 3.0), worth=jnp.float32(2.4), health=jnp.full(3, 10.0))
    after, timestep = STEP(KEY, state, actions((EAT, EAT, EAT)))
    np.testing.assert_allclose(after.health, [10.2, 10.2, 9], rtol=1e-6)
    assert timestep.info["ate"].tolist() == [1, 1, 0]
    after, _ = STEP(KEY, state._replace(health=jnp.full(3, 19.9)), actions((EAT, NOTHING, EAT)))
    np.testing.assert_allclose(after.health, [20, 18.9, 18.9], rtol=1e-6)


def test_a_hit_costs_five_and_the_meal():
    """Agent 0 looks up at agent 1, whose slot among its others (2, 1) is the second."""
    state = placed([[3, 3], [3, 3.5], [0, 0]], food=(3.0, 3.5), angle=math.pi, worth=jnp.float32(2.4))
    after, timestep = STEP(KEY, state, actions((ATTACK, EAT, EAT), (1, 0, 0)))
    np.testing.assert_allclose(after.health, [19, 14, 19], rtol=1e-6)
    assert timestep.info["hit"].tolist() == [1, 0, 0]
    view, entities = timestep.observation.view, ENV.spec.view.entities
    assert entities is not None
    slot = list(entities.offsets).index(-1)  # agent 0, seen by 1
    assert view[1][entities.others[slot][-2]] == 1  # it hit me
    assert view[1][12] == 1  # once
    missed, _ = STEP(KEY, state, actions((ATTACK, EAT, EAT), (0, 0, 0)))
    np.testing.assert_allclose(missed.health, [19, 20, 19], rtol=1e-6)
    away, _ = STEP(KEY, placed([[3, 3], [3, 3.71], [0, 0]], angle=math.pi), actions((ATTACK, EAT, EAT), (1, 0, 0)))
    np.testing.assert_allclose(away.health, [19, 19, 19], rtol=1e-6)


def test_starts():
    states, _ = jax.jit(jax.vmap(ENV.reset))(jax.random.split(KEY, 2000))
    side, worth, horizon = (np.asarray(x) for x in (states.side, states.worth, states.horizon))
    assert 1.5 <= side.min() < 1.52
    assert 5.97 < side.max() <= 6
    assert 2.1 <= worth.min() < worth.max() <= 2.7
    assert abs(worth.mean() - 2.4) < 5 * 0.6 / math.sqrt(12 * 2000)
    p = 0.999**700
    assert abs((horizon > 700).mean() - p) < 5 * math.sqrt(p * (1 - p) / 2000)
    agents, food = np.asarray(states.bodies.place), np.asarray(states.food)
    assert ((agents >= 0.15) & (agents <= side[:, None, None] - 0.15)).all()
    assert ((food >= 0.05) & (food <= side[:, None] - 0.05)).all()
    for i, j in itertools.combinations(range(N), 2):
        assert (np.abs(agents[:, i] - agents[:, j]).max(-1) >= 0.3).all()
    for i in range(N):
        assert (np.abs(agents[:, i] - food).max(-1) >= 0.2).all()
    assert np.abs(np.asarray(states.bodies.angle)).max() > 3
    outside = np.asarray(jax.vmap(lambda key: oasis.beside(key, 3, jnp.float32(2)))(jax.random.split(KEY, 500)))
    assert (((outside > -1) & (outside <= 0)) | ((outside >= 2) & (outside < 3))).all()
    assert abs((outside > 1).mean() - 0.5) < 0.07


# Scripts, statistics, the interface -----------------------------------------------------------------------------------


def followed(names, games=16):
    env = Oasis(identity_size=0, end_chance=0.0, length=150)
    parts = [env.script(name)[1] for name in names]

    def act(key, memory, observation):
        done = [act((), observation.view[..., k, :])[0] for k, act in enumerate(parts)]
        return tuple(jnp.stack(x, -1) for x in zip(*done, strict=True)), memory, {}

    @jax.jit
    def run(key):
        steps = rollout.collect_episodes(key, env, act, rollout.start(key, env, (), games))
        return env.summary(steps.reward, steps.info, steps.valid) | {"return": steps.reward.sum(0)}

    return {name: np.asarray(x).mean(0) for name, x in run(KEY).items()}


def test_what_scripts_do():
    """Three that share starve together, all at about the same time; one that fights lives off what it drives away."""
    peace, war = followed(("grazer",) * 3), followed(("fighter", "grazer", "grazer"))
    assert peace["ate"].min() > 0.3
    assert peace["hit"].max() == 0
    assert peace["deaths"] > 1  # 2.7 for three is too little
    assert war["hit"][0] > 0.02
    assert war["alive"][0] > 0.9 > war["alive"][1:].max()
    assert war["return"][0] > war["return"][1:].max() + 50


def test_statistics_by_hand():
    died = np.zeros((4, 2, 3))
    died[0, 0, 1] = died[2, 0, 1] = died[3, 0, 2] = died[1, 1, 0] = 1
    info = {"died": jnp.asarray(died)} | {name: jnp.ones((4, 2, 3)) for name in ("alive", "ate", "attacks", "hit")}
    found = ENV.summary(info["died"], info, jnp.ones((4, 2), bool))
    wanted = {
        "deaths": [3, 1], "most_deaths": [2, 1], "least_deaths": [0, 0], "dead_agents": [2, 1],
        "only_one_died": [0, 1], "deaths_of_others": [1, 0], "deaths_deviation": [math.sqrt(2 / 3), math.sqrt(2) / 3],
    }  # fmt: skip
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)


def test_the_interface():
    checking.check(Oasis(identity_size=1, length=4))
    env = Oasis()
    assert env.spec.action == MultiDiscrete((11, 11, 11, 3, 2), pointer=4)
    assert Preferences(env).spec.view.size == 33 + 2 + 2 * (31 + 4)
    counts = env.counts(actions((ATTACK, EAT, NOTHING)))
    assert counts[4].tolist() == [True, False, False]
    assert all(x.all() for x in counts[:4])


def test_what_is_seen():
    state = placed([[1, 2], [3, 4], [5, 6]], food=(0.5, 0.25), time=jnp.int32(7), worth=jnp.float32(2.5))
    seen = ENV.observation(state)
    assert seen.state.shape == (ENV.spec.state.size,)
    own, first = np.asarray(seen.view[1][:19]), np.asarray(seen.view[1][19:36])
    np.testing.assert_allclose(own[:9], [3, 4, 0, 0, 0, 0, 20, 0, 1])
    np.testing.assert_allclose(own[9:13], 0)
    np.testing.assert_allclose(own[13:15], state.identity[1])
    np.testing.assert_allclose(own[15:], [7, 0.5, 0.25, 2.5])
    np.testing.assert_allclose(first[:2], [1, 2])  # agent 0 comes first for agent 1
    np.testing.assert_allclose(first[13:15], state.identity[0])


def test_plain_jit_and_vmap_agree():
    assert_plain_jit_and_vmap_agree(ENV, actions((EAT, ATTACK, NOTHING), (0, 1, 0), x=10), KEY, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("clock", [True, False])
def test_the_clock(clock):
    env = Oasis(length=1, end_chance=0.0, clock_terminates=clock)
    _, timestep = jax.jit(lambda key: env.step(key, env.reset(key)[0], actions(NOTHING)))(KEY)
    assert (bool(timestep.terminated), bool(timestep.truncated)) == (clock, not clock)


def test_pictures():
    state = jax.tree.map(np.asarray, placed([[1, 1], [3, 3], [5, 5]], food=(2.0, 2.0)))
    picture = ENV.draw(state, 120)
    assert (picture.shape, picture.dtype) == ((120, 120, 3), np.uint8)
    hit = np.zeros((3, 3), bool)
    hit[0, 1] = True
    changed = (ENV.draw(state._replace(hits=hit), 120) != picture).any(-1)
    assert changed.any()
    rows, columns = np.nonzero(changed)
    assert 40 < rows.min() <= rows.max() < 80  # around agent 1, in the middle
    assert 40 < columns.min() <= columns.max() < 80
    dark = ENV.draw(state._replace(since=np.array([5, 1000, 1000])), 120)
    assert (dark != picture).any()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"least_side": 7.0}, "least_side 7.0 is above most_side 6.0"),
        ({"least_food": 3.0}, "least_food 3.0 is above most_food 2.7"),
        ({"agents": 9}, "9 agents find no room on a floor of 1.5"),
    ],
)
def test_bad_options(options, problem):
    with pytest.raises(ValueError, match=problem):
        Oasis(**options)
