"""Oasis: three agents and food for two. Agents that stay away starve, and agents that come near may be hit.

The game of RUSP (Baker 2020, arXiv 2011.05373) in which agents move, turn, eat and attack; here in the plane.
docs/tasks/oasis.md: the rules in words, and a picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import agent_hex
from comity.environments.horizon import drawn_horizon
from comity.environments.particle import floor
from comity.environments.particle.floor import Bodies
from comity.settings import Fraction, NotNegative, Positive, TwoOrMore, check, did_you_mean
from comity.spec import Entities, MultiDiscrete, Spec, Vector
from comity.types import Key, Observation, PyTree, Timestep

VERSION = 1  # of the rules: raised whenever the same seed would give another game

PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},
    "short": {"end_chance": 0.0, "length": 250},  # two lives of an agent that never eats: to watch, to learn in minutes
}

BINS = np.linspace(-0.9, 0.9, 11, dtype=np.float32)  # values of a force or torque
ATTACK, EAT, NOTHING = range(3)  # values of the option
REACH, CONE = 0.7, 3 * math.pi / 8  # range of an attack, and half angle of its cone
BITE = 0.4  # distance within which an agent can eat the food
BLOW = 5.0  # health lost per hit
PASSIVE = 100  # number of steps after a death in which an agent is passive
NEVER = 10_000_000  # steps since the last death, if there was none
SQUARE, FOOD_SQUARE = 0.3, 0.1  # sides of the squares of agents and food, which must not overlap at the start
SCRIPTS = ("grazer", "fighter")


class State(NamedTuple):
    """One game."""

    bodies: Bodies
    health: Array  # [N]
    since: Array  # [N] int32, steps since the last death
    option: Array  # [N] int32, option of the last step; -1 before the first
    hits: Array  # [N, N] bool, True where the row agent hit the column agent in the last step
    identity: Array  # [N, D] in [0, 1), numbers by which others recognise an agent; drawn for each episode
    food: Array  # [2]
    side: Array  # [] side of the floor
    worth: Array  # [] health that the food gives in a step
    time: Array  # [] int32, steps played
    horizon: Array  # [] int32, steps of this episode


@dataclass(frozen=True)
class Oasis:
    """N agents. view float32 [N, 17 + D + (N - 1) (15 + D)]; state float32 [N (12 + D + N) + 7].

    Actions: force along x, along y, and torque (11 bins each), an option (0 attack, 1 eat, 2 nothing), a target (agents
    i - 1, i - 2, ..., modulo N). view: position (2), velocity (2), angle, spin, health, 1 if it is passive, steps since
    its death / 100 (at most 1), last option (one-hot, zeros before the first), number of hits on it in the last step,
    identity (D), t, position of the food (2), health that it gives; for each other, in the order of the fifth head: the
    same from position to identity, 1 if it hit me, 1 if I see it. state: for each agent position to last option,
    identity, the agents that it hit (N); the food (3), side of the floor, t, t / H, H.
    """

    agents: TwoOrMore = 3  # N, number of agents
    length: Positive[int] = 5000  # most steps of an episode; 7 in 1,000 are cut there
    end_chance: Fraction = 0.001  # chance that a step is the last; 0: every episode has `length` steps
    identity_size: NotNegative[int] = 16  # D, size of an agent's identity
    least_side: Positive[float] = 1.5  # smallest side of the floor; drawn uniformly for each episode
    most_side: Positive[float] = 6.0  # largest side of the floor
    least_food: NotNegative[float] = 2.1  # least health per step from food; drawn uniformly: enough for two of three
    most_food: NotNegative[float] = 2.7  # most health per step from food
    full_health: Positive[float] = 20.0  # health at the start, and the most an agent can have
    death_points: float = -100.0  # points for an agent that dies: its health is used up
    clock_terminates: bool = True  # an end by the clock is a true end, of value 0; an end by chance always is

    def __post_init__(self) -> None:
        check(self)
        if self.least_side > self.most_side:
            raise ValueError(f"least_side {self.least_side} is above most_side {self.most_side}")
        if self.least_food > self.most_food:
            raise ValueError(f"least_food {self.least_food} is above most_food {self.most_food}")
        if self.agents * SQUARE**2 > 0.2 * self.least_side**2:
            raise ValueError(f"{self.agents} agents find no room on a floor of {self.least_side}: raise least_side")

    @property
    def spec(self) -> Spec:
        n, own, other = self.agents, 17 + self.identity_size, 15 + self.identity_size
        first = [own + k * other for k in range(n - 1)]
        others = tuple(tuple(range(at, at + other)) for at in first)
        bins = tuple(f"{x:+.2f}" for x in BINS)
        return Spec(
            n,
            Vector(own + len(first) * other, Entities(tuple(range(own)), others, self.offsets)),
            MultiDiscrete((len(BINS), len(BINS), len(BINS), 3, n - 1), pointer=4),
            self.length,
            state=Vector(n * (12 + self.identity_size + n) + 7),
            mixed_motive=True,
            scripts=SCRIPTS,
            dilemma=SCRIPTS,
            agent_colours=tuple(agent_hex(k) for k in range(n)),
            action_names=(bins, bins, bins, ("attack", "eat", "nothing"), tuple(f"agent i{k}" for k in self.offsets)),
            event_names=("died", "hit"),
            event_words=(("died", "dies"), ("hit", "hits another agent")),
        )

    @property
    def offsets(self) -> tuple[int, ...]:
        """Offsets of the others of agent i, in order: i - 1, i - 2, ..., modulo N."""
        return tuple(range(-1, -self.agents, -1))

    @property
    def circle(self) -> Array:
        """[N, N - 1], numbers of the others of each agent."""
        return (jnp.arange(self.agents)[:, None] + jnp.asarray(self.offsets)) % self.agents

    def counts(self, action: PyTree) -> tuple[Array, ...]:
        """Bool [..., N] per head, True if the head has an effect: the target has none unless the agent attacks."""
        option = action[3]
        every = jnp.ones_like(option, bool)
        return every, every, every, every, option == ATTACK

    def reset(self, key: Key) -> tuple[State, Observation]:
        n = self.agents
        key_sizes, key_places, key_angle, key_horizon, key_identity = jax.random.split(key, 5)
        low = jnp.array([self.least_side, self.least_food])
        high = jnp.array([self.most_side, self.most_food])
        side, worth = low + jax.random.uniform(key_sizes, (2,)) * (high - low)
        places = scattered(key_places, n, side)
        angle = jax.random.uniform(key_angle, (n,), minval=-math.pi, maxval=math.pi)
        still = jnp.zeros((n, 2))
        state = State(
            Bodies(places[:n], still, angle, still[:, 0]),
            jnp.full(n, self.full_health, jnp.float32),
            jnp.full(n, NEVER, jnp.int32),
            jnp.full(n, -1, jnp.int32),
            jnp.zeros((n, n), bool),
            jax.random.uniform(key_identity, (n, self.identity_size)),
            places[n],
            side,
            worth,
            jnp.zeros((), jnp.int32),
            drawn_horizon(key_horizon, self.end_chance, self.length),
        )
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: PyTree) -> tuple[State, Timestep]:
        dies = state.health <= 0  # from the steps before
        since = jnp.where(dies, 0, state.since)
        passive = passive_of(state)
        bodies = state.bodies
        hits = self.hits_of(bodies, ~passive, action)  # from their positions before dead agents are moved
        outside = beside(key, self.agents, state.side)
        bodies = bodies._replace(place=jnp.where(dies[:, None], outside, bodies.place))
        health = jnp.where(dies, self.full_health, state.health)

        pushes = jnp.asarray(BINS)[jnp.stack(action[:3], -1)] * ~passive[:, None]
        bodies = floor.slid(bodies, pushes[:, :2], pushes[:, 2])
        near = jnp.square(bodies.place - state.food).sum(-1) < BITE**2
        eats = ~passive & (action[3] == EAT) & near & ~hits.any(0)
        food = eats * state.worth / jnp.maximum(eats.sum(), 1)
        change = food - 1 - BLOW * hits.sum(0)
        health = jnp.where(passive, health, jnp.minimum(health + change, self.full_health))
        died = ~passive & (health <= 0)
        reward = jnp.where(passive, 0.0, 1.0) + self.death_points * died

        option = jnp.where(passive, NOTHING, action[3]).astype(jnp.int32)
        after = State(
            bodies, health, jnp.minimum(since + 1, NEVER), option, hits, *state[5:9], state.time + 1, state.horizon
        )
        over = after.time >= state.horizon
        truncated = over & (after.time >= self.length) & (not self.clock_terminates)
        events = {"died": died, "alive": ~passive, "ate": eats, "attacks": option == ATTACK, "hit": hits.any(1)}
        info = {name: x.astype(jnp.float32) for name, x in events.items()}
        return after, Timestep(self.observation(after), reward, over & ~truncated, truncated, info)

    def hits_of(self, bodies: Bodies, awake: Array, action: PyTree) -> Array:
        """[N, N] bool, True where the row agent hits the column agent: its target, if that is in reach and in sight."""
        chosen = jnp.take_along_axis(self.circle, action[4][:, None], 1)  # [N, 1]
        wants = (jnp.arange(self.agents) == chosen) & ((action[3] == ATTACK) & awake)[:, None]
        away = jnp.square(bodies.place[None] - bodies.place[:, None]).sum(-1)
        return wants & (away < REACH**2) & sees(bodies)

    def observation(self, state: State) -> Observation:
        n, bodies = self.agents, state.bodies
        passive = passive_of(state)
        option = jax.nn.one_hot(state.option, 3)  # zeros if -1
        since = jnp.minimum(1.0, jnp.where(state.health <= 0, 0, state.since) / PASSIVE)
        hit = state.hits.sum(0).astype(jnp.float32)
        columns = lambda *xs: jnp.concatenate([x.reshape(n, -1).astype(jnp.float32) for x in xs], -1)  # noqa: E731
        of_each = columns(*bodies, state.health, passive, since, option, hit, state.identity)  # [N, 13 + D]
        clock = state.time.astype(jnp.float32)
        scene = jnp.concatenate([clock[None], state.food, state.worth[None]])
        pairs = jnp.stack([state.hits.T, sees(bodies)], -1)  # [N, N, 2]: it hit me, I see it
        pairs = jnp.take_along_axis(pairs, self.circle[..., None], 1)
        others = jnp.concatenate([of_each[self.circle], pairs.astype(jnp.float32)], -1)
        view = columns(of_each, jnp.broadcast_to(scene, (n, 4)), others)
        known = [scene[1:], state.side[None], clock[None], clock[None] / state.horizon, state.horizon[None]]
        known = jnp.concatenate([columns(of_each[:, :12], state.identity, state.hits).reshape(-1), *known])
        only = lambda size, k: jnp.where(passive[:, None], jnp.arange(size) == k, True)  # noqa: E731
        still = [only(len(BINS), len(BINS) // 2)] * 3
        return Observation(view, known, (*still, only(3, NOTHING), only(n - 1, 0)))

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """[B]: `deaths` of all, `most_deaths` and `least_deaths` of one agent, `deaths_deviation` between agents,
        `dead_agents`: number of agents that died, `only_one_died`, `deaths_of_others`: all but those of the agent that
        died most. [B, N]: `alive`, `ate`, `attacks`, `hit` (it hit another agent): shares of steps."""
        deaths = info["died"].sum(0)  # [B, N]
        steps = jnp.maximum(valid.sum(0), 1)[:, None]
        died = (deaths > 0).sum(-1)
        return {
            "deaths": deaths.sum(-1),
            "most_deaths": deaths.max(-1),
            "least_deaths": deaths.min(-1),
            "deaths_deviation": deaths.std(-1),
            "dead_agents": died.astype(jnp.float32),
            "only_one_died": (died == 1).astype(jnp.float32),
            "deaths_of_others": deaths.sum(-1) - deaths.max(-1),
            **{name: info[name].sum(0) / steps for name in ("alive", "ate", "attacks", "hit")},
        }

    def script(self, name: str) -> tuple[PyTree, Callable[[PyTree, Array], tuple[PyTree, PyTree]]]:
        """Returns (memory, act) of a scripted player. grazer: walks to the food and eats. fighter: does the same, but
        turns to the nearest other agent within reach, and attacks it when it sees it."""
        if name not in SCRIPTS:
            near = did_you_mean(name, SCRIPTS)
            raise ValueError(f"unknown script {name!r}{near}; known: {', '.join(SCRIPTS)}")

        def act(view: Array) -> tuple[Array, ...]:
            own, other = 17 + self.identity_size, 15 + self.identity_size
            place, velocity, angle = view[:2], view[2:4], view[4]
            food = view[own - 3 : own - 1]
            aim = jnp.clip(3 * (food - place) - 0.4 * velocity, -0.9, 0.9)
            others = view[own:].reshape(-1, other)
            away = others[:, :2] - place
            distance = jnp.sqrt(jnp.square(away).sum(-1)) + 100.0 * (others[:, 7] > 0)  # passive agents are left alone
            nearest = distance.argmin()
            towards = away[nearest] / jnp.maximum(jnp.sqrt(jnp.square(away[nearest]).sum()), 1e-6)
            look = floor.heading(angle)
            left = look[0] * towards[1] - look[1] * towards[0]
            fights = (distance[nearest] < REACH) & (name == "fighter")
            twist = jnp.where(fights, 0.9 * jnp.sign(left) * (look @ towards < 0.7), 0.0)
            option = jnp.where(fights & (others[nearest, -1] > 0), ATTACK, EAT)
            moves = (jnp.abs(jnp.asarray(BINS) - x).argmin() for x in (*aim, twist))
            passive = view[7] > 0
            act = (*moves, option, nearest)
            still = (*(len(BINS) // 2,) * 3, NOTHING, 0)
            return tuple(jnp.where(passive, s, a).astype(jnp.int32) for a, s in zip(act, still, strict=True))

        each = jnp.vectorize(act, signature="(v)->(),(),(),(),()")
        return (), lambda memory, view: (each(view), memory)

    def draw(self, state: State, size: int = 360) -> np.ndarray:
        """uint8 [size, size, 3], the floor from above: food as a plate, agents with a line in the direction they face,
        dark while they are passive, with a ring if they were hit in the last step."""
        from comity.drawing import particle as drawing

        bodies, hit = state.bodies, np.asarray(np.any(state.hits, 0))
        return drawing.oasis(
            np.asarray(bodies.place),
            np.asarray(floor.heading(bodies.angle)),
            np.asarray(passive_of(state)),
            hit,
            np.asarray(state.food),
            float(state.side),
            size,
        )


def passive_of(state: State) -> Array:
    """[N] bool, True if an agent is passive in the coming step: it died now or less than PASSIVE steps ago."""
    return (state.health <= 0) | (state.since < PASSIVE)


def sees(bodies: Bodies) -> Array:
    """[N, N] bool, True where the column agent lies in the row agent's cone and nobody stands between them."""
    return floor.in_cone(bodies.place, bodies.angle, CONE) & floor.free_sight(bodies.place)


def beside(key: Key, n: int, side: Array) -> Array:
    """Draws positions [N, 2] outside the floor: each coordinate is uniform on (-1, 0) or on (side, side + 1)."""
    before, x = jax.random.uniform(key, (2, n, 2))
    return jnp.where(before < 0.5, -x, side + x)


def scattered(key: Key, n: int, side: Array) -> Array:
    """Draws positions [N + 1, 2] of agents and food, uniformly: their squares lie on the floor and do not overlap."""
    sizes = jnp.full(n + 1, SQUARE).at[n].set(FOOD_SQUARE)
    least = (sizes[:, None] + sizes[None]) / 2
    pairs = jnp.tril(jnp.ones((n + 1, n + 1), bool), -1)

    def drawn(key: Key) -> Array:
        return sizes[:, None] / 2 + jax.random.uniform(key, (n + 1, 2)) * (side - sizes[:, None])

    def overlap(places: Array) -> Array:
        near = (jnp.abs(places[:, None] - places[None]) < least[..., None]).all(-1)
        return (near & pairs).any()

    def again(carry: tuple[Key, Array]) -> tuple[Key, Array]:
        key, key_now = jax.random.split(carry[0])
        return key, drawn(key_now)

    key, key_now = jax.random.split(key)
    return jax.lax.while_loop(lambda carry: overlap(carry[1]), again, (key, drawn(key_now)))[1]
