"""Predator and prey: slow predators hunt a faster prey among obstacles.

`simple_tag` of the particle world (Lowe et al. 2017, arXiv 1706.02275). By default the prey moves at random, as in
SQDDPG (Wang et al. 2020, arXiv 1907.05707) and LICA (arXiv 2007.02529); it can also learn.
docs/tasks/particle.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import PREY, agent_hex, hexadecimal
from comity.environments.particle import world
from comity.settings import NotNegative, Positive, check
from comity.spec import Spec, Vector
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

CLASSIC = {"prey": "learns", "reward": "classic", "capture_ends": False, "length": 25}
PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},  # SQDDPG's code, which LICA ran
    "prose": {"reward": "prose"},  # the reward that both papers describe
    "classic": CLASSIC,  # OpenAI's environment in MADDPG's training
    "farama": {**CLASSIC, "physics": "farama"},  # mpe2's defaults
}

SIZE, PREY_SIZE, OBSTACLE_SIZE = 0.075, 0.05, 0.2  # radii
GAIN, PREY_GAIN = 3.0, 4.0  # force of an action
MAX_SPEED, PREY_MAX_SPEED = 1.0, 1.3
TOUCH = 10.0  # points
SHAPING = 0.1  # points per distance


class State(NamedTuple):
    position: Array  # [P + 1, 2], the prey last
    velocity: Array  # [P + 1, 2]
    landmarks: Array  # [L, 2], the obstacles
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class PredatorPrey:
    """P predators and a prey, the last agent if it learns. view [N, 4 + 2 L + 2 P + 2]; state [4 (P + 1) + 2 L].

    view: own velocity (2), own position (2), obstacles (2 L) and other agents (2 P) relative to itself, the velocity
    of the prey (2; zeros for the prey). state: positions, velocities, obstacles. Discrete: nothing, left, right, down,
    up. A capture: a predator touches the prey.
    """

    predators: Positive[int] = 3  # P, number of agents that learn to catch the prey
    obstacles: NotNegative[int] = 2  # L, number of discs in the way
    prey: Literal["random", "learns"] = "random"  # random: takes any of five actions, and is no agent
    physics: world.Physics = "classic"  # farama: the old velocity moves an agent, so an action shows one step later
    actions: world.Actions = "discrete"  # discrete: one of five pushes | continuous: five numbers that push
    reward: Literal["code", "prose", "classic"] = "code"  # the same for all predators; k: number that touch the prey:
    # code: P (-0.1 sum of distances to the prey + 10 k) | prose: minus the least distance, + 10 if k > 0 | classic:
    # 10 k. A prey that learns gets -10 k, and loses points when it leaves the field
    capture_ends: bool = True  # a capture ends the episode: a true end, of value 0
    length: Positive[int] = 200  # steps of an episode at most: SQDDPG and LICA 200, MADDPG and mpe2 25
    clock_terminates: bool = False  # False: the time limit truncates an episode; True: it is a true end, of value 0

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        p, learns = self.predators, self.prey == "learns"
        names, colours = tuple(f"predator {k}" for k in range(p)), tuple(agent_hex(k) for k in range(p))
        return Spec(
            p + learns,
            Vector(4 + 2 * self.obstacles + 2 * p + 2, names=self.seen),
            world.action_of(self.actions),
            self.length,
            state=Vector(4 * (p + 1) + 2 * self.obstacles),
            mixed_motive=learns,
            headline="captured",
            roles=(*("predator",) * p, "prey") if learns else (),
            agent_names=(*names, "prey") if learns else names,
            agent_colours=(*colours, hexadecimal(PREY)) if learns else colours,
            action_names=world.names_of(self.actions, self.physics),
            event_names=("captures",),
            event_words=(("captures", "the prey is caught"),),
        )

    @property
    def seen(self) -> tuple[str, ...]:
        """Names of the numbers of a view. The prey is the last of a predator's others."""
        obstacles = (f"to obstacle {k}" for k in range(self.obstacles))
        others = (f"to other {k}" for k in range(1, self.predators + 1))
        return world.pairs_of("own speed", "own place", *obstacles, *others, "speed of the prey")

    def reset(self, key: Key) -> tuple[State, Observation]:
        key_agents, key_obstacles = jax.random.split(key)
        position = world.scattered(key_agents, self.predators + 1)
        obstacles = world.scattered(key_obstacles, self.obstacles, 0.9)
        state = State(position, jnp.zeros_like(position), obstacles, jnp.zeros((), jnp.int32))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        push = world.pushes(action, self.physics, self.actions)
        if self.prey == "random":
            flight = jax.random.randint(key, (1,), 0, world.MOVES)
            push = jnp.concatenate([push, world.pushes(flight, self.physics, "discrete")])
        each = lambda predator, prey: jnp.append(jnp.full(self.predators, predator, push.dtype), prey)  # noqa: E731
        force = each(GAIN, PREY_GAIN)[:, None] * push + world.contact_forces(
            state.position, each(SIZE, PREY_SIZE), state.landmarks, OBSTACLE_SIZE
        )
        position, velocity = world.moved(
            state.position, state.velocity, force, self.physics, each(MAX_SPEED, PREY_MAX_SPEED)
        )
        after = State(position, velocity, state.landmarks, state.time + 1)

        away = to_prey(position)  # [P]
        touching = (away < SIZE + PREY_SIZE).sum().astype(away.dtype)
        before = (to_prey(state.position) < SIZE + PREY_SIZE).any()
        captured = touching > 0
        over, late = world.clock(after.time, self.length, self.clock_terminates)
        if self.capture_ends:
            over, late = over | captured, late & ~captured
        info = {
            "distance": away.min(),
            "touches": touching,
            "captures": (captured & ~before).astype(away.dtype),
        }
        return after, Timestep(self.observation(after), self.rewards(away, touching, position[-1]), over, late, info)

    def rewards(self, away: Array, touching: Array, prey: Array) -> Array:
        """[N], rewards. away [P]: distances to the prey; touching: number that touch it; prey [2]: its position."""
        if self.reward == "code":
            points = self.predators * (-SHAPING * away.sum() + TOUCH * touching)
        elif self.reward == "prose":
            points = -away.min() + TOUCH * (touching > 0)
        else:
            points = TOUCH * touching
        hunters = jnp.broadcast_to(points, (self.predators,))
        if self.prey == "random":
            return hunters
        return jnp.append(hunters, -TOUCH * touching - leaving(prey).sum())

    def observation(self, state: State) -> Observation:
        position, velocity, landmarks, _ = state
        n = len(position)
        others = world.without_self(world.relative(position, position)).reshape(n, -1)
        hunts = (jnp.arange(n) < self.predators)[:, None]
        parts = [velocity, position, world.relative(landmarks, position).reshape(n, -1), others]
        view = jnp.concatenate([*parts, jnp.where(hunts, velocity[-1], 0)], -1)[: self.spec.agents]
        known = jnp.concatenate([position.reshape(-1), velocity.reshape(-1), landmarks.reshape(-1)])
        return Observation(view, known, jnp.ones((self.spec.agents, world.MOVES), bool))

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """[B]: `captured`: 1 if the prey was touched; `capture_steps`: steps until then, `length` if it never was;
        `captures`: number of times that a touch began; `touches`: touching predators, summed over steps; `distance` of
        the nearest predator, mean over steps."""
        touched = info["touches"] > 0  # [T, B]
        captured = touched.any(0)
        return {
            "captured": captured.astype(reward.dtype),
            "capture_steps": jnp.where(captured, touched.argmax(0) + 1, self.length).astype(reward.dtype),
            "captures": info["captures"].sum(0),
            "touches": info["touches"].sum(0),
            "distance": world.mean_over_steps(info["distance"], valid),
        }

    def draw(self, state: State, size: int = 360) -> np.ndarray:
        """uint8 [size, size, 3], the plane from above; the prey is white."""
        from comity.drawing import particle as drawing

        obstacles = [drawing.obstacle(place, OBSTACLE_SIZE) for place in state.landmarks]
        predators = drawing.agents(state.position[:-1], state.velocity[:-1], SIZE)
        prey = drawing.agents(state.position[-1:], state.velocity[-1:], PREY_SIZE, [PREY])
        return drawing.draw([*obstacles, *predators, *prey], size)


def to_prey(position: Array) -> Array:
    """[P], distances of the predators to the prey, the last row of position [P + 1, 2]."""
    return world.distances(position[:-1], position[-1:])[:, 0]


def leaving(place: Array) -> Array:
    """Points that a coordinate [...] costs the prey: 0 up to 0.9 from the middle, 1 at 1, and at most 10."""
    x = jnp.abs(place)
    return jnp.where(x < 0.9, 0, jnp.where(x < 1, 10 * (x - 0.9), jnp.minimum(jnp.exp(2 * x - 2), 10)))


def chase(view: Array, predators: int, obstacles: int = 2) -> Array:
    """Actions [...] of a scripted predator: it pushes along the larger coordinate difference to the prey.

    view [..., V] of predators. Discrete.
    """
    at = 4 + 2 * obstacles + 2 * (predators - 1)
    x, y = view[..., at], view[..., at + 1]
    return jnp.where(jnp.abs(x) > jnp.abs(y), jnp.where(x > 0, 2, 1), jnp.where(y > 0, 4, 3)).astype(jnp.int32)
