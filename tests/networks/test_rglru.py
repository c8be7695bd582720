"""The linear recurrence as a core: all steps at once against numpy and single steps, restarts, every learner."""

import dataclasses
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms import ALGORITHMS
from comity.api import make
from comity.axes import aligned
from comity.networks.rglru import LinearRecurrence, LinearState, fresh_linear
from comity.recipes import find_algorithm, settings_of

T, B, WIDTH = 150, 4, 6
RANDOM = np.random.default_rng(0)
X = jnp.asarray(RANDOM.normal(size=(T, B, 3)), jnp.float32)
STARTS = jnp.zeros((T, B), bool).at[jnp.array([2, 70, 0, 149]), jnp.array([1, 1, 3, 2])].set(True)
NET = LinearRecurrence(jax.random.key(0), 3, WIDTH)
MEMORY = LinearState(jnp.asarray(RANDOM.normal(size=(B, WIDTH)), jnp.float32), jnp.array([[1.0], [1.0], [0.0], [1.0]]))
FRESH = jax.tree.map(lambda x: jnp.broadcast_to(x[0], (B, x.shape[-1])), fresh_linear(WIDTH, 1))


def one_by_one(net, x, memory, starts=STARTS):
    """What is read [T, B, H], a step at a time, restarts as play has them."""

    def step(memory, xs):
        x, restart = xs
        memory = jax.tree.map(lambda m: jnp.where(aligned(restart, m), 0.0, m), memory)
        read, memory = net.advance(x, memory)
        return memory, read

    return jax.lax.scan(step, memory, (x, starts))[1]


unroll = jax.jit(lambda net, x, memory, starts: net.unroll(x, memory, starts))
steps = jax.jit(one_by_one)


def by_hand(x, starts):
    """Equations 1 to 4 of De et al. 2024 in numpy, from MEMORY."""
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    unit = NET.recurrence
    block = lambda x, w: np.concatenate([x[:, :3] @ w[0], x[:, 3:] @ w[1]], -1)  # noqa: E731
    held, begun, read = np.asarray(MEMORY.memory, float), np.asarray(MEMORY.begun), []
    for x_t, start in zip(np.asarray(x, float), np.asarray(starts), strict=True):
        begun = np.where(start[:, None], 0.0, begun)
        into, gate = (x_t @ np.asarray(layer.weight) + np.asarray(layer.bias) for layer in (NET.inputs, NET.gate))
        r = sigmoid(block(into, np.asarray(unit.recurrence_gate)) + np.asarray(unit.recurrence_bias))
        i = sigmoid(block(into, np.asarray(unit.input_gate)) + np.asarray(unit.input_bias))
        a = np.exp(-8 * r * np.log1p(np.exp(np.asarray(unit.decay))))
        held = np.where(begun > 0, a * held + np.sqrt(1 - a**2) * i * into, i * into)
        begun = np.ones_like(begun)
        read.append(held * np.asarray(jax.nn.gelu(jnp.asarray(gate, jnp.float32))))
    return np.stack(read)


def test_all_at_once_is_numpy_step_by_step_with_restarts_inside():
    np.testing.assert_allclose(unroll(NET, X, MEMORY, STARTS), by_hand(X, STARTS), atol=1e-5)
    np.testing.assert_allclose(unroll(NET, X, MEMORY, None), by_hand(X, np.zeros((T, B), bool)), atol=1e-5)


def test_all_at_once_is_step_by_step_and_so_are_its_gradients():
    np.testing.assert_allclose(unroll(NET, X, MEMORY, STARTS), steps(NET, X, MEMORY), atol=1e-5)
    toward = jnp.asarray(RANDOM.normal(size=(T, B, WIDTH)), jnp.float32) / T
    loss = lambda f: jax.jit(jax.grad(lambda net, x, m: (f(net, x, m, STARTS) * toward).sum(), (0, 1, 2)))  # noqa: E731
    once, single = loss(unroll)(NET, X, MEMORY), loss(one_by_one)(NET, X, MEMORY)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), once, single)
    assert float(jnp.abs(once[2].memory[0]).max()) > 1e-3
    assert not once[2].memory[3].any()  # a start in the first step: nothing before it counts


def test_a_rollout_cut_in_two_goes_on_where_it_was():
    memory = MEMORY
    for x in X[:40]:
        memory = NET.advance(x, memory)[1]
    whole = unroll(NET, X, MEMORY, jnp.zeros_like(STARTS))
    np.testing.assert_allclose(unroll(NET, X[40:], memory, None), whole[40:], atol=1e-5)


def test_what_was_before_a_start_is_forgotten():
    first = unroll(NET, X, FRESH, STARTS)
    other = unroll(NET, X + (jnp.arange(T) < 2)[:, None, None], FRESH, STARTS)
    np.testing.assert_array_equal(first[2:, 1], other[2:, 1])
    assert (first[2:20, 0] != other[2:20, 0]).any()
    assert (first[:2, 1] != other[:2, 1]).any()
    alone = unroll(NET, X[70:], FRESH, None)  # an episode that starts inside is one that starts a rollout
    np.testing.assert_allclose(first[70:, 1], alone[:, 1], atol=1e-5)


def with_a_core():
    """Algorithms that have a setting `core`."""
    for name in ALGORITHMS:
        config = getattr(find_algorithm(name).thing, "Config", None)
        if config and "core" in {field.name for field in dataclasses.fields(config)}:
            yield name, config


def test_every_learner_that_has_a_core_can_have_this_one():
    names = [
        name for name, config in with_a_core() if "rg-lru" in typing.get_args(typing.get_type_hints(config)["core"])
    ]
    assert names == [name for name, _ in with_a_core()]
    assert {"pg", "ippo", "mappo", "coma", "iql", "qmix", "pqn", "a2c", "trpo", "liir"} <= set(names)


@pytest.mark.parametrize("name", ["pg", "ippo", "qmix", "a2c"])
def test_a_learner_of_each_family_plays_and_learns_with_it(name):
    env = make("repeated-matrix")
    source = find_algorithm(name)
    small = {"hidden": 4, "width": 4, "capacity": 8, "batch": 2, "warmup": 1, "encoder": (4,)}
    known = {field.name for field in dataclasses.fields(source.thing.Config)}
    settings = {key: value for key, value in small.items() if key in known}
    learner = source.thing.make(settings_of(source, "sound", "preset", {**settings, "core": "rg-lru"}), env)

    def iterate(key):
        state = learner.init(key)
        play = rollout.start(key, env, learner.memory, 2)
        _, steps = rollout.collect(key, env, learner, state, play)
        return learner.update(key, state, steps)

    _, metrics = jax.eval_shape(iterate, jax.random.key(0))
    assert metrics
