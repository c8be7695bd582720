"""CleanUp-lite: apples grow only while the river is clean, and an agent that cleans it eats none meanwhile.

The grid game of COALA-PG (Meulemans et al. 2025, arXiv 2410.18636, appendix), here for two agents or more. It is small
enough for games that have learners inside. docs/tasks/cleanup_lite.md: the rules in words, and a picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import agent_hex
from comity.settings import Fraction, NotNegative, Positive, TwoOrMore, check, did_you_mean
from comity.spec import Discrete, Entities, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules: raised whenever the same seed would give another game

PROFILES: dict[str, dict[str, Any]] = {"paper": {}, "three": {"agents": 3}, "four": {"agents": 4}}

ROWS, COLUMNS = 5, 4  # cells; the orchard is column 0, the river column 3
ORCHARD, RIVER = 0, COLUMNS - 1
RIGHT, LEFT, UP, DOWN, ZAP, NOTHING = range(6)
MOVES = np.array([(0, 1), (0, -1), (-1, 0), (1, 0), (0, 0), (0, 0)], np.int32)  # [action, (row, column)]
APPLE, DIRT, EMPTY = range(3)  # contents of a cell
SCRIPTS = ("cleaner", "eater", "turn-taker", "bully")
TURN = 16  # steps for which a turn-taker cleans


class State(NamedTuple):
    """One game. Cells are (row, column)."""

    agents: Array  # [N, 2] int32
    frozen: Array  # [N] int32, number of steps for which each agent still cannot act
    apples: Array  # [ROWS] bool, in the orchard
    dirt: Array  # [ROWS] bool, in the river
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class CleanupLite:
    """N agents on 5 x 4 cells. view int8 [N, 21 N + 60]; state float32 [21 N + 11]. Rewards in points.

    view: own cell (one-hot, 20), cells of the others (20 each, agents i + 1, i + 2, ..., modulo N), contents of all
    cells (apple, dirt, empty: 60), own frozen flag, those of the others. state: cells of all agents, full cells of
    orchard and river (5 + 5), t / T, and each agent's remaining share of a freeze. Six actions: right, left, up, down,
    zap, nothing.
    """

    agents: TwoOrMore = 2  # N, number of agents
    length: Positive[int] = 64  # steps of an episode
    dirt_chance: Fraction = 0.35  # chance per step that a clean cell of the river becomes dirty
    choking: Positive[int] = 3  # with so many dirty cells no apple grows; with fewer, the chance falls linearly from 1
    first_dirt: NotNegative[int] = 3  # number of dirty cells at the start
    reach: NotNegative[int] = 2  # range of a zap, in steps up, down, left or right
    hit_chance: Fraction = 0.9  # chance that a zap freezes an agent within reach
    freeze: NotNegative[int] = 5  # number of steps for which a hit agent cannot act
    clock_terminates: bool = True  # an end by the clock is a true end, of value 0

    def __post_init__(self) -> None:
        check(self)
        if self.first_dirt > ROWS:
            raise ValueError(f"first_dirt {self.first_dirt} is more than the {ROWS} cells of the river")

    @property
    def spec(self) -> Spec:
        n, cells = self.agents, ROWS * COLUMNS
        grid, flags = cells * n, cells * (n + 3)
        own = (*range(cells), *range(grid, grid + 3 * cells), flags)
        others = tuple((*range(cells * k, cells * (k + 1)), flags + k) for k in range(1, n))
        return Spec(
            n,
            Vector(flags + n, Entities(own, others, tuple(range(1, n)))),
            Discrete(6),
            self.length,
            state=Vector(cells * n + 2 * ROWS + 1 + n),
            mixed_motive=True,
            best_symmetric=1 / n,  # no more than one apple grows in a step
            scripts=SCRIPTS,
            dilemma=("cleaner", "eater"),
            agent_colours=tuple(agent_hex(k) for k in range(n)),
            action_names=("right", "left", "up", "down", "zap", "nothing"),
            event_names=("eats", "cleans", "hits"),
            event_words=(("eats", "eats an apple"), ("cleans", "cleans the river"), ("hits", "hits with a zap")),
        )

    def reset(self, key: Key) -> tuple[State, Observation]:
        draw = jax.random.uniform(key, (self.agents + ROWS,))
        cell = jnp.floor(draw[: self.agents] * ROWS * COLUMNS).astype(jnp.int32)
        dirt = jnp.argsort(jnp.argsort(draw[self.agents :])) < self.first_dirt
        agents = jnp.stack([cell // COLUMNS, cell % COLUMNS], -1)
        nothing = jnp.zeros(self.agents, jnp.int32)
        state = State(agents, nothing, jnp.zeros(ROWS, bool), dirt, jnp.zeros((), jnp.int32))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        n = self.agents
        grows, places, takes, aims, hits = jnp.split(jax.random.uniform(key, (4 + 3 * n,)), (2, 4, 4 + n, 4 + 2 * n))
        dirt = filled(state.dirt, grows[0] < self.dirt_chance, places[0])
        apples = filled(state.apples, grows[1] < self.apple_chance(dirt), places[1])
        awake = state.frozen == 0
        eats, apples = taken(state.agents, ORCHARD, apples, awake, takes)
        cleans, dirt = taken(state.agents, RIVER, dirt, awake, takes)
        zaps = awake & (action == ZAP)
        hit_by = self.hit(state.agents, awake, zaps, aims) & (hits < self.hit_chance)[:, None]  # [N, N]
        hit = hit_by.any(0)
        limits = jnp.array([ROWS - 1, COLUMNS - 1])
        towards = jnp.clip(state.agents + jnp.asarray(MOVES)[action], 0, limits)
        after = State(
            jnp.where(awake[:, None], towards, state.agents).astype(jnp.int32),
            jnp.where(hit, self.freeze, jnp.maximum(state.frozen - 1, 0)).astype(jnp.int32),
            apples,
            dirt,
            state.time + 1,
        )
        over = after.time >= self.length
        each = {"eats": eats, "cleans": cleans, "zaps": zaps, "hits": hit_by.any(1), "frozen": ~awake}
        info = {name: x.astype(jnp.float32) for name, x in each.items()}
        info |= {"dirt": dirt.sum().astype(jnp.float32), "apples": apples.sum().astype(jnp.float32)}
        ends = over & self.clock_terminates, over & (not self.clock_terminates)
        return after, Timestep(self.observation(after), info["eats"], *ends, info)

    def apple_chance(self, dirt: Array) -> Array:
        """Chance that an apple grows in a step, [...], given dirt [..., ROWS] bool."""
        return 1 - jnp.minimum(1.0, dirt.sum(-1) / self.choking)

    def hit(self, agents: Array, awake: Array, zaps: Array, aims: Array) -> Array:
        """[N, N] bool, True where the row agent zaps and aims at the column agent: the nearest awake one within reach.
        If several are equally near, it is the one with the smallest of the draws `aims` [N]."""
        away = jnp.abs(agents[:, None] - agents[None]).sum(-1)
        possible = (away <= self.reach) & awake[None] & ~jnp.eye(self.agents, dtype=bool)
        order = jnp.where(possible, away + aims[None], jnp.inf)
        nearest = jnp.arange(self.agents) == order.argmin(-1)[:, None]
        return nearest & possible & zaps[:, None]

    def observation(self, state: State) -> Observation:
        n, cells = self.agents, ROWS * COLUMNS
        where = jax.nn.one_hot(state.agents @ jnp.array([COLUMNS, 1]), cells, dtype=jnp.int8)  # [N, 20]
        frozen = (state.frozen > 0).astype(jnp.int8)
        content = jnp.full((ROWS, COLUMNS), EMPTY)
        content = content.at[:, ORCHARD].set(jnp.where(state.apples, APPLE, EMPTY))
        content = content.at[:, RIVER].set(jnp.where(state.dirt, DIRT, EMPTY))
        grid = jax.nn.one_hot(content, 3, dtype=jnp.int8).reshape(-1)
        circle = (jnp.arange(n)[:, None] + jnp.arange(n)) % n  # [N, N], each agent itself, then the others
        view = [where[circle].reshape(n, -1), jnp.broadcast_to(grid, (n, grid.size)), frozen[circle]]
        full = jnp.concatenate([state.apples, state.dirt]).astype(jnp.float32)
        known = [where.reshape(-1), full, (state.time / self.length)[None], state.frozen / max(self.freeze, 1)]
        known = jnp.concatenate([x.astype(jnp.float32) for x in known])
        return Observation(jnp.concatenate(view, -1), known, jnp.ones((n, 6), bool))

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Means over steps. [B, N]: `eats`, `cleans`, `zaps`, `hits`, `frozen` of each agent. [B]: `dirt` and `apples`,
        the number of cells with them; `cleaning_difference`, the largest minus the smallest `cleans`."""
        steps = jnp.maximum(valid.sum(0), 1)
        mean = {name: x.sum(0) / (steps[:, None] if x.ndim == 3 else steps) for name, x in info.items()}
        return {**mean, "cleaning_difference": mean["cleans"].max(-1) - mean["cleans"].min(-1)}

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[Array, PyTree]]]:
        """Returns (memory, act) of a scripted player.

        cleaner: goes to the nearest dirt, or waits in the river. eater: goes to the nearest apple, or waits in the
        orchard. turn-taker: is a cleaner for TURN steps, then an eater until all others have had their turn; the agent
        that starts nearest to the river begins. bully: an eater that zaps any agent within reach.
        """
        if name not in SCRIPTS:
            near = did_you_mean(name, SCRIPTS)
            raise ValueError(f"unknown script {name!r}{near}; known: {', '.join(SCRIPTS)}")

        def act(memory: Array, view: Array) -> tuple[Array, Array]:
            time, turn = memory
            agents, frozen, apples, dirt = read(view, self.agents)
            turn = jnp.where(time == 0, (agents[1:] @ NEARNESS > agents[0] @ NEARNESS).sum(), turn)
            cleaning = (time // TURN) % self.agents == turn if name == "turn-taker" else jnp.bool_(name == "cleaner")
            step = towards(agents[0], jnp.where(cleaning, RIVER, ORCHARD), jnp.where(cleaning, dirt, apples))
            if name == "bully":
                near = (jnp.abs(agents[1:] - agents[0]).sum(-1) <= self.reach) & ~frozen[1:]
                step = jnp.where(near.any(), ZAP, step)
            return step.astype(jnp.int32), jnp.stack([time + 1, turn]).astype(jnp.int32)

        return jnp.zeros(2, jnp.int32), jnp.vectorize(act, signature="(m),(v)->(),(m)")

    def draw(self, state: State) -> np.ndarray:
        """uint8 [H, W, 3] of one game."""
        from comity.drawing.lite import cleanup_lite

        agents, frozen, apples, dirt = (np.asarray(x) for x in state[:4])
        return cleanup_lite(agents, frozen, apples, dirt, COLUMNS)


def filled(full: Array, grows: Array, place: Array) -> Array:
    """Returns full [K] bool with one more cell filled, if `grows`. place in [0, 1) picks the free cell."""
    free = ~full
    upto = jnp.cumsum(free)
    number = jnp.floor(place * upto[-1]).astype(jnp.int32)  # the free cells are numbered from 0
    return full | (free & (upto == number + 1) & grows)


def taken(agents: Array, column: int, full: Array, awake: Array, draws: Array) -> tuple[Array, Array]:
    """Returns (the agents that take something from their cell [N] bool, the cells still full [ROWS] bool).

    If several agents share a cell, the one with the smallest draw takes. column: orchard or river.
    """
    row = agents[:, 0]
    there = awake & (agents[:, 1] == column) & full[row]
    order = jnp.where(there, draws, jnp.inf)
    first = jnp.where(row[:, None] == row[None], order[None], jnp.inf).min(-1)
    takes = there & (order == first)
    return takes, full & ~(jax.nn.one_hot(row, ROWS, dtype=jnp.int32) * takes[:, None]).any(0)


# Scripts --------------------------------------------------------------------------------------------------------------

NEARNESS = np.array([1, ROWS], np.int32)  # times (row, column): an order of cells, those near the river last


def read(view: Array, n: int) -> tuple[Array, Array, Array, Array]:
    """Reads one view [V]. Returns (cells [N, 2], frozen [N] bool, apples [ROWS] bool, dirt [ROWS] bool).

    The viewer comes first among the agents.
    """
    cells = ROWS * COLUMNS
    cell = view[: n * cells].reshape(n, cells).argmax(-1)
    content = view[n * cells : (n + 3) * cells].reshape(ROWS, COLUMNS, 3) > 0
    agents = jnp.stack([cell // COLUMNS, cell % COLUMNS], -1)
    return agents, view[(n + 3) * cells :] > 0, content[:, ORCHARD, APPLE], content[:, RIVER, DIRT]


def towards(me: Array, column: Array, wanted: Array) -> Array:
    """Action [] of an agent at me [2] that goes to the nearest wanted row of a column.

    If no row is wanted, it goes to the column and waits there.
    """
    row = jnp.where(wanted.any(), jnp.where(wanted, jnp.abs(jnp.arange(ROWS) - me[0]), 2 * ROWS).argmin(), me[0])
    sideways = jnp.where(me[1] < column, RIGHT, LEFT)
    along = jnp.where(row < me[0], UP, jnp.where(row > me[0], DOWN, NOTHING))
    return jnp.where(me[1] == column, along, sideways)
