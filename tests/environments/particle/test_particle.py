"""The particle tasks: physics and rewards by hand, padding, statistics, and the returns of uniformly random play."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import checking
from comity.environments import TASKS
from comity.environments.particle import cooperative_communication as communication
from comity.environments.particle import cooperative_navigation as navigation
from comity.environments.particle import physical_deception as deception
from comity.environments.particle import predator_prey, world
from comity.environments.particle.cooperative_communication import CooperativeCommunication
from comity.environments.particle.cooperative_navigation import CooperativeNavigation
from comity.environments.particle.physical_deception import PhysicalDeception
from comity.environments.particle.predator_prey import PredatorPrey
from comity.recipes import find_task
from comity.spec import Box

KEY = jax.random.key(0)
NAMES = ("cooperative-navigation", "cooperative-communication", "physical-deception", "predator-prey")
GAMES: tuple[Any, ...] = (CooperativeNavigation, CooperativeCommunication, PhysicalDeception, PredatorPrey)


def points(*places: tuple[float, float]) -> jax.Array:
    return jnp.array(places, jnp.float32)


# Physics --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("physics", ["classic", "farama"])
def test_names_say_where_numbers_pull(physics):
    way = {"stay": (0, 0), "left": (-1, 0), "right": (1, 0), "down": (0, -1), "up": (0, 1)}
    for k, name in enumerate(world.names_of("continuous", physics)):
        pull = world.pushes(jnp.where(jnp.arange(5) == k, 1.0, -1.0)[None], physics, "continuous")
        np.testing.assert_array_equal(pull[0], way[name])
    for k, name in enumerate(world.names_of("discrete", physics)):
        np.testing.assert_array_equal(world.pushes(jnp.array([k]), physics, "discrete")[0], way[name])


def seen_as(env: Any, agent: int, state: Any, observation: Any) -> dict[str, float]:
    """What an agent sees, by the names of the numbers."""
    names = env.spec.view.names
    names = names[agent] if isinstance(names[0], tuple) else names
    return dict(zip(names, observation.view[agent].tolist(), strict=True))


def test_names_of_what_is_seen():
    env = CooperativeNavigation()
    state, observation = env.reset(KEY)
    seen = seen_as(env, 1, state, observation)
    away = state.landmarks[2] - state.position[1]
    assert seen["to landmark 2, y"] == pytest.approx(float(away[1]))
    assert seen["to other 2, x"] == pytest.approx(float(state.position[2, 0] - state.position[1, 0]))
    hunt = PredatorPrey()
    state, observation = hunt.reset(KEY)
    state = state._replace(velocity=state.velocity.at[-1].set(jnp.array([0.25, -0.5])))
    seen = seen_as(hunt, 0, state, hunt.observation(state))
    assert (seen["speed of the prey, x"], seen["speed of the prey, y"]) == (0.25, -0.5)
    assert seen["to other 3, x"] == pytest.approx(float(state.position[3, 0] - state.position[0, 0]))
    hide = PhysicalDeception()
    state, observation = hide.reset(KEY)
    good, adversary = (seen_as(hide, agent, state, observation) for agent in (1, 0))
    goal = int(state.goal)
    assert good["to the goal, x"] == good[f"to landmark {goal}, x"] != good[f"to landmark {1 - goal}, x"]
    assert "to the goal, x" not in adversary
    assert adversary["to landmark 1, y"] == pytest.approx(float(state.landmarks[1, 1] - state.position[0, 1]))
    talk = CooperativeCommunication()
    state, observation = talk.reset(KEY)
    speaker = seen_as(talk, 0, state, observation)
    colours = [speaker[f"{colour} of the goal"] for colour in ("red", "green", "blue")]
    assert int(np.argmax(colours)) == int(state.goal)


def test_a_push_from_rest():
    """Gain 5, 0.1 of time: velocity 0.5; classic moves by it at once, farama one step later."""
    here, still, force = points((0, 0)), points((0, 0)), points((5, 0))
    classic, farama = ("classic", "farama")
    place, velocity = world.moved(here, still, force, classic)
    np.testing.assert_allclose(velocity[0], [0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(place[0], [0.05, 0], rtol=1e-6)
    place, velocity = world.moved(here, still, force, farama)
    np.testing.assert_allclose(velocity[0], [0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(place[0], [0, 0])
    place, velocity = world.moved(place, velocity, still, farama)
    np.testing.assert_allclose(velocity[0], [0.375, 0], rtol=1e-6)  # a quarter is lost
    np.testing.assert_allclose(place[0], [0.05, 0], rtol=1e-6)
    place, velocity = world.moved(*world.moved(here, still, force, classic), still, classic)
    np.testing.assert_allclose(place[0], [0.0875, 0], rtol=1e-6)


def test_speed_limits():
    """Without one, pushes of 4 end at 4 * 0.1 / 0.25 = 1.6."""
    velocity, limit = points((1.5, 0), (0.3, -0.4), (0, 0)), jnp.array([1.3, 0.4, 1.0])
    _, after = world.moved(jnp.zeros((3, 2)), velocity, points((4, 0), (0, 0), (0, 0)), "classic", limit)
    np.testing.assert_allclose(after, [[1.3, 0], [0.225, -0.3], [0, 0]], rtol=1e-6)  # 1.525 -> 1.3, 0.375 < 0.4
    _, free = world.moved(jnp.zeros((3, 2)), velocity, points((4, 0), (0, 0), (0, 0)), "classic")
    np.testing.assert_allclose(free[0], [1.525, 0], rtol=1e-6)


def test_contact_forces():
    size = jnp.array([0.15, 0.15], jnp.float32)
    at = lambda x: world.contact_forces(points((0, 0), (x, 0)), size)  # noqa: E731
    np.testing.assert_allclose(at(0.3), [[-0.0693147, 0], [0.0693147, 0]], rtol=1e-3)  # 100 * 0.001 log 2
    np.testing.assert_allclose(at(0.2), [[-10, 0], [10, 0]], rtol=1e-5)  # 0.1 deep
    np.testing.assert_allclose(at(0.301)[1, 0], 0.0313262, rtol=1e-3)  # 0.1 log(1 + 1 / e)
    assert (at(0.5) == 0).all()
    assert (at(0.0) == 0).all()  # no direction
    slanted = world.contact_forces(points((0, 0), (0.12, 0.16)), size)
    np.testing.assert_allclose(slanted, [[-6, -8], [6, 8]], rtol=1e-5)
    three = world.contact_forces(points((0, 0), (0.2, 0), (-0.2, 0)), jnp.full(3, 0.15))
    np.testing.assert_allclose(three, [[0, 0], [10, 0], [-10, 0]], atol=1e-5)


def test_obstacles_push_and_are_not_pushed():
    place, size = points((0, 0), (2, 0)), jnp.array([0.05, 0.075], jnp.float32)
    found = world.contact_forces(place, size, points((0.2, 0), (2, -0.25)), 0.2)
    np.testing.assert_allclose(found, [[-5, 0], [0, 2.5]], rtol=1e-4)


def test_pushes():
    discrete = world.pushes(jnp.arange(6), "classic", "discrete")
    assert discrete.tolist() == [[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1], [0, 0]]
    assert (world.pushes(jnp.arange(6), "farama", "discrete") == discrete).all()
    numbers = jnp.array([[1.0, 1.0, -1.0, 0.5, -0.5], [-1.0, -3.0, 3.0, 0.0, 0.0]])
    farama = [[-1, -0.5], [1, 0]]  # [0, 1]^5: (1, 1, 0, 0.75, 0.25) and, cut, (0, 0, 1, 0.5, 0.5)
    np.testing.assert_allclose(world.pushes(numbers, "farama", "continuous"), farama)
    np.testing.assert_allclose(world.pushes(numbers, "classic", "continuous"), -np.array(farama))


def test_others_in_their_order():
    pairs = jnp.arange(16).reshape(4, 4)
    wanted = [[1, 2, 3], [4, 6, 7], [8, 9, 11], [12, 13, 14]]
    assert world.without_self(pairs).tolist() == wanted
    assert world.without_self(pairs[..., None]).tolist() == [[[x] for x in row] for row in wanted]
    assert world.without_self(jnp.zeros((1, 1, 2))).shape == (1, 0, 2)


# Rewards --------------------------------------------------------------------------------------------------------------


def stayed(game: Any, state: Any) -> Any:
    """The timestep after nothing was done, to agents at rest that touch nobody or hardly."""
    return game.step(KEY, state, jnp.zeros(game.spec.agents, jnp.int32))[1]


@pytest.mark.parametrize(
    ("options", "paid"),
    [
        ({}, [-1.5 - 4] * 3),  # S = 0 + 0.5 + 1, two pairs overlap
        ({"reward": "classic"}, [-3 * 1.5 - 4 - 3] * 3),
        ({"reward": "farama"}, [-0.75 - 0.5, -0.75 - 1, -0.75 - 0.5]),  # the middle one overlaps two
        ({"reward": "farama", "local_share": 0.0}, [-1.5] * 3),
        ({"reward": "farama", "local_share": 1.0}, [-1, -2, -1]),
    ],
)
def test_navigation_pays(options, paid):
    game = CooperativeNavigation(physics="farama", **options)  # farama: places do not change in the first step
    places = points((0, 0), (0.29, 0), (0.58, 0))
    state = navigation.State(places, jnp.zeros((3, 2)), points((0, 0), (0.29, 0.5), (-1, 0)), jnp.int32(0))
    timestep = stayed(game, state)
    np.testing.assert_allclose(timestep.reward, paid, rtol=1e-6)
    assert game.spec.mixed_motive == (options.get("reward") == "farama" and options.get("local_share") != 0.0)
    found = {name: float(x) for name, x in timestep.info.items()}
    assert found == pytest.approx({"distance": 1.5, "occupied": 1, "collisions": 2, "collisions_begun": 0})


def test_overlaps_that_begin():
    game = CooperativeNavigation(agents=2)
    going = points((0, 0), (-2, 0))
    state = navigation.State(points((0, 0), (0.4, 0)), going, jnp.zeros((2, 2)), jnp.int32(0))
    begun, overlaps = [], []
    for _ in range(6):
        state, timestep = game.step(KEY, state, jnp.zeros(2, jnp.int32))
        begun.append(int(timestep.info["collisions_begun"]))
        overlaps.append(int(timestep.info["collisions"]))
    assert begun == [1, 0, 0, 0, 0, 0]
    assert overlaps[:2] == [1, 1]
    assert overlaps[-1] == 0  # pushed apart


@pytest.mark.parametrize(("reward", "factor"), [("classic", 2), ("farama", 1)])
def test_communication_pays(reward, factor):
    game = CooperativeCommunication(reward=reward)
    places, landmarks = points((0.3, 0.3), (0, 0)), points((1, 0), (0, 0.1), (0.3, -0.4))
    state = communication.State(
        places, jnp.zeros((2, 2)), landmarks, jnp.int32(2), jnp.array([0.0, 1.0, 0.0]), jnp.int32(0)
    )
    seen = game.observation(state)
    np.testing.assert_allclose(seen.view[0], [0.15, 0.15, 0.65, *[0] * 8], rtol=1e-6)
    np.testing.assert_allclose(seen.view[1], [0, 0, 1, 0, 0, 0.1, 0.3, -0.4, 0, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(seen.state, [0, 0, 0, 0, 1, 0, 0, 0.1, 0.3, -0.4, 0, 0, 1, 0, 1, 0], rtol=1e-6)
    after, timestep = game.step(KEY, state, jnp.array([2, 0]))
    np.testing.assert_allclose(timestep.reward, [-0.25 * factor] * 2, rtol=1e-6)
    assert after.message.tolist() == [0, 0, 1]  # heard with the next view
    assert timestep.observation.view[1, 8:].tolist() == [0, 0, 1]
    assert (float(timestep.info["distance"]), float(timestep.info["goal_is_nearest"])) == (0.5, 0)


@pytest.mark.parametrize(
    ("kind", "action", "said"),
    [
        ("discrete", [1, 0], [0, 1, 0]),
        ("continuous", [[1.0, -1.0, 0.5, 1.0, -1.0], [0.0] * 5], [1, 0, 0.75]),
    ],
)
def test_speaker_s_actions_move_nobody(kind, action, said):
    game = CooperativeCommunication(actions=kind)
    state, seen = game.reset(KEY)
    after, _ = game.step(KEY, state, jnp.array(action))
    np.testing.assert_array_equal(after.position, state.position)
    assert after.message.tolist() == said
    assert seen.available.tolist() == [[True] * 3 + [False] * 2, [True] * 5]


@pytest.mark.parametrize(("reward", "adversary"), [("classic", -4), ("farama", -2)])
def test_deception_pays(reward, adversary):
    game = PhysicalDeception(reward=reward)
    state = deception.State(
        points((2, 1), (0, 0.5), (1, 1)), jnp.zeros((3, 2)), points((5, 5), (0, 1)), jnp.int32(1), jnp.int32(0)
    )
    np.testing.assert_allclose(stayed(game, state).reward, [adversary, 2 - 0.5, 2 - 0.5], rtol=1e-6)
    view = game.observation(state).view
    np.testing.assert_allclose(view[0], [3, 4, -2, 0, -2, -0.5, -1, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(view[1], [0, 0.5, 5, 4.5, 0, 0.5, 2, 0.5, 1, 0.5], rtol=1e-6)


PREY = (0.95, 0.3)  # leaves the field a little: 10 * 0.05


@pytest.mark.parametrize(
    ("options", "paid"),
    [
        ({}, [3 * (-0.1 * (0.05 + 0.12 + 0.5) + 20)] * 3),
        ({"reward": "prose"}, [-0.05 + 10] * 3),
        ({"reward": "classic"}, [20] * 3),
        ({"reward": "classic", "prey": "learns"}, [20, 20, 20, -20 - 0.5]),
    ],
)
def test_predators_are_paid(options, paid):
    game = PredatorPrey(physics="farama", obstacles=0, **options)
    x, y = PREY
    places = points((x - 0.05, y), (x, y + 0.12), (x + 0.3, y + 0.4), PREY)
    state = predator_prey.State(places, jnp.zeros((4, 2)), jnp.zeros((0, 2)), jnp.int32(0))
    timestep = stayed(game, state)
    np.testing.assert_allclose(timestep.reward, paid, rtol=1e-5)
    assert timestep.terminated
    assert game.spec.mixed_motive == ("prey" in options)


def test_what_it_costs_to_leave():
    place = jnp.array([0.0, 0.89, -0.95, 0.999, 1.0, -1.5, 2.0, 3.0, 60.0])
    wanted = [0, 0, 0.5, 0.99, 1, np.e, np.e**2, 10, 10]
    np.testing.assert_allclose(predator_prey.leaving(place), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("ends", [True, False])
def test_the_end_of_a_hunt(ends):
    game = PredatorPrey(predators=1, obstacles=0, capture_ends=ends, length=2, physics="farama")
    near, far = points((0, 0), (0.1, 0)), points((0, 0), (1, 0))
    step = jax.jit(game.step)
    for places, time, wanted in ((near, 0, (ends, False)), (far, 0, (False, False)), (far, 1, (False, True))):
        state = predator_prey.State(places, jnp.zeros((2, 2)), jnp.zeros((0, 2)), jnp.int32(time))
        _, timestep = step(KEY, state, jnp.zeros(1, jnp.int32))
        assert (bool(timestep.terminated), bool(timestep.truncated)) == wanted
    state = predator_prey.State(near, jnp.zeros((2, 2)), jnp.zeros((0, 2)), jnp.int32(1))
    _, timestep = step(KEY, state, jnp.zeros(1, jnp.int32))
    assert (bool(timestep.terminated), bool(timestep.truncated)) == (ends, not ends)  # never both


@pytest.mark.parametrize("terminates", [True, False])
def test_the_clock(terminates):
    over = [world.clock(jnp.int32(t), 3, terminates) for t in (2, 3)]
    assert [(bool(a), bool(b)) for a, b in over] == [(False, False), (terminates, not terminates)]


# Statistics -----------------------------------------------------------------------------------------------------------


def test_statistics():
    valid = jnp.array([[True, True], [True, True], [True, False]])
    column = lambda *xs: jnp.array(xs, jnp.float32)  # noqa: E731
    reward = jnp.ones((3, 2, 4))
    info = {"touches": column((0, 0), (0, 2), (1, 0)), "captures": column((0, 0), (0, 1), (1, 0))}
    info["distance"] = column((2, 3), (2, 1), (2, 0))
    found = PredatorPrey(length=3).summary(reward, info, valid)
    assert found["capture_steps"].tolist() == [3, 2]
    assert found["captured"].tolist() == [1, 1]
    assert found["distance"].tolist() == [2, 2]
    never = PredatorPrey(length=3).summary(reward, jax.tree.map(jnp.zeros_like, info), jnp.ones((3, 2), bool))
    assert (never["capture_steps"].tolist(), never["captured"].tolist()) == ([3, 3], [0, 0])

    info = {"distance": column((9, 9), (9, 0.12), (0.12, 9)), "goal_is_nearest": column((0, 0), (0, 1), (1, 0))}
    found = CooperativeCommunication().summary(reward, info, valid)
    np.testing.assert_allclose(found["final_distance"], [0.12, 0.12])
    assert [found[f"reach_{r}"].tolist() for r in (10, 15, 20)] == [[0, 0], [1, 1], [1, 1]]
    info["goal_is_nearest"] *= 0
    assert CooperativeCommunication().summary(reward, info, valid)["reach_20"].tolist() == [0, 0]

    info = {"good_distance": column((9, 9), (9, 0.1), (0.1, 9)), "adversary_distance": column((0, 0), (0, 0.1), (1, 0))}
    found = PhysicalDeception().summary(reward, info, valid)
    told = [found[name].tolist() for name in ("good_success", "adversary_success", "success_margin")]
    assert told == [[1, 1], [0, 1], [1, 0]]

    info = {name: column((1, 1), (2, 3), (6, 0)) for name in ("distance", "occupied", "collisions", "collisions_begun")}
    found = {name: x.tolist() for name, x in CooperativeNavigation().summary(reward, info, valid).items()}
    assert (found["distance"], found["final_distance"], found["occupied"]) == ([3, 2], [6, 3], [2, 1])
    assert (found["collisions"], found["reward_per_step"]) == ([9, 4], [1, 1])


# The interface --------------------------------------------------------------------------------------------------------

SHAPES = [  # game, agents, numbers in a view, in the state
    (CooperativeNavigation(), 3, 18, 18),
    (CooperativeNavigation(agents=1), 1, 6, 6),
    (CooperativeNavigation(agents=5), 5, 30, 30),
    (CooperativeNavigation(agents=6), 6, 36, 36),
    (CooperativeCommunication(), 2, 11, 16),
    (PhysicalDeception(), 3, 10, 18),
    (PhysicalDeception(good=3), 4, 14, 25),
    (PredatorPrey(), 3, 16, 20),
    (PredatorPrey(prey="learns"), 4, 16, 20),
]


@pytest.mark.parametrize(("game", "agents", "view", "state"), SHAPES)
def test_sizes(game, agents, view, state):
    assert (game.spec.agents, game.spec.action.n, game.spec.view.size, game.spec.state.size) == (agents, 5, view, state)
    start, seen = jax.eval_shape(game.reset, KEY)
    after, timestep = jax.eval_shape(game.step, KEY, start, jax.ShapeDtypeStruct((agents,), jnp.int32))
    assert (after, timestep.observation, timestep.reward.shape) == (start, seen, (agents,))
    assert (seen.view.shape, seen.state.shape, seen.available.shape) == ((agents, view), (state,), (agents, 5))


PLAYED = [
    CooperativeNavigation(length=4),
    CooperativeCommunication(actions="continuous", length=4),
    PhysicalDeception(clock_terminates=True, length=4),
    PredatorPrey(prey="learns", reward="classic", actions="continuous", length=4),
]


@pytest.mark.parametrize("game", PLAYED, ids=lambda game: f"{type(game).__name__}-{game.actions}")
def test_the_interface(game):
    checking.check(game)


@pytest.mark.parametrize("name", NAMES)
def test_profiles_and_names(name):
    assert name in TASKS
    source = find_task(name)
    assert next(iter(source.presets.values())) == {}
    for values in source.presets.values():
        game = source.thing(**values)
        assert len(game.spec.agent_colours) == game.spec.agents
        assert len(game.spec.agent_names) in (0, game.spec.agents)
        assert len(game.spec.action_names) == game.spec.action.n
        numbers = source.thing(**values, actions="continuous").spec
        assert (numbers.action, len(numbers.action_names)) == (Box(5), 5)


def test_bad_settings_are_refused():
    for make in GAMES:
        with pytest.raises(ValueError, match=r"physics 'farma' is not one of classic, farama; did you mean farama\?"):
            make(physics="farma")
        with pytest.raises(ValueError, match="length 0 is below 1"):
            make(length=0)
    with pytest.raises(ValueError, match=r"local_share 2\.0 is above 1"):
        CooperativeNavigation(local_share=2.0)


@pytest.mark.parametrize("make", GAMES, ids=NAMES)
def test_jit_vmap_and_plain_python_agree(make):
    game = make(physics="farama")

    @jax.vmap
    def start(key):
        state, _ = game.reset(key)
        # Close together, so that forces of contact count.
        return state._replace(position=0.2 * state.position), jnp.full(game.spec.agents, 1)

    keys = jax.random.split(KEY, 3)
    state, action = jax.jit(start)(keys)
    several = jax.jit(jax.vmap(game.step))(keys, state, action)
    one, each = jax.jit(game.step), [jax.tree.map(lambda x, k=k: x[k], (keys, state, action)) for k in range(3)]
    same = lambda a, b: jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-6), a, b)  # noqa: E731
    for k, inputs in enumerate(each):
        same(one(*inputs), jax.tree.map(lambda x, k=k: x[k], several))
    same(one(*each[0]), game.step(*each[0]))


PADDED: list[tuple[Any, int, int]] = [  # game, agent, where its zeros begin
    (CooperativeCommunication(), communication.SPEAKER, 3),
    (PhysicalDeception(), deception.ADVERSARY, 8),
    (PredatorPrey(prey="learns"), 3, 14),
]


@pytest.mark.parametrize(("game", "agent", "first"), PADDED)
def test_padding_is_zeros(game, agent, first):
    state, _ = game.reset(KEY)
    view = game.observation(state._replace(velocity=jnp.ones_like(state.velocity))).view[agent]
    assert (view[:first] != 0).all()
    assert (view[first:] == 0).all()
    assert len(view) > first


# Random play ----------------------------------------------------------------------------------------------------------

EPISODES = 1500
RANDOM: list[tuple[Any, int, dict[str, tuple[float, float, int]]]] = [
    # game, steps, statistic: (mean, rounding, episodes it was recorded from). Specification of the tasks.
    (
        CooperativeNavigation(reward="classic"),
        25,
        {"distance": (2.06, 0.005, 4000), "collisions": (0.85, 0.005, 4000)},
    ),
    (
        CooperativeNavigation(reward="classic"),
        200,
        {"distance": (3.19, 0.005, 4000), "collisions": (2.7, 0.05, 4000), "reward_per_step": (-12.6, 0.05, 4000)},
    ),
    (
        CooperativeNavigation(reward="classic", agents=5),
        200,
        {"distance": (4.14, 0.005, 4000), "collisions": (8.8, 0.05, 4000), "reward_per_step": (-25.8, 0.05, 4000)},
    ),
    (CooperativeNavigation(agents=6), 25, {"distance": (2.91, 0.005, 4000), "collisions": (4.38, 0.005, 4000)}),
    (
        CooperativeNavigation(physics="farama"),
        25,
        {"distance": (2.08, 0.005, 4000), "collisions": (1.22, 0.005, 4000)},
    ),
    (
        CooperativeNavigation(physics="farama", agents=6),
        25,
        {"distance": (3.06, 0.005, 4000), "collisions": (6.28, 0.005, 4000)},
    ),
    (
        CooperativeCommunication(),
        25,
        {
            "final_distance": (1.26, 0.005, 4000),
            "reach_10": (0.005, 0.0005, 4000),
            "reach_15": (0.010, 0.0005, 4000),
            "reach_20": (0.018, 0.0005, 4000),
        },
    ),
    (PhysicalDeception(), 25, {"good_success": (0.026, 0.0005, 4000), "adversary_success": (0.010, 0.0005, 4000)}),
    (PredatorPrey(), 200, {"capture_steps": (142, 0.5, 150), "captured": (0.39, 0.005, 150)}),
]


def episodes_of(game: Any, act: Any) -> Any:
    """(reward, info, valid), leaves [T, B, ...], of many episodes. act: (view [B, N, V], drawn actions [B, N])."""

    def play(key):
        key_start, key_act, key_step = jax.random.split(key, 3)
        drawn = jax.random.randint(key_act, (game.spec.length, EPISODES, game.spec.agents), 0, game.spec.action.n)
        state, seen = jax.vmap(game.reset)(jax.random.split(key_start, EPISODES))

        def step(carry, inputs):
            state, view, over = carry
            drawn, key = inputs
            state, timestep = jax.vmap(game.step)(jax.random.split(key, EPISODES), state, act(view, drawn))
            zeroed = jax.tree.map(lambda x: jnp.where(over, 0, x), timestep.info)
            ended = over | timestep.terminated
            return (state, timestep.observation.view, ended), (timestep.reward, zeroed, ~over)

        start = state, seen.view, jnp.zeros(EPISODES, bool)
        return jax.lax.scan(step, start, (drawn, jax.random.split(key_step, game.spec.length)))[1]

    return jax.jit(play)(jax.random.key(5))


@cache
def random_episodes(game: Any) -> Any:
    return episodes_of(game, lambda view, drawn: drawn)


@pytest.mark.parametrize(("game", "steps", "wanted"), RANDOM)
def test_random_play_gives_the_table(game, steps, wanted):
    length = max(other for one, other, _ in RANDOM if one == game)  # an episode of 200 steps begins as one of 25
    played = random_episodes(dataclasses.replace(game, length=length))
    reward, info, valid = jax.tree.map(lambda x: x[:steps], played)
    found = jax.tree.map(np.asarray, game.summary(reward, info, valid))
    for name, (mean, rounding, recorded) in wanted.items():
        error = found[name].std() * np.sqrt(1 / EPISODES + 1 / recorded)
        assert abs(found[name].mean() - mean) < 4 * error + rounding, (name, found[name].mean(), mean, error)


def test_predators_that_chase_need_ten_steps():
    """10.1 in 150 recorded episodes, and all prey is captured."""
    game = PredatorPrey()
    found = game.summary(*episodes_of(game, lambda view, drawn: predator_prey.chase(view, game.predators)))
    steps = np.asarray(found["capture_steps"])
    assert abs(steps.mean() - 10.1) < 4 * steps.std() * np.sqrt(1 / EPISODES + 1 / 150)
    assert found["captured"].mean() > 0.999


def test_a_team_that_shares_the_landmarks_out_covers_them():
    """Without learning: the figure that learners are held against."""
    game = CooperativeNavigation(length=60)
    found = game.summary(*episodes_of(game, lambda view, drawn: navigation.assigned(view, 3)))
    assert found["final_distance"].mean() < 0.12
    assert found["occupied"].mean() > 0.95
