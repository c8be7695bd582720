"""ACKTR: the KL clip at every step of actors and critics, agents apart, and a matrix game with a known solution."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity import rollout
from comity.algorithms.policy_gradient import acktr
from comity.environments.matrix.matrix import Matrix
from comity.learning import kronecker
from comity.networks.watched import matrices
from tests.tiny.kinds import KINDS

KEY = jax.random.key(0)
TINY: dict[str, Any] = {"hidden": 5, "steps": 8, "critic_steps": 2}


def setting(kind: str, games: int = 16, **settings):
    """(config, algorithm, game, state and a rollout of it)."""
    env, config = KINDS[kind], acktr.Config(**{**TINY, **settings})
    algorithm = acktr.make(config, env)
    state = algorithm.init(KEY)
    play = rollout.start(KEY, env, algorithm.memory, games)
    return config, algorithm, env, state, rollout.collect(KEY, env, algorithm, state, play)[1]


def walked(config, before, after, curvature) -> np.ndarray:
    """step^T F step of what was walked: [N], or [1] of a shared network; F by numpy, whole blocks."""
    apart = np.ndim(curvature.weight) == 1
    of_each = (lambda tree, n: jax.tree.map(lambda x: np.asarray(x[n]), tree)) if apart else (lambda tree, n: tree)
    found = []
    for n in range(len(curvature.weight) if apart else 1):
        steps = [y - x for x, y in zip(*(of_each(matrices(net), n) for net in (before, after)), strict=True)]
        blocks = kronecker.damped_factors(acktr.rules(config, 1.0), of_each(curvature, n))
        found.append(sum(v.reshape(-1) @ np.kron(*block) @ v.reshape(-1)
                         for v, block in zip(map(np.asarray, steps), blocks, strict=True)))  # fmt: skip
    return np.asarray(found)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("heads", {"momentum": 0.9}),
        ("numbers", {"momentum": 0.9, "inverse_every": 3}),
        ("vector", {"actors": "shared"}),
    ],
)
def test_every_step_obeys_the_clip(kind, settings):
    """60 updates in a row with a rate that is never what ends a step: v^T F v is 2 delta, by numpy, of each network.
    What is measured, the policies' own KL, is within a few times delta."""
    config, algorithm, env, state, _ = setting(kind, learning_rate=1e5, critic_steps=1, limit=1e-3, **settings)

    def iterate(carry, key):
        state, play = carry
        play, steps = rollout.collect(key, env, algorithm, state, play)
        after, metrics = algorithm.update(key, state, steps)
        return (after, play), (after, metrics)

    @jax.jit
    def run(key):
        play = rollout.start(KEY, env, algorithm.memory, 16)
        return lax.scan(iterate, (state, play), jax.random.split(key, 60))[1]

    states, metrics = jax.device_get(run(KEY))
    at = lambda t: state if t < 0 else jax.tree.map(lambda x: x[t], states)  # noqa: E731
    for t in (*range(6), 20, 40, 59):
        sizes = walked(config, at(t - 1).actor, at(t).actor, at(t).actor_curvature)
        np.testing.assert_allclose(sizes, 2e-3, rtol=0.03, err_msg=str(t))
    np.testing.assert_allclose(metrics["kl_model"], 1e-3, rtol=1e-3)
    assert metrics["kl"].max() < 8e-3
    assert metrics["kl"].min() > 0
    sizes = walked(config, at(3).critic, at(4).critic, at(4).critic_curvature)
    most = 2 * metrics["critic_loss"][4]  # of one of two agents, if the mean of both is known
    assert (sizes <= 2 * config.critic_limit * most * 1.01).all()
    assert (sizes > 0).all()


def test_a_rate_that_falls_ends_every_step():
    """128 transitions a rollout: half of the way after one, nothing is walked after two; critics go on."""
    _, algorithm, _, state, steps = setting("vector", limit=1e3, momentum=0.0, rate_falls=True, rate_steps=256.0)
    update = jax.jit(algorithm.update)
    whole, half, none = (update(KEY, state._replace(updates=jnp.int32(n)), steps)[0] for n in range(3))
    way = lambda after: jax.tree.map(lambda x, y: np.asarray(x - y), after.actor, state.actor)  # noqa: E731
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6), way(half),
                 jax.tree.map(lambda x: x / 2, way(whole)))  # fmt: skip
    assert all((x == 0).all() for x in jax.tree.leaves(way(none)))
    assert any((x != y).any() for x, y in zip(*map(jax.tree.leaves, (none.critic, state.critic)), strict=True))


def test_agents_apart_do_not_meet():
    """What agent 1 was paid changes its own step, and nothing of agent 0's, its critic's included."""
    _, algorithm, _, state, steps = setting("vector")
    update = jax.jit(algorithm.update)
    one = update(KEY, state, steps)[0]
    other = update(KEY, state, steps._replace(reward=steps.reward.at[..., 1].multiply(-100.0)))[0]
    for x, y in zip(
        jax.tree.leaves((one.actor, one.critic)), jax.tree.leaves((other.actor, other.critic)), strict=True
    ):
        np.testing.assert_allclose(x[0], y[0], rtol=1e-5, atol=1e-6)
        assert (x[1] != y[1]).any()


def test_two_agents_find_the_best_entry_of_a_matrix():
    """5 in (A, A), which is the better action of each against a partner that chooses at random: 3 to 2.5, 3.5 to 2."""
    env = Matrix(payoff=(5.0, 1.0, 2.0, 3.0))
    algorithm = acktr.make(acktr.Config(hidden=8, steps=1), env)

    def iterate(carry, key):
        play, steps = rollout.collect(key, env, algorithm, *carry)
        return (algorithm.update(key, carry[0], steps)[0], play), steps.reward.mean()

    @jax.jit
    def run(key):
        carry = algorithm.init(key), rollout.start(key, env, algorithm.memory, 32)
        return lax.scan(iterate, carry, jax.random.split(key, 120))[1]

    paid = run(KEY)
    assert paid[0] < 3.5
    assert paid[-10:].mean() > 4.9
