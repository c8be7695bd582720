"""Learners that solve the pendulum: mean return above -200 over 50 greedy episodes. Table: docs/algorithms/td3.md."""

from typing import Any

import jax
import pytest

from comity.environments.control.pendulum import Pendulum
from comity.recipes import find_algorithm
from tests.tiny.learning import WELL, played, training

ENV = Pendulum()
OFF_POLICY = {"hidden": 64, "batch": 128, "capacity": 20_000, "learning_rate": 1e-3, "critic_learning_rate": 1e-3}
PPO = {
    **{"core": "none", "hidden": 64, "encoder": (64,), "activation": "tanh", "layer_norm": False, "steps": 200},
    **{"chunk": 1, "minibatches": 8, "epochs": 10, "learning_rate": 1e-3, "critic_learning_rate": 1e-3},
    **{"gamma": 0.9, "entropy_coefficient": 0.0},
}
ACKTR = {"gamma": 0.9, "lambda_": 0.95, "normalise_views": True, "rate_falls": True, "rate_steps": 640_000.0}
ROWS: list[tuple[str, str, str, dict[str, Any], int, int]] = [  # (name, algorithm, preset, settings, games, rollouts)
    ("td3", "td3", "sound", OFF_POLICY, 1, 1_400),
    ("alita on td3", "alita-td3", "sound", OFF_POLICY, 1, 1_400),
    ("sac", "sac", "sound", OFF_POLICY, 1, 1_200),
    ("sac of January 2018", "sac", "2018", OFF_POLICY, 1, 1_200),
    ("tac", "tac", "sound", OFF_POLICY, 1, 1_200),
    ("ddpg", "td3", "ddpg", OFF_POLICY, 1, 1_200),
    ("ppo", "ippo", "sound", PPO, 8, 200),
    ("trpo", "trpo", "sound", {"gamma": 0.9, "lambda_": 0.95, "normalise_views": True}, 16, 200),
    ("acktr", "acktr", "sound", ACKTR, 16, 200),
]
FEW = ("td3",)


@pytest.mark.parametrize(
    ("name", "algorithm", "preset", "settings", "games", "rollouts"),
    [pytest.param(*row, id=row[0], marks=[] if row[0] in FEW else pytest.mark.slow) for row in ROWS],
)
@pytest.mark.learn
def test_the_pendulum_is_held_up(name, algorithm, preset, settings, games, rollouts):
    thing = find_algorithm(algorithm).thing
    learner = thing.make(thing.Config(**{**thing.PRESETS[preset], **settings}), ENV)

    def run(key):
        key_train, key_last = jax.random.split(key)
        state, _ = training(learner, ENV, rollouts, games)(key_train)
        return played(key_last, learner, state, ENV, 50, explore=False).reward.sum(0).mean()

    assert jax.jit(run, compiler_options=WELL)(jax.random.key(0)) > -200, name
