"""EITI: an agent is paid for its influence on the others' moves (Wang et al. 2020, arXiv 1910.05512, section 4).

    b_i = sum over j of log p(move_j | o_j, a_j, o_i, a_i) - log p(move_j | o_j, a_j)

The mean of each term is the mutual information of (o_i, a_i) and j's move, given j's own view and action. It is 0 if
agent i does not affect j's move. docs/algorithms/eiti.md derives it and lists every departure.
"""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jax import Array

from comity.algorithms.bonuses import transitions
from comity.settings import NotNegative, check
from comity.types import Bonus, Environment, Experience, PyTree

VERSION = 1


@dataclass(frozen=True)
class Config(transitions.Settings):
    """Settings of EITI's bonus; those of the estimates are in `transitions.Settings`."""

    weight: NotNegative[float] = 0.1  # beta, in units of the game's reward per nat
    measure: Literal["log", "one-minus"] = "log"  # one-minus (code, on grids): 1 - p(move_j | own) / p(move_j | both)

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}, "paper": {"weight": 1.0}, "released": {"weight": 1.0, "measure": "one-minus"}}


def make(config: Config, env: Environment) -> Bonus:
    moves = transitions.moves(config, env, "eiti")

    def reward(state: PyTree, experience: Experience) -> Array:
        """Returns b, [..., N]."""
        ratio = moves.log_ratio(state, experience)
        told = ratio if config.measure == "log" else 1 - jnp.exp(-ratio)
        return transitions.over_others(told, env.spec.agents)

    return Bonus(moves.init, reward, moves.update)
