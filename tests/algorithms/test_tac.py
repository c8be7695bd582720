"""TAC: with index 1 the whole update is SAC's; both gradients have the same mean; both find a bandit's best policy."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import rollout
from comity.algorithms.off_policy import sac, tac
from comity.learning.actions import TanhNormal, actions
from comity.settings import with_floats
from comity.spec import Discrete
from comity.types import Observation
from tests.algorithms.test_deterministic import Bandit, trained
from tests.algorithms.test_td3_sac import CENTRE, COST, QUICK, Gaussian, drawn, nets_of

KEY = jax.random.key(0)


def test_index_one_is_sac():
    """A whole update, of actors, twins, value network: with index 1 the same; near 1 nearly; with 2 another."""
    env, small = Bandit("target"), {"hidden": 6, "steps": 2, "every": 8, "warmup": 1, "batch": 16, "capacity": 64}
    settings: dict[str, Any] = {**small, "values": "network", "alpha": 0.3, "alpha_moves": False}
    plain, config = sac.make(sac.Config(**settings), env), tac.Config(**settings)
    state = plain.init(KEY)
    steps = rollout.collect(KEY, env, plain, state, rollout.start(KEY, env, (), 8))[1]

    @jax.jit
    def update(index):
        return tac.make(with_floats(config, {"entropic_index": index}), env).update(KEY, state, steps)

    numbers = lambda tree: [x for x in jax.tree.leaves(tree) if x.dtype == jnp.float32]  # noqa: E731
    known = numbers(jax.jit(plain.update)(KEY, state, steps))
    one, near, two = (numbers(update(index)) for index in (1.0, 1.001, 2.0))
    assert len(known) > 40
    for x, y, z in zip(known, one, near, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(x, z, rtol=0.02, atol=0.02)
    assert max(float(jnp.abs(x - y).max()) for x, y in zip(known, two, strict=True)) > 1e-3


@pytest.fixture(scope="module")
def bandit():
    """(a game, networks, a state, views of many games)."""
    env, config = Gaussian(), tac.Config(hidden=4, values="network", gradient="likelihood")
    count = 40_000
    seen = Observation(jnp.ones((count, 1, 2)), jnp.ones((count, 1)), jnp.ones((count, 1, 1), bool))
    return env, nets_of(env, config, numbers="tanh-normal"), tac.make(config, env).init(KEY), seen


@pytest.mark.parametrize("index", [1.0, 1.5, 2.0])
def test_both_gradients_have_the_same_mean(bandit, index):
    """Of -c (a - 0.3)^2 - alpha ln_q pi in mean and deviation of a policy, over 40,000 draws."""
    _, nets, state, seen = bandit
    config = tac.Config(values="network", gradient="likelihood", entropic_index=index)
    state = state._replace(added=state.added._replace(log_alpha=jnp.log(jnp.array([0.5]))))

    def climbed(spot, kind):
        spread = lambda x: jnp.broadcast_to(x, (len(seen.view), 1, 1))  # noqa: E731
        policy = TanhNormal(spread(spot[0]), spread(spot[1]), seen.available)
        means = tac.log_density if kind == "likelihood" else sac.means
        action, added = means(config, state, KEY, policy)
        q = -COST * jnp.square(action[..., 0] - CENTRE)
        if kind == "likelihood":
            q, added = tac.likelihood(config, nets, state, seen, q, added)
        return (q + added).mean()

    slope = lambda kind: jax.jit(jax.grad(partial(climbed, kind=kind)))(jnp.array([0.1, -0.8]))  # noqa: E731
    slopes = slope("draws"), slope("likelihood")
    np.testing.assert_allclose(*slopes, rtol=0.03, atol=0.08)
    assert np.abs(slopes[0]).min() > 0.5


@pytest.mark.parametrize("gradient", ["draws", "likelihood"])
def test_the_policy_has_the_deviation_of_the_best_one(gradient):
    """Of normal policies that is sigma^3 = alpha / (4 c sqrt(pi)) at index 2: twice Shannon's variance here."""
    env, alpha = Gaussian(), 0.2
    settings = {**tac.PRESETS["paper-2"], **QUICK, "hidden": 64, "alpha": alpha, "tau": 0.05, "logit_penalty": 0.0}
    algorithm, state, _ = trained(tac, env, 800, **{**settings, "gradient": gradient})
    found = drawn(algorithm, state, env)
    wanted = (alpha / (4 * COST * np.sqrt(np.pi))) ** (1 / 3)
    assert found.mean() == pytest.approx(CENTRE, abs=0.05)
    assert found.std() == pytest.approx(wanted, rel=0.12)


def test_choices_have_tsallis_own_entropy():
    """Of a uniform choice of three and of two, and of a policy by hand; what is not available does not count."""
    available = jnp.array([[True] * 3, [True, True, False], [True, True, False]])
    policy = actions(Discrete(3))(jnp.array([[0.0] * 3, [0.0] * 3, [np.log(3.0), 0.0, 9.0]]), available)

    def log(x: float, index: float) -> float:
        return np.log(x) if index == 1 else (x ** (index - 1) - 1) / (index - 1)

    for index in (1.0, 1.5, 2.0):
        found = policy.relaxed_and_log_prob(KEY, "softmax", 1.0, partial(sac.q_log, index=index))[1]
        wanted = [log(1 / 3, index), log(1 / 2, index), 0.75 * log(0.75, index) + 0.25 * log(0.25, index)]
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    with pytest.raises(ValueError, match="gradient 'likelihood' is measured against a value network"):
        tac.Config(gradient="likelihood")
