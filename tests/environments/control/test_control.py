"""Control tasks: Gymnasium's equations step by step, conserved quantities, walls and time limits, scripts."""

import math
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity import checking, rollout
from comity.environments.control import bodies
from comity.environments.control import cartpole as carts
from comity.environments.control import pendulum as pendulums
from comity.environments.control import point_mass as masses
from comity.environments.control import reacher as arms
from comity.spec import Box
from comity.types import Algorithm

KEY = jax.random.key(0)
GAMES = [
    pendulums.Pendulum(),
    masses.PointMass(),
    masses.PointMass(split=True),
    arms.Reacher(),
    arms.Reacher(split=True),
    carts.CartpoleSwingUp(),
]


def twice(x: Any) -> tuple[Any, Any]:
    """What a scan goes on with and what it tells."""
    return x, x


def played(env: Any, script: Any, games: int = 64, noise: float = 0.0):
    """Transition of whole episodes in which script(view [V]) gives all numbers."""
    shape = (env.spec.agents, env.spec.action.n)

    def act(key, memory, observation):
        action = jax.vmap(script)(observation.view[:, 0]).reshape(-1, *shape)
        return action + noise * jax.random.normal(key, action.shape), memory, {}

    run = lambda: rollout.collect_episodes(KEY, env, act, rollout.start(KEY, env, (), games))  # noqa: E731
    return jax.jit(run)()


@pytest.mark.parametrize("env", GAMES, ids=str)
def test_the_interface(env):
    assert isinstance(env.spec.action, Box)
    act = lambda key, state, memory, observation, explore=True: (jnp.zeros(observation.available.shape), memory, {})  # noqa: E731
    still = Algorithm(lambda key: (), act, lambda key, state, steps: (state, {}))
    checking.check(still, env)
    state, _ = env.reset(KEY)
    picture = env.draw(state)
    assert picture.dtype == np.uint8
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3


# Pendulum ------------------------------------------------------------------------------------------------------------


def test_a_pendulum_is_gymnasium_s():
    """200 random states and torques, beyond all limits, and a whole episode."""
    rng, inner = np.random.default_rng(0), gymnasium.make("Pendulum-v1").unwrapped
    inner.reset(seed=0)
    env = pendulums.Pendulum()
    step = jax.jit(env.step)
    for k in range(300):
        if k < 200:
            inner.state = rng.uniform(-8, 8, 2)  # pyright: ignore[reportAttributeAccessIssue]
            state = pendulums.State(*map(jnp.float32, inner.state), jnp.int32(0))  # pyright: ignore
        action = rng.uniform(-1.5, 1.5)
        view, reward, *_ = inner.step(np.array([2 * action]))
        state, timestep = step(KEY, state, jnp.array([[action]]))  # pyright: ignore[reportPossiblyUnboundVariable]
        np.testing.assert_allclose(timestep.observation.view[0], view, atol=2e-4)
        np.testing.assert_allclose(timestep.reward[0], float(reward), atol=2e-3)


def test_a_pendulum_starts_anywhere_and_is_stopped_by_the_clock():
    env = pendulums.Pendulum()
    angle, speed = (np.asarray(x) for x in jax.vmap(lambda k: env.reset(k)[0][:2])(jax.random.split(KEY, 2_000)))
    assert angle.min() < -3.1
    assert angle.max() > 3.1
    assert np.abs(speed).max() <= 1
    assert abs(angle.mean()) < 0.2
    assert abs(speed.std() - 1 / math.sqrt(3)) < 0.03
    steps = played(env, lambda view: jnp.zeros(1), 4)
    assert steps.truncated[-1].all()
    assert not steps.terminated.any()
    assert steps.ended.sum() == 4


def test_a_pendulum_is_pumped_up():
    """By energy, then held: better than -200 in the mean, which counts as solved; let alone it earns -1200."""

    def script(view):
        cos, sin, speed = view
        energy = speed**2 / 6 + 5 * cos - 5  # of the rod, J, 0 upright at rest
        pump = jnp.where(energy < 0, jnp.sign(speed), -0.3 * jnp.sign(speed))
        hold = -(12 * sin + 3 * speed)
        return jnp.where(cos > 0.9, hold, pump)[None]

    scripted, alone = (played(pendulums.Pendulum(), s).reward.sum(0).mean() for s in (script, lambda v: jnp.zeros(1)))
    assert scripted > -200
    assert alone < -1_000


# Point mass ----------------------------------------------------------------------------------------------------------


def test_a_push_by_hand():
    env = masses.PointMass()
    state = masses.State(jnp.array([0.0, 0.95]), jnp.array([0.2, 0.6]), jnp.array([0.5, 0.5]), jnp.int32(0))
    after, timestep = env.step(KEY, state, jnp.array([[0.5, 9.0]]))  # 9 counts as 1
    np.testing.assert_allclose(after.velocity, [0.2 + 0.1 * (1.0 - 0.1), 0.0], rtol=1e-6)  # the wall stops the second
    np.testing.assert_allclose(after.position, [0.029, 1.0], rtol=1e-6)
    np.testing.assert_allclose(timestep.reward, [-math.hypot(0.471, 0.5)], rtol=1e-6)
    np.testing.assert_allclose(timestep.observation.view[0], [0.029, 1, 0.29, 0, 0.471, -0.5], rtol=1e-5)


@pytest.mark.parametrize("module", [masses, arms])
def test_two_agents_move_the_body_that_one_moves(module):
    kind = {masses: masses.PointMass, arms: arms.Reacher}[module]
    one, two = kind(), kind(split=True)
    assert (one.spec.agents, one.spec.action.n, two.spec.agents, two.spec.action.n) == (1, 2, 2, 1)
    state, _ = one.reset(KEY)
    a, alone = one.step(KEY, state, jnp.array([[0.3, -0.7]]))
    b, both = two.step(KEY, state, jnp.array([[0.3], [-0.7]]))
    jax.tree.map(np.testing.assert_array_equal, a, b)
    np.testing.assert_array_equal(both.reward, jnp.repeat(alone.reward, 2))
    np.testing.assert_array_equal(both.observation.view, jnp.repeat(alone.observation.view, 2, 0))


def test_a_body_is_brought_to_its_place():
    """A spring and a brake: it is there for most of the time; let alone hardly ever."""
    steps = played(masses.PointMass(), lambda view: 4 * view[4:] - 3 * view[2:4])
    assert steps.info["there"][-1].mean() == 1
    assert steps.info["there"].mean() > 0.5
    assert played(masses.PointMass(), lambda view: jnp.zeros(2)).info["there"].mean() < 0.1


# Reacher -------------------------------------------------------------------------------------------------------------


def energy(angles, speeds):
    """J, by the places of both rods' middles, not by the matrix of inertia."""
    middle = lambda q: arms.HALF * jnp.stack([jnp.cos(q[0]), jnp.sin(q[0])])  # noqa: E731
    second = lambda q: arms.joint(q) + arms.HALF * jnp.stack([jnp.cos(q.sum()), jnp.sin(q.sum())])  # noqa: E731
    moves = [jax.jvp(place, (angles,), (speeds,))[1] for place in (middle, second)]
    turns = speeds[0], speeds.sum()
    return sum(0.5 * arms.MASS * v @ v + 0.5 * arms.INERTIA * w**2 for v, w in zip(moves, turns, strict=True))


def test_an_arm_obeys_lagrange():
    """M q'' + c = torque, with M and c from the energy by automatic derivatives; free, it keeps its energy."""
    rng = np.random.default_rng(0)

    @jax.jit
    def residual(angles, speeds, torques):
        found = arms.accelerations(angles, speeds, torques)
        momentum = jax.grad(energy, 1)
        change = jax.jvp(momentum, (angles, speeds), (speeds, found))[1]
        return change - jax.grad(energy)(angles, speeds) - torques

    for _ in range(20):
        given = (jnp.array(x, jnp.float32) for x in (rng.uniform(-3, 3, 2), rng.normal(0, 3, 2), rng.normal(size=2)))
        np.testing.assert_allclose(residual(*given), 0, atol=1e-4)
    env = arms.Reacher(friction=0.0)
    state = arms.State(jnp.array([0.3, 1.2]), jnp.array([2.0, -3.0]), jnp.zeros(2), jnp.int32(0))
    run = jax.jit(lambda s: lax.scan(lambda s, _: twice(env.step(KEY, s, jnp.zeros((1, 2)))[0]), s, None, 100)[1])
    after = run(state)
    kept = jax.vmap(energy)(after.angles, after.speeds)
    np.testing.assert_allclose(kept, energy(state.angles, state.speeds), rtol=2e-3)
    assert np.ptp(after.speeds[:, 0]) > 1  # while it whirls about


def test_what_an_arm_sees_and_pays():
    env = arms.Reacher()
    state = arms.State(jnp.array([0.0, jnp.pi / 2]), jnp.zeros(2), jnp.array([0.5, 0.1]), jnp.int32(0))
    view = arms.view_of(state)
    np.testing.assert_allclose(view, [1, 0, 0, 1, 0, 0, 0.5, 0.1, 0, -0.4], atol=1e-6)  # the tip is at (0.5, 0.5)
    _, timestep = env.step(KEY, state, jnp.zeros((1, 2)))
    np.testing.assert_allclose(timestep.reward, [-0.4], atol=1e-6)
    _, dear = env.step(KEY, state, jnp.array([[1.0, -1.0]]))
    tip = timestep.observation.view[0, 6:8] - dear.observation.view[0, 8:]
    np.testing.assert_allclose(dear.reward, [-np.linalg.norm(tip - state.target) - 0.01], atol=1e-6)
    targets = np.asarray(jax.vmap(lambda k: env.reset(k)[0].target)(jax.random.split(KEY, 500)))
    far = np.linalg.norm(targets, axis=-1)
    assert far.min() > 0.19
    assert far.max() < 0.99


def test_an_arm_finds_its_target():
    """Both joints are turned to where the tip is at the target, and braked."""

    def script(view):
        angles, (x, y) = jnp.arctan2(view[2:4], view[:2]), view[6:8]
        bend = jnp.arccos(jnp.clip((x**2 + y**2) / (2 * arms.LONG**2) - 1, -1, 1))
        aim = jnp.stack([jnp.arctan2(y, x) - bend / 2, bend])
        return 1.5 * bodies.turned(aim - angles) - 0.4 * view[4:6]

    steps = played(arms.Reacher(length=100), script)
    assert steps.info["there"][-1].mean() > 0.85
    assert played(arms.Reacher(), lambda view: jnp.zeros(2)).info["there"].mean() < 0.1


# Cart and pole -------------------------------------------------------------------------------------------------------


def test_a_cart_and_pole_are_gymnasium_s():
    """One step of the equations at 100 random states; Gymnasium's has the same constants and a force of 10."""
    rng = np.random.default_rng(0)
    inner = gymnasium.make("CartPole-v1", disable_env_checker=True).unwrapped
    inner.kinematics_integrator = "semi-implicit"  # pyright: ignore[reportAttributeAccessIssue]
    inner.reset(seed=0)
    for k in range(100):
        start = np.array([*rng.uniform(-1, 1, 2), rng.uniform(-0.2, 0.2) * (1 if k else 0), rng.normal()])
        inner.state = tuple(start)  # pyright: ignore[reportAttributeAccessIssue]
        way = int(rng.integers(2))
        wanted, *_ = inner.step(way)
        inner.steps_beyond_terminated = None  # pyright: ignore[reportAttributeAccessIssue]
        found = carts.pushed(jnp.array(start, jnp.float32), jnp.float32(10 * (2 * way - 1)), 0.02)
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_free_pole_keeps_its_energy():
    """Where no force works and no wall stands; of a rod whose middle moves with the cart."""

    def joules(moving):
        _, speed, angle, turning = moving
        pole = speed**2 + 2 * carts.HALF * speed * turning * jnp.cos(angle) + 4 / 3 * carts.HALF**2 * turning**2
        return 0.5 * carts.CART * speed**2 + 0.5 * carts.POLE * pole + carts.POLE * 9.8 * carts.HALF * jnp.cos(angle)

    move = jax.jit(lambda m: lax.scan(lambda m, _: twice(carts.pushed(m, jnp.float32(0), 1e-3)), m, None, 3_000)[1])
    path = move(jnp.array([0.0, 0.3, 1.0, -2.0]))
    kept = jax.vmap(joules)(path)
    assert np.ptp(kept) < 0.01 * float(jnp.abs(kept[0]) + 0.1)
    assert np.ptp(path[:, 2]) > 2  # while it swings


def test_walls_stop_the_cart_and_the_reward_is_known():
    env = carts.CartpoleSwingUp()
    state = carts.State(jnp.array([2.39, 5.0, jnp.pi, 0.0]), jnp.int32(0))
    after, timestep = env.step(KEY, state, jnp.ones((1, 1)))
    assert after.moving[0] == pytest.approx(2.4)
    assert after.moving[1] == 0
    assert timestep.reward[0] == pytest.approx((1 + float(jnp.cos(after.moving[2]))) / 2 * 0.5)
    top = carts.State(jnp.zeros(4), jnp.int32(0))
    assert env.step(KEY, top, jnp.zeros((1, 1)))[1].reward[0] == 1
    assert env.reset(KEY)[0].moving[2] == pytest.approx(math.pi, abs=0.051)


def test_a_pole_is_pumped_up_and_held():
    def script(view):
        place, speed, cos, sin, turning = view
        angle = jnp.arctan2(sin, cos)
        energy = (4 / 3 * carts.HALF**2 * turning**2 / 2 + 9.8 * carts.HALF * cos) / (9.8 * carts.HALF) - 1
        pump = 4 * energy * jnp.sign(turning * cos + 1e-6) - 0.3 * place - 0.1 * speed
        hold = 4 * angle + 0.8 * turning + 0.15 * place + 0.25 * speed
        return jnp.where((cos > 0.85) & (jnp.abs(turning) < 4), hold, pump)[None]

    steps = played(carts.CartpoleSwingUp(), script, 16)
    assert steps.info["upright"][-25:].mean() > 0.8
    assert steps.reward.sum(0).mean() > 100
    assert played(carts.CartpoleSwingUp(), lambda view: jnp.zeros(1), 16).reward.sum(0).max() < 1


def test_runge_kutta_is_of_fourth_order():
    """d x / dt = x for a second: half the interval, a sixteenth of the error."""
    wrong = [float(bodies.advanced(lambda x: x, jnp.float32(1.0), 2.0, parts)) - math.e**2 for parts in (2, 4)]
    assert 10 < wrong[0] / wrong[1] < 22
    turned = bodies.turned(jnp.array([0.0, 4.0, -4.0, 7.0]))
    np.testing.assert_allclose(turned, [0, 4 - 2 * np.pi, 2 * np.pi - 4, 7 - 2 * np.pi], atol=1e-5)
