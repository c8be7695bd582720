"""ALITA on QMIX: equal to QMIX if nothing is added, critics of rewards with bonuses, influence that moves Q-values."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from comity import rollout
from comity.algorithms.off_policy import alita_qmix
from comity.algorithms.values import qmix
from comity.learning import credited
from tests.tiny.noise import Noise

KEY, GAMES = jax.random.key(0), 4
SMALL: dict[str, Any] = {"hidden": 6, "mixer_width": 4, "mixer_hidden": 5, "bias_hidden": 4, "capacity": 16, "batch": 8,
                         "warmup": 4, "updates": 2, "clip": 1e9}  # fmt: skip
OWN: dict[str, Any] = {"critic_hidden": 8, "novelty_hidden": (4, 2, 4), "novelty_batch": 4, "influence_batch": 6,
                       "searched": 4}  # fmt: skip


def after(learner, steps):
    """The state after updates on rollouts with leaves [3, T, B, ...]."""
    init = learner.init(KEY)
    return init, lax.scan(lambda state, x: learner.update(KEY, state, x), init, steps)


@pytest.fixture(scope="module")
def states():
    """{name: (first, last, metrics)} of QMIX and two kinds of ALITA, after the same play; rewards: what came with the
    bonuses to the rewards of the critics, [T, B, N] each."""
    env, rewards = Noise(), []
    known = alita_qmix.steps_of

    def recorded(parts, episodes, following, reward):
        if parts.bonus is not None:
            extra = reward - credited(episodes.reward, parts.config.credit)
            jax.debug.callback(lambda x: rewards.append(np.asarray(x)), extra)
        return known(parts, episodes, following, reward)

    plain = qmix.make(qmix.Config(**SMALL), env)
    kinds = {"nothing": {"influence_weight": 0.0, "novelty_by": "none"},
             "all": {"influence_weight": 100.0}}  # fmt: skip
    learners = {"qmix": plain}
    learners |= {x: alita_qmix.make(alita_qmix.Config(**SMALL, **OWN, **kinds[x]), env) for x in kinds}

    @jax.jit
    def run():
        state = plain.init(KEY)
        play = lambda key: rollout.collect(key, env, plain, state, rollout.start(key, env, plain.memory, GAMES))[1]  # noqa: E731
        steps = jax.vmap(play)(jax.random.split(KEY, 3))
        return {name: after(learner, steps) for name, learner in learners.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alita_qmix, "steps_of", recorded)
        found = run()
    jax.effects_barrier()
    return found | {"rewards": rewards}


def test_with_weight_0_it_is_qmix(states):
    _, (last, _) = states["qmix"]
    first, (ours, _) = states["nothing"]
    for part in ("agents", "mixer"):
        wanted, found = getattr(last.params, part), getattr(ours.qmix.params, part)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), wanted, found)
        moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), found, getattr(first.qmix.params, part))
        assert max(jax.tree.leaves(moved)) > 1e-4


def test_the_influence_moves_the_agents(states):
    """QMIX learns from the game's rewards alone, so that only F can move its agents elsewhere."""
    quiet, strong = (states[x][1][0].qmix.params for x in ("nothing", "all"))
    apart = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), quiet.agents, strong.agents)
    assert max(jax.tree.leaves(apart)) > 1e-4
    told = states["all"][1][1]
    assert (np.asarray(told["influence"]) > 0).all()
    assert np.isfinite(np.asarray(told["influence_error"])).all()


def test_each_agent_has_bonuses_of_its_own(states):
    """The influencer's is novelty, the other's the fine for being away from where it would be: never their mean."""
    assert len(states["rewards"]) >= 3
    for extra in states["rewards"]:
        assert (extra[..., 0] >= 0).all()
        assert (extra[..., 1] <= 0).all()
    assert max(extra[..., 0].max() for extra in states["rewards"]) > 0
    assert min(extra[..., 1].min() for extra in states["rewards"]) < 0


def test_critics_and_clones_learn(states):
    first, (last, told) = states["all"]
    for part in ("critics", "clones"):
        moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), getattr(first.qmix.params, part),
                             getattr(last.qmix.params, part))  # fmt: skip
        assert min(jax.tree.leaves(moved)) > 0
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(told))
    bare = states["nothing"][1][0].qmix.params
    apart = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), bare.critics, last.qmix.params.critics)
    assert max(jax.tree.leaves(apart)) > 1e-5  # of other rewards


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="leave influence at clones or none"):
        alita_qmix.make(alita_qmix.Config(influence="single"), Noise())
