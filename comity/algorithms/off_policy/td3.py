"""TD3: DDPG with two critics whose smaller value is believed, smoothed targets and late actors (Fujimoto et al. 2018,
arXiv 1802.09477), each agent for itself. docs/algorithms/td3.md.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
from jax import Array

from comity.algorithms.normalised_views import Settings as Views
from comity.algorithms.normalised_views import normalised
from comity.algorithms.off_policy import deterministic as family
from comity.algorithms.off_policy.ddpg import own_action
from comity.algorithms.off_policy.maddpg import joint_actions
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(family.Config, Views):
    """Settings of TD3: those of the family, with its own table as defaults. ALITA: what that paper gives for all."""

    critics: Positive[int] = 2  # of each agent
    smoothing: NotNegative[float] = 0.2  # deviation of the noise on target actions
    smoothing_limit: NotNegative[float] = 0.5  # that noise at most
    hidden: Positive[int] = 256
    steps: Positive[int] = 10
    every: Positive[int] = 2  # so with `critic_updates` one step of the critics for each transition
    critic_updates: Positive[int] = 2  # steps of the critics before actors and targets move once
    gamma: Fraction = 0.99
    learning_rate: Positive[float] = 3e-4
    critic_learning_rate: Positive[float] = 3e-4
    clip_by: Literal["norm", "array", "entry", "none"] = "none"
    tau: Fraction = 0.005
    capacity: Positive[int] = 1_000_000
    warmup: Positive[int] = 1_000  # paper 25,000 on MuJoCo
    first_actions: Literal["policy", "uniform"] = "uniform"
    logit_penalty: NotNegative[float] = 0.0

    def __post_init__(self):
        super().__post_init__()
        check(self)


ALITA: dict[str, Any] = {
    "hidden": 128,
    "layer_norm": True,
    "learning_rate": 1e-3,
    "critic_learning_rate": 1e-3,
    "gamma": 0.95,
    "clip_by": "norm",
    "clip": 0.5,
    "batch": 1_024,
    "every": 100,
    "tau": 0.01,
}
PRESETS = {
    "sound": {},
    "paper": ALITA,
    "own-paper": {"warmup": 25_000},
    "ddpg": {"critics": 1, "smoothing": 0.0, "critic_updates": 1, "every": 1},  # without what TD3 adds
}


def smoothed(config: Any, key: Key, policy: Any) -> Array:
    """[batch, N, A]: target actions with noise of a limited size (section 5.3); choices as they are relaxed."""
    key_noise, key = jax.random.split(key)
    meant = family.as_meant(config, key, policy)
    return policy.near(key_noise, meant, config.smoothing, config.smoothing_limit)


def member(config: Config, everyone: bool = False) -> family.Member:
    """everyone: critics read all agents' views and actions."""
    target = partial(family.targets, follows=smoothed)
    return family.Member(joint_actions if everyone else own_action, everyone, critics=config.critics, target=target)


def make(config: Config, env: Environment) -> Algorithm:
    return normalised(config, env, lambda env: family.learner(config, env, member(config)))
