"""Manitokan: one key, one door per agent, a gift that nobody sees (Malenfant & Richards, arXiv 2505.20579).

Agents walk a small walled grid. Each may open only its own door, with the one key; who has opened its door is rewarded
for leaving the key behind only once the others have opened theirs too. Defaults follow the paper, and the profile
`released` the authors' code of June 2025, which differs. docs/tasks/manitokan.md: the rules in words, and a picture.

Coordinates are (x right, y down); headings 0 right, 1 down, 2 left, 3 up. Agents never block each other.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import agent_hex
from comity.environments import manitokan_injection as injection
from comity.environments import manitokan_statistics as statistics
from comity.settings import check as check_settings
from comity.spec import Discrete, Spec, Vector
from comity.types import Collective, Key, Observation, Timestep, Transition

VERSION = 1  # of the rules: raised whenever the same seed would give another game

PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},
    "released": {
        "length": 300,
        "content": "last-agent",
        "show_carried": True,
        "frozen_observation": True,
        "signals": "raw",
        "doors_required": "two",
        "oracle": "released",
        "punish": "released",
        "injection": "released",
    },
}

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE = range(6)
UNSEEN, EMPTY, WALL, DOOR, KEY, AGENT = 0, 1, 2, 4, 5, 10  # first number of a cell's code
BLUE, GREY = 2, 5  # second number, its colour: of the key, of walls
LOCKED = 2  # third number, a door's state; doors are locked or gone
OPEN_SIGNAL, SHUT_SIGNAL, HELD_SIGNAL, FREE_SIGNAL = 23, 37, 53, 59  # raw signals, as in the released code
NOWHERE = -1  # both coordinates of a door that is gone, and of a key that is carried
EXTRAS = ("door-signal", "key-signal", "agent-id", "last-action")  # what `observe` may add, in the order of the view


class State(NamedTuple):
    """One game. Cells are (x, y)."""

    position: Array  # [N, 2] int32, agents' cells
    heading: Array  # [N] int32
    doors: Array  # [N, 2] int32, agent k's door; NOWHERE once opened
    opened: Array  # [N] bool, agent k has opened its door
    key: Array  # [2] int32; NOWHERE while carried
    holding: Array  # [N] bool, agent k carries the key
    paid: Array  # [N] bool, agent k had its reward for a drop (reward "oracle" only)
    time: Array  # [] int32, steps played
    order: Array  # [N] int32, who acts first, second, ... within a step: any permutation
    last_action: Array  # [N] int32, -1 before the first
    first_view: Array  # [N, V'] int8, window and signals at the start, for `frozen_observation`; else [N, 0]
    past: Array | None = None  # [T + 1, N, V'] int8, window and signals of every step so far, for `lagged_observation`
    lag: Array | None = None  # [] int32, how many steps late they are shown


@dataclass(frozen=True)
class Manitokan:
    """N agents, N doors, one key. view int8 [N, view_size], state int8 [3 W^2 + 3 N]. Rewards in points.

    `reset(key, episode)` draws a layout; `build` makes one by hand. Raises ValueError for options that do not exist.
    """

    num_agents: int = 2  # agents and doors; the paper has 2
    size: int = 4  # the grid is W x W cells with W = size + num_agents, its outer ring is wall
    length: int = 150  # steps per episode, section 4 of the paper; the code has 300

    placement: Literal["released", "uniform"] = "released"
    # Paper: "randomly initialised". Released: agents lean to the left, see `place`; the default, as all numbers use it.
    pickup: Literal["front", "own_cell"] = "front"  # where the key is taken; on own_cell it blocks nobody
    window: Literal["forward", "centred"] = "forward"  # where the agent stands in the 3 x 3 cells it sees
    prune: bool = True  # drop and toggle are available with the key only; False: always, and without it they do nothing
    content: Literal["scene", "last-agent"] = "scene"  # what it sees there. Released: only the last agent, a slip
    show_carried: bool = False  # True: the carrier's cell shows the key instead of the agent
    frozen_observation: bool = False  # True: window and signals stay those of the first step until the episode's end
    lagged_observation: bool = False
    # True: window and signals are shown as many steps late as episodes were played before, modulo the length; nothing
    # until then. The released buffers of MAPPO and IPPO drift so; there the last episode's views fill the gap.
    observe: str = "window"  # or a set of EXTRAS joined by "+", as "door-signal+last-action"
    signals: Literal["binary", "raw"] = "binary"  # one 0/1 flag each, or 23/37 and 53/59, three times each

    reward: Literal["normal", "oracle", "punish", "inject", "individual-only", "collective-only"] = "normal"
    individual_reward: float = 0.5  # points to k for its door; the sum over open doors is the collective reward, eq. 1
    doors_required: Literal["all", "two"] = "all"  # open doors that end the episode. Released: two, for any N
    step_cost: float = 0.0  # points off per step and agent; the code has 1e-4, switched off
    oracle: Literal["paper", "released"] = "paper"  # released: the paid drop also makes the door signal say "closed"
    oracle_reward: float = 1.0  # points to k for its first drop after opening its door
    punish: Literal["paper", "released"] = "paper"  # each step that keeps the key | each toggle with it, see `penalty`
    punishment: float = 0.5  # points; the paper's text has 0.5, its caption 1
    injection: Literal["paper", "clean", "released"] = "paper"  # see manitokan_injection.py
    injection_window: int = 15  # steps before and after a reward
    injection_batches: int = 10_000  # batches until the injection has faded away
    injection_sigma: float = 0.25  # points, s.d. of the first two: ours, half the individual reward
    injection_scale: float = 1e-4  # factor of the released injection: its entropy coefficient

    order: Literal["leader", "alternating", "random"] = "leader"  # who moves first: 0 | rotates | drawn, per episode
    shared_order: bool = True  # random order: one draw for all parallel games of an episode, or one for each game
    order_seed: int = 0  # of that shared draw
    clock_terminates: bool = True  # the time limit is a true end, of value 0, as in all the paper's algorithms

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        n, signal = self.num_agents, 3 if self.signals == "raw" else 1
        sizes = {"door-signal": signal, "key-signal": signal, "last-action": 6, "agent-id": n}
        names = ("purple", "yellow", "orange", "cyan")
        laws = ("injection", "injection_window", "injection_batches", "injection_sigma", "injection_scale")
        return Spec(
            n,
            Vector(27 + sum(sizes[name] for name in self.extras)),
            Discrete(6),
            self.length,
            state=Vector(3 * self.width**2 + 3 * n),
            history=6 if "last-action" in self.extras else 0,
            headline="success",
            agent_names=names[:n] + tuple(f"agent {k}" for k in range(len(names), n)),
            agent_colours=tuple(agent_hex(k) for k in range(n)),
            action_names=("turn left", "turn right", "forward", "pick up", "drop", "toggle"),
            event_names=("pickups", "drops", "doors_opened", "success"),
            unread=frozenset(() if self.reward == "inject" else laws),
        )

    @property
    def width(self) -> int:
        """W, cells per side, walls included."""
        return self.size + self.num_agents

    @property
    def extras(self) -> tuple[str, ...]:
        """The names in `observe`, in the order of the view."""
        return tuple(name for name in EXTRAS if name in self.observe.split("+"))

    @property
    def required(self) -> int:
        """How many open doors end the episode and pay the collective reward."""
        return self.num_agents if self.doors_required == "all" else min(2, self.num_agents)

    @property
    def attainable(self) -> float:
        """Points one agent can collect in an episode, the unit of `reward_share`: 1.5 for two agents."""
        individual = 0.0 if self.reward == "collective-only" else self.individual_reward
        collective = 0.0 if self.reward == "individual-only" else self.individual_reward * self.required
        return individual + collective + (self.oracle_reward if self.reward == "oracle" else 0.0)

    def reset(self, key: Key, episode: Array | int = 0) -> tuple[State, Observation]:
        """Draws a layout. episode: how many were played before, for orders that change from one to the next."""
        n = self.num_agents
        # One draw for all, as each costs a second to compile: split, headings, order, and two scores per inner cell.
        numbers = jax.random.uniform(key, (1 + 2 * n + 2 * (self.width - 2) ** 2,))
        split, heading, order, scores = jnp.split(numbers, np.cumsum((1, n, n)))
        position, objects = place(self, split[0], scores.reshape(2, -1))
        state = State(
            position=position,
            heading=jnp.floor(4 * heading).astype(jnp.int32),
            doors=objects[:n],
            opened=jnp.zeros(n, bool),
            key=objects[n],
            holding=jnp.zeros(n, bool),
            paid=jnp.zeros(n, bool),
            time=jnp.zeros((), jnp.int32),
            order=turns(self, episode, order),
            last_action=jnp.full(n, -1, jnp.int32),
            first_view=jnp.zeros((n, 0), jnp.int8),
        )
        state = with_past(self, with_first_view(self, state), episode)
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        """Agents act one after the other, in `state.order`, each on what the ones before it left. action: [N]."""
        front = in_front(state)  # fixed for the whole step; what lies there is read at each agent's turn
        after = state
        for turn in range(self.num_agents):
            mine = state.order[turn] == jnp.arange(self.num_agents)
            after = act(self, after, action, front, mine)
        individual, collective = rewards(self, state, after, action)
        after = after._replace(
            paid=after.paid | pays_drop(self, state, after),
            time=state.time + 1,
            last_action=action.astype(jnp.int32),
        )
        after = remembered(self, after)
        complete, late = completed(self, after), after.time >= self.length
        timestep = Timestep(
            observation=self.observation(after, ended=complete | late),
            reward=individual + collective,
            terminated=complete | (late & self.clock_terminates),
            truncated=late & ~complete & (not self.clock_terminates),
            info=events(self, state, after, action)
            | {"individual_reward": individual, "collective_reward": collective},
        )
        return after, timestep

    def observation(self, state: State, ended: Array | bool = False) -> Observation:
        """What is seen of a state; `ended`: it is the last of its episode, which no option freezes."""
        n = self.num_agents
        view = state.first_view if self.frozen_observation else live_view(self, state)
        if state.past is not None:
            view = late_view(state)
        if self.frozen_observation and ended is not False:
            view = jnp.where(ended, live_view(self, state), view)
        if "agent-id" in self.extras:
            view = jnp.concatenate([view, jnp.eye(n, dtype=jnp.int8)], -1)
        if "last-action" in self.extras:  # last, see history_size
            view = jnp.concatenate([view, jax.nn.one_hot(state.last_action, 6, dtype=jnp.int8)], -1)
        carried = jnp.broadcast_to(state.holding[:, None] | (not self.prune), (n, 2))  # drop and toggle need the key
        available = jnp.concatenate([jnp.ones((n, 4), bool), carried], -1)
        return Observation(view, state_vector(self, state), available)

    def pack(self, observation: Observation) -> Codes:
        """The observation as a few small integers, for a replay: 7 bytes instead of 180 for two agents with windows."""
        return packed(self, observation)

    def unpack(self, codes: Codes) -> Observation:
        """The observation that `pack` was given, bit for bit."""
        return unpacked(self, codes)

    def training_reward(self, key: Key, steps: Transition, iteration: Array | int) -> Array:
        """[T, B, N], the rewards to learn from; only `reward="inject"` changes them. iteration: batches seen before."""
        if self.reward != "inject":
            return steps.reward
        return injection.LAWS[self.injection](self, key, steps.reward, steps.valid, iteration)

    def collective(self, steps: Transition) -> Collective:
        """The reward that all get when the last door opens, and who opened its door first."""
        opened = steps.info["doors_opened"] > 0  # [T, B, N]
        ever = jnp.cumsum(opened.any(-1), 0) > 0
        before = jnp.concatenate([jnp.zeros_like(ever[:1]), ever[:-1]])  # [T, B] some door was open
        first = opened & ~before[..., None]
        alone = first & (jnp.cumsum(first, -1) == 1)  # one, should two have opened at once
        return Collective(steps.info["collective_reward"][..., 0], alone.any(0), before & steps.valid)

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Statistics of whole episodes, [B] or [B, N], NaN where undefined; defined in docs/tasks/manitokan.md.

        reward: [T, B, N], info: leaves [T, B, ...], valid: [T, B]; steps that are not valid count as nothing.
        """
        return statistics.summary(self, reward, info, valid)

    def build(
        self,
        position: Any,
        heading: Any,
        doors: Any,
        key: Any = None,
        holder: int | None = None,
        paid: Any = None,
        time: int = 0,
        order: Any = None,
        last_action: Any = None,
    ) -> State:
        """The state of a layout written by hand: cells (x, y); a door of None is open; the key has a cell or a holder.

        With `frozen_observation` the episode starts here. Raises ValueError for layouts that no play could reach.
        """
        from comity.environments.manitokan_layout import build

        return build(self, position, heading, doors, key, holder, paid, time, order, last_action)

    def layout(self, state: State) -> dict[str, Any]:
        """The arguments of `build` that give this state, as plain numbers and lists."""
        from comity.environments.manitokan_layout import layout

        return layout(state)

    def draw(self, state: State, tile: int = 48) -> np.ndarray:
        """uint8 [H, W, 3], a picture of one game; tile: pixels per cell."""
        from comity.drawing import manitokan

        return manitokan.draw(state, self.width, tile, seen=seen(self, state))

    def draw_view(self, view: Array, tile: int = 48) -> np.ndarray:
        """uint8 [H, W, 3], the window of one agent; view: [view_size]."""
        from comity.drawing import manitokan

        return manitokan.draw_view(view, tile)


# The rules -----------------------------------------------------------------------------------------------------------


def place(game: Manitokan, split: Array, scores: Array) -> tuple[Array, Array]:
    """Agents' cells [N, 2], then the cells of doors and key [N + 1, 2], all different.

    Released: agents stand left of a column drawn from {2, ..., W - 1}, one for all; so they lean to the left. Doors and
    key are uniform on what is left free. split: [] in [0, 1), scores: [2, inner cells] in [0, 1).
    """
    inside = np.arange(1, game.width - 1)
    cells = jnp.asarray(np.stack(np.meshgrid(inside, inside, indexing="ij"), -1).reshape(-1, 2), jnp.int32)
    split = 2 + jnp.floor(split * (game.width - 2))
    allowed = (cells[:, 0] < split) | (game.placement == "uniform")
    # The highest of random scores are a uniform draw without replacement.
    agents = jax.lax.top_k(jnp.where(allowed, scores[0], -1), game.num_agents)[1]
    taken = (jnp.arange(len(cells))[:, None] == agents).any(-1)
    objects = jax.lax.top_k(jnp.where(taken, -1, scores[1]), game.num_agents + 1)[1]
    return cells[agents], cells[objects]


def turns(game: Manitokan, episode: Array | int, numbers: Array) -> Array:
    """[N] int32, an episode's order (paper, figure 9). numbers: [N] in [0, 1), for an order of this game only."""
    leader = jnp.arange(game.num_agents, dtype=jnp.int32)
    if game.order == "leader":
        return leader
    if game.order == "alternating":
        return (leader + episode) % game.num_agents
    if game.shared_order:
        numbers = jax.random.uniform(jax.random.fold_in(jax.random.key(game.order_seed), episode), (game.num_agents,))
    return jnp.argsort(numbers).astype(jnp.int32)


def direction(heading: Array) -> Array:
    """[..., 2], the step (dx, dy) that a heading [...] makes."""
    dx = (heading == 0).astype(jnp.int32) - (heading == 2)
    dy = (heading == 1).astype(jnp.int32) - (heading == 3)
    return jnp.stack([dx, dy], -1)


def in_front(state: State) -> Array:
    """[N, 2], the cell each agent faces."""
    return state.position + direction(state.heading)


def same(cell: Array, other: Array) -> Array:
    """Cells [..., 2] that are the same, [...]."""
    return (cell[..., 0] == other[..., 0]) & (cell[..., 1] == other[..., 1])


def wall(game: Manitokan, cell: Array) -> Array:
    """[...] bool: the outer ring, and all beyond it."""
    return ((cell <= 0) | (cell >= game.width - 1)).any(-1)


def door(state: State, cell: Array) -> Array:
    """[..., N] bool: agent k's door stands on the cell [..., 2]."""
    return same(cell[..., None, :], state.doors)


def blocked(game: Manitokan, state: State, cell: Array) -> Array:
    """[...] bool: an object lies on the cell [..., 2]. Agents are no objects."""
    key = same(cell, state.key) & (game.pickup == "front")
    return wall(game, cell) | door(state, cell).any(-1) | key


def act(game: Manitokan, state: State, action: Array, front: Array, mine: Array) -> State:
    """One agent's turn within a step. mine: [N] bool, True for that agent only; front: [N, 2], as the step began.

    Written for all agents at once and applied to one, which needs no indexing. What an agent cannot do has no effect.
    """
    free = ~blocked(game, state, front)
    turn = mine * ((action == RIGHT).astype(jnp.int32) - (action == LEFT))
    moves = mine & (action == FORWARD) & free
    picks = mine & (action == PICKUP) & same(front if game.pickup == "front" else state.position, state.key)
    drops = mine & (action == DROP) & state.holding & free
    opens = mine & (action == TOGGLE) & state.holding & same(front, state.doors)
    dropped_on = jnp.where(drops[:, None], front, 0).sum(0)
    return state._replace(
        position=jnp.where(moves[:, None], front, state.position),
        heading=(state.heading + turn) % 4,
        doors=jnp.where(opens[:, None], NOWHERE, state.doors),
        opened=state.opened | opens,
        key=jnp.where(drops.any(), dropped_on, jnp.where(picks.any(), NOWHERE, state.key)),
        holding=(state.holding | picks) & ~drops,
    )


def completed(game: Manitokan, state: State) -> Array:
    """[] bool: the required doors are open."""
    return state.opened.sum() >= game.required


def rewards(game: Manitokan, before: State, after: State, action: Array) -> tuple[Array, Array]:
    """Individual and collective part of one step's rewards, each [N] float32; nothing once the episode is over.

    Collective, eq. 1: the individual rewards of all open doors, to everybody, once, when the last required one opens.
    """
    running = ~completed(game, before) & (before.time < game.length)
    individual = (after.opened & ~before.opened) * game.individual_reward * (game.reward != "collective-only")
    individual += pays_drop(game, before, after) * game.oracle_reward - penalty(game, before, after, action)
    individual -= game.step_cost
    collective = completed(game, after) * after.opened.sum() * game.individual_reward
    collective *= game.reward != "individual-only"
    return running * individual, running * jnp.broadcast_to(collective, individual.shape)


def pays_drop(game: Manitokan, before: State, after: State) -> Array:
    """[N] bool: reward "oracle" pays this drop, an agent's first one with its door open."""
    drops = before.holding & ~after.holding
    return drops & before.opened & ~before.paid & (game.reward == "oracle")


def penalty(game: Manitokan, before: State, after: State, action: Array) -> Array:
    """[N] points off, reward "punish": for keeping the key with one's door open.

    Paper: in each step begun so. Released: for each toggle while so, the one that opens the door included.
    """
    if game.reward != "punish":
        return jnp.zeros(game.num_agents)
    kept = before.holding & before.opened
    toggled = after.holding & after.opened & (action == TOGGLE)
    return game.punishment * (toggled if game.punish == "released" else kept)


# What is seen --------------------------------------------------------------------------------------------------------


def colour(k: Any) -> Any:
    """Colour code of agent and door k: 3, 4, 6, 7 as released, then on from 8 (ours); 2 is the key's, 5 the walls'."""
    return 3 + k + (k >= 2)


def window_cells(game: Manitokan, state: State) -> Array:
    """[N, 3, 3, 2], the cells of each agent's window: [column from left to right, row from far to near].

    The window turns with the agent, which stands in the middle of its last row, or, if centred, of the window.
    """
    ahead = direction(state.heading)[:, None, None]
    right = jnp.stack([-ahead[..., 1], ahead[..., 0]], -1)
    depth = (2 if game.window == "forward" else 1) - jnp.arange(3)[None, :, None]
    lateral = jnp.arange(3)[:, None, None] - 1
    return state.position[:, None, None] + ahead * depth + right * lateral


def scene(game: Manitokan, state: State, cell: Array) -> Array:
    """[..., 3] int8, codes of what lies on the cells [..., 2]: walls, doors, the key, nothing. No agents."""
    walls, key, doors = wall(game, cell), same(cell, state.key), door(state, cell)
    any_door = doors.any(-1)
    door_colour = (doors * colour(np.arange(game.num_agents))).sum(-1)
    kind = jnp.where(walls, WALL, jnp.where(any_door, DOOR, jnp.where(key, KEY, EMPTY)))
    paint = jnp.where(walls, GREY, jnp.where(any_door, door_colour, jnp.where(key, BLUE, 0)))
    status = jnp.where(any_door & ~walls, LOCKED, 0)
    return jnp.stack([kind, paint, status], -1).astype(jnp.int8)


def visible(opaque: Array) -> Array:
    """[..., 3, 3] bool, the cells of a forward window that walls and doors do not hide. opaque: [..., 3, 3].

    Row by row away from the viewer, a seen cell that lets light through shows its neighbours to the side and ahead.
    """
    clear = [[~opaque[..., column, row] for row in range(3)] for column in range(3)]
    lit = [[jnp.zeros_like(clear[0][0]) for _ in range(3)] for _ in range(3)]
    lit[1][2] = jnp.ones_like(lit[1][2])
    for row in (2, 1, 0):
        for column, aside in ((0, 1), (1, 2), (2, 1), (1, 0)):  # a sweep to the right, then one to the left
            light = lit[column][row] & clear[column][row]
            lit[aside][row] |= light
            if row > 0:
                lit[aside][row - 1] |= light
                lit[column][row - 1] |= light
    return jnp.stack([jnp.stack(column, -1) for column in lit], -2)


def seen(game: Manitokan, state: State) -> tuple[Array, Array]:
    """Cells of each agent's window [N, 3, 3, 2], and which of them it sees [N, 3, 3]."""
    cells = window_cells(game, state)
    if game.window == "centred":  # every cell touches the viewer's own, which lets light through
        return cells, jnp.ones(cells.shape[:-1], bool)
    return cells, visible(wall(game, cells) | door(state, cells).any(-1))


def marker(game: Manitokan, state: State, k: int) -> Array:
    """[3] int8, the code of agent k's own cell."""
    agent, key = jnp.array([AGENT, colour(k), 0], jnp.int8), jnp.array([KEY, BLUE, 0], jnp.int8)
    return jnp.where(state.holding[k] & game.show_carried, key, agent)


def agent_layer(game: Manitokan, state: State, cell: Array, k: int) -> Array:
    """[..., 3] int8, codes of the cells [..., 2] as released: agent k alone on empty ground, walls outside the grid."""
    outside = ((cell < 0) | (cell >= game.width)).any(-1)[..., None]
    ground = jnp.where(outside, jnp.array([WALL, GREY, 0], jnp.int8), jnp.array([EMPTY, 0, 0], jnp.int8))
    return jnp.where(same(cell, state.position[k])[..., None], marker(game, state, k), ground)


def windows(game: Manitokan, state: State) -> Array:
    """[N, 3, 3, 3] int8, what each agent sees: [column, row, channel], zeros where something hides the cell."""
    n = game.num_agents
    cells, lit = seen(game, state)
    if game.content == "last-agent":
        codes = agent_layer(game, state, cells, n - 1)
    else:
        codes = scene(game, state, cells)
        markers = jnp.stack([marker(game, state, k) for k in range(n)])  # [N, 3]
        for k in range(n):
            codes = jnp.where(same(cells, state.position[k])[..., None], markers[k], codes)
        own = same(cells, state.position[:, None, None])[..., None]  # the viewer is drawn last, on top of all
        codes = jnp.where(own, markers[:, None, None], codes)
    return jnp.where(lit[..., None], codes, jnp.int8(UNSEEN))


def door_signal(game: Manitokan, state: State) -> Array:
    """[N] bool, what agents are told of their own door."""
    forgets = game.reward == "oracle" and game.oracle == "released"
    return state.opened & ~state.paid if forgets else state.opened


def live_view(game: Manitokan, state: State) -> Array:
    """[N, V'] int8, window and signals of this state: the part of a view that `frozen_observation` freezes."""
    parts = [windows(game, state).reshape(game.num_agents, 27)]
    for name, told, yes, no in (
        ("door-signal", door_signal(game, state), OPEN_SIGNAL, SHUT_SIGNAL),
        ("key-signal", state.holding, HELD_SIGNAL, FREE_SIGNAL),
    ):
        if name in game.extras:
            raw = game.signals == "raw"
            number = jnp.where(told, yes, no) if raw else told
            parts.append(jnp.repeat(number[:, None].astype(jnp.int8), 3 if raw else 1, -1))
    return jnp.concatenate(parts, -1)


def signals_end(game: Manitokan) -> int:
    """V', how many numbers of a view are window and signals."""
    return game.spec.view.size - game.spec.history - (game.num_agents if "agent-id" in game.extras else 0)


def with_first_view(game: Manitokan, state: State) -> State:
    """The state as the first of its episode."""
    return state._replace(first_view=live_view(game, state)) if game.frozen_observation else state


def with_past(game: Manitokan, state: State, episode: Array | int) -> State:
    """The state as the first of its episode, the `episode`-th in its place."""
    if not game.lagged_observation:
        return state
    view = live_view(game, state)
    past = jnp.zeros((game.length + 1, *view.shape), jnp.int8)
    return remembered(game, state._replace(past=past, lag=jnp.asarray(episode % game.length, jnp.int32)))


def remembered(game: Manitokan, state: State) -> State:
    """The state with what is to be seen now put to the past."""
    if state.past is None:
        return state
    return state._replace(past=state.past.at[state.time].set(live_view(game, state), mode="drop"))


def late_view(state: State) -> Array:
    """[N, V'] int8, window and signals of `lag` steps ago; zeros, nothing seen, before there were any."""
    assert state.past is not None
    assert state.lag is not None
    then = state.time - state.lag
    return jnp.where(then >= 0, state.past[jnp.maximum(then, 0)], jnp.int8(UNSEEN))


def state_vector(game: Manitokan, state: State) -> Array:
    """[3 W^2 + 3 N] int8: codes of all cells, x by x, then agents' cells, then their headings. Agents are not drawn."""
    axis = np.arange(game.width)
    cells = jnp.asarray(np.stack(np.meshgrid(axis, axis, indexing="ij"), -1), jnp.int32)
    agents = jnp.concatenate([state.position.reshape(-1), state.heading]).astype(jnp.int8)
    return jnp.concatenate([scene(game, state, cells).reshape(-1), agents])


class Codes(NamedTuple):
    """An observation as a replay keeps it. A cell (x, y) is x W + y; 0, which is wall, for what lies on no cell."""

    cells: Array  # [2 N + 1] uint8, uint16 on large grids: of agents, doors, key
    agents: Array  # [N] uint8: heading + 4 holding + 8 (last action + 1) + 64 what the door signal says
    first_view: Array  # [N, V'] int8, window and signals of a game that `keeps_views`; else [N, 0]


def packed(game: Manitokan, observation: Observation) -> Codes:
    """See `Manitokan.pack`. All is read from state vector and available; last action and signal from the view."""
    n, width = game.num_agents, game.width
    grid = observation.state[: 3 * width**2].reshape(-1, 3)  # cells, x by x
    position, heading = jnp.split(observation.state[3 * width**2 :].astype(jnp.int32), [2 * n])
    position = position.reshape(n, 2)
    colours = jnp.array([colour(k) for k in range(n)], jnp.int8)
    shut = (grid[:, :1] == DOOR) & (grid[:, 1:2] == colours)  # [cells, N]
    things = jnp.concatenate([shut, grid[:, :1] == KEY], -1)
    # The first cell is wall, so argmax of nothing but False means nowhere.
    cells = jnp.concatenate([position[:, 0] * width + position[:, 1], things.argmax(0)])
    agents = heading + 4 * observation.available[:, DROP]
    if "last-action" in game.extras:
        chosen = observation.view[:, -6:]
        agents += 8 * (chosen.astype(jnp.int32) * jnp.arange(1, 7)).sum(-1)
    if "door-signal" in game.extras:
        agents += 64 * (observation.view[:, 27] == (OPEN_SIGNAL if game.signals == "raw" else 1))
    frozen = observation.view[:, : signals_end(game)] if keeps_views(game) else jnp.zeros((n, 0), jnp.int8)
    return Codes(cells.astype(jnp.uint8 if width**2 <= 256 else jnp.uint16), agents.astype(jnp.uint8), frozen)


def unpacked(game: Manitokan, codes: Codes) -> Observation:
    """See `Manitokan.unpack`."""
    n, width = game.num_agents, game.width
    cells, agents = codes.cells.astype(jnp.int32), codes.agents.astype(jnp.int32)
    places = jnp.stack([cells // width, cells % width], -1)
    opened = cells[n : 2 * n] == 0
    state = State(
        position=places[:n],
        heading=agents % 4,
        doors=jnp.where(opened[:, None], NOWHERE, places[n : 2 * n]),
        opened=opened,
        key=jnp.where(cells[-1] == 0, NOWHERE, places[-1]),
        holding=(agents // 4 % 2).astype(bool),
        paid=opened & (agents // 64 == 0),  # so that the door signal says what it said
        time=jnp.zeros((), jnp.int32),
        order=jnp.arange(n, dtype=jnp.int32),
        last_action=agents // 8 % 8 - 1,
        first_view=codes.first_view,
    )
    return dataclasses.replace(game, frozen_observation=keeps_views(game), lagged_observation=False).observation(state)


def keeps_views(game: Manitokan) -> bool:
    """Whether a replay must keep window and signals, because the rest of an observation does not determine them.

    Without pruning nothing tells who holds the key, which a window that shows it and a signal say.
    """
    told = game.prune or not (game.show_carried or "key-signal" in game.extras)
    return game.frozen_observation or game.lagged_observation or not told


# What is counted -----------------------------------------------------------------------------------------------------


def events(game: Manitokan, before: State, after: State, action: Array) -> dict[str, Array]:
    """What happened in one step, [N] or [], as amounts that add up over an episode (a distance: its value)."""
    everybody = after.opened.all()
    amounts = {
        "doors_opened": after.opened & ~before.opened,
        "success": everybody & ~before.opened.all(),  # from the doors, never from rewards
        "completed": completed(game, after) & ~completed(game, before),  # the episode's end, by `doors_required`
        "pickups": after.holding & ~before.holding,
        "drops": before.holding & ~after.holding,
        "drop_choices": before.holding & (action == DROP),  # also where something is in the way: what the code counts
        "holding": after.holding,
        "moves_first": (before.time == 0) & (before.order[0] == jnp.arange(game.num_agents)),
        "distance": distance(after.position),
    }
    return {name: amount.astype(jnp.float32) for name, amount in amounts.items()}


def distance(position: Array) -> Array:
    """[] mean Euclidean distance between two agents, in cells; 0 for one agent."""
    first, second = np.triu_indices(len(position), 1)
    if not len(first):
        return jnp.zeros(())
    away = (position[first] - position[second]).astype(jnp.float32)
    return jnp.sqrt((away**2).sum(-1)).mean()


# Options, checked before anything is traced --------------------------------------------------------------------------


def check(game: Manitokan) -> None:
    """Raises ValueError, in one line, for options that make no game."""
    check_settings(game)
    for name, hint in get_type_hints(Manitokan).items():
        if hint is float and getattr(game, name) < 0:
            raise ValueError(
                f"{name} {getattr(game, name)} is below 0: give a number of 0 or more (signs are built in)"
            )
    least = {"num_agents": 1, "length": 1, "injection_window": 0, "injection_batches": 1}
    for name, low in least.items():
        if getattr(game, name) < low:
            raise ValueError(f"{name} {getattr(game, name)} is below {low}: raise it")
    names = [] if game.observe == "window" else game.observe.split("+")
    if set(names) - set(EXTRAS) or len(set(names)) < len(names):
        raise ValueError(f"observe {game.observe!r} is unknown: give window, or {', '.join(EXTRAS)} joined by +")
    inner, needed = game.width - 2, 2 * game.num_agents + 1
    if inner < game.num_agents or inner**2 < needed:
        raise ValueError(
            f"size {game.size} leaves {max(inner, 0)} x {max(inner, 0)} cells for {needed} doors, agents and key, "
            f"and a column for {game.num_agents} agents: raise size"
        )
    if game.frozen_observation and game.lagged_observation:
        raise ValueError("frozen_observation and lagged_observation are both on: choose one, no learner had both")
    if game.width > 100:
        raise ValueError(f"size + num_agents is {game.width}: at most 100, so that all fits int8: lower one")
