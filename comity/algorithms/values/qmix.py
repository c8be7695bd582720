"""QMIX: monotonic value factorisation (Rashid et al. 2018, 2020).

    Q_tot(s, a) = f_s(Q_1(history_1, a_1), ..., Q_N(history_N, a_N)),   dQ_tot / dQ_i >= 0                       (eq. 5)

so that the best joint action is everyone's best action (eq. 4). f_s is a small network; its weights come from
hypernetworks of the state and are made non-negative. docs/algorithms/qmix.md.
"""

from dataclasses import dataclass
from typing import Literal

from jax import Array

from comity.algorithms.released import mixers as released
from comity.algorithms.values import value_decomposition as family
from comity.algorithms.values.value_networks import central_size
from comity.algorithms.values.value_settings import CENTRAL, FAST, PAPER, PYMARL, RANDOMISED, RELEASED, CentralConfig
from comity.networks import Activation, MonotoneMixer
from comity.settings import Positive
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(CentralConfig):
    """Settings of QMIX: the family's, and those of the mixer."""

    mixer_width: Positive[int] = 32  # E, hidden units of f_s
    mixer_layers: Literal["one", "two"] = "two"  # of the hypernetworks for weights; paper two, code one
    mixer_hidden: Positive[int] = 64  # between the two; paper 64
    bias_hidden: Positive[int] = 32  # of the network for the last bias; paper and code 64
    bias_activation: Activation = "relu"  # of that network; GELU in the code of MAVEN
    mixer_initial: Literal["uniform", "orthogonal"] = "uniform"  # hypernetworks as drawn; code orthogonal, biases 0


TABLE = {**CENTRAL, "bias_hidden": 64}  # of the mixer, in paper and code
PRESETS = {
    "sound": {},
    "fast": FAST,
    "paper": {**PAPER, **TABLE},
    "released": {**RELEASED, **TABLE, "mixer_layers": "one", "mixer_initial": "orthogonal"},
    "randomised": {**RANDOMISED, **TABLE},
    "pymarl": {**PYMARL, "mixer_input": "raw"},
    "images": {  # social dilemmas seen as images, on a laptop: an episode of theirs fills 2 to 11 MB
        "agent_id": True,
        "capacity": 64,
        "batch": 8,
        "warmup": 8,
        "explore_steps": 10_000.0,
    },
}


def new_mixer(key: Key, config: Config, agents: int, size: int) -> MonotoneMixer:
    """The mixer that `config` asks for, of so many agents; size: of what it reads."""
    hyper = (config.mixer_hidden,) if config.mixer_layers == "two" else ()
    sizes = (agents, size, config.mixer_width, hyper, (config.bias_hidden,))
    mixer = MonotoneMixer(key, *sizes, bias_activation=config.bias_activation)
    return released.orthogonal(key, mixer) if config.mixer_initial == "orthogonal" else mixer


def mixed(mixer: MonotoneMixer, q: Array, central: Array) -> Array:
    """Q_tot [..., 1] = f_s(Q_1, ..., Q_N) of q [..., N]; central [..., S]."""
    return mixer(q, central)


def make(config: Config, env: Environment) -> Algorithm:
    def init(key: Key) -> MonotoneMixer:
        return new_mixer(key, config, env.spec.agents, central_size(config, env.spec))

    member = family.td_member(config, init, mixed)
    return family.learner(config, env, "qmix", member)
