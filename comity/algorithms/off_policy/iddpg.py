"""Independent DDPG: DDPG with a separate actor and critic for each agent, which ignores the others.

`ddpg.py` has the update; docs/algorithms/maddpg.md lists every departure.
"""

from dataclasses import dataclass
from typing import Literal

from comity.algorithms.off_policy import ddpg
from comity.algorithms.off_policy import deterministic as family
from comity.types import Algorithm, Environment


@dataclass(frozen=True)
class Config(ddpg.Config):
    """Settings of independent DDPG: the family's."""

    agents: Literal["separate", "shared"] = "separate"


PRESETS = {
    "sound": {},
    "paper": family.PAPER,
    "released": family.PAPER,
    "lica-navigation": {
        **family.LICA,
        "learning_rate": 1e-3,
        "critic_learning_rate": 1e-2,
        "entropy_coefficient": 1e-2,
    },
    "lica-predator-prey": {**family.LICA, **family.LICA_PREDATOR},
}


def make(config: Config, env: Environment) -> Algorithm:
    return ddpg.make(config, env)
