"""SQDDPG: critics whose sum is the team's value, each the share of one agent (Wang et al. 2020, arXiv 1907.05707).

Critic i reads the actions of those who joined before it and its own, in a random order of arrival: an estimate of what
it adds to them, which is its Shapley value in the mean over orders. docs/algorithms/sqddpg.md.
"""

from dataclasses import dataclass
from functools import partial
from math import factorial

import jax.numpy as jnp
from jax import Array

from comity.algorithms.normalised_views import Settings as Views
from comity.algorithms.normalised_views import normalised
from comity.algorithms.off_policy import deterministic as family
from comity.learning import side_by_side
from comity.learning.coalitions import all_orders, drawn_orders, present
from comity.learning.relaxed import replaced
from comity.settings import NotNegative, check
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(family.Config, Views):
    """Settings of SQDDPG: those of the family, and how many orders of arrival are drawn for each transition."""

    orders: NotNegative[int] = 1  # M; 0: every order, N! of them. Paper's figures 1, its stored run of navigation 5

    def __post_init__(self):
        super().__post_init__()
        check(self)


PRESETS = {
    "sound": {},
    "paper": {**family.LICA, "critic_learning_rate": 1e-3, "entropy_coefficient": 1e-2},
    "released": {**family.LICA, "critic_learning_rate": 1e-3, "entropy_coefficient": 1e-2, "orders": 5},
    "lica-navigation": {**family.LICA, "critic_learning_rate": 1e-3, "entropy_coefficient": 1e-2},
    "lica-predator-prey": {**family.LICA, **family.LICA_PREDATOR},
}


def coalition_actions(key: Key, actions: Array, mine: Array, orders: int) -> Array:
    """The actions of those who are there when i has joined, its own first: [M, batch, N, N A].

    Of M orders, 0 for all. actions and mine [batch, N, A]. Actions of who is not there are 0.
    """
    batch, agents, _ = actions.shape
    if orders:
        places = drawn_orders(key, orders * batch, agents).reshape(orders, batch, agents)
    else:
        places = jnp.broadcast_to(all_orders(agents)[:, None], (factorial(agents), batch, agents))
    joint = jnp.where(present(places)[..., None], replaced(actions, mine), 0.0)  # [M, batch, i, j, A]
    circle = jnp.stack([jnp.roll(joint[..., i, :, :], -i, axis=-2) for i in range(agents)], -3)
    return side_by_side(circle)


def make(config: Config, env: Environment) -> Algorithm:
    member = family.Member(partial(coalition_actions, orders=config.orders), adds_up=True)
    return normalised(config, env, lambda env: family.learner(config, env, member))
