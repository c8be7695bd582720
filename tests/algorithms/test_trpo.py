"""TRPO: bound and improvement at every step, the step against the exact natural gradient, independent agents."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.flatten_util import ravel_pytree

from comity import rollout
from comity.algorithms import actors
from comity.algorithms.policy_gradient import trpo
from comity.networks import RecurrentNet
from tests.tiny.kinds import KINDS, N

KEY = jax.random.key(0)
TINY: dict[str, Any] = {"hidden": 5, "steps": 8, "value_minibatches": 2}


def setting(kind: str, games: int = 16, **settings):
    """(config, team, actions, algorithm, game, state and a rollout of it)."""
    env, config = KINDS[kind], trpo.Config(**{**TINY, **settings})
    acts = actors.actions_of(config, env)
    new = lambda key, inputs: RecurrentNet(key, inputs, config.hidden, acts.size, config.activation, core="none")  # noqa: E731
    team = actors.team(config, env, acts, config.actors, new, jnp.zeros((N, 0)), config.hidden)
    algorithm = trpo.make(config, env)
    state = algorithm.init(KEY)
    play = rollout.start(KEY, env, algorithm.memory, games)
    steps = rollout.collect(KEY, env, algorithm, state, play)[1]
    return config, team, acts, algorithm, env, state, steps


def measure_of(team, acts, steps, actor, advantage):
    """`Local` of parameters, against the policy of `actor`."""
    before = jax.tree.map(lambda x: x[0], steps.memory)
    old = acts(team.unroll(actor, steps.observation.view, before), steps.observation.available)
    return partial(trpo.local, team, acts, lax.stop_gradient(old), steps, advantage)


@pytest.mark.parametrize(("kind", "settings"), [("heads", {}), ("numbers", {}), ("vector", {"actors": "shared"})])
def test_every_step_keeps_the_bound_and_improves(kind, settings):
    """100 updates in a row, each agent for itself; a shared actor over all of them. Choices climb noise alone: what is
    as good as certain improves by less than a float can tell."""
    config, team, acts, algorithm, env, state, _ = setting(kind, **settings)

    def iterate(carry, key):
        state, play = carry
        play, steps = rollout.collect(key, env, algorithm, state, play)
        advantage = jax.random.normal(key, steps.reward.shape) + (kind == "numbers") * steps.reward
        measure = measure_of(team, acts, steps, state.actor, advantage)
        actor, metrics = trpo.trust_step(config, team, state.actor, measure)
        return (state._replace(actor=actor), play), (measure(state.actor), measure(actor), metrics)

    @jax.jit
    def run(key):
        play = rollout.start(KEY, env, algorithm.memory, 16)
        return lax.scan(iterate, (state, play), jax.random.split(key, 100))[1]

    before, after, metrics = run(KEY)
    gain, kl = after.surrogate - before.surrogate, after.kl
    if not team.separate:
        gain, kl = gain.mean(-1), kl.mean(-1)
    assert (gain > 0).all()
    assert (kl <= 1.5 * config.limit).all()
    assert np.median(kl) > 0.5 * config.limit  # a step is not short for nothing
    np.testing.assert_allclose(before.kl, 0, atol=1e-6)
    np.testing.assert_allclose(metrics["surrogate_gain"], (after.surrogate - before.surrogate).mean(-1), atol=1e-6)


@pytest.mark.parametrize("kind", ["heads", "numbers"])
def test_a_step_is_the_exact_natural_gradients(kind):
    """Of each agent: sqrt(2 delta / x (F + c) x) x, x = (F + c)^-1 g, all of numpy and whole matrices."""
    settings = {"gradients": 60, "limit": 1e-5, "damping": 0.02, "hidden": 3}
    config, team, acts, _, _, state, steps = setting(kind, **settings)
    advantage = jax.random.normal(KEY, steps.reward.shape)
    measure = measure_of(team, acts, steps, state.actor, advantage)
    after, metrics = jax.jit(partial(trpo.trust_step, config, team, measure=measure))(state.actor)
    assert metrics["step_fraction"] == 1
    flat = jax.vmap(lambda one: ravel_pytree(one)[0])  # [N, P]
    unravel = jax.vmap(ravel_pytree(jax.tree.map(lambda x: x[0], state.actor))[1])
    mine = flat(state.actor)

    def of(n):
        """(gradient of the surrogate, Hessian of the KL) of one agent in its own parameters."""
        with_mine = lambda x: measure(unravel(mine.at[n].set(x)))  # noqa: E731
        gradient = jax.grad(lambda x: with_mine(x).surrogate[n])
        return gradient(mine[n]), jax.hessian(lambda x: with_mine(x).kl[n])(mine[n])

    found = flat(after) - mine
    for n, (gradient, fisher) in enumerate(zip(*jax.jit(lambda: lax.map(of, jnp.arange(N)))(), strict=True)):
        gradient, fisher = np.asarray(gradient, np.float64), np.asarray(fisher, np.float64)
        fisher += 0.02 * np.eye(len(fisher))
        x = np.linalg.solve(fisher, gradient)
        step = np.sqrt(2 * 1e-5 / (x @ fisher @ x)) * x
        assert np.linalg.norm(found[n] - step) < 0.01 * np.linalg.norm(step)


def test_agents_apart_do_not_meet():
    """What agent 1 was paid changes its own step, and nothing of agent 0's, its critic's included."""
    _, _, _, algorithm, _, state, steps = setting("vector")
    update = jax.jit(algorithm.update)
    one = update(KEY, state, steps)[0]
    other = update(KEY, state, steps._replace(reward=steps.reward.at[..., 1].multiply(-100.0)))[0]
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(x[0], y[0], rtol=1e-5, atol=1e-6)
        if x[1].dtype == jnp.float32:
            assert (x[1] != y[1]).any()
