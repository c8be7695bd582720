"""Games against scripted players, and cross-play with them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from comity import checking
from comity.environments.matrix.ipd import IPD, PROFILES
from comity.environments.matrix.matrix import Matrix
from comity.environments.prisoners_buddy import PrisonersBuddy
from comity.environments.wrappers.scripted import Scripted
from comity.spec import MultiDiscrete
from comity.training.crossplay import partner
from comity.types import Observation

KEY = jax.random.key(0)
RUSP = IPD(**PROFILES["rusp"])


@pytest.mark.parametrize("sees", ["outcome", "actions"])
@pytest.mark.parametrize(
    ("script", "paid"),
    [("all-c", (2, 4, 4, 2, 2)), ("all-d", (-2, 0, 0, -2, -2)), ("tit-for-tat", (2, 4, 0, -2, 2))],
)
def test_what_a_learner_is_paid(sees, script, paid):
    """Specification A.1 of social dilemmas: the learner plays C, D, D, C, C."""
    env = Scripted(IPD(payoffs=RUSP.payoffs, length=9, sees=sees), script)
    state, observation = env.reset(KEY)
    assert observation.view.shape == (1, env.spec.view.size)
    earned = []
    for action in (0, 1, 1, 0, 0):
        state, timestep = env.step(KEY, state, jnp.array([action]))
        earned.append(float(timestep.reward[0]))
        assert timestep.reward.shape == (1,)
    assert tuple(earned) == paid


def test_it_plays_as_a_game_of_one():
    env = Scripted(RUSP, "tit-for-tat")
    checking.check(env)
    assert (env.spec.agents, env.spec.headline, env.spec.action_names) == (1, "cooperation", ("cooperate", "defect"))


def test_statistics_tell_the_learner_from_the_script():
    env = Scripted(IPD(length=2), "tit-for-tat")
    state, _ = env.reset(KEY)
    told = []
    for action in (1, 0):
        state, timestep = env.step(KEY, state, jnp.array([action]))
        told.append(timestep)
    info = {name: jnp.stack([step.info[name] for step in told])[:, None] for name in told[0].info}
    reward = jnp.stack([step.reward for step in told])[:, None]
    found = env.summary(reward, info, jnp.ones((2, 1), bool))
    assert found["cooperation"].tolist() == [[0.5]]
    assert found["script_cooperation"].tolist() == [0.5]
    assert found["return"].tolist() == [[2 - 1]]  # defects on a cooperator, then cooperates with who pays back
    assert found["script_return"].tolist() == [-1 + 2]


def test_partners_of_cross_play():
    view = jax.nn.one_hot(jnp.array([[0, 0], [2, 3], [4, 4]]), 5)  # start; CD and DC; DD
    seen = Observation(view, jnp.zeros((3, 4)), jnp.ones((3, 2, 2), bool))
    for name, wanted in (("all-c", 0), ("all-d", 1), ("tit-for-tat", [[0, 0], [1, 0], [1, 1]])):
        label, algorithm = partner(name, IPD())
        action, memory, notes = algorithm.act(KEY, (), algorithm.memory, seen)
        assert label == f"scripted:{name}"
        np.testing.assert_array_equal(action, np.broadcast_to(wanted, (3, 2)))
        assert (memory, notes) == ((), {})
    assert partner("random", IPD())[0] == "scripted:random"
    with pytest.raises(ValueError, match=r"unknown partner 'tit-for-tatt'; did you mean tit-for-tat\?.*all-c"):
        partner("tit-for-tatt", IPD())
    with pytest.raises(ValueError, match="known: random"):
        partner("all-c", Matrix())


class Buddy(PrisonersBuddy):
    """With a script that chooses the agent before it."""

    @property
    def spec(self):
        return replace(super().spec, scripts=("clings",))

    def script(self, name):
        return (), lambda memory, view: ((jnp.int32(0), jnp.int32(0)), memory)


def test_games_of_several_heads():
    env = Scripted(Buddy(agents=3, period=1, identity_size=0, length=4), "clings")
    checking.check(env)
    assert (env.spec.action, env.spec.agents) == (MultiDiscrete((2, 2), pointer=1), 2)
    state, _ = env.reset(KEY)
    for option, paid in (([1, 0], [0, 2]), ([1, 1], [0, 1]), ([0, 0], [-2, 3])):  # 0 chooses 1, and 1 chooses 2
        _, timestep = env.step(KEY, state, (jnp.array(option), jnp.array([1, 1])))
        assert timestep.reward.tolist() == paid


def test_unknown_scripts_are_refused():
    with pytest.raises(ValueError, match="did you mean all-c"):
        Scripted(RUSP, "all-cc")
    with pytest.raises(ValueError, match="it has none"):
        Scripted(Matrix(), "all-c")
