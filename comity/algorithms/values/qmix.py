"""QMIX: monotonic value factorisation (Rashid et al. 2018, 2020).

    Q_tot(s, a) = f_s(Q_1(history_1, a_1), ..., Q_N(history_N, a_N)),   dQ_tot / dQ_i >= 0                       (eq. 5)

The best joint action then consists of the agents' own best actions (eq. 4), and there is one TD loss on Q_tot. f_s is a
small network. Hypernetworks of the state give its weights, which are made non-negative. docs/algorithms/qmix.md lists
every departure.
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

    mixer_width: Positive[int] = 32  # E, number of hidden units of f_s
    mixer_layers: Literal["one", "two"] = "two"  # layers of the hypernetworks for weights; paper two, code one
    mixer_hidden: Positive[int] = 64  # width between these two layers; paper 64
    bias_hidden: Positive[int] = 32  # width of the network for the last bias; paper and code 64
    bias_activation: Activation = "relu"  # activation of the network for the last bias; code of MAVEN GELU
    mixer_initial: Literal["uniform", "orthogonal"] = "uniform"  # first weights; code orthogonal, with biases 0


TABLE = {**CENTRAL, "bias_hidden": 64}  # settings of the mixer in paper and code
PRESETS = {
    "sound": {},
    "fast": FAST,
    "paper": {**PAPER, **TABLE},
    "released": {**RELEASED, **TABLE, "mixer_layers": "one", "mixer_initial": "orthogonal"},
    "randomised": {**RANDOMISED, **TABLE},
    "pymarl": {**PYMARL, "mixer_input": "raw"},
    "images": {  # social dilemmas seen as images, on a laptop: one episode takes 2 to 11 MB
        "agent_id": True,
        "capacity": 64,
        "batch": 8,
        "warmup": 8,
        "explore_steps": 10_000.0,
    },
}


def new_mixer(key: Key, config: Config, agents: int, size: int) -> MonotoneMixer:
    """Returns a new mixer of `agents` values. size: size of its input."""
    hyper = (config.mixer_hidden,) if config.mixer_layers == "two" else ()
    sizes = (agents, size, config.mixer_width, hyper, (config.bias_hidden,))
    mixer = MonotoneMixer(key, *sizes, bias_activation=config.bias_activation)
    return released.orthogonal(key, mixer) if config.mixer_initial == "orthogonal" else mixer


def mixed(mixer: MonotoneMixer, q: Array, central: Array) -> Array:
    """Returns Q_tot = f_s(Q_1, ..., Q_N), [..., 1], of q [..., N]. central [..., S]."""
    return mixer(q, central)


def make(config: Config, env: Environment) -> Algorithm:
    def init(key: Key) -> MonotoneMixer:
        return new_mixer(key, config, env.spec.agents, central_size(config, env.spec))

    member = family.td_member(config, init, mixed)
    return family.learner(config, env, "qmix", member)
