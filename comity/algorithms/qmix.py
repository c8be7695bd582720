"""QMIX: monotonic value factorisation (Rashid et al. 2018, 2020).

    Q_tot(s, a) = f_s(Q_1(history_1, a_1), ..., Q_N(history_N, a_N)),   dQ_tot / dQ_i >= 0                       (eq. 5)

so that the best joint action is everyone's best action (eq. 4). f_s is a small network; its weights come from
hypernetworks of the state and are made non-negative. docs/algorithms/qmix.md.
"""

from dataclasses import dataclass
from typing import Literal

from comity.algorithms import value_decomposition as family
from comity.networks import MonotoneMixer
from comity.settings import AT_LEAST_ONE, check
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(family.CentralConfig):
    """Settings of QMIX: the family's, and those of the mixer."""

    mixer_width: int = 32  # E, hidden units of f_s
    mixer_layers: Literal["one", "two"] = "two"  # of the hypernetworks for weights; paper two, code one
    mixer_hidden: int = 64  # between the two; paper 64
    bias_hidden: int = 32  # of the network for the last bias; code 64

    def __post_init__(self):
        super().__post_init__()
        check(self, mixer_width=AT_LEAST_ONE, mixer_hidden=AT_LEAST_ONE, bias_hidden=AT_LEAST_ONE)


PAPER = {**family.PAPER, **family.CENTRAL}
PRESETS = {
    "sound": {},
    "paper": PAPER,
    "released": {**family.RELEASED, **family.CENTRAL, "mixer_layers": "one", "bias_hidden": 64},
    "randomised": {**PAPER, "explore_steps": family.RANDOMISED["explore_steps"]},
}


def new_mixer(key: Key, config: Config, agents: int, size: int) -> MonotoneMixer:
    """The mixer that `config` asks for, of so many agents; size: of what it reads."""
    hyper = (config.mixer_hidden,) if config.mixer_layers == "two" else ()
    return MonotoneMixer(key, agents, size, config.mixer_width, hyper, (config.bias_hidden,))


def make(config: Config, env: Environment) -> Algorithm:
    def init(key: Key) -> MonotoneMixer:
        return new_mixer(key, config, env.num_agents, family.central_size(config, env))

    member = family.td_member(config, init, lambda mixer, q, state: mixer(q, state))
    return family.learner(config, env, "qmix", member)
