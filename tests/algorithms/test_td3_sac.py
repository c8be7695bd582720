"""TD3 and SAC on bandits with known answers: the best action, the entropy of the best policy, its soft value; and their
parts: targets of the smaller twin, noise of a limited size, late actors."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms.off_policy import deterministic, deterministic_nets, sac, td3
from comity.algorithms.off_policy.ddpg import own_action
from comity.learning.actions import Point, actions
from comity.spec import Box, Discrete, Spec, Vector
from comity.types import Observation, Timestep
from tests.algorithms.test_deterministic import Bandit, greedy, trained

KEY = jax.random.key(0)
QUICK: dict[str, Any] = {"hidden": 32, "every": 16, "warmup": 64, "learning_rate": 3e-3, "critic_learning_rate": 3e-3}
COST, CENTRE = 10.0, 0.3  # of the Gaussian bandit: r = -10 (a - 0.3)^2


@dataclass(frozen=True)
class Gaussian:
    """One step that pays -c (a - 0.3)^2; where entropy weighs alpha, the best policy has variance alpha / (2 c)."""

    agents: int = 1

    @property
    def spec(self):
        return Spec(self.agents, Vector(2), Box(1), 1, state=Vector(1))

    def reset(self, key):
        return (), self.observation()

    def step(self, key, state, action):
        over = jnp.bool_(True)
        return (), Timestep(self.observation(), -COST * jnp.square(action[:, 0] - CENTRE), over, ~over, {})

    def observation(self):
        return Observation(jnp.ones((self.agents, 2)), jnp.ones(1), jnp.ones((self.agents, 1), bool))


def drawn(algorithm, state, env, count: int = 20_000):
    """[count, N] actions of play."""
    one = lambda key: algorithm.act(key, state, (), env.observation())[0][:, 0]  # noqa: E731
    return np.asarray(jax.vmap(one)(jax.random.split(jax.random.key(1), count)))


@pytest.mark.learn
@pytest.mark.parametrize("preset", ["sound", "ddpg"])
def test_every_agent_finds_its_own_best_action(preset):
    env = Bandit("target")
    settings = {**td3.PRESETS[preset], **QUICK, "tau": 0.05}
    algorithm, state, told = trained(td3, env, 400, **settings)
    np.testing.assert_allclose(greedy(algorithm, state, env)[:, 0], [0.6, -0.4], atol=0.08)
    assert float(told[2]["unseen"].sum()) == 0  # numbers that do not exist stay 0, those of the start, too


def test_the_policy_has_the_variance_of_the_best_one():
    """alpha 0.2, c 10: variance 0.01; and the value network knows its soft value, alpha log sqrt(pi alpha / c)."""
    env, alpha = Gaussian(), 0.2
    settings = {**QUICK, **sac.PRESETS["2018"], "hidden": 64, "alpha": alpha, "tau": 0.05}
    algorithm, state, _ = trained(sac, env, 800, **settings)
    found = drawn(algorithm, state, env)
    assert found.mean() == pytest.approx(CENTRE, abs=0.03)
    assert found.var() == pytest.approx(alpha / (2 * COST), rel=0.25)
    values = sac.values_of(sac.Config(hidden=64), nets_of(env, sac.Config(hidden=64)))
    value = values.call(state.added.value, env.observation().view)
    assert float(value[0, 0]) == pytest.approx(alpha * 0.5 * np.log(np.pi * alpha / COST), abs=0.06)


def test_the_limit_of_index_one_is_the_logarithm():
    log_prob = jnp.linspace(-6.0, 3.0, 50)
    assert (sac.q_log(log_prob, 1.0) == log_prob).all()
    np.testing.assert_allclose(sac.q_log(log_prob, 1.001), log_prob, atol=0.02)
    np.testing.assert_allclose(sac.q_log(log_prob, 2.0), jnp.exp(log_prob) - 1, rtol=1e-5)
    slope = jax.vmap(jax.grad(sac.q_log), (0, None))
    np.testing.assert_array_equal(slope(log_prob, 1.0), 1.0)  # so the losses are SAC's
    np.testing.assert_allclose(slope(log_prob, 1.5), jnp.exp(0.5 * log_prob), rtol=1e-5)
    with pytest.raises(ValueError, match=r"entropic_index 2\.0 has no wanted entropy: set alpha_moves to False"):
        sac.Config(entropic_index=2.0)


def nets_of(env, config, **member):
    kind = deterministic.Member(own_action, everyone=False, critics=2, **member)
    return deterministic_nets.nets_of(config, env.spec, kind)


def test_alpha_moves_until_the_entropy_is_the_wanted_one():
    """Each agent's own: -1 nat, at which alpha = 2 c var, var = exp(2 (-1)) / (2 pi e)."""
    env = Gaussian(agents=2)
    settings = {**QUICK, "hidden": 64, "alpha_learning_rate": 0.02, "tau": 0.05}
    algorithm, state, told = trained(sac, env, 900, **settings)
    assert float(told[1]["entropy"][-50:].mean()) == pytest.approx(-1.0, abs=0.15)
    variance = np.exp(-2.0) / (2 * np.pi * np.e)
    np.testing.assert_allclose(drawn(algorithm, state, env).var(0), variance, rtol=0.35)
    np.testing.assert_allclose(np.exp(state.added.log_alpha), 2 * COST * variance, rtol=0.4)


def test_choices_keep_a_share_of_the_largest_entropy():
    """Half of log 3 and of log 2: agent 1 has two actions only."""
    acts = actions(Discrete(3))
    seen = Observation(jnp.ones((1, 2, 1)), jnp.ones(1), jnp.array([[[True] * 3, [True, True, False]]]))
    nets: Any = type("Nets", (), {"acts": acts})()
    np.testing.assert_allclose(sac.wanted(sac.Config(), nets, seen)[0], [0.5 * np.log(3), 0.5 * np.log(2)], rtol=1e-6)
    policy = acts(jnp.zeros((1, 2, 3)), seen.available)
    vector, log_prob = policy.relaxed_and_log_prob(KEY, "softmax")
    np.testing.assert_allclose(vector[0, 1], [0.5, 0.5, 0])
    np.testing.assert_allclose(log_prob[0], [-np.log(3), -np.log(2)], rtol=1e-6)


@pytest.fixture(scope="module")
def stands():
    """(TD3's settings, nets, a state with two critics far apart, what was seen)."""
    env, config = Bandit("target"), td3.Config(hidden=8, smoothing=0.0, warmup=1)
    nets = nets_of(env, config)
    state = td3.make(config, env).init(KEY)
    view = 10 * jax.random.normal(KEY, (64, 2, 3))
    available = jnp.broadcast_to(env.observation().available, (64, 2, 2))
    return config, nets, state, Observation(view, jnp.ones((64, 1)), available)


def test_a_target_is_at_most_the_smaller_twin(stands):
    config, nets, state, seen = stands
    follows = deterministic.targets(config, nets, state, (KEY, KEY), seen)
    action = deterministic_nets.policies(nets, state.target_actors, seen)[0].mode()
    each = deterministic_nets.each_value(nets, KEY, state.target_critics, seen.view, action, action)
    assert each.shape == (64, 2, 2)
    np.testing.assert_allclose(follows, each.min(-1), rtol=1e-5)
    assert 0 < int((each[..., 0] < each[..., 1]).sum()) < 128  # each twin is the smaller one somewhere
    np.testing.assert_allclose(
        deterministic_nets.values(nets, KEY, state.critics, seen.view, action, action), each[..., 0], rtol=1e-6
    )  # targets begin as copies; actors climb the first


def test_what_follows_is_soft(stands):
    """SAC's target: the smaller twin's value of a draw by today's policy, minus alpha times its log-density."""
    env, config = Bandit("target"), sac.Config(hidden=8, alpha=0.3)
    nets, (_, _, _, seen) = nets_of(env, config, numbers="tanh-normal"), stands
    state = sac.make(config, env).init(KEY)
    state = state._replace(target_actors=jax.tree.map(lambda x: x + 1.0, state.target_actors))  # not to be asked
    keys = jax.random.split(KEY)
    policy = deterministic_nets.policies(nets, state.actors, seen)[0]
    action, log_prob = policy.sample_and_log_prob(keys[0])
    each = deterministic_nets.each_value(nets, keys[1], state.target_critics, seen.view, action, action)
    wanted = each.min(-1) - 0.3 * log_prob
    np.testing.assert_allclose(sac.target(config, nets, state, (keys[0], keys[1]), seen), wanted, rtol=1e-5)


def test_noise_of_a_target_is_limited():
    exists = jnp.array([True, True, False])
    point = Point(jnp.array([0.0, 0.9, 0.0]), exists)
    near = jax.vmap(lambda k: point.near(k, point.mode(), 0.2, 0.5))(jax.random.split(KEY, 20_000))
    assert float(jnp.abs(near[:, 0]).max()) == pytest.approx(0.5)
    assert float(near[:, 0].std()) == pytest.approx(0.2, abs=0.01)
    assert float(near[:, 1].max()) == 1.0
    assert float(jnp.abs(near[:, 2]).max()) == 0.0
    config = td3.Config()
    moved = td3.smoothed(config, KEY, point) - point.mode()
    assert 0 < float(jnp.abs(moved[0])) <= 0.5


def test_play_is_uniform_before_the_first_update():
    env = Bandit("target")
    algorithm = td3.make(td3.Config(hidden=8), env)
    state = algorithm.init(KEY)
    act = jax.jit(jax.vmap(partial(algorithm.act, explore=True), (0, None, None, None)))
    keys = jax.random.split(KEY, 4_000)
    before = act(keys, state, (), env.observation())[0]
    assert float(before[..., 0].std()) == pytest.approx(1 / np.sqrt(3), abs=0.02)
    assert float(jnp.abs(before[..., 1]).max()) == 0.0
    after = act(keys, state._replace(updates=jnp.int32(1)), (), env.observation())[0]
    assert float(after[:, 0, 0].std()) == pytest.approx(0.1, abs=0.01)
    greedy_one = algorithm.act(KEY, state, (), env.observation(), False)[0]
    np.testing.assert_array_equal(greedy_one[:, 1], 0)


@pytest.mark.parametrize(("module", "critic_steps"), [(td3, 2), (sac, 1)])
def test_one_agents_rewards_change_nothing_of_another(module, critic_steps):
    """And TD3's actors and targets are late: they move once for two steps of the critics."""
    env = Bandit("target")
    config = module.Config(hidden=6, steps=2, every=8, warmup=1, batch=16, capacity=64, clip_by="norm", clip=0.1)
    algorithm = module.make(config, env)
    state = algorithm.init(KEY)
    steps = rollout.collect(KEY, env, algorithm, state, rollout.start(KEY, env, (), 8))[1]
    update = jax.jit(algorithm.update)
    one = update(KEY, state, steps)[0]._replace(replay=())
    other = update(KEY, state, steps._replace(reward=steps.reward.at[..., 1].multiply(50.0)))[0]._replace(replay=())
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if x.ndim:
            np.testing.assert_allclose(x[0], y[0], rtol=1e-6)
    assert any((x[1] != y[1]).any() for x, y in zip(*map(jax.tree.leaves, (one.actors, other.actors)), strict=True))
    counts = [
        {int(x.max()) for x in jax.tree.leaves(opt_state) if x.dtype == jnp.int32}
        for opt_state in (one.actor_opt_state, one.critic_opt_state)
    ]
    assert counts == [{2}, {2 * critic_steps}]  # of 16 transitions
