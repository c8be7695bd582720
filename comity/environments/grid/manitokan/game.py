"""Manitokan: one key, one door per agent, and hidden gifts (Malenfant & Richards, arXiv 2505.20579).

Agents walk on a small walled grid. Each can open only its own door, with the only key. An agent that leaves the key to
the others after it opened its door gets a reward for that only when they have opened theirs, too. Defaults follow the
paper; the profile `released` follows the authors' code of June 2025, which differs. docs/tasks/manitokan.md: the rules
in words, and a picture.

Coordinates are (x right, y down); headings 0 right, 1 down, 2 left, 3 up. Agents never block each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import agent_hex
from comity.environments.grid.geometry import in_front
from comity.environments.grid.manitokan import injection, layouts, observations, packing, rewards, rules, statistics
from comity.environments.grid.manitokan.state import EXTRAS, WINDOW, State
from comity.settings import NotNegative, Positive, check
from comity.spec import Discrete, Functions, Spec, Vector, methods
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


@dataclass(frozen=True)
class Manitokan:
    """N agents, N doors, one key. view int8 [N, view_size], state int8 [3 W^2 + 3 N]. Rewards in points.

    `reset(key, episode)` draws a layout; `build` makes one by hand. Raises ValueError for settings that do not fit.
    """

    num_agents: Positive[int] = 2  # number of agents and of doors; the paper has 2
    size: int = 4  # the grid is W x W cells with W = size + num_agents; its outer ring is wall
    length: Positive[int] = 150  # steps per episode, section 4 of the paper; the code has 300

    placement: Literal["released", "uniform"] = "released"
    # the paper says "randomly initialised" | released: agents start on the left more often, see `layouts.random_cells`;
    # it is the default because all results of the paper use it
    pickup: Literal["front", "own_cell"] = "front"  # cell of the key that it takes; on own_cell a key blocks no agent
    window: Literal["forward", "centred"] = "forward"  # place of the agent in the 3 x 3 cells that it sees
    prune: bool = True  # drop and toggle are legal only with the key; False: always, without effect if it has none
    content: Literal["scene", "last-agent"] = "scene"  # contents of a window; released: only the last agent, a slip
    show_carried: bool = False  # True: the carrier's cell shows the key instead of the agent
    frozen_observation: bool = False  # True: window and signals stay those of the first step
    lagged_observation: bool = False
    # True: window and signals come late, by as many steps as episodes were played before (modulo the length); zeros
    # until then. The released buffers of MAPPO and IPPO drift so, but there the last episode's views fill the gap.
    observe: str = "window"  # or some of EXTRAS joined by "+", like "door-signal+last-action"
    signals: Literal["binary", "raw"] = "binary"  # one 0/1 flag each | 23/37 and 53/59, three times each

    reward: Literal["normal", "oracle", "punish", "inject", "individual-only", "collective-only"] = "normal"
    # normal: own door and all doors | oracle: also the first drop after opening | punish: also a cost for keeping the
    # key | inject: noise near rewards | or only one of the two parts
    individual_reward: NotNegative[float] = 0.5  # points for opening its door; eq. 1 sums them over open doors
    doors_required: Literal["all", "two"] = "all"  # open doors that end an episode; released: two, for any N
    step_cost: NotNegative[float] = 0.0  # points lost per step and agent; the code has 1e-4, switched off
    oracle: Literal["paper", "released"] = "paper"  # released: the paid drop also makes the door signal say "closed"
    oracle_reward: NotNegative[float] = 1.0  # points for an agent's first drop after it opened its door
    punish: Literal["paper", "released"] = "paper"  # each step with the key costs | each toggle with it, see `rewards`
    punishment: NotNegative[float] = 0.5  # points lost; the paper's text has 0.5, its caption 1
    injection: Literal["paper", "clean", "released"] = "paper"  # kind of noise, see injection.py
    injection_window: NotNegative[int] = 15  # steps before and after a reward
    injection_batches: Positive[int] = 10_000  # number of batches until the noise has faded away
    injection_sigma: NotNegative[float] = 0.25  # points, s.d. of paper and clean; ours: half the individual reward
    injection_scale: NotNegative[float] = 1e-4  # factor of the released noise: the code's entropy coefficient

    order: Literal["leader", "alternating", "random"] = "leader"  # who moves first: agent 0 | each in turn | at random
    shared_order: bool = True  # random order: True: one draw for all parallel games of an episode; False: one per game
    order_seed: int = 0  # seed of the draw that `shared_order` shares
    clock_terminates: bool = True  # the time limit is a true end, of value 0, as in all the paper's algorithms

    def __post_init__(self) -> None:
        check(self)
        names = [] if self.observe == "window" else self.observe.split("+")
        if set(names) - set(EXTRAS) or len(set(names)) < len(names):
            raise ValueError(f"observe {self.observe!r} is unknown: give window, or {', '.join(EXTRAS)} joined by +")
        inner, needed = self.width - 2, 2 * self.num_agents + 1
        if inner < self.num_agents or inner**2 < needed:
            raise ValueError(
                f"size {self.size} leaves {max(inner, 0)} x {max(inner, 0)} cells for {needed} doors, agents and key, "
                f"and a column for {self.num_agents} agents: raise size"
            )
        if self.frozen_observation and self.lagged_observation:
            raise ValueError("frozen_observation and lagged_observation are both on: choose one, no learner had both")
        if self.width > 100:
            raise ValueError(f"size + num_agents is {self.width}: at most 100, so that all fits int8: lower one")

    @property
    def spec(self) -> Spec:
        n, signal = self.num_agents, 3 if self.signals == "raw" else 1
        sizes = {"door-signal": signal, "key-signal": signal, "last-action": 6, "agent-id": n}
        names = ("purple", "yellow", "orange", "cyan")
        laws = ("injection", "injection_window", "injection_batches", "injection_sigma", "injection_scale")
        return Spec(
            n,
            Vector(3 * WINDOW**2 + sum(sizes[name] for name in self.extras)),
            Discrete(6),
            self.length,
            state=Vector(3 * self.width**2 + 3 * n),
            history=6 if "last-action" in self.extras else 0,
            headline="success",
            agent_names=names[:n] + tuple(f"agent {k}" for k in range(len(names), n)),
            agent_colours=tuple(agent_hex(k) for k in range(n)),
            action_names=("turn left", "turn right", "forward", "pick up", "drop", "toggle"),
            event_names=("pickups", "drops", "gifts", "doors_opened", "success"),
            event_words=(
                ("pickups", "picks up the key"),
                ("drops", "lays the key down"),
                ("gifts", "leaves the key: a gift"),
                ("doors_opened", "opens its door"),
                ("success", "every door is open"),
            ),
            event_marks=(("gifts", "gift"),),
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
        """The number of open doors that ends the episode and gives the collective reward."""
        return self.num_agents if self.doors_required == "all" else min(2, self.num_agents)

    @property
    def attainable(self) -> float:
        """Most points that one agent can get in an episode, the unit of `reward_share`: 1.5 for two agents."""
        individual = 0.0 if self.reward == "collective-only" else self.individual_reward
        collective = 0.0 if self.reward == "individual-only" else self.individual_reward * self.required
        return individual + collective + (self.oracle_reward if self.reward == "oracle" else 0.0)

    def reset(self, key: Key, episode: Array | int = 0) -> tuple[State, Observation]:
        """Draws a layout. episode: number of episodes played before, for settings that depend on it."""
        n = self.num_agents
        # One draw for all, since each takes a second to compile: split, headings, order, and two scores per inner cell.
        numbers = jax.random.uniform(key, (1 + 2 * n + 2 * (self.width - 2) ** 2,))
        split, heading, order, scores = jnp.split(numbers, np.cumsum((1, n, n)))
        position, objects = layouts.random_cells(self, split[0], scores.reshape(2, -1))
        state = State(
            position=position,
            heading=jnp.floor(4 * heading).astype(jnp.int32),
            doors=objects[:n],
            opened=jnp.zeros(n, bool),
            key=objects[n],
            holding=jnp.zeros(n, bool),
            paid=jnp.zeros(n, bool),
            time=jnp.zeros((), jnp.int32),
            order=layouts.order_of_turns(self, episode, order),
            last_action=jnp.full(n, -1, jnp.int32),
            first_view=jnp.zeros((n, 0), jnp.int8),
        )
        state = observations.at_start(self, state, episode)
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        """Plays a step. Agents act one after another, in `state.order`: each sees the effects of those before it."""
        # The cell in front of an agent is fixed for the whole step; its content is read at the agent's turn.
        front = in_front(state.position, state.heading)
        after = state
        for turn in range(self.num_agents):
            mine = state.order[turn] == jnp.arange(self.num_agents)
            after = rules.act(self, after, action, front, mine)
        individual, collective = rewards.parts(self, state, after, action)
        after = after._replace(
            paid=after.paid | rewards.pays_drop(self, state, after),
            time=state.time + 1,
            last_action=action.astype(jnp.int32),
        )
        after = observations.with_latest_view(self, after)
        complete, late = rules.completed(self, after), after.time >= self.length
        timestep = Timestep(
            observation=self.observation(after, ended=complete | late),
            reward=individual + collective,
            terminated=complete | (late & self.clock_terminates),
            truncated=late & ~complete & (not self.clock_terminates),
            info=statistics.events(self, state, after, action)
            | {"individual_reward": individual, "collective_reward": collective},
        )
        return after, timestep

    def observation(self, state: State, ended: Array | bool = False) -> Observation:
        """Returns the observation of a state. ended: the episode has ended; then `frozen_observation` has no effect."""
        return observations.observation(self, state, ended)

    def pack(self, observation: Observation) -> packing.Codes:
        """Packs an observation into a few small integers, for a replay: 7 bytes instead of 180 for two agents."""
        return packing.packed(self, observation)

    def unpack(self, codes: packing.Codes) -> Observation:
        """Restores the observation that `pack` was given, bit for bit."""
        return packing.unpacked(self, codes)

    @property
    def functions(self) -> Functions:
        """All of them, but `training_reward` only where it changes rewards."""
        return methods(self) if self.reward == "inject" else methods(self)._replace(training_reward=None)

    def training_reward(self, key: Key, steps: Transition, iteration: Array | int) -> Array:
        """[T, B, N], the rewards to learn from; only `reward="inject"` changes them. iteration: batches seen before."""
        if self.reward != "inject":
            return steps.reward
        return injection.LAWS[self.injection](self, key, steps, iteration)

    def collective(self, steps: Transition) -> Collective:
        """Returns the reward that all get when the last door opens, and the agent that opened its door first."""
        return rewards.collective(steps)

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """Statistics of whole episodes, [B] or [B, N], NaN if undefined. docs/tasks/manitokan.md defines them.

        reward: [T, B, N], info: leaves [T, B, ...], valid: [T, B]; steps that are not valid do not count.
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
        """Returns the state of a layout written by hand. Cells are (x, y); a door of None is open. Give the cell of the
        key or its `holder`.

        With `frozen_observation` the episode starts here. Raises ValueError for impossible layouts.
        """
        return layouts.build(self, position, heading, doors, key, holder, paid, time, order, last_action)

    def layout(self, state: State) -> dict[str, Any]:
        """Returns the arguments of `build` that give this state, as plain numbers and lists."""
        return layouts.arguments_of(state)

    def draw(self, state: State, tile: int = 48) -> np.ndarray:
        """uint8 [H, W, 3], a picture of one game; tile: pixels per cell."""
        from comity.drawing import manitokan

        return manitokan.draw(state, self.width, tile, windows=observations.visible_cells(self, state))

    def draw_view(self, view: Array, tile: int = 48) -> np.ndarray:
        """uint8 [H, W, 3], the window of one agent; view: [view_size]."""
        from comity.drawing import manitokan

        return manitokan.draw_view(view, tile)
