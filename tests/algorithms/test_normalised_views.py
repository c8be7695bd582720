"""Views in deviations from their running mean: the moments, the views that a learner gets, and refusals."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms import normalised_views as views
from comity.algorithms.values import dqn
from comity.environments.matrix.two_step import TwoStep
from comity.recipes import find_algorithm
from tests.tiny.noise import N, Noise, V

KEY = jax.random.key(0)


def test_moments_are_those_of_all_views_so_far():
    rng = np.random.default_rng(0)
    batches = [rng.normal(3 * k, 1 + k, (4, 5, N, V)).astype(np.float32) for k in range(4)]
    valid = rng.random((4, 4, 5)) < 0.7
    seen = views.fresh(Noise().spec)
    np.testing.assert_array_equal(views.normalised_view(seen, jnp.array(batches[0])), batches[0].clip(-10, 10))
    for view, counts in zip(batches, valid, strict=True):
        seen = views.after(seen, jnp.array(view), jnp.array(counts))
    every = np.concatenate([view[counts] for view, counts in zip(batches, valid, strict=True)])  # [M, N, V]
    assert float(seen.count) == len(every)
    np.testing.assert_allclose(seen.mean, every.mean(0), rtol=1e-4)
    np.testing.assert_allclose(seen.square / seen.count, every.var(0), rtol=1e-4)
    shown = views.normalised_view(seen, jnp.array(every))
    np.testing.assert_allclose(shown.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(shown.std(0), 1, atol=1e-3)
    nothing = views.after(seen, jnp.array(batches[0]), jnp.zeros((4, 5), bool))
    jax.tree.map(np.testing.assert_array_equal, nothing, seen)
    same = views.after(views.fresh(Noise().spec), jnp.ones((4, 5, N, V)), jnp.ones((4, 5), bool))
    np.testing.assert_array_equal(views.normalised_view(same, jnp.ones((N, V))), 0)  # what never changes is 0


LEARNERS: list[tuple[str, dict[str, Any]]] = [  # an own critic, a central one of all views, a central one off-policy
    ("trpo", {"value_minibatches": 1}),
    ("mappo", {"critic_reads": "views", "encoder": (5,), "epochs": 1}),
    ("maddpg", {"steps": 4, "every": 16, "warmup": 1, "batch": 4, "capacity": 16, "relaxed": "softmax"}),
]


@pytest.mark.parametrize(("name", "settings"), LEARNERS)
def test_a_rollout_is_learned_from_as_it_was_played(name, settings):
    """By the moments before it, which move afterwards; an evaluation moves nothing."""
    env, thing = Noise(), find_algorithm(name).thing
    small = {"hidden": 6, **settings}
    plain, shown = (thing.make(thing.Config(normalise_views=n, **small), env) for n in (False, True))
    state = shown.init(KEY)
    state = state._replace(seen=views.ViewMoments(jnp.float32(9.0), jnp.full((N, V), 0.5), jnp.full((N, V), 36.0)))
    play = rollout.start(KEY, env, shown.memory, 4)
    steps = jax.jit(partial(rollout.collect, KEY, env, shown))(state, play)[1]
    bent = lambda o: o._replace(view=(o.view - 0.5) / 2)  # noqa: E731
    action = plain.act(KEY, state.learner, steps.memory, bent(steps.observation), False)[0]
    np.testing.assert_array_equal(shown.act(KEY, state, steps.memory, steps.observation, False)[0], action)
    given = steps._replace(observation=bent(steps.observation), next_observation=bent(steps.next_observation))
    wanted, found = jax.jit(plain.update)(KEY, state.learner, given)[0], jax.jit(shown.update)(KEY, state, steps)[0]
    for x, y in zip(jax.tree.leaves(found.learner), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)
    assert float(found.seen.count) == 9 + steps.valid.size


def test_views_of_small_integers_fit_a_replay():
    env = TwoStep()
    config: Any = type("Config", (), {"normalise_views": True})()
    learner = views.normalised(config, env, lambda env: dqn.make(dqn.Config(capacity=8, batch=4, warmup=4), env))
    state = learner.init(KEY)
    steps = rollout.collect(KEY, env, learner, state, rollout.start(KEY, env, learner.memory, 4))[1]
    after, _ = jax.eval_shape(learner.update, KEY, state, steps)
    assert after.learner.replay.rows.observation.view.dtype == jnp.float32
    with pytest.raises(ValueError, match="set normalise_views to False"):
        learner.update(KEY, state, steps, reward_of=lambda experience: experience.observation.view[..., 0])
