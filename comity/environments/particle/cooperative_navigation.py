"""Cooperative navigation: N agents cover N landmarks without collisions, for one team reward.

`simple_spread` of the particle world (Lowe et al. 2017, arXiv 1706.02275), with the rewards of LICA (arXiv
2007.02529), of the original, or of mpe2. docs/tasks/particle.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import agent_hex
from comity.environments.particle import world
from comity.settings import Fraction, Positive, check
from comity.spec import Spec, Vector
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

CLASSIC = {"reward": "classic", "length": 25}
PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},  # LICA, N = 3
    "paper-5": {"agents": 5},  # LICA, N = 5
    "classic": CLASSIC,  # OpenAI's environment in MADDPG's training; ALITA, N = 3
    "classic-6": {**CLASSIC, "agents": 6},  # ALITA, N = 6
    "farama": {"physics": "farama", "reward": "farama", "length": 25},  # mpe2's defaults
    "jaxmarl": {"physics": "farama", "reward": "farama", "length": 26},  # its 25 steps end with the 26th
}

SIZE = 0.15  # radius of an agent
PLACE_SIZE = 0.05  # radius of a landmark, which nothing collides with
OCCUPIED = 0.1  # distance within which a landmark counts as occupied (mpe2)


class State(NamedTuple):
    position: Array  # [N, 2]
    velocity: Array  # [N, 2]
    landmarks: Array  # [N, 2]
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class CooperativeNavigation:
    """N agents, N landmarks. view [N, 6 N]; state [6 N]: positions, velocities, landmarks. A team game.

    view: own velocity (2), own position (2), landmarks (2 N) and other agents (2 (N - 1)) relative to itself, messages
    of the others (2 (N - 1), zeros: nobody speaks). Discrete: nothing, left, right, down, up.
    """

    agents: Positive[int] = 3  # N, number of agents
    physics: world.Physics = "classic"  # farama: the old velocity moves an agent, so an action shows one step later
    actions: world.Actions = "discrete"  # discrete: one of five pushes | continuous: five numbers that push
    reward: Literal["paper", "classic", "farama"] = "paper"  # S: the sum over landmarks of the distance to the nearest
    # agent; c_i: number of others that agent i overlaps: paper: -S - sum c | classic: -N S - sum c - N, the sum of all
    # agents' rewards, in which each agent also collides with itself | farama: -(1 - L) S - L c_i
    local_share: Fraction = 0.5  # L, for farama: share of an agent's own collisions in its reward
    length: Positive[int] = 200  # steps of an episode: LICA 200; MADDPG, ALITA and mpe2 25
    clock_terminates: bool = False  # False: the time limit truncates an episode; True: it is a true end, of value 0

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        return Spec(
            self.agents,
            Vector(6 * self.agents, names=self.seen),
            world.action_of(self.actions),
            self.length,
            state=Vector(6 * self.agents),
            mixed_motive=self.reward == "farama" and self.local_share > 0,  # an agent's own collisions count
            agent_colours=tuple(agent_hex(k) for k in range(self.agents)),
            action_names=world.names_of(self.actions, self.physics),
            event_names=("collisions_begun",),
            event_words=(("collisions_begun", "bumps into another"),),
        )

    @property
    def seen(self) -> tuple[str, ...]:
        """Names of the numbers of a view."""
        landmarks = (f"to landmark {k}" for k in range(self.agents))
        others = [f"{what} other {k}" for what in ("to", "said by") for k in range(1, self.agents)]
        return world.pairs_of("own speed", "own place", *landmarks, *others)

    def reset(self, key: Key) -> tuple[State, Observation]:
        n = self.agents
        places = world.scattered(key, 2 * n)
        state = State(places[:n], jnp.zeros_like(places[:n]), places[n:], jnp.zeros((), jnp.int32))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        force = world.GAIN * world.pushes(action, self.physics, self.actions)
        force = force + world.contact_forces(state.position, jnp.full_like(state.position[:, 0], SIZE))
        position, velocity = world.moved(state.position, state.velocity, force, self.physics)
        after = State(position, velocity, state.landmarks, state.time + 1)

        nearest = world.distances(state.landmarks, position).min(-1)  # [N], distance from each landmark
        overlap, before = overlaps(position), overlaps(state.position)
        info = {
            "distance": nearest.sum(),
            "occupied": (nearest < OCCUPIED).sum().astype(nearest.dtype),
            "collisions": overlap.sum() / 2,
            "collisions_begun": (overlap & ~before).sum() / 2,
        }
        reward = self.rewards(info["distance"], overlap.sum(-1).astype(nearest.dtype))
        return after, Timestep(
            self.observation(after), reward, *world.clock(after.time, self.length, self.clock_terminates), info
        )

    def rewards(self, distance: Array, bumps: Array) -> Array:
        """[N], rewards. distance: S; bumps [N]: c_i."""
        if self.reward == "farama":
            return -(1 - self.local_share) * distance - self.local_share * bumps
        team = -distance - bumps.sum()
        if self.reward == "classic":
            team = -self.agents * distance - bumps.sum() - self.agents
        return jnp.broadcast_to(team, bumps.shape)

    def observation(self, state: State) -> Observation:
        n, (position, velocity, landmarks, _) = self.agents, state
        others = world.without_self(world.relative(position, position)).reshape(n, -1)
        parts = [
            velocity,
            position,
            world.relative(landmarks, position).reshape(n, -1),
            others,
            jnp.zeros_like(others),
        ]
        known = [position.reshape(-1), velocity.reshape(-1), landmarks.reshape(-1)]
        available = jnp.ones((n, world.MOVES), bool)
        return Observation(jnp.concatenate(parts, -1), jnp.concatenate(known), available)

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """[B]: `distance`: mean of S over steps; `final_distance`: S at the last step; `occupied`: share of landmarks
        with an agent within 0.1 at the last step; `collisions`: overlapping pairs, counted at every step;
        `collisions_begun`: counted only in the step in which an overlap begins; `reward_per_step`: mean over agents and
        steps."""
        return {
            "distance": world.mean_over_steps(info["distance"], valid),
            "final_distance": world.at_end(info["distance"], valid),
            "occupied": world.at_end(info["occupied"], valid) / self.agents,
            "collisions": info["collisions"].sum(0),
            "collisions_begun": info["collisions_begun"].sum(0),
            "reward_per_step": world.mean_over_steps(reward.mean(-1), valid),
        }

    def draw(self, state: State, size: int = 360) -> np.ndarray:
        """uint8 [size, size, 3], the plane from above."""
        from comity.drawing import particle as drawing

        landmarks = [drawing.landmark(place, PLACE_SIZE) for place in state.landmarks]  # above agents
        return drawing.draw([*drawing.agents(state.position, state.velocity, SIZE), *landmarks], size)


def overlaps(position: Array) -> Array:
    """[N, N] bool, True where two different agents overlap."""
    return (world.distances(position, position) < 2 * SIZE) & ~jnp.eye(len(position), dtype=bool)


def assigned(view: Array, agents: int) -> Array:
    """Actions [..., N] of a scripted team: each agent goes to its landmark in the cheapest assignment.

    view [..., N, V] of N agents. All N! assignments are compared by their sum of distances. An agent takes the push
    after which it is nearest to its landmark during the next two steps (classic physics). It ignores other agents.
    """
    seen = view[..., 4 : 4 + 2 * agents].reshape(*view.shape[:-1], agents, 2)  # [..., N, L, 2]
    distance = jnp.sqrt(jnp.square(seen).sum(-1))
    order = np.array(list(permutations(range(agents))))  # [N!, N], the landmark of each agent
    chosen = jnp.asarray(order)[distance[..., np.arange(agents), order].sum(-1).argmin(-1)]  # [..., N]
    target = jnp.take_along_axis(seen, chosen[..., None, None], -2)[..., 0, :]  # [..., N, 2]
    kept = 1 - world.DAMPING
    push = world.GAIN * world.INTERVAL * world.pushes(jnp.arange(world.MOVES), "classic", "discrete")
    velocity = kept * view[..., None, :2] + push  # [..., N, 5, 2]
    ahead = [world.INTERVAL * velocity, world.INTERVAL * (1 + kept) * velocity]
    away = [jnp.sqrt(jnp.square(target[..., None, :] - place).sum(-1)) for place in ahead]
    return (away[0] + away[1]).argmin(-1).astype(jnp.int32)
