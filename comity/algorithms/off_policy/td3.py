"""TD3: DDPG with two critics, smoothed targets and delayed actors (Fujimoto et al. 2018, arXiv 1802.09477), one learner
per agent.

    y = r + gamma min over k of Q_k'(o', mu'(o') + noise),   noise = clip(normal(0, smoothing), +-smoothing_limit)
    critics: descend mean (y - Q_k(o, a))^2 for each k
    actor:   ascends Q_1(o, mu(o)), one step for every `critic_updates` steps of the critics

`deterministic.py` has the update; docs/algorithms/td3.md lists every departure.
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
from comity.algorithms.off_policy.deterministic_settings import OF_ALITA
from comity.algorithms.off_policy.maddpg import joint_actions
from comity.settings import Fraction, NotNegative, Positive, check
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(family.Config, Views):
    """Settings of TD3: the family's, with defaults from TD3's own table. ALITA: that paper's common settings."""

    critics: Positive[int] = 2  # number of critics of each agent
    smoothing: NotNegative[float] = 0.2  # deviation of the noise on target actions
    smoothing_limit: NotNegative[float] = 0.5  # largest size of this noise
    hidden: Positive[int] = 256
    steps: Positive[int] = 10
    every: Positive[int] = 2  # with `critic_updates` 2: one step of the critics for each transition
    critic_updates: Positive[int] = 2  # steps of the critics for one step of the actors and one move of the targets
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
    **OF_ALITA,
}
PRESETS = {
    "sound": {},
    "paper": ALITA,
    "own-paper": {"warmup": 25_000},
    "ddpg": {"critics": 1, "smoothing": 0.0, "critic_updates": 1, "every": 1},  # without TD3's three additions
}


def smoothed(config: Any, key: Key, policy: Any) -> Array:
    """Returns target actions with clipped noise (section 5.3), [batch, N, A]; discrete actions get no noise."""
    key_noise, key = jax.random.split(key)
    meant = family.as_meant(config, key, policy)
    return policy.near(key_noise, meant, config.smoothing, config.smoothing_limit)


def member(config: Config, everyone: bool = False) -> family.Member:
    """Returns TD3 as a member of the family. everyone: critics read all agents' views and actions."""
    target = partial(family.targets, follows=smoothed)
    return family.Member(joint_actions if everyone else own_action, everyone, critics=config.critics, target=target)


def make(config: Config, env: Environment) -> Algorithm:
    return normalised(config, env, lambda env: family.learner(config, env, member(config)))
