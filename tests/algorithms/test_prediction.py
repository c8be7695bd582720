"""The head that predicts the others: its loss by hand, where its gradient goes, a game in which it is always right."""

from dataclasses import dataclass, replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity import rollout
from comity.algorithms.policy_gradient import pg, prediction
from comity.algorithms.ppo import ippo
from comity.networks import Linear
from comity.spec import Discrete, Spec, Vector
from comity.types import Observation, Timestep

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles fastest


@dataclass(frozen=True)
class Forced:
    """Everyone sees the same three bits and has one action; agent i's follows from them. Nothing is ever paid."""

    length: int = 4

    @property
    def spec(self):
        return Spec(agents=3, view=Vector(4), action=Discrete(3), length=self.length, state=Vector(1))

    def observe(self, key):
        bits = jax.random.bernoulli(key, shape=(3,)).astype(jnp.int32)
        action = (bits.sum() + jnp.arange(3) * bits[0]) % 3  # [N]
        view = jnp.concatenate([jnp.tile(2.0 * bits - 1, (3, 1)), jnp.ones((3, 1))], -1)
        return Observation(view, jnp.zeros(1), jnp.arange(3) == action[:, None])

    def reset(self, key):
        return jnp.int32(0), self.observe(key)

    def step(self, key, state, action):
        over = state + 1 >= self.length
        return state + 1, Timestep(self.observe(key), jnp.zeros(3), over, jnp.bool_(False), {})


ENV = Forced()
PG = pg.Config(hidden=8, predict="others", learning_rate=0.01, critic_schedule="batch", prediction_weight=1.0)
PPO = ippo.Config(hidden=8, encoder=(8,), predict="others", learning_rate=0.02, chunk=2, prediction_weight=1.0)
MADE = {
    "pg": pg.make(PG, ENV),
    "pg shared": pg.make(replace(PG, actors="shared", prediction_weight=0.0), ENV),
    "ippo": ippo.make(PPO, ENV),
}


@cache
def learned(name: str, updates: int):
    """(state before, state after, metrics [U])"""
    algorithm = MADE[name]

    @jax.jit
    def run(key):
        key_state, key_play, key_steps = jax.random.split(key, 3)
        first = algorithm.init(key_state)

        def step(carry, key):
            state, play = carry
            play, steps = rollout.collect(key, ENV, algorithm, state, play)
            state, metrics = algorithm.update(key, state, steps)
            return (state, play), metrics

        carry = (first, rollout.start(key_play, ENV, algorithm.memory, 16))
        (state, _), metrics = lax.scan(step, carry, jax.random.split(key_steps, updates))
        return first, state, metrics

    return run(KEY)


def test_loss_by_hand():
    """Two steps of which one is padding; three agents, two actions, a memory of one number."""
    random = np.random.default_rng(0)
    memories = random.normal(size=(2, 1, 3, 1))
    action = np.array([[[0, 1, 1]], [[0, 0, 0]]])
    valid = jnp.array([[True], [False]])
    head = jax.vmap(lambda k: Linear(k, 1, 4))(jax.random.split(KEY, 3))
    weight, bias = np.asarray(head.weight), np.asarray(head.bias)
    losses, right = prediction.prediction_loss(head, jnp.float32(memories), jnp.asarray(action), valid, True)
    for i in range(3):
        logits = (memories[0, 0, i] @ weight[i] + bias[i]).reshape(2, 2)
        theirs = [action[0, 0, (i + 1) % 3], action[0, 0, (i + 2) % 3]]
        logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        np.testing.assert_allclose(losses[i], -(logs[0, theirs[0]] + logs[1, theirs[1]]) / 2, rtol=1e-5)
        np.testing.assert_allclose(right[i], np.mean(logits.argmax(-1) == theirs), rtol=1e-6)


@pytest.mark.parametrize("name", ["pg", "ippo"])
def test_what_follows_from_the_own_view_is_predicted(name):
    """With one action available and nothing paid, only the prediction teaches the actor's encoder."""
    before, after, metrics = learned(name, 100)
    assert metrics["prediction_accuracy"][0] < 0.7
    assert metrics["prediction_accuracy"][-10:].min() == 1.0
    assert metrics["prediction_loss"][-1] < 0.1
    np.testing.assert_allclose(after.actor.head.weight, before.actor.head.weight, atol=1e-6)
    for leaf in (lambda net: net.cell.weight, lambda net: (net.encoder if name == "pg" else net.layers[0]).weight):
        assert np.abs(leaf(after.actor) - leaf(before.actor)).max() > 0.01


def test_a_weight_of_nothing_moves_nothing():
    before, after, metrics = learned("pg shared", 2)
    for x, y in zip(jax.tree.leaves(before.actor), jax.tree.leaves(after.actor), strict=True):
        np.testing.assert_array_equal(x, y)
    (predictor,) = before.terms
    assert predictor.head.weight.shape == (8, 2 * 3)
    assert metrics["prediction_loss"].shape == (2,)


def test_without_prediction_there_is_no_head():
    assert jax.eval_shape(pg.make(pg.Config(), ENV).init, KEY).terms == ()
    assert jax.eval_shape(ippo.make(ippo.Config(), ENV).init, KEY).predictor is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"predict": "other"}, "did you mean others"),
        ({"prediction_weight": -1.0}, "prediction_weight -1.0 is below 0: give a number of 0 or more"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        pg.Config(**settings)
    assert message in str(error.value)
