"""VDN: value decomposition networks (Sunehag et al. 2018). The team's value is the sum of the agents' values.

    Q_tot(s, a) = sum_i Q_i(history_i, a_i)                                                                      (eq. 3)

One TD loss on Q_tot; each Q_i learns its share by the chain rule alone. docs/algorithms/vdn.md.
"""

from dataclasses import dataclass

from jax import Array

from comity.algorithms.values import value_decomposition as family
from comity.algorithms.values import value_settings
from comity.types import Algorithm, Environment


@dataclass(frozen=True)
class Config(value_settings.Config):
    """Settings of VDN: those of the family."""


PRESETS = {
    **value_settings.PRESETS,
    "fast": value_settings.FAST,
    "paper": {**value_settings.PAPER, "hidden": 128},
}  # the paper's table of VDN says 128


def mixed(mixer: tuple[()], q: Array, central: Array) -> Array:
    """Q_tot [..., 1] = sum_i Q_i of q [..., N]."""
    return q.sum(-1, keepdims=True)


def make(config: Config, env: Environment) -> Algorithm:
    member = family.td_member(config, lambda key: (), mixed)
    return family.learner(config, env, "vdn", member)
