"""SQDDPG: critics whose sum is the team's value, each the share of one agent (Wang et al. 2020, arXiv 1907.05707).

Critic i reads the actions of those who joined before it and its own, in a random order of arrival: an estimate of what
it adds to them, which is its Shapley value in the mean over orders. docs/algorithms/sqddpg.md.
"""

from dataclasses import dataclass
from functools import partial
from math import factorial

import jax.numpy as jnp
from jax import Array

from comity.algorithms import deterministic as family
from comity.learning.coalitions import all_orders, drawn_orders, present
from comity.learning.relaxed import replaced
from comity.settings import NotNegative, check
from comity.types import Algorithm, Environment, Key


@dataclass(frozen=True)
class Config(family.Config):
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


def coalition_inputs(key: Key, view: Array, actions: Array, mine: Array, orders: int) -> Array:
    """All views, and the actions of those who are there when i has joined, its own first: [M, batch, N, N (V + A)].

    Of M orders, 0 for all. view [batch, N, V], actions and mine [batch, N, A]. Actions of who is not there are 0.
    """
    batch, agents, _ = view.shape
    if orders:
        places = drawn_orders(key, orders * batch, agents).reshape(orders, batch, agents)
    else:
        places = jnp.broadcast_to(all_orders(agents)[:, None], (factorial(agents), batch, agents))
    joint = jnp.where(present(places)[..., None], replaced(actions, mine), 0.0)  # [M, batch, i, j, A]
    circle = jnp.stack([jnp.roll(joint[..., i, :, :], -i, axis=-2) for i in range(agents)], -3)
    seen = jnp.broadcast_to(family.in_a_circle(view), (*joint.shape[:3], agents * view.shape[-1]))
    return jnp.concatenate([seen, circle.reshape(*joint.shape[:3], -1)], -1)


def make(config: Config, env: Environment) -> Algorithm:
    spec = env.spec
    size = spec.agents * (spec.view.size + spec.action.n)
    inputs = partial(coalition_inputs, orders=config.orders)
    return family.learner(config, env, "sqddpg", family.Member(size, inputs, adds_up=True))
