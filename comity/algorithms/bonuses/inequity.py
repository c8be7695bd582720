"""Inequity aversion: an agent loses reward if it earns less than others, and a little if it earns more (Hughes et al.
2018, arXiv 1803.08884, eq. 1, after Fehr & Schmidt 1999).

    b_i = - alpha / (n - 1) sum over j of max(r_j - r_i, 0)  -  beta / (n - 1) sum over j of max(r_i - r_j, 0)

docs/algorithms/bonuses.md lists every departure.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from comity.settings import NotNegative, check
from comity.types import Bonus, Environment, Experience, Key, PyTree, Transition

VERSION = 1


@dataclass(frozen=True)
class Config:
    """Settings of inequity aversion."""

    weight: NotNegative[float] = 1.0  # weight of both parts in the reward
    disadvantage: NotNegative[float] = 5.0  # alpha: penalty per point that another agent earns more (released default)
    advantage: NotNegative[float] = 0.05  # beta: penalty per point that another agent earns less

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}}


def make(config: Config, env: Environment) -> Bonus:
    others = env.spec.agents - 1
    if others < 1:
        raise ValueError("inequity compares an agent's reward with others', and this game has one agent: leave it out")

    def reward(state: PyTree, experience: Experience) -> Array:
        """Returns b, [..., N], from the game's rewards in the same step."""
        more = experience.reward[..., None, :] - experience.reward[..., :, None]  # [..., i, j]: r_j - r_i
        envy = config.disadvantage * jnp.maximum(more, 0.0) + config.advantage * jnp.maximum(-more, 0.0)
        return -envy.sum(-1) / others

    def update(key: Key, state: PyTree, steps: Transition) -> tuple[PyTree, dict[str, Array]]:
        return state, {}  # nothing is learned

    return Bonus(lambda key: (), reward, update)
