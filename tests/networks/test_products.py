"""Matrix products in bfloat16: what is rounded and what is not, unchanged results by default, and learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms.policy_gradient import pg
from comity.algorithms.ppo import ippo
from comity.algorithms.values import pqn, vdn
from comity.api import make
from comity.learning.actions import actions
from comity.networks import RecurrentNet, Team, fresh_core
from comity.networks.dense import product
from comity.spec import Discrete, Image, Vector
from comity.training.programs import programs

KEY = jax.random.key(0)
SMALL = {"hidden": 6}
LEARNERS = [
    (pg, SMALL),
    (ippo, {**SMALL, "encoder": (5,), "epochs": 1}),
    (vdn, {**SMALL, "capacity": 4, "warmup": 2, "batch": 2}),
    (pqn, {**SMALL, "encoder": (5,), "epochs": 1, "minibatches": 1}),
]


def traced(module, env, **settings):
    """An update, as a jaxpr, and the shapes of its state before and after."""
    learner = module.make(module.Config(**settings), env)

    def once(key):
        state = learner.init(key)
        play = rollout.start(key, env, learner.memory, 2)
        _, steps = rollout.collect(key, env, learner, state, play)
        return state, learner.update(key, state, steps)[0]

    return str(jax.make_jaxpr(once)(KEY)), *jax.eval_shape(once, KEY)


@pytest.mark.parametrize(("module", "settings"), LEARNERS, ids=[module.__name__ for module, _ in LEARNERS])
def test_products_are_rounded_when_asked_and_only_then(module, settings):
    env = make("repeated-matrix")
    program, before, _ = traced(module, env, **settings)
    assert "bf16" not in program
    rounded, *states = traced(module, env, **settings, products="bfloat16")
    assert "bf16" in rounded
    kinds = [jax.tree.map(lambda x: (x.shape, x.dtype), state) for state in (before, *states)]
    assert kinds[0] == kinds[1] == kinds[2]  # parameters, memories and moments stay float32
    sums = [line for line in rounded.splitlines() if "dot_general" in line and "= dot_general" in line]
    assert sums
    assert not [line for line in sums if ":bf16" in line.partition("=")[0]]  # what products give


def test_factors_are_rounded_and_sums_are_not():
    x, weight = jax.random.normal(KEY, (3, 2, 300)), jax.random.normal(jax.random.key(1), (300, 4))
    near = lambda x: np.asarray(x.astype(jnp.bfloat16).astype(jnp.float32), np.float64)  # noqa: E731
    found = product(x, weight.astype(jnp.bfloat16))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, near(x) @ near(weight), rtol=1e-5, atol=1e-4)
    assert np.abs(near(x) @ near(weight) - np.asarray(x, np.float64) @ np.asarray(weight, np.float64)).max() > 1e-2


@pytest.mark.parametrize("core", ["gru", "lstm", "rg-lru"])
@pytest.mark.parametrize("view", [Vector(5), Image(4, 5, 3)], ids=["vector", "image"])
def test_every_core_and_the_eyes_compute_with_little_loss(core, view):
    acts = actions(Discrete(3))

    def team_of(products):
        make_one = lambda key, inputs: RecurrentNet(key, inputs, 6, acts.size, core=core)  # noqa: E731
        return Team(make_one, 2, view, "separate", acts, fresh_core(core, 6, 2), width=7, products=products)

    exact, rounded = team_of("float32"), team_of("bfloat16")
    x = jax.random.randint(KEY, (4, 3, 2, *view.shape), 0, 9)
    net, memory = exact.init(KEY), exact.begin(3)

    def loss(team, net):
        outputs = team.unroll(net, x, memory)
        return jnp.square(outputs).sum(), outputs

    both = [jax.jit(jax.grad(lambda net, t=t: loss(t, net), has_aux=True))(net) for t in (exact, rounded)]
    (grads, outputs), (less, near) = both
    assert outputs.dtype == near.dtype == jnp.float32
    assert 1e-6 < np.abs(outputs - near).max() < 0.05
    for one, other in zip(jax.tree.leaves(grads), jax.tree.leaves(less), strict=True):
        assert other.dtype == jnp.float32
        assert np.linalg.norm(one - other) < 0.05 * np.linalg.norm(one) + 1e-3


def test_agents_find_the_safe_square_of_the_climbing_game_in_bfloat16():
    config = pg.Config(hidden=16, core="none", learning_rate=5e-3, critic_learning_rate=5e-3, products="bfloat16")
    one = programs(pg.make, config, make("matrix"), 32, 200, 8)
    carry, history, finite = jax.jit(one.chunk)(one.floats, KEY, np.int32(0), np.int32(200), one.init(one.floats, KEY))
    assert finite
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(carry.state.actor))
    assert history.by_name()["return"][0] < -3
    assert np.mean(history.by_name()["return"][-10:]) > -0.5
