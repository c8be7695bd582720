"""The common parts of Harvest and Cleanup: states, draws, and the order of events in a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.dilemmas import CHANNELS, player
from comity.environments.dilemmas import beams, moves, windows
from comity.environments.dilemmas.beams import CLEANING, NOTHING, PENALTY
from comity.environments.dilemmas.maps import MOVES, Map, numbered
from comity.spec import Discrete, Image, Spec, Vector
from comity.types import Key, Observation, Timestep

if TYPE_CHECKING:
    from comity.environments.dilemmas.cleanup import Cleanup
    from comity.environments.dilemmas.harvest import Harvest

LEFT, RIGHT, FORWARD, BACK, STAY, CLOCKWISE, COUNTER, FIRE, CLEAN = range(9)
ACTIONS = ("left", "right", "forward", "back", "stay", "turn clockwise", "turn counter-clockwise", "fire", "clean")
WORDS = (  # of events, in films
    ("apples", "eats an apple"),
    ("cleaned", "cleans the river"),
    ("penalties", "fires the penalty beam"),
    ("hits", "is hit by the penalty beam"),
)
ASIDE = np.array([3, 1, 0, 2, 0], np.int32)  # quarter turns from the heading to the direction of each moving action


class State(NamedTuple):
    """One game. Cells are (row, column); headings 0 up, 1 right, 2 down, 3 left."""

    position: Array  # [N, 2] int32
    heading: Array  # [N] int32
    apples: Array  # [R, C] bool
    waste: Array  # [R, C] bool
    fired: Array  # [N] int32, beams fired in the last step; only pictures use it and `reach`
    reach: Array  # [N, 3] int32, number of cells under each ray
    time: Array  # [] int32, steps played


class Draws(NamedTuple):
    """All random numbers of one step, uniform in [0, 1)."""

    priority: Array  # [N], of several agents that want a cell the one with the least goes first
    order: Array  # [N], beams are fired in this order, the least first
    apples: Array  # [K], an apple grows where the number is below the chance
    waste: Array  # [H], a cell may become waste where the number is below the rate
    waste_order: Array  # [H], of these cells only the one with the least becomes waste


Grown = Callable[[Array, Array, Array, Draws], tuple[Array, Array]]
# (apples, waste, cells with agents [R, C] bool, draws) -> (apples, waste)


def draws(key: Key, agents: int, land: Map) -> Draws:
    """Draws all random numbers of a step with one call of the generator, so that no key is used twice."""
    sizes = (agents, agents, len(land.apple_cells), len(land.river_cells), len(land.river_cells))
    numbers = jax.random.uniform(key, (sum(sizes),))
    return Draws(*jnp.split(numbers, np.cumsum(sizes[:-1])))


def stood_on(position: Array, rows: int, columns: int) -> Array:
    """[R, C] bool, the cells in which an agent stands."""
    place = position[:, 0] * columns + position[:, 1]
    return (jnp.arange(rows * columns)[:, None] == place).any(-1).reshape(rows, columns)


def start(key: Key, agents: int, land: Map, apples: np.ndarray, grown: Grown) -> State:
    """Returns the first state: agents in different start cells with random headings, after one round of growth."""
    starts = len(land.starts)
    # One call draws places and headings.
    key_places, key_growth = jax.random.split(key)
    numbers = jax.random.uniform(key_places, (starts + agents,))
    position = jnp.asarray(land.starts)[jnp.argsort(numbers[:starts])[:agents]]
    heading = jnp.floor(4 * numbers[starts:]).astype(jnp.int32)
    there = stood_on(position, land.rows, land.columns)
    planted, fouled = grown(jnp.asarray(apples), jnp.asarray(land.fouled), there, draws(key_growth, agents, land))
    none = jnp.zeros(agents, jnp.int32)
    return State(position, heading, planted, fouled, none, jnp.zeros((agents, 3), jnp.int32), jnp.zeros((), jnp.int32))


class Events(NamedTuple):
    """Events of a step, [N] int32."""

    apples: Array  # apples eaten
    cleaned: Array  # cells of waste removed
    hits: Array  # penalty rays that ended on the agent
    fired: Array  # kind of beam


def targets(land: Map, position: Array, heading: Array, action: Array) -> tuple[Array, Array]:
    """Returns (the cell that each agent wants [N, 2], the agents that move or stay [N] bool)."""
    wants = action <= STAY
    turned = (heading + jnp.asarray(ASIDE)[jnp.minimum(action, STAY)]) % 4
    ahead = position + jnp.where((action < STAY)[:, None], jnp.asarray(MOVES)[turned], 0)
    shut = jnp.asarray(np.pad(land.walls, 1, constant_values=True))
    blocked = shut[ahead[:, 0] + 1, ahead[:, 1] + 1]
    return jnp.where(blocked[:, None], position, ahead), wants


def advanced(
    land: Map, state: State, action: Array, chance: Draws, grown: Grown, length: int, may_share: bool
) -> tuple[State, Events]:
    """Plays a step, given its draws: turns and moves, eating, beams, growth. length: of rays, in cells."""
    n = len(action)
    turn = (action == CLOCKWISE).astype(jnp.int32) - (action == COUNTER)
    heading = (state.heading + turn) % 4
    goal, wants = targets(land, state.position, state.heading, action)
    place, target = (x[:, 0] * land.columns + x[:, 1] for x in (state.position, goal))
    place = moves.moved(place, target, wants, chance.priority, may_share)
    position = jnp.stack([place // land.columns, place % land.columns], -1).astype(jnp.int32)

    there = stood_on(position, land.rows, land.columns)
    earlier = ((place[:, None] == place) & (jnp.arange(n) < jnp.arange(n)[:, None])).any(-1)
    eaten = state.apples.reshape(-1)[place] & ~earlier
    apples = state.apples & ~there

    fired = jnp.where(action == FIRE, PENALTY, jnp.where(action == CLEAN, CLEANING, NOTHING)).astype(jnp.int32)
    found = beams.rays(land.walls, position, heading, length)
    waste, cleaned, reach = state.waste, jnp.zeros(n, jnp.int32), jnp.zeros((n, 3), jnp.int32)
    if land.river.any():
        waste, cleaned, reach = beams.cleaned(found, fired, moves.least(chance.order), waste)
    events = Events(eaten.astype(jnp.int32), cleaned, beams.hits(found, fired), fired)
    apples, waste = grown(apples, waste, there, chance)
    reach = beams.covered(found, fired, reach)
    return State(position, heading, apples, waste, fired, reach, state.time + 1), events


def new_apples(land: Map, apples: Array, there: Array, draws: Draws, chance: Array) -> Array:
    """[R, C] bool, apples that grow in free cells of the orchard. chance [R, C] or []: chance of each."""
    drawn = draws.apples[jnp.asarray(numbered(land.orchard))] if draws.apples.size else 1.0
    return jnp.asarray(land.orchard) & ~apples & ~there & (drawn < chance)


def check_map(land: Map, agents: int) -> None:
    """Raises ValueError if the map has fewer start cells than agents."""
    if len(land.starts) < agents:
        raise ValueError(f"map has {len(land.starts)} places to start (P) for {agents} agents: give one for each")


def spec(game: Harvest | Cleanup, actions: int) -> Spec:
    """Returns the spec of either game. actions: number of actions."""
    n, side = game.num_agents, 2 * game.radius + 1
    planes = Image(side, side, len(CHANNELS), 1) if game.obs == "channels" else Image(side, side, 3)
    cleans = actions > CLEAN
    return Spec(
        agents=n,
        view=planes,
        action=Discrete(actions),
        length=game.length,
        state=Vector(state_size(game)),
        mixed_motive=True,
        headline="apples",
        # The released rotation may turn a window upside down. A script that reads only the window would not know where
        # ahead is.
        scripts=("cooperator", "defector") if game.rotation == "ahead" else (),
        dilemma=("cooperator", "defector"),
        agent_colours=tuple("#{:02x}{:02x}{:02x}".format(*player(k)) for k in range(n)),
        action_names=ACTIONS[:actions],
        event_names=("apples", "cleaned", "penalties", "hits") if cleans else ("apples", "penalties", "hits"),
        event_words=WORDS if cleans else tuple(entry for entry in WORDS if entry[0] != "cleaned"),
    )


def state_size(game: Harvest | Cleanup) -> int:
    """Size S of the state vector."""
    return 6 * game.num_agents + len(game.land.apple_cells) + len(game.land.river_cells)


def state_vector(game: Harvest | Cleanup, state: State) -> Array:
    """[S] float32: each agent's row and column as shares of the map and its heading as one-hot; then for each place of
    apples 1 if one is there; then for each cell of the river 1 if it is waste."""
    land = game.land
    share = state.position / jnp.array([land.rows, land.columns], jnp.float32)
    agents = jnp.concatenate([share, jax.nn.one_hot(state.heading, 4)], -1).reshape(-1)
    at = lambda plane, cells: plane[cells[:, 0], cells[:, 1]].astype(jnp.float32)  # noqa: E731
    return jnp.concatenate([agents, at(state.apples, land.apple_cells), at(state.waste, land.river_cells)])


def observation(game: Harvest | Cleanup, state: State) -> Observation:
    """Returns the observation of a state."""
    look = windows.channels if game.obs == "channels" else windows.colours
    quirk = game.rotation == "released"
    view = look(game.land, state.position, state.heading, state.apples, state.waste, game.radius, quirk)
    n = game.spec.action.n
    return Observation(view, state_vector(game, state), jnp.ones((game.num_agents, n), bool))


def points(game: Harvest | Cleanup, events: Events) -> Array:
    """[N] float32, the rewards of a step."""
    shots = game.fire_cost * (events.fired == PENALTY)
    return events.apples.astype(jnp.float32) - shots - game.hit * events.hits.astype(jnp.float32)


def step(game: Harvest | Cleanup, state: State, action: Array, chance: Draws) -> tuple[State, Timestep]:
    """Plays a step of a game, given its draws."""
    after, events = advanced(game.land, state, action, chance, game.grown, game.beam_length, game.shared_cells)
    late = after.time >= game.length
    count = lambda x: x.astype(jnp.float32)  # noqa: E731
    return after, Timestep(
        observation=observation(game, after),
        reward=points(game, events),
        terminated=late & game.clock_terminates,
        truncated=late & (not game.clock_terminates),
        info={
            "apples": count(events.apples),
            "penalties": count(events.fired == PENALTY),
            "hits": count(events.hits),
            "cleanings": count(events.fired == CLEANING),
            "cleaned": count(events.cleaned),
            "waste": after.waste.sum() / max(len(game.land.river_cells), 1),
            "apples_left": count(after.apples.sum()),
        },
    )


def picture(game: Harvest | Cleanup, state: State, tile: int) -> np.ndarray:
    """uint8 [H, W, 3] of one game, with the beams of its last step."""
    from comity.drawing import dilemmas

    land = game.land
    position, heading, fired, reach, apples, waste = (
        np.asarray(x) for x in (state.position, state.heading, state.fired, state.reach, state.apples, state.waste)
    )
    shades = ((PENALTY, dilemmas.PENALTY_BEAM), (CLEANING, dilemmas.CLEANING_BEAM))
    lit = [
        (beams.plane(position, heading, np.where((fired == kind)[:, None], reach, 0), land.rows, land.columns), colour)
        for kind, colour in shades
    ]
    ground = [
        (land.walls, dilemmas.WALL),
        (land.water, dilemmas.WATER),
        (waste, dilemmas.WASTE),
        (apples, dilemmas.APPLE),
    ]
    return dilemmas.draw(ground, lit, position, heading, tile)
