"""The coin game: each coin gives a point, but an agent that takes the other's coin costs the other two points.

Lerer and Peysakhovich 2017 (arXiv 1707.01068), with one coin at a time as in LOLA (Foerster et al. 2018, arXiv
1709.04326), or a coin of each colour as in M-FOS (Lu et al. 2022, arXiv 2205.01447). docs/tasks/coin_game.md: the rules
in words, and a picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import agent_hex
from comity.settings import Positive, TwoOrMore, check, did_you_mean
from comity.spec import Discrete, Entities, Image, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules: raised whenever the same seed would give another game

PROFILES: dict[str, dict[str, Any]] = {
    "lola": {},
    "m-fos": {"coins": "two", "length": 16},
}

MOVES = np.array([(0, 1), (0, -1), (1, 0), (-1, 0), (0, 0)], np.int32)  # right, left, down, up, stay
SCRIPTS = ("own-only", "greedy")


class State(NamedTuple):
    """One game. Cells are (row, column), on a torus."""

    agents: Array  # [2, 2] int32
    coins: Array  # [2, 2] int32, each agent's coin
    there: Array  # [2] bool, the coins that lie on the board
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class CoinGame:
    """Two agents on size x size cells of a torus. view int8 [2, 4 size^2], or an image [2, size, size, 4]; state
    float32 [4 size^2 + 1].

    Planes of a view: own cell, the other's cell, own coin, the other's coin. state: agent 0's planes, and t / T.
    """

    size: TwoOrMore = 3  # cells of a side; the board is a torus
    coins: Literal["one", "two"] = "one"  # one: a single coin, of alternating colour | two: one of each colour
    both: Literal["each", "one"] = (
        "each"  # if two agents reach one coin: each gets it, as in the code | one gets it, by a fair draw
    )
    point: float = 1.0  # points for taking a coin of either colour
    harm: float = -2.0  # points to an agent whose coin the other takes
    stay: bool = False  # adds a fifth action, which does not move
    view: Literal["vector", "image"] = "vector"  # the planes as one vector, or as a picture for convolutions
    length: Positive[int] = 150  # steps of an episode: LOLA 150, M-FOS 16
    clock_terminates: bool = True  # an end by the clock is a true end, of value 0

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        cells = self.size**2
        columns = lambda k: tuple(range(k * cells, (k + 1) * cells))  # noqa: E731
        entities = Entities((*columns(0), *columns(2), *columns(3)), (columns(1),), (1,))
        image = Image(self.size, self.size, 4, high=1)
        return Spec(
            2,
            image if self.view == "image" else Vector(4 * cells, entities),
            Discrete(4 + self.stay),
            self.length,
            state=Vector(4 * cells + 1),
            mixed_motive=True,
            headline="own_share",
            scripts=SCRIPTS if self.view == "vector" else (),
            dilemma=SCRIPTS,
            agent_colours=(agent_hex(0), agent_hex(1)),
            action_names=("right", "left", "down", "up", "stay")[: 4 + self.stay],
            event_names=("own_coins", "other_coins"),
            event_words=(("own_coins", "takes a coin of its own"), ("other_coins", "takes the other's coin")),
        )

    def reset(self, key: Key) -> tuple[State, Observation]:
        key_agents, key_coins, key_colour = jax.random.split(key, 3)
        agents = jax.random.randint(key_agents, (2, 2), 0, self.size)
        there = jnp.ones(2, bool)
        if self.coins == "one":
            there = jnp.arange(2) == jax.random.randint(key_colour, (), 0, 2)
        state = State(agents, self.drawn(key_coins, agents), there, jnp.zeros((), jnp.int32))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        key_coins, key_both = jax.random.split(key)
        agents = (state.agents + jnp.asarray(MOVES)[action]) % self.size
        takes = (agents[:, None] == state.coins[None]).all(-1) & state.there  # [agent, whose coin]
        if self.both == "one":
            first = jnp.arange(2) == jax.random.randint(key_both, (), 0, 2)
            takes &= ~takes.all(0) | first[:, None]
        own, other = jnp.diagonal(takes), jnp.diagonal(takes[:, ::-1])
        reward = self.point * (own.astype(jnp.float32) + other) + self.harm * other[::-1]
        gone = takes.any(0)
        there = jnp.where(gone.any(), ~state.there, state.there) if self.coins == "one" else state.there
        new = gone.any() if self.coins == "one" else gone[:, None]
        coins = jnp.where(new, self.drawn(key_coins, agents), state.coins)
        after = State(agents.astype(jnp.int32), coins, there, state.time + 1)
        over = after.time >= self.length
        ends = over & self.clock_terminates, over & (not self.clock_terminates)
        info = {"own_coins": own.astype(jnp.float32), "other_coins": other.astype(jnp.float32)}
        return after, Timestep(self.observation(after), reward, *ends, info)

    def drawn(self, key: Key, agents: Array) -> Array:
        """Draws the cells [2, 2] of new coins. A single coin never lies under an agent, as in LOLA's code. Each of two
        coins may lie anywhere, as in the code of M-FOS."""
        if self.coins == "two":
            return jax.random.randint(key, (2, 2), 0, self.size)
        cells = jnp.arange(self.size**2)
        free = ~(cells[:, None] == agents @ jnp.array([self.size, 1])).any(-1)
        upto = jnp.cumsum(free)
        number = jnp.floor(jax.random.uniform(key) * upto[-1]).astype(jnp.int32)
        cell = jnp.argmax(upto == number + 1)
        return jnp.tile(jnp.stack([cell // self.size, cell % self.size]), (2, 1)).astype(jnp.int32)

    def observation(self, state: State) -> Observation:
        cells = self.size**2
        place = lambda x: jax.nn.one_hot(x @ jnp.array([self.size, 1]), cells, dtype=jnp.int8)  # noqa: E731
        agents, coins = place(state.agents), place(state.coins) * state.there[:, None].astype(jnp.int8)  # [2, cells]
        planes = jnp.stack([agents, agents[::-1], coins, coins[::-1]], 1)  # [2, 4, cells]
        known = jnp.append(planes[0].reshape(-1).astype(jnp.float32), state.time / self.length)
        if self.view == "image":
            view = planes.reshape(2, 4, self.size, self.size).transpose(0, 2, 3, 1).astype(jnp.uint8)
        else:
            view = planes.reshape(2, -1)
        return Observation(view, known, jnp.ones((2, self.spec.action.n), bool))

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """[B, N]: `own_share`, the share of its own colour among the coins that an agent took, NaN if it took none;
        `coins`, the number that it took."""
        own, other = info["own_coins"].sum(0), info["other_coins"].sum(0)
        coins = own + other
        return {"own_share": jnp.where(coins > 0, own / jnp.maximum(coins, 1), jnp.nan), "coins": coins}

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory, act) of a scripted player. Both read vectors.

        own-only: takes the shortest way to its own coin, and steps on the other's only if both lie in one cell. greedy:
        takes the shortest way to the nearest coin.
        """
        if name not in SCRIPTS:
            near = did_you_mean(name, SCRIPTS)
            raise ValueError(f"unknown script {name!r}{near}; known: {', '.join(SCRIPTS)}")
        act = jnp.vectorize(lambda view: scripted(name, view, self.size, 4 + self.stay), signature="(v)->()")
        return (), lambda memory, view: (act(view), memory)

    def draw(self, state: State) -> np.ndarray:
        """uint8 [H, W, 3] of one game."""
        from comity.drawing.lite import coin_game

        coins = [(int(row), int(column), k) for k, (row, column) in enumerate(state.coins) if state.there[k]]
        return coin_game(np.asarray(state.agents), coins, self.size)


def torus_distance(a: Array, b: Array, size: int) -> Array:
    """Number of steps between cells a and b [..., 2] on a torus, [...]."""
    away = jnp.abs(a - b)
    return jnp.minimum(away, size - away).sum(-1)


def scripted(name: str, view: Array, size: int, actions: int) -> Array:
    """[] int32, the action of a script for one view [V]: the move of the least cost."""
    planes = view.reshape(4, size**2)
    there = planes.any(-1)
    cell = planes.argmax(-1)
    places = jnp.stack([cell // size, cell % size], -1)  # [4, 2]
    lands = (places[0] + jnp.asarray(MOVES)[:actions]) % size  # [A, 2]
    far = 2 * size
    to_own, to_other = (jnp.where(there[k], torus_distance(lands, places[k], size), far) for k in (2, 3))
    if name == "greedy":
        return jnp.minimum(to_own, to_other).argmin().astype(jnp.int32)
    return (to_own + 10 * far * ((to_other == 0) & (to_own > 0))).argmin().astype(jnp.int32)
