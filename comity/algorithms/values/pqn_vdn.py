"""PQN-VDN: PQN for teams (Gallici et al. 2024, arXiv 2407.04811). The team's value is the sum of the agents' values.

    Q_tot(s, a) = sum_i Q_i(history_i, a_i)                                                 (Sunehag et al. 2018, eq. 3)

Everything else is as in PQN: `pqn.py`, docs/algorithms/pqn.md.
"""

from dataclasses import dataclass

from comity.algorithms.values import pqn
from comity.learning import Reward
from comity.types import Algorithm, Environment


@dataclass(frozen=True)
class Config(pqn.Settings):
    """Settings of PQN-VDN: those of PQN."""

    credit: Reward = "mean"  # the reward that is predicted: own, or the team's mean or sum


PRESETS = pqn.PRESETS


def make(config: Config, env: Environment) -> Algorithm:
    return pqn.learner(config, env, "pqn-vdn", lambda q: q.sum(-1, keepdims=True))
