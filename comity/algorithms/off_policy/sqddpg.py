"""SQDDPG: MADDPG in which the critics' values sum to the team's value, as Shapley values (Wang et al. 2020, arXiv
1907.05707).

    Q(s, a) = sum over i of Q_i,   Q_i = mean over random orders of arrival of Q_i(o, actions of i and of all before i)

In a random order of arrival, critic i reads its own action and the actions of the agents that came before it; the other
actions are 0. So it estimates the marginal contribution of agent i, whose mean over orders is the Shapley value. The
sum learns from one TD loss. docs/algorithms/sqddpg.md lists every departure.
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
    """Settings of SQDDPG: the family's, and the number of orders of arrival for each transition."""

    orders: NotNegative[int] = 1  # M, number of orders; 0: all N! orders. Paper's figures 1, its navigation run 5

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
    """Returns the actions of agent i and of all agents before it, its own first, for M orders: [M, batch, N, N A].

    The actions of agents that come later are 0. actions, mine [batch, N, A]; orders: M; 0: all orders.
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
