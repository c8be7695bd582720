"""VDN: value decomposition networks (Sunehag et al. 2018). The team's value is the sum of the agents' values.

    Q_tot(s, a) = sum_i Q_i(history_i, a_i)                                                                      (eq. 3)

There is one TD loss on Q_tot, and each Q_i learns its share through the gradient of the sum. docs/algorithms/vdn.md
lists every departure.
"""

from dataclasses import dataclass

from jax import Array

from comity.algorithms.values import value_decomposition as family
from comity.algorithms.values import value_settings
from comity.types import Algorithm, Environment


@dataclass(frozen=True)
class Config(value_settings.Config):
    """Settings of VDN: the family's."""


PRESETS = {
    **value_settings.PRESETS,
    "fast": value_settings.FAST,
    "paper": {**value_settings.PAPER, "hidden": 128},
}  # the hidden-gifts paper's table of VDN says 128


def mixed(mixer: tuple[()], q: Array, central: Array) -> Array:
    """Returns Q_tot = sum_i Q_i, [..., 1], of q [..., N]."""
    return q.sum(-1, keepdims=True)


def make(config: Config, env: Environment) -> Algorithm:
    member = family.td_member(config, lambda key: (), mixed)
    return family.learner(config, env, "vdn", member)
