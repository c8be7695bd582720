"""Physical deception: good agents know which landmark is the goal; the adversary does not, but it sees them.

`simple_adversary` of the particle world (Lowe et al. 2017, arXiv 1706.02275). docs/tasks/particle.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from comity.drawing.colours import HOSTILE, agent_hex, hexadecimal
from comity.environments.particle import world
from comity.settings import Positive, check
from comity.spec import Spec, Vector
from comity.types import Key, Observation, Timestep

VERSION = 1  # of the rules

PROFILES: dict[str, dict[str, Any]] = {
    "paper": {},  # OpenAI's environment in MADDPG's training; ALITA
    "farama": {"physics": "farama", "reward": "farama"},  # mpe2's defaults
}

ADVERSARY = 0
SIZE, PLACE_SIZE = 0.15, 0.08  # radii of agents and landmarks; nothing collides
REACH = 2 * PLACE_SIZE  # distance to the goal that counts as success


class State(NamedTuple):
    position: Array  # [1 + N, 2], the adversary first
    velocity: Array  # [1 + N, 2]
    landmarks: Array  # [N, 2]
    goal: Array  # [] int32
    time: Array  # [] int32, steps played


@dataclass(frozen=True)
class PhysicalDeception:
    """An adversary, agent 0, against N good agents. view [1 + N, 2 + 4 N]; state [4 (1 + N) + 3 N]. Mixed motives.

    view: good agent: the goal (2), landmarks (2 N), other agents (2 N), all relative to itself; adversary: landmarks
    (2 N), other agents (2 N), zeros (2). state: positions, velocities, landmarks, goal as one-hot. Discrete: nothing,
    left, right, down, up.
    """

    good: Positive[int] = 2  # N, number of good agents and of landmarks
    physics: world.Physics = "classic"  # farama: the old velocity moves an agent, so an action shows one step later
    actions: world.Actions = "discrete"  # discrete: one of five pushes | continuous: five numbers that push
    reward: Literal["classic", "farama"] = "classic"  # the adversary's: classic: minus its squared distance to the goal
    # | farama: minus the distance. Good agents get its distance minus that of the nearest good agent
    length: Positive[int] = 25  # steps of an episode
    clock_terminates: bool = False  # False: the time limit truncates an episode; True: it is a true end, of value 0

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> Spec:
        n = 1 + self.good
        places = *(f"to landmark {k}" for k in range(self.good)), *(f"to other {k}" for k in range(1, n))
        hidden, shown = world.pairs_of(*places, "nothing"), world.pairs_of("to the goal", *places)
        return Spec(
            n,
            Vector(2 + 4 * self.good, names=(hidden, *(shown,) * self.good)),
            world.action_of(self.actions),
            self.length,
            state=Vector(4 * n + 3 * self.good),
            mixed_motive=True,
            headline="success_margin",
            roles=("adversary", *("good",) * self.good),
            agent_names=("adversary", *(f"good {k}" for k in range(1, n))),
            agent_colours=(hexadecimal(HOSTILE), *(agent_hex(k) for k in range(self.good))),
            action_names=world.names_of(self.actions, self.physics),
            event_names=(),
        )

    def reset(self, key: Key) -> tuple[State, Observation]:
        key_goal, key_places = jax.random.split(key)
        n = 1 + self.good
        places = world.scattered(key_places, n + self.good)
        goal = jax.random.randint(key_goal, (), 0, self.good)
        state = State(places[:n], jnp.zeros_like(places[:n]), places[n:], goal, jnp.zeros((), jnp.int32))
        return state, self.observation(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, Timestep]:
        force = world.GAIN * world.pushes(action, self.physics, self.actions)
        position, velocity = world.moved(state.position, state.velocity, force, self.physics)
        after = State(position, velocity, state.landmarks, state.goal, state.time + 1)
        mine = (jnp.arange(self.good) == state.goal)[:, None]
        away = world.distances(position, jnp.where(mine, state.landmarks, 0).sum(0)[None])[:, 0]  # [1 + N], to the goal
        theirs, ours = away[ADVERSARY], away[1:].min()
        against = -jnp.square(theirs) if self.reward == "classic" else -theirs
        paid = jnp.where(jnp.arange(1 + self.good) == ADVERSARY, against, theirs - ours)
        info = {"good_distance": ours, "adversary_distance": theirs}
        ends = world.clock(after.time, self.length, self.clock_terminates)
        return after, Timestep(self.observation(after), paid, *ends, info)

    def observation(self, state: State) -> Observation:
        n, (position, velocity, landmarks, goal, _) = 1 + self.good, state
        mine = jax.nn.one_hot(goal, self.good, dtype=position.dtype)  # [N]
        places = world.relative(landmarks, position)  # [1 + N, N, 2]
        others = world.without_self(world.relative(position, position))
        seen = jnp.concatenate([places.reshape(n, -1), others.reshape(n, -1)], -1)
        target = (mine[:, None] * places).sum(1)
        good = jnp.concatenate([target, seen], -1)
        view = jnp.where((jnp.arange(n) == ADVERSARY)[:, None], world.padded(seen, self.spec.view.size), good)
        known = jnp.concatenate([position.reshape(-1), velocity.reshape(-1), landmarks.reshape(-1), mine])
        return Observation(view, known, jnp.ones((n, world.MOVES), bool))

    def summary(self, reward: Array, info: dict[str, Array], valid: Array) -> dict[str, Array]:
        """[B], at the last step: `good_distance` of the nearest good agent to the goal, `adversary_distance`;
        `good_success`, `adversary_success`: the distance is below 0.16; `success_margin`: their difference."""
        good, adversary = (world.at_end(info[name], valid) for name in ("good_distance", "adversary_distance"))
        ours, theirs = (good < REACH).astype(good.dtype), (adversary < REACH).astype(good.dtype)
        return {
            "good_distance": good,
            "adversary_distance": adversary,
            "good_success": ours,
            "adversary_success": theirs,
            "success_margin": ours - theirs,
        }

    def draw(self, state: State, size: int = 360) -> np.ndarray:
        """uint8 [size, size, 3], the plane from above. The adversary is red, the goal has a halo."""
        from comity.drawing import particle as drawing

        places = enumerate(state.landmarks)
        landmarks = [drawing.landmark(place, PLACE_SIZE, goal=k == int(state.goal)) for k, place in places]
        adversary = drawing.agents(state.position[:1], state.velocity[:1], SIZE, [HOSTILE])
        good = drawing.agents(state.position[1:], state.velocity[1:], SIZE)
        return drawing.draw([*good, *adversary, *landmarks], size)
