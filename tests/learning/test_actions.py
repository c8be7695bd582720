"""Distributions over actions, against scipy, sums over all choices, and samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from comity.learning.actions import Categorical, Normal, Numbers, Several, TanhNormal, actions
from comity.spec import Box, Discrete, MultiDiscrete

KEY = jax.random.key(0)
OUTPUTS = jax.random.normal(KEY, (2, 3, 5))
SOME = jnp.arange(5) < 4
AVAILABLE = jnp.broadcast_to(SOME, (2, 3, 5))


def test_a_choice_is_never_an_action_that_is_not_available():
    policy = actions(Discrete(5))(OUTPUTS, AVAILABLE)
    assert isinstance(policy, Categorical)
    drawn = np.stack([policy.sample(jax.random.key(k)) for k in range(200)])
    assert drawn.max() == 3
    assert policy.mode().max() <= 3
    assert set(np.unique(drawn)) == {0, 1, 2, 3}
    np.testing.assert_allclose(policy.probabilities[..., 4], 0)
    np.testing.assert_allclose(jnp.exp(policy.log_prob(policy.mode())), policy.probabilities.max(-1), rtol=1e-5)


def test_entropy_and_divergence_of_a_choice_are_the_sums_over_all_choices():
    policy, other = (actions(Discrete(5))(x, AVAILABLE) for x in (OUTPUTS, 2 * OUTPUTS))
    p, q = (np.asarray(x.probabilities, np.float64)[..., :4] for x in (policy, other))
    np.testing.assert_allclose(policy.entropy(), -(p * np.log(p)).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(policy.kl(other), (p * np.log(p / q)).sum(-1), rtol=1e-4)
    np.testing.assert_allclose(policy.kl(policy), 0, atol=1e-6)


def test_a_floor_mixes_the_uniform_policy_in():
    policy = actions(Discrete(5))(OUTPUTS, jnp.ones((2, 3, 5), bool), jnp.float32(0.5))
    np.testing.assert_allclose(policy.probabilities, 0.5 * jax.nn.softmax(OUTPUTS) + 0.1, rtol=1e-5)


def counts(action):
    first = action[0]
    return jnp.ones(first.shape, bool), first == 0


def test_of_several_heads_those_count_whose_choice_means_something():
    acts = actions(MultiDiscrete((2, 3)), counts=counts)
    assert acts.size == 5
    available = jnp.ones((2, 3, 2), bool), jnp.ones((2, 3, 3), bool).at[..., 2].set(False)
    policy = acts(OUTPUTS, available)
    assert isinstance(policy, Several)
    each = [np.asarray(head.probabilities) for head in policy.heads]
    for first in range(2):
        action = jnp.full((2, 3), first), jnp.full((2, 3), 1)
        wanted = np.log(each[0][..., first]) + (np.log(each[1][..., 1]) if first == 0 else 0)
        np.testing.assert_allclose(policy.log_prob(action), wanted, rtol=1e-5)
        wanted = policy.heads[0].entropy() + (policy.heads[1].entropy() if first == 0 else 0)
        np.testing.assert_allclose(policy.entropy(action), wanted, rtol=1e-5)
    drawn = policy.sample(KEY)
    assert drawn[0].shape == (2, 3)
    assert int(drawn[1].max()) < 2
    np.testing.assert_allclose(policy.kl(acts(0 * OUTPUTS, available)), sum(
        np.asarray(h.kl(Categorical(0 * h.logits))) if k == 0 else np.log(2) - np.asarray(h.entropy())
        for k, h in enumerate(policy.heads)
    ), rtol=1e-4)  # fmt: skip


def normal(numbers: Numbers = "normal"):
    acts = actions(Box(4), numbers)
    outputs = jnp.concatenate([0.5 * OUTPUTS[..., :4], 0.3 * OUTPUTS[..., 1:5] - 0.5], -1)
    return acts, acts(outputs, AVAILABLE[..., 1:]), outputs


def test_normal_numbers_are_those_of_scipy_and_missing_ones_count_for_nothing():
    _, policy, outputs = normal()
    assert isinstance(policy, Normal)
    assert not isinstance(policy, TanhNormal)
    mean, deviation = np.asarray(outputs[..., :4]), np.exp(np.asarray(outputs[..., 4:]))
    action = policy.sample(KEY)
    np.testing.assert_array_equal(action[..., 3], 0)
    wanted = stats.norm.logpdf(np.asarray(action), mean, deviation)[..., :3].sum(-1)
    np.testing.assert_allclose(policy.log_prob(action), wanted, rtol=1e-4)
    np.testing.assert_allclose(policy.entropy(), stats.norm.entropy(mean, deviation)[..., :3].sum(-1), rtol=1e-5)
    other = Normal(policy.mean + 0.3, policy.log_deviation + 0.2, policy.exists)
    drawn = jax.vmap(policy.sample)(jax.random.split(KEY, 20_000))
    estimate = jax.vmap(policy.log_prob)(drawn) - jax.vmap(other.log_prob)(drawn)
    np.testing.assert_allclose(policy.kl(other), estimate.mean(0), atol=0.02)
    grads = jax.grad(lambda mean: policy.log_prob(action).sum() + Normal(mean, *policy_rest(policy)).entropy().sum())(
        policy.mean
    )
    assert np.isfinite(grads).all()


def policy_rest(policy):
    return policy.log_deviation, policy.exists


def test_numbers_through_tanh_have_the_density_of_a_changed_variable():
    _, policy, _ = normal("tanh-normal")
    assert isinstance(policy, TanhNormal)
    action, log_prob = policy.sample_and_log_prob(KEY)
    assert float(jnp.abs(action).max()) < 1
    drawn = np.arctanh(np.asarray(action, np.float64))
    mean, deviation = np.asarray(policy.mean), np.exp(np.asarray(policy.log_deviation))
    wanted = (stats.norm.logpdf(drawn, mean, deviation) - np.log(1 - np.tanh(drawn) ** 2))[..., :3].sum(-1)
    np.testing.assert_allclose(log_prob, wanted, rtol=1e-3)
    np.testing.assert_allclose(policy.log_prob(action), wanted, rtol=1e-3)
    samples = jax.vmap(lambda k: policy.sample_and_log_prob(k)[1])(jax.random.split(KEY, 40_000))
    np.testing.assert_allclose(policy.entropy(), -samples.mean(0), atol=0.03)


def test_a_point_explores_with_noise_and_stays_inside():
    acts = actions(Box(5), "point", noise=0.5)
    policy = acts(3 * OUTPUTS, AVAILABLE)
    np.testing.assert_allclose(policy.mode()[..., :4], jnp.tanh(3 * OUTPUTS)[..., :4])
    drawn = policy.sample(KEY)
    assert float(jnp.abs(drawn).max()) <= 1
    assert not np.allclose(drawn, policy.mode())
    np.testing.assert_array_equal(drawn[..., 4], 0)


@pytest.mark.parametrize(
    ("space", "action", "wanted"),
    [
        (Discrete(3), jnp.array([2]), [[0, 0, 1]]),
        (MultiDiscrete((2, 3)), (jnp.array([1]), jnp.array([0])), [[0, 1, 1, 0, 0]]),
        (Box(2), jnp.array([[0.5, -0.25]]), [[0.5, -0.25]]),
    ],
)
def test_what_was_done_as_numbers(space, action, wanted):
    np.testing.assert_array_equal(actions(space).encoded(action), wanted)


def test_policies_pass_through_jit_and_vmap():
    _, policy, outputs = normal()
    acts = actions(Box(4))
    inside = jax.jit(lambda x: acts(x, AVAILABLE[..., 1:]))(outputs)
    np.testing.assert_allclose(inside.entropy(), policy.entropy(), rtol=1e-6)
    each = jax.vmap(lambda x, a: acts(x, a).entropy())(outputs, AVAILABLE[..., 1:])
    np.testing.assert_allclose(each, policy.entropy(), rtol=1e-6)
