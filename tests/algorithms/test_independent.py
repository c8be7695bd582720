"""REINFORCE, actor-critic and DQN with independent agents, against closed forms on bandits and on a chain."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms.policy_gradient import acktr, actor_critic, reinforce, trpo
from comity.algorithms.values import dqn
from comity.learning import policy_loss
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Timestep
from tests.tiny import learning
from tests.tiny.noise import Noise

KEY = jax.random.key(0)


@dataclass(frozen=True)
class Arms:
    """One state, one step, two arms; agent i is paid 1 for arm i, else 0.4. clock: the end is the clock's."""

    clock: bool = False

    @property
    def spec(self):
        return Spec(2, Vector(1), Discrete(2), 1, state=Vector(1))

    def observation(self):
        return Observation(jnp.ones((2, 1)), jnp.ones(1), jnp.ones((2, 2), bool))

    def reset(self, key):
        return (), self.observation()

    def step(self, key, state, action):
        over = jnp.bool_(not self.clock)
        return (), Timestep(self.observation(), jnp.where(action == jnp.arange(2), 1.0, 0.4), over, ~over, {})


@dataclass(frozen=True)
class Chain:
    """Five states in a row, left and right; 1 for the step into the last, which ends it. Two agents, a chain each; the
    episode ends with both of them at the end, who is there earlier earns nothing more."""

    length: int = 12

    @property
    def spec(self):
        return Spec(2, Vector(5), Discrete(2), self.length, state=Vector(1))

    def observation(self, place):
        return Observation(jax.nn.one_hot(place, 5), jnp.ones(1), jnp.ones((2, 2), bool))

    def reset(self, key):
        place = jax.random.randint(key, (2,), 0, 4)
        return (place, jnp.int32(0)), self.observation(place)

    def step(self, key, state, action):
        place, time = state
        after = jnp.where(place == 4, 4, jnp.clip(place + 2 * action - 1, 0, 4))
        reward = 1.0 * ((after == 4) & (place != 4))
        over = (after == 4).all()
        late = time + 1 >= self.length
        return (after, time + 1), Timestep(self.observation(after), reward, over, late & ~over, {})


def trained(module: Any, env: Any, updates: int, games: int = 16, **settings):
    """(algorithm, state, metrics of every update)."""
    algorithm = module.make(module.Config(**settings), env)
    return algorithm, *learning.trained(KEY, algorithm, env, updates, games, lambda _, metrics: metrics)


QUICK: dict[str, Any] = {"learning_rate": 0.01, "hidden": 8}
BANDITS = [
    (reinforce, QUICK),
    (actor_critic, {**QUICK, "steps": 1}),
    (trpo, {"hidden": 8}),
    (acktr, {"hidden": 8, "critic_steps": 2}),
    (dqn, {**QUICK, "capacity": 256, "target_period": 5, "explore_steps": 50.0}),
]


@pytest.mark.learn
@pytest.mark.parametrize(("module", "settings"), BANDITS, ids=lambda x: getattr(x, "__name__", "")[-12:])
def test_each_agent_finds_its_better_arm(module, settings):
    algorithm, state, _ = trained(module, Arms(), 150, **settings)
    action, _, notes = algorithm.act(KEY, state, algorithm.memory, Arms().observation(), False)
    np.testing.assert_array_equal(action, [0, 1])
    if module is dqn:  # and knows what they are worth
        np.testing.assert_allclose(notes["values"], [[1, 0.4], [0.4, 1]], atol=0.02)
    else:
        assert notes["probabilities"][[0, 1], [0, 1]].min() > 0.9


@pytest.mark.parametrize(("baseline", "share"), [("others", 1.0), ("none", 1.0), ("mean", 2 / 3)])
def test_the_expected_gradient_of_two_arms_is_the_exact_one(baseline, share):
    """All plays of three games, weighed by their probability; the batch's own mean shortens the gradient by 1 / B."""
    logits, pays, games = jnp.array([0.3, -0.4]), np.array([1.0, 0.4]), 3
    config = reinforce.Config(baseline=baseline)
    probs = np.asarray(jax.nn.softmax(logits))
    steps = rollout.shapes(Arms(), lambda key, memory, observation: (jnp.zeros((1, 2), jnp.int32), (), {}), ())
    valid, ended = jnp.ones((1, games), bool), jnp.ones((1, games), bool)

    def gradient(arms):
        reward = jnp.asarray(pays[list(arms)])[None, :, None]
        play = steps._replace(reward=reward, valid=valid, terminated=ended, truncated=~ended)
        advantage = reinforce.above(config, play, None)[1]
        log_probs = lambda z: jax.nn.log_softmax(z)[jnp.array(arms)][None, :, None]  # noqa: E731
        return -jax.grad(lambda z: policy_loss(log_probs(z), advantage, valid).sum())(logits)

    plays = list(product(range(2), repeat=games))
    mean = sum(np.prod(probs[list(arms)]) * np.asarray(gradient(arms)) for arms in plays)
    exact = jax.grad(lambda z: jax.nn.softmax(z) @ jnp.asarray(pays))(logits)
    np.testing.assert_allclose(mean, share * np.asarray(exact), atol=1e-6)


def test_returns_above_the_others_by_hand():
    reward = jnp.array([[1.0, 4.0], [2.0, 100.0]])[..., None]  # [T, B, N], the second game ends with its first step
    valid = jnp.array([[True, True], [True, False]])
    assert reinforce.baseline_of(reward, valid, "others").tolist() == [[4.0], [1.5]]
    np.testing.assert_allclose(reinforce.baseline_of(reward, valid, "mean"), [7 / 3])
    assert reinforce.baseline_of(reward[:, :1], valid[:, :1], "others").tolist() == [[0.0]]  # nobody else


@pytest.mark.parametrize("clock", [False, True])
def test_a_critics_target_goes_on_behind_the_clock_alone(clock):
    """At gamma 0.5 the better arm is worth 1, or, when only the clock ends it, 2."""
    env = Arms(clock)
    settings = {**QUICK, "steps": 1, "gamma": 0.5, "entropy_coefficient": 0.0}
    _, _, told = trained(actor_critic, env, 400, **settings)
    by_hand = actor_critic.one_step_targets(
        actor_critic.Config(gamma=0.5),
        rollout.shapes(env, lambda key, memory, observation: (jnp.zeros((1, 2), jnp.int32), (), {}), ())._replace(
            reward=jnp.ones((1, 1, 2)), terminated=jnp.array([[not clock]])
        ),
        (jnp.full((1, 1, 2), 3.0), jnp.full((1, 1, 2), 8.0)),
    )
    assert by_hand[0].tolist() == [[[5.0 if clock else 1.0] * 2]]
    assert by_hand[1].tolist() == [[[2.0 if clock else -2.0] * 2]]
    assert float(told["critic_loss"][-1]) < 1e-3


def test_a_chain_has_its_exact_values():
    """Q*(s, right) = gamma^(3 - s), Q*(s, left) = gamma^(distance after it + 1), where all is explored."""
    settings = {"hidden": 32, "capacity": 1024, "explore_end": 1.0, "gamma": 0.8, "learning_rate": 3e-3}
    settings |= {"target_period": 20, "last_learning_rate": 3e-4, "learning_rate_steps": 1600.0}
    algorithm, state, _ = trained(dqn, Chain(), 400, **settings)
    view = jnp.broadcast_to(jnp.eye(5)[:4, None], (4, 2, 5))
    seen = Observation(view, jnp.ones((4, 1)), jnp.ones((4, 2, 2), bool))
    memory = jax.tree.map(lambda x: jnp.broadcast_to(x, (4, *x.shape)), algorithm.memory)
    values = algorithm.act(KEY, state, memory, seen, False)[2]["values"]  # [4, N, 2]
    right = 0.8 ** np.array([3, 2, 1, 0])
    left = 0.8 ** np.array([4, 4, 3, 2])
    exact = np.stack([left, right], -1)[:, None].repeat(2, 1)
    np.testing.assert_allclose(values, exact, atol=0.05)


def test_one_agents_rewards_change_nothing_of_anothers_step():
    """Each is clipped by the norm of its own gradient, so what the other was paid does not shorten its step."""
    env = Noise()
    config = dqn.Config(hidden=6, capacity=16, batch=16, warmup=4, updates=2, clip=0.1, tau=1.0, target_period=1)
    algorithm = dqn.make(config, env)
    state = algorithm.init(KEY)
    steps = rollout.collect(KEY, env, algorithm, state, rollout.start(KEY, env, algorithm.memory, 4))[1]
    update = jax.jit(algorithm.update)
    one = update(KEY, state, steps)[0]
    other = update(KEY, state, steps._replace(reward=steps.reward.at[..., 1].multiply(50.0)))[0]
    for x, y in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True):
        np.testing.assert_array_equal(x[0], y[0])
        assert (x[1] != y[1]).any()
    shared = dqn.make(replace(config, agents="shared"), env)
    assert all(x.ndim <= 2 for x in jax.tree.leaves(jax.eval_shape(shared.init, KEY).params))
