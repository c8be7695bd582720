"""Count-based exploration: rarely seen views pay more.

    b = 1 / sqrt(N + 1),   N = number of earlier visits of the hashed view that a step leads to

Bellemare et al. 2016 (arXiv 1606.01868, eq. 1: a bonus from counts) and Tang et al. 2017 (arXiv 1611.04717: counts of a
hash of the view). docs/algorithms/bonuses.md derives it and lists every departure.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from comity.settings import NotNegative, Positive, Range, check
from comity.spec import functions
from comity.types import Bonus, Environment, Experience, Key, Transition

VERSION = 1


@dataclass(frozen=True)
class Config:
    """Settings of the count bonus. Tang: 0.01, tables of 2^16 to 2^128 places by the length of the hash."""

    weight: NotNegative[float] = 0.1  # eta of eta / sqrt(N + 1), in units of the game's reward
    counted: Literal["own", "joint", "cell"] = "own"
    # what is counted. own: each agent's own view | joint: all views together | cell: each agent's own cell on a grid,
    # together with the places of other movable things (`Functions.cells`)
    precision: Positive[float] = 0.1  # float views are rounded to multiples of it before they are counted
    bits: Annotated[int, Range(1, 24)] = 16  # a table of 2^bits places; views that share one are counted as one

    def __post_init__(self):
        check(self)


PRESETS = {"sound": {}}


class State(NamedTuple):
    factors: Array  # [V or N V] uint32, of the hash
    visits: Array  # [K, 2^bits] int32, a table for each agent (K = N), or one for all (K = 1)


def place(factors: Array, numbers: Array, bits: int) -> Array:
    """Returns the hash of whole numbers [..., V], [...] int32 in [0, 2^bits).

    It is the highest bits of sum_i factors_i x_i mod 2^32 (multiply and shift, Dietzfelbinger et al. 1997). With random
    factors, two views share a place with probability 2 / 2^bits at most, unless all their numbers differ by multiples
    of 2^(32 - bits).
    """
    total = (numbers.astype(jnp.uint32) * factors).sum(-1, dtype=jnp.uint32)
    return (total >> (32 - bits)).astype(jnp.int32)


def own_cells(cell: Array, beside: Array) -> Array:
    """Joins each agent's cell [..., N, 2] with the places of other movable things [..., K]: [..., N, 2 + K] int32."""
    beside = jnp.broadcast_to(beside[..., None, :], (*cell.shape[:-1], beside.shape[-1]))
    return jnp.concatenate([cell, beside], -1).astype(jnp.int32)


def make(config: Config, env: Environment) -> Bonus:
    spec, cells = env.spec, functions(env).cells
    if config.counted == "cell" and cells is None:
        raise ValueError(
            "counts 'cell' needs a grid that says where agents stand, `cells(view)`, which "
            f"{type(env).__name__} lacks: set counted to 'own'"
        )
    joint, tables = config.counted == "joint", 1 if config.counted == "joint" else spec.agents
    size = spec.view.size * (spec.agents if joint else 1)
    if config.counted == "cell" and cells is not None:
        size = 2 + jax.eval_shape(cells, jnp.zeros((spec.agents, *spec.view.shape)))[1].shape[-1]

    def places(state: State, view: Array) -> Array:
        """Returns the places in the tables, [..., K] int32, of views [..., N, *view]."""
        if config.counted == "cell" and cells is not None:
            return place(state.factors, own_cells(*cells(view)), config.bits)
        lead = view.shape[: view.ndim - len(spec.view.shape) - 1]
        numbers = view.reshape(*lead, tables, size)
        if jnp.issubdtype(view.dtype, jnp.floating):
            numbers = jnp.round(numbers / config.precision).astype(jnp.int32)
        return place(state.factors, numbers, config.bits)

    def init(key: Key) -> State:
        factors = jax.random.bits(key, (size,), jnp.uint32) | 1  # odd: multiplying mod 2^32 loses no bit
        return State(factors, jnp.zeros((tables, 2**config.bits), jnp.int32))

    def reward(state: State, experience: Experience) -> Array:
        """Returns 1 / sqrt(N + 1) for the view that a step leads to, [..., N]."""
        times = state.visits[jnp.arange(tables), places(state, experience.next_observation.view)]  # [..., K]
        return jnp.broadcast_to(jax.lax.rsqrt(times + 1.0), (*times.shape[:-1], spec.agents))

    def update(key: Key, state: State, steps: Transition) -> tuple[State, dict[str, Array]]:
        where = places(state, steps.next_observation.view)
        counted = jnp.broadcast_to(steps.valid[..., None], where.shape).astype(jnp.int32)
        visits = state.visits.at[jnp.arange(tables), where].add(counted)
        return state._replace(visits=visits), {"filled": (visits > 0).mean(dtype=jnp.float32)}

    return Bonus(init, reward, update)
